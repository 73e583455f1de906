"""Names and codes of countries and states."""

from collections.abc import Mapping

_COUNTRIES: Mapping[str, str] = {
    "INDIA": "IN",
    "IND": "IN",
    "BHARAT": "IN",
    "USA": "US",
    "UNITED STATES": "US",
    "UNITED STATES OF AMERICA": "US",
    "UK": "GB",
    "GBR": "GB",
    "UNITED KINGDOM": "GB",
    "GREAT BRITAIN": "GB",
    "UAE": "AE",
    "ARE": "AE",
    "UNITED ARAB EMIRATES": "AE",
    "KSA": "SA",
    "SAUDI ARABIA": "SA",
    "AUSTRALIA": "AU",
    "CANADA": "CA",
    "FRANCE": "FR",
    "GERMANY": "DE",
    "KUWAIT": "KW",
    "MALAYSIA": "MY",
    "MEXICO": "MX",
    "NEPAL": "NP",
    "OMAN": "OM",
    "QATAR": "QA",
    "SINGAPORE": "SG",
    "SRI LANKA": "LK",
}

# ISO 3166-2:IN, with its former codes and those of vehicle registration.
_STATES: Mapping[str, str] = {
    code: name
    for codes, name in (
        ("AN", "Andaman and Nicobar Islands"),
        ("AP", "Andhra Pradesh"),
        ("AR", "Arunachal Pradesh"),
        ("AS", "Assam"),
        ("BR", "Bihar"),
        ("CG CT", "Chhattisgarh"),
        ("CH", "Chandigarh"),
        ("DD DH DN", "Dadra and Nagar Haveli and Daman and Diu"),
        ("DL", "Delhi"),
        ("GA", "Goa"),
        ("GJ", "Gujarat"),
        ("HP", "Himachal Pradesh"),
        ("HR", "Haryana"),
        ("JH", "Jharkhand"),
        ("JK", "Jammu and Kashmir"),
        ("KA", "Karnataka"),
        ("KL", "Kerala"),
        ("LA", "Ladakh"),
        ("LD", "Lakshadweep"),
        ("MH", "Maharashtra"),
        ("ML", "Meghalaya"),
        ("MN", "Manipur"),
        ("MP", "Madhya Pradesh"),
        ("MZ", "Mizoram"),
        ("NL", "Nagaland"),
        ("OD OR", "Odisha"),
        ("PB", "Punjab"),
        ("PY", "Puducherry"),
        ("RJ", "Rajasthan"),
        ("SK", "Sikkim"),
        ("TG TS", "Telangana"),
        ("TN", "Tamil Nadu"),
        ("TR", "Tripura"),
        ("UK UT", "Uttarakhand"),
        ("UP", "Uttar Pradesh"),
        ("WB", "West Bengal"),
    )
    for code in codes.split()
}


def read_country(text: str) -> str:
    """Return a country's ISO code for its name or code, ignoring case; others unchanged.

    `India` is returned unchanged: ClickPost accepts it.
    """
    upper = text.upper()
    if text == "India":
        return text
    return upper if len(text) == 2 and upper != "UK" else _COUNTRIES.get(upper, text)


def read_indian_state(text: str) -> str:
    """Return the name of an Indian state for its code, `KA` or `IN-KA`; others unchanged."""
    return _STATES.get(text.upper().removeprefix("IN-"), text)
