"""The columns of a file of orders, derived from the structures, with the path of each.

One row is one order, or one item of it: consecutive rows with the same `reference_number` are one
order with several items or cartons, and only the first of them has to repeat the order's fields.

The names are the same for India and the world; the market of an order decides the path. The column
`market` holds `india` or `world`; if it is missing or empty, an order is for the world if its
pickup or drop country is not India. `note`, and the `reason` and `advice` of an errors file, are
for people and are not sent. Case, blanks and hyphens of names are ignored (`Drop Pincode` is
`drop_pincode`).

A field without a column of its own is reached by its path: a column `additional.my_field` is
written there as text, and `shipment_details.items.my_field` into the item of its row.
"""

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, get_args, get_origin

import attrs
from attrs import field, frozen

from clickpost_async.files.cells import CellKind
from clickpost_async.structures._market import Market

__all__ = ["COLUMNS", "ITEMS", "REFERENCE", "Column", "Market", "fold_choice"]

ITEMS = "shipment_details.items"
REFERENCE = "shipment_details.reference_number"

_NO_CHOICES: Mapping[str, str] = MappingProxyType({})


@frozen(kw_only=True)
class Column:
    """A named column: the kind of its cells and its path for each market.

    `choices` are the values of an enumeration, by their accepted spellings (see `fold_choice`).
    """

    name: str
    kind: CellKind
    india: str | None
    world: str | None
    choices: Mapping[str, str] = field(default=_NO_CHOICES, eq=False, repr=False)

    def path(self, market: Market) -> str | None:
        """Return the path of its cells in an order for this market, `None` if there is none."""
        return self.india if market is Market.INDIA else self.world

    def at(self, market: Market, path: str) -> "Column":
        """Return the column with a path for a market."""
        if market is Market.INDIA:
            return attrs.evolve(self, india=path)
        return attrs.evolve(self, world=path)

    @cached_property
    def paths(self) -> frozenset[str]:
        """Return the paths of its cells for all markets."""
        return frozenset(path for path in (self.india, self.world) if path)


def fold_choice(text: str) -> str:
    """Return a value of an enumeration for comparison: letters and digits only."""
    return "".join(filter(str.isalnum, text)).casefold()


# Prefixes of the columns of a section: added to a field's name once.
_PREFIXES = {
    "shipment_details": "",
    ITEMS: "item_",
    f"{ITEMS}.gst_info": "item_gst_",
    f"{ITEMS}.carta_porte": "item_carta_",
    "pickup_info": "pickup_",
    "drop_info": "drop_",
    "return_info": "return_",
    "additional.return_info": "return_",
    "additional.reseller_info": "reseller_",
    "additional.multi_modal": "",
    "additional.multi_modal.transit_info": "transit_",
    "additional": "",
    "gst_info": "gst_",
    "tax_info": "",
    "courier_custom_fields": "",
}

# Column names that are not derived from the field's name, and fields with several names.
_NAMES = {
    "shipment_details.order_id": ("merchant_order_id", "order_id"),
    "shipment_details.awb_number": ("waybill", "awb_number"),
    f"{ITEMS}.cat": ("item_category",),
    "pickup_info.tin": ("tin",),
}
# Names of address parts that differ between the markets: either is a column for both.
_SYNONYMS = {"pincode": "postal_code", "country": "country_code"}
# ClickPost accepts these in `shipment_details` too, where the column goes.
_ELSEWHERE = frozenset(
    {
        "pickup_info.pickup_email",
        f"{ITEMS}.additional",
        *(
            f"additional.{name}"
            for name in ("account_code", "delivery_type", "awb_number", "rvp_reason", "order_id")
        ),
    }
)
# Fields that exist in two places: the path that a market's documentation names.
_ELSEWHERE_IN = {
    Market.INDIA: frozenset(
        f"shipment_details.{name}"
        for name in ("vendor_code", "reseller_name", "is_fragile", "is_dangerous")
    ),
    Market.WORLD: frozenset({"additional.vendor_code", "additional.return_info"}),
}

