"""A column map: maps the columns of a foreign file to ours, from a TOML file.

extends = "shopify"          # start from a ready-made map, or from another file
ignore_others = true         # ignore columns that are neither ours nor named here
timezone = "Asia/Kolkata"    # of relative times

[columns]                    # a column of the file = ours
"Ship To PIN" = "drop_pincode"
"Remarks" = ""               # ignored

[join]                       # several columns of the file become one of ours
drop_name = ["First Name", "Last Name"]

[fixed]                      # values for missing columns and empty cells
weight = 500
pickup_time = "tomorrow 11:00"

[values.order_type]          # a value of the file = ours, ignoring case; * is any text
"cash on delivery" = "COD"
"*" = "PREPAID"              # all others

[first]                      # the number of characters of a value to use
invoice_date = 10

[without]                    # what is removed from a value
drop_phone = [" ", "-"]

[scale]                      # the factor that a number is multiplied by
weight = 1000

[dates]
format = "DD/MM/YYYY"

[skip]                       # orders that are not to be shipped: reason = column and its values
cancelled = { "Cancelled at" = "*" }

[skip_items]                 # items that are not to be shipped
digital = { "Lineitem requires shipping" = "false" }

[refuse]                     # rows that need a manual check
"has a discount" = { "Discount" = { not = ["", "0"] } }

[compute]                    # missing values, from the rows of an order
invoice_value = "sum of item_price"
cod_value = "invoice_value when COD"

[by.item_sku]                # a lookup table; also [by.weight] with classes like "0-500"
table = "products.csv"
"""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Self

from attrs import evolve, field, frozen

from clickpost_async.files.cells import CellKind
from clickpost_async.files.header import IGNORED, UnknownColumnError, find_column
from clickpost_async.files.map_entries import (
    NUMBERS,
    DateFormat,
    Formula,
    Join,
    LookupTable,
    MapEntryError,
    RowRule,
    ValueTable,
    find_own,
    to_text,
)

# Limits `extends`, which may form a cycle.
_MAX_PARENTS = 10

_DATES = frozenset({CellKind.DATE, CellKind.TIME, CellKind.DATE_OR_TIME})
_ENTRIES = (
    "extends, ignore_others, timezone, [columns], [join], [fixed], [values.…], [first], [without], "
    "[scale], [dates], [skip], [skip_items], [refuse], [compute], [by.…]"
)
# Placeholder of a starter map for a value that has to be filled in.
FILL_IN = "FILL IN"


class ColumnMapError(ValueError):
    """An invalid map; the message contains the file, the entry, and advice."""


