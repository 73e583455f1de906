"""The columns of a file, prepared for each market that its orders may be for."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from attrs import define, field, frozen

from clickpost_async.files.cells import CellKind
from clickpost_async.files.columns import ITEMS, Column, Market
from clickpost_async.files.header import IGNORED, Heading

NOT_SENT = frozenset({"market", "note", "reason", "advice", IGNORED.name})
_NOTHING: Mapping[Column, str] = MappingProxyType({})
COUNTRY_PATHS = frozenset(
    f"{side}_info.{name}"
    for side in ("pickup", "drop")
    for name in (f"{side}_country", "country_code")
)
ITEM_FIELDS = f"{ITEMS}."


@frozen
class ColumnField:
    """A column of the file for one market; `item_path` is set if it belongs to items."""

    index: int
    title: str
    column: Column
    path: str | None
    item_path: str | None


@define(eq=False)
class OrderColumns:
    """The columns of a file, and the fixed values of others, prepared for each market."""

    headings: Sequence[Heading]
    fixed: Mapping[Column, str] = _NOTHING
    _fields: dict[Market, Sequence[ColumnField]] = field(factory=dict, init=False)
    _titles: dict[Market, Mapping[str, str]] = field(factory=dict, init=False)
    markets: Sequence[Heading] = field(init=False)
    countries: Sequence[Heading] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.markets = [each for each in self.headings if each.column.name == "market"]
        self.countries = [each for each in self.headings if _is_country(each.column)]

    def fields(self, market: Market) -> Sequence[ColumnField]:
        """Return the columns that are sent."""
        found = self._fields.get(market)
        if found is None:
            found = self._fields[market] = [
                _prepare(heading, market)
                for heading in self.headings
                if heading.column.name not in NOT_SENT
            ]
        return found

    def titles(self, market: Market) -> dict[str, str]:
        """Return the title of the column for each path, to be extended."""
        found = self._titles.get(market)
        if found is None:
            found = self._titles[market] = {
                path: heading.title
                for heading in reversed(self.headings)
                if (path := heading.column.path(market))
            }
        return dict(found)


def _is_country(column: Column) -> bool:
    return column.kind is CellKind.COUNTRY and bool(column.paths & COUNTRY_PATHS)


def _prepare(heading: Heading, market: Market) -> ColumnField:
    path = heading.column.path(market)
    is_item = path is not None and path.startswith(ITEM_FIELDS)
    item_path = path.removeprefix(ITEM_FIELDS) if path is not None and is_item else None
    return ColumnField(heading.index, heading.title, heading.column, path, item_path)