# Text that a spreadsheet may mistake for a number; a tariff code like `6109.10` is excluded.
_CODE = re.compile(
    r"(number|code|pincode|gstin|id|tin|sku|imei|ean|awb|invoice_reference)$"
    r"|bienesTransp|cveMaterialPeligroso|embalaje|claveUnidad"
).search
_KINDS_BY_NAME: Sequence[tuple[Any, CellKind]] = tuple(
    (re.compile(expression).search, kind)
    for expression, kind in (
        (r"hsn?_code$|manufacture_country$", CellKind.TEXT),
        (r"(^|_)phone$", CellKind.PHONE),
        (r"(^|_)(pincode|postal_code)$", CellKind.POSTCODE),
        (r"(^|_)country(_code)?$", CellKind.COUNTRY),
        (r"(^|_)state$", CellKind.STATE),
        (r"(^|_)email$", CellKind.EMAIL),
        (r"gstin$|gst_number$", CellKind.GSTIN),
        (r"(^|_)weight$", CellKind.WEIGHT),
        (r"(^|_)(value|price|amount)$", CellKind.AMOUNT),
    )
)
_NUMBERS = frozenset({CellKind.WEIGHT, CellKind.AMOUNT})
_KINDS_BY_RULE = {
    "Day": CellKind.DATE,
    "Moment": CellKind.TIME,
    "DayOrMoment": CellKind.DATE_OR_TIME,
}
_KINDS_BY_TYPE: Mapping[Any, CellKind] = {
    float: CellKind.NUMBER,
    int: CellKind.WHOLE,
    bool: CellKind.FLAG,
}
# Further spellings of the values of an enumeration.
_ALSO_CALLED = {"cashondelivery": "COD", "reverse": "RVP"}


class _Columns(Mapping[str, Column]):
    """All columns by name, created on first use because structures are slow to import."""

    @cached_property
    def _by_name(self) -> Mapping[str, Column]:
        from clickpost_async.structures import IndiaOrder, WorldOrder

        found: dict[str, Column] = {
            name: Column(name=name, kind=CellKind.TEXT, india=None, world=None)
            for name in ("market", "note", "reason", "advice")
        }
        for market, order in ((Market.INDIA, IndiaOrder), (Market.WORLD, WorldOrder)):
            for path, kind, choices in _fields(order, _ELSEWHERE | _ELSEWHERE_IN[market]):
                for name in _names(path):
                    known = found.get(name) or Column(
                        name=name, kind=kind, india=None, world=None, choices=choices
                    )
                    if known.path(market) is None:
                        found[name] = known.at(market, path)
        return MappingProxyType(found)

    # A singleton: hashed by identity.
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @cached_property
    def by_path(self) -> Mapping[str, Column]:
        """Return the column that goes to each path."""
        return {path: column for column in reversed(list(self.values())) for path in column.paths}


def _fields(
    kind: type, elsewhere: frozenset[str], section: str = ""
) -> Iterator[tuple[str, CellKind, Mapping[str, str]]]:
    """Yield every field of a structure that holds a value: its path, kind and choices."""
    from clickpost_async.structures._schema import specs

    for spec in specs(kind):
        path = f"{section}.{spec.wire}" if section else spec.wire
        inner = get_args(spec.kind)[0] if get_origin(spec.kind) is Sequence else spec.kind
        if path in elsewhere:
            continue
        if isinstance(inner, type) and attrs.has(inner):
            if path in _PREFIXES:
                yield from _fields(inner, elsewhere, path)
            continue
        yield path, _kind(spec, path), _choices(spec.kind)


def _kind(spec: Any, path: str) -> CellKind:
    if get_origin(spec.kind) is Sequence:
        return CellKind.LIST
    name = path.rpartition(".")[2]
    named = next((kind for matches, kind in _KINDS_BY_NAME if matches(name)), None)
    plain = _KINDS_BY_TYPE.get(spec.kind)
    if plain is not None:
        return named if plain is CellKind.NUMBER and named and named in _NUMBERS else plain
    if spec.kind is not str or named in _NUMBERS:
        return CellKind.TEXT
    for rule in spec.rules:
        if type(rule).__name__ in _KINDS_BY_RULE:
            return _KINDS_BY_RULE[type(rule).__name__]
    return named or (CellKind.CODE if _CODE(name) else CellKind.TEXT)


def _choices(kind: Any) -> Mapping[str, str]:
    if not isinstance(kind, type):
        # An enumeration that accepts other values with a warning.
        return next(filter(None, map(_choices, get_args(kind))), _NO_CHOICES)
    if not issubclass(kind, enum.StrEnum):
        return _NO_CHOICES
    also = {called: name for called, name in _ALSO_CALLED.items() if name in list(kind)}
    return {fold_choice(way): m.value for m in kind for way in (m.value, m.name)} | also


def _names(path: str) -> Iterator[str]:
    if path in _NAMES:
        yield from _NAMES[path]
        return
    section, _, name = path.rpartition(".")
    prefix = _PREFIXES[section]
    own = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    # `pickup_pincode` of `pickup_info`, and `gst_discount` of an item's `gst_info`.
    last = f"{prefix.strip('_').rpartition('_')[2]}_"
    own = own.removeprefix(last) if prefix else own
    yield f"{prefix}{own}"
    if prefix in {"pickup_", "drop_", "return_"}:
        pairs = _SYNONYMS | {world: india for india, world in _SYNONYMS.items()}
        if own in pairs:
            yield f"{prefix}{pairs[own]}"


COLUMNS = _Columns()