@frozen(kw_only=True)
class ColumnMap:
    """Maps the columns of a foreign file to ours.

    Attributes:
        columns: Names of the file to ours.
        fixed: By our column, its value for missing columns and empty cells.
        values: By our column, values of the file to ours; `*` is any text.
        first: By our column, how many characters of a value are used.
        without: By our column, the texts that are removed from a value.
        scale: By our column, the factor that a number is multiplied by.
        dates: The formats of dates and times, in the order in which they are tried.
        join: By our column, the columns of the file that are joined.
        compute: By our column, a formula over the rows of an order.
        by: By our column, a table of further cells for each of its values.
        skip: By reason, which orders are skipped; `skip_items`, which items of them; `refuse`,
            which are rejected with that reason.
        timezone: The zone of relative times, such as `tomorrow 11:00`.
        ignore_others: Ignore columns that are neither ours nor named here.
        optional: Names of a ready-made map that a file need not have.

    """

    columns: dict[str, str] = field(factory=dict)
    fixed: dict[str, str] = field(factory=dict)
    values: dict[str, ValueTable] = field(factory=dict)
    first: dict[str, int] = field(factory=dict)
    without: dict[str, tuple[str, ...]] = field(factory=dict)
    scale: dict[str, float] = field(factory=dict)
    dates: tuple[DateFormat, ...] = ()
    join: dict[str, Join] = field(factory=dict)
    compute: dict[str, Formula] = field(factory=dict)
    by: dict[str, LookupTable] = field(factory=dict)
    skip: dict[str, RowRule] = field(factory=dict)
    skip_items: dict[str, RowRule] = field(factory=dict)
    refuse: dict[str, RowRule] = field(factory=dict)
    timezone: str | None = None
    ignore_others: bool = False
    optional: frozenset[str] = frozenset()

    @classmethod
    def load(cls, name: str | os.PathLike[str]) -> Self:
        """Read a map from a TOML file, or a ready-made one by its name.

        Ready-made are `shopify`, `woocommerce`, `amazon`, `unicommerce` and `shiprocket`.

        Raises:
            ColumnMapError: The file is not there, is not TOML, has an unknown entry, or one that is
                still to be filled in.

        """
        return cls._load(str(name), Path(), _MAX_PARENTS)

    @classmethod
    def _load(cls, name: str, folder: Path, parents: int) -> Self:
        ready = ready_made().get(name)
        try:
            text = ready.read_text("utf-8") if ready else (folder / name).read_text("utf-8-sig")
            entries = tomllib.loads(text)
        except OSError as error:
            raise ColumnMapError(f"{name}: {error.strerror}{_ready_made_hint(name)}") from None
        except ValueError as error:
            raise ColumnMapError(f"{name}: not TOML: {error}") from None
        if ready:
            entries.pop("recognise", None)
        parent = entries.pop("extends", None)
        if parent is not None and not parents:
            raise ColumnMapError(f"{name}, extends: too many maps extend each other")
        here = folder if ready else (folder / name).parent
        base = cls() if parent is None else cls._load(str(parent), here, parents - 1)
        try:
            if unfilled := _unfilled(entries):
                raise MapEntryError(f"still to be filled in: {', '.join(unfilled)}")
            extended = base.extend(folder=here, **entries)
        except OSError as error:
            raise ColumnMapError(f"{name}: {error.filename}: {error.strerror}") from None
        except (TypeError, AttributeError, ValueError) as error:
            raise ColumnMapError(f"{name}: {_advice(error)}") from None
        if ready:
            return evolve(extended, optional=frozenset(extended.file_names))
        return evolve(extended, optional=extended.optional - _named(entries))

    def extend(
        self,
        *,
        columns: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
        values: Mapping[str, Mapping[str, Any]] | None = None,
        first: Mapping[str, Any] | None = None,
        without: Mapping[str, Iterable[str]] | None = None,
        scale: Mapping[str, Any] | None = None,
        dates: Mapping[str, Any] | None = None,
        join: Mapping[str, Any] | None = None,
        compute: Mapping[str, Any] | None = None,
        by: Mapping[str, Mapping[str, Any]] | None = None,
        skip: Mapping[str, Any] | None = None,
        skip_items: Mapping[str, Any] | None = None,
        refuse: Mapping[str, Any] | None = None,
        timezone: str | None = None,
        ignore_others: bool | None = None,
        folder: str | os.PathLike[str] = "",
    ) -> Self:
        """Return this map with further entries, which override its own.

        The entries are those of a map in TOML; "ours" is a column of `bulk.COLUMNS`.

        Args:
            columns: The file's columns to ours; an empty name ignores a column.
            fixed: The value of a column of ours, for every order.
            values: Of a column of ours, the file's values to ours.
            first: How many characters of a cell are kept.
            without: The parts that are removed from a cell.
            scale: What a number is multiplied by.
            dates: The date formats of the file.
            join: The columns of the file whose cells are joined to one of ours.
            compute: A formula over columns of the file.
            by: A table in another file that a column of ours is looked up in.
            skip: Orders that are not created, by reason.
            skip_items: Items that are left out, by reason.
            refuse: Orders that are rejected, by reason.
            timezone: The zone of times without one, such as `Asia/Kolkata`.
            ignore_others: Whether columns that the map does not name are ignored.
            folder: Where the files of `by` are.

        Raises:
            ValueError: An entry has an unknown column of ours, or a value that cannot be read.
            TypeError: There is no such entry.

        """
        return evolve(
            self,
            columns=self.columns
            | {
                # A column without a name is ignored.
                str(theirs): find_own(ours) if ours else IGNORED.name
                for theirs, ours in (columns or {}).items()
            },
            fixed=self.fixed | _by_column(fixed, lambda _, value: to_text(value)),
            values=self.values | _by_column(values, lambda _, table: ValueTable.parse(table)),
            first=self.first | _by_column(first, _length),
            without=self.without | _by_column(without, lambda _, parts: tuple(parts)),
            scale=self.scale | _by_column(scale, _factor),
            dates=self.dates if dates is None else _date_formats(dates),
            join=self.join | _by_column(join, Join.parse),
            compute=self.compute | _by_column(compute, lambda _, text: Formula.parse(str(text))),
            by=self.by
            | _by_column(by, lambda key, entry: LookupTable.parse(key, entry, Path(folder))),
            skip=_rules(self.skip, skip),
            skip_items=_rules(self.skip_items, skip_items),
            refuse=_rules(self.refuse, refuse),
            timezone=self.timezone if timezone is None else timezone,
            ignore_others=self.ignore_others if ignore_others is None else ignore_others,
        )

    @property
    def file_names(self) -> tuple[str, ...]:
        """The columns of the file that [columns], [join] and [compute] name."""
        return tuple(
            dict.fromkeys(
                (
                    *self.columns,
                    *(name for join in self.join.values() for name in join.columns),
                    *(name for formula in self.compute.values() for name in formula.names),
                )
            )
        )

    def translates(self, ours: str) -> bool:
        """Return whether the map translates the cells of this column of ours."""
        return (
            ours in self.first
            or ours in self.without
            or ours in self.values
            or ours in self.scale
            or (bool(self.dates) and is_date_column(ours))
        )

    def translate(self, ours: str, cell: str) -> str:
        """Translate a cell of the file.

        Args:
            ours: The column of `bulk.COLUMNS`.
            cell: The file's cell.

        """
        if not cell.strip():
            return cell
        if ours in self.first:
            cell = cell.lstrip()[: self.first[ours]]
        for part in self.without.get(ours, ()):
            cell = cell.replace(part, "")
        if self.dates and is_date_column(ours):
            date = next(filter(None, (form.read(cell) for form in self.dates)), None)
            if date is not None:
                is_day = find_column(ours).kind is CellKind.DATE or not date.has_time
                cell = date.day if is_day else date.time
        table = self.values.get(ours)
        return cell if table is None else table.find(cell)


