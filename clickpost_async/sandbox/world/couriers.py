"""The courier partners of the sandbox, by ClickPost's ids.

Multi piece and reverse service are ids of their own, not flags. A courier whose reverse service
has another id cannot do RVP itself (311); the others are taken to go in both directions.
"""

import json
from collections.abc import Mapping
from importlib import resources

_FILE = resources.files("clickpost_async.sandbox.world") / "couriers.json"
NAMES: Mapping[int, str] = {
    int(courier): name for courier, name in json.loads(_FILE.read_text("utf-8")).items()
}

MULTI_PIECE = frozenset({129, 164, 201, 296, 301, 311, 316, 318, 326, 330})
REVERSE: Mapping[int, int] = {4: 25, 5: 28, 6: 41, 9: 11, 31: 38, 145: 159}
FORWARD_ONLY = frozenset(REVERSE)

# The ids that ClickPost could have: more than 500 partners exist, and no list of them is published.
IDS = range(1, 1000)


def name_of(courier_partner: int) -> str:
    """Return a courier's display name, without the kind of service."""
    return _full_name(courier_partner).removesuffix(" MPS").removesuffix(" RVP")


def code_of(courier_partner: int) -> str:
    """Return a courier's raw code, as in label URLs and some 323 responses."""
    return _full_name(courier_partner).upper().replace(" ", "_")


def _full_name(courier_partner: int) -> str:
    return NAMES.get(courier_partner, f"Courier {courier_partner}")
