"""Parses phone numbers for ClickPost's format: digits, with a separate dialling code."""

import re
from functools import lru_cache
from typing import Any

from attrs import frozen

from clickpost_async._util.extras import not_installed
from clickpost_async.files.cells import BadCellError

# Nearly all phone numbers of Indian files; they need no numbering plan.
_INDIAN_MOBILE = re.compile(r"[6-9]\d{9}", re.ASCII).fullmatch
_WRITTEN = re.compile(r"\(?\+?[\d \t().\u2010-\u2015-]+", re.ASCII).fullmatch
# No number of the world has more digits; longer ones are several.
_MAX_DIGITS = 15
_DIGITS = re.compile(r"\+?\d+", re.ASCII).fullmatch
_INDIA = "IN"
_INDIA_CODE = 91


@frozen
class Phone:
    """A number without its dialling code; `code` is set if it is another country's."""

    number: str
    code: str | None = None
    is_valid: bool = True


@lru_cache(4096)
def read_phone(text: str, country: str) -> Phone:
    """Parse a phone number in the notation of a country, given by its ISO code.

    A number of India is returned without `+91`, `0091`, `91` and the `0` before a mobile number; a
    fixed line keeps its `0`. A number that is not in the numbering plan is returned unchanged, as
    not valid.

    Raises:
        BadCellError: It is not a phone number, or it could be several.

    """
    if country == _INDIA and _INDIAN_MOBILE(text):
        return Phone(text)
    if not _WRITTEN(text) or sum(map(str.isdigit, text)) > _MAX_DIGITS:
        raise BadCellError(
            "not a phone number that can be read; write one number, in digits, like 9876543210"
        )
    try:
        import phonenumbers
    except ImportError:
        if _DIGITS(text):
            return Phone(text)
        digits = "write it in digits only, like 9876543210"
        needs = f"{digits}; phones written otherwise are read with phonenumbers"
        raise BadCellError(str(not_installed(needs, "clickpost_async[phones]"))) from None
    try:
        parsed = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        return Phone(text, is_valid=False)
    return _valid(text, country, parsed)


def _valid(text: str, country: str, parsed: Any) -> Phone:
    import phonenumbers

    digits = "".join(re.findall(r"\d", text))
    national = phonenumbers.national_significant_number(parsed)
    if parsed.country_code == _INDIA_CODE and country == _INDIA:
        is_fixed = phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.FIXED_LINE
        # Ten digits of a fixed line are sent unchanged: they had no prefix.
        return Phone(f"0{national}" if is_fixed and digits != national else national)
    has_code = text.lstrip("( ").startswith(("+", "00"))
    if not has_code:
        return Phone(digits)
    return Phone(national, f"+{parsed.country_code}")