def ready_made() -> Mapping[str, Traversable]:
    """Return the maps that ship with the package, by name."""
    folder = resources.files("clickpost_async.files") / "exports"
    return {
        file.name.removesuffix(".toml"): file
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    }


def is_date_column(ours: str) -> bool:
    """Return whether a column of ours holds dates or times."""
    return find_column(ours).kind in _DATES


def _by_column(
    entries: Mapping[str, Any] | None, parse: Callable[[str, Any], Any]
) -> dict[str, Any]:
    return {(ours := find_own(name)): parse(ours, entry) for name, entry in (entries or {}).items()}


def _length(ours: str, value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise MapEntryError(f"[first] {ours}: a number of characters is needed, like 10")
    return value


def _factor(ours: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MapEntryError(f"[scale] {ours}: a number is needed, like 1000")
    if find_column(ours).kind not in NUMBERS:
        raise MapEntryError(f"[scale] {ours}: this column holds no numbers")
    return value


def _date_formats(dates: Mapping[str, Any]) -> tuple[DateFormat, ...]:
    if set(dates) != {"format"}:
        raise MapEntryError('[dates] has one entry: format = "DD/MM/YYYY", or a list of formats')
    formats = dates["format"]
    return tuple(map(DateFormat, formats if isinstance(formats, list) else [formats]))


def _rules(
    inherited: Mapping[str, RowRule], entries: Mapping[str, Any] | None
) -> dict[str, RowRule]:
    rules = dict(inherited)
    for reason, entry in (entries or {}).items():
        rule = RowRule.parse(entry)
        if rule is None:
            rules.pop(reason, None)
        else:
            rules[reason] = rule
    return rules


def _named(entries: Mapping[str, Any]) -> set[str]:
    """Return the names of the file that a user's own map contains."""
    own = ColumnMap().extend(
        columns=entries.get("columns"), join=entries.get("join"), compute=entries.get("compute")
    )
    return set(own.file_names)


def _unfilled(entries: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in entries.items():
        if isinstance(value, Mapping):
            found += _unfilled(value, f"{prefix}{name}.")
        elif value == FILL_IN or name.startswith(FILL_IN):
            found.append(name)
    return found


def _ready_made_hint(name: str) -> str:
    known = ", ".join(ready_made())
    return "" if "." in name or "/" in name else f"; ready-made maps are {known}"


def _advice(error: Exception) -> str:
    if isinstance(error, MapEntryError | UnknownColumnError):
        return str(error)
    return f"its entries are {_ENTRIES}"
