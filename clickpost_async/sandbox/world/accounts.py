"""The enterprise's accounts with couriers: which pincodes they serve, for how much, in what time.

A pincode is served when it is one (six digits, and not 999999). Cash is not collected where one
begins with 18, 19, 78 or 79; an account by air serves the cities whose pincodes the sandbox has.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources

from attrs import frozen

from clickpost_async.sandbox.world import couriers, scenarios

_FILE = resources.files("clickpost_async.sandbox.world") / "pincodes.json"
# The city and the state of some of India's pincodes, as ClickPost writes them.
PLACES: Mapping[str, tuple[str, str]] = {
    pincode: (city, state)
    for place, pincodes in json.loads(_FILE.read_text("utf-8")).items()
    for city, _, state in [place.partition(", ")]
    for pincode in pincodes.split()
}

_REMOTE = ("18", "19", "78", "79")
_METROS = ("11", "40", "50", "56", "60", "70")
_CITIES = frozenset(pincode[:3] for pincode in PLACES)

# Days at least and at most, and rupees for half a kilogram.
_DAYS = {"CITY": (1, 1), "STATE": (1, 2), "METRO": (2, 3), "NATIONAL": (3, 5), "REMOTE": (5, 8)}
_RATES = {"CITY": 30.0, "STATE": 38.0, "METRO": 45.0, "NATIONAL": 55.0, "REMOTE": 85.0}
_COD_FEE = 35.0
_SLOWER_BY_SURFACE = 1

_is_pincode = re.compile(r"[1-9][0-9]{5}").fullmatch


@frozen
class SandboxAccount:
    """The enterprise's account with a courier; a `priced` one has its prices set up."""

    id: int
    courier_partner: int
    code: str
    active: bool = True
    priced: bool = False

    @property
    def courier_name(self) -> str:
        """The courier's display name."""
        return couriers.name_of(self.courier_partner)

    @property
    def named(self) -> str:
        """Its entry in the lists of filters."""
        return f"{self.courier_name}({self.code}({self.id}))"

    @property
    def by_air(self) -> bool:
        """Whether it serves cities only."""
        return self.code.endswith("-air")

    def serves(self, *ends: str) -> bool:
        """Return whether it picks up and delivers at these pincodes."""
        return all(is_served(end) and (not self.by_air or end[:3] in _CITIES) for end in ends)

    def order_types(self, drop_pincode: str) -> Sequence[str]:
        """Return the order types that it takes to a pincode that it serves."""
        return ("PREPAID",) if drop_pincode.startswith(_REMOTE) else ("PREPAID", "COD")

    def days(self, pickup_pincode: str, drop_pincode: str) -> tuple[int, int]:
        """Return how many days it takes, at least and at most."""
        low, high = _DAYS[zone(pickup_pincode, drop_pincode)]
        later = 0 if self.by_air else _SLOWER_BY_SURFACE
        return low + later, high + later

    def charges(self, pickup_pincode: str, drop_pincode: str, kilograms: float) -> dict[str, float]:
        """Return what it charges for a parcel by order type, in rupees."""
        rate = _RATES[zone(pickup_pincode, drop_pincode)] * (1.5 if self.by_air else 1.0)
        charge = round(rate * max(1, math.ceil(kilograms / 0.5)), 2)
        return {"PREPAID": charge, "COD": charge + _COD_FEE}


INDIA = (
    SandboxAccount(410_001, 5, "bluedart-air", priced=True),
    SandboxAccount(410_002, 4, "delhivery-surface", priced=True),
    SandboxAccount(410_003, 6, "xpressbees-surface"),
    SandboxAccount(410_004, 3, "ecom-surface"),
)
INACTIVE = SandboxAccount(410_005, 9, "inactive-account", active=False)
RETURNS = (
    SandboxAccount(410_006, 25, "delhivery-returns"),
    SandboxAccount(410_007, 41, "xpressbees-returns"),
)
WORLD = (
    SandboxAccount(410_008, 138, "naqel-air"),
    SandboxAccount(410_009, 2, "aramex-air"),
    SandboxAccount(410_010, 145, "dhl-express"),
)
ALL = (*INDIA, INACTIVE, *RETURNS, *WORLD)


def is_served(pincode: str) -> bool:
    """Return whether any courier serves a pincode of India."""
    return _is_pincode(pincode) is not None and pincode != scenarios.UNSERVED


def zone(pickup_pincode: str, drop_pincode: str) -> str:
    """Return how far it is, as couriers sort it."""
    if drop_pincode.startswith(_REMOTE) or pickup_pincode.startswith(_REMOTE):
        return "REMOTE"
    if pickup_pincode[:3] == drop_pincode[:3]:
        return "CITY"
    if pickup_pincode[:2] == drop_pincode[:2]:
        return "STATE"
    if pickup_pincode.startswith(_METROS) and drop_pincode.startswith(_METROS):
        return "METRO"
    return "NATIONAL"
