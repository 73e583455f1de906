"""The courier partners the sandbox knows, by ClickPost's ids.

Multi piece and reverse service are ids of their own, not flags. A courier whose reverse service
has another id cannot do RVP itself (311); the others are taken to go in both directions.
"""

from collections.abc import Mapping
from types import MappingProxyType

NAMES: Mapping[int, str] = MappingProxyType(
    {
        1: "FedEx",
        2: "Aramex",
        3: "EcomExpress",
        4: "Delhivery",
        5: "Bluedart",
        6: "XpressBees",
        7: "NuvoEx",
        9: "Shadowfax",
        11: "Shadowfax RVP",
        25: "Delhivery RVP",
        28: "Bluedart RVP",
        31: "Fareye",
        35: "Self",
        38: "Fareye RVP",
        41: "XpressBees RVP",
        46: "ElasticRun",
        50: "Loadshare",
        55: "Ekart",
        58: "Critical Log",
        61: "XpressBees Cargo",
        86: "Madhur",
        113: "Delhivery",
        129: "Bluedart MPS",
        138: "Naqel",
        145: "DHL International",
        150: "Shipsy",
        159: "DHL International Reverse",
        164: "DHL MPS",
        201: "Self MPS",
        212: "ATS",
        218: "RedBox",
        250: "Smartr",
        296: "Naqel MPS",
        301: "Fodel MPS",
        311: "SkyExpress MPS",
        316: "Jeebly MPS",
        318: "Shipsy MPS",
        325: "SkyExpress RVP",
        326: "DHL India Cross Border MPS",
        330: "FedEx MPS Cross Border",
    }
)

MULTI_PIECE = frozenset({129, 164, 201, 296, 301, 311, 316, 318, 326, 330})
REVERSE: Mapping[int, int] = MappingProxyType({4: 25, 5: 28, 6: 41, 9: 11, 31: 38, 145: 159})
FORWARD_ONLY = frozenset(REVERSE)
BLUEDART = frozenset({5, 28, 129})

# More than 500 partners exist and no list of them is published.
_HIGHEST_ID = 999


def exists(courier_partner: int) -> bool:
    """Return whether an id is one that ClickPost could have."""
    return 1 <= courier_partner <= _HIGHEST_ID


def name_of(courier_partner: int) -> str:
    """Return a courier's display name, which does not tell the kind of service."""
    return _full_name(courier_partner).removesuffix(" MPS").removesuffix(" RVP")


def code_of(courier_partner: int) -> str:
    """Return a courier's raw code, as in label URLs and some 323 responses."""
    return _full_name(courier_partner).upper().replace(" ", "_")


def _full_name(courier_partner: int) -> str:
    return NAMES.get(courier_partner, f"Courier {courier_partner}")
