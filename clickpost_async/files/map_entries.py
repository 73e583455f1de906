"""The structured entries of a column map: conditions, formulas, dates, tables."""

import csv
import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import Factory, field, frozen

from clickpost_async.files.cells import BadCellError, CellKind, read_cell, strip_blanks
from clickpost_async.files.dates import BadDateError, Dates, ReadDate
from clickpost_async.files.header import UnknownColumnError, find_column, strip_marks

_OTHERS = "*"
_MAX_TABLE_BYTES = 64 << 20


NUMBERS = frozenset({CellKind.NUMBER, CellKind.AMOUNT, CellKind.WEIGHT, CellKind.WHOLE})


class MapEntryError(ValueError):
    """An invalid entry of a map; the message shows how it is written."""


def fold_title(title: str) -> str:
    """Return a foreign column name for comparison.

    Capitals, punctuation, and the marks of templates (`*Order Id`, `Email (Optional)`) are ignored.
    """
    text = strip_marks(title).casefold()
    return "_".join(re.findall(r"\w+", text.replace("_", " "))) or title.strip()


def find_own(name: object) -> str:
    """Return the name of a column of ours, or raise `UnknownColumnError`."""
    try:
        return find_column(str(name)).name
    except UnknownColumnError as error:
        raise UnknownColumnError(f"{name}: {error}") from None


def fold_value(cell: str) -> str:
    """Return a foreign value for comparison: lower case, without surplus blanks."""
    return " ".join(strip_blanks(cell).removeprefix("'").split()).casefold()


def to_text(value: object) -> str:
    """Return a TOML value as the text of a cell."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, str | int | float):
        return str(value)
    raise MapEntryError(f"a text or number is needed, not {value!r}")


# --- which rows: [skip], [skip_items], [refuse] ---------------------------------------------------


@frozen
class Condition:
    """A column of the file and the values that match; `*` stands for any characters.

    If the file has no such column and it is `optional`, its rule is off.
    """

    column: str
    patterns: tuple[str, ...]
    negated: bool = False
    optional: bool = False
    _expression: re.Pattern[str] = field(
        init=False,
        repr=False,
        default=Factory(
            lambda condition: re.compile("|".join(map(_wildcard, condition.patterns)), re.DOTALL),
            takes_self=True,
        ),
    )

    def matches(self, cell: str) -> bool:
        """Return whether the value of the column matches; `*` alone matches all but a blank."""
        return (self._expression.fullmatch(fold_value(cell)) is not None) is not self.negated


def _wildcard(pattern: str) -> str:
    if pattern == _OTHERS:
        return ".+"
    return ".*".join(map(re.escape, fold_value(pattern).split("*")))


# --- values of the file: [values.…] ---------------------------------------------------------------


@frozen
class ValueTable:
    """Translates values of the file: an equal one first, then one with `*`, `*` alone last."""

    values: Mapping[str, str]
    _wildcards: tuple[tuple[re.Pattern[str], str], ...]

    @classmethod
    def parse(cls, entries: Mapping[str, Any]) -> Self:
        """Read `theirs = ours` for each value."""
        values = {fold_value(theirs): to_text(ours) for theirs, ours in entries.items()}
        return cls(
            values,
            tuple(
                (re.compile(_wildcard(theirs), re.DOTALL), ours)
                for theirs, ours in sorted(values.items(), key=lambda entry: entry[0] == _OTHERS)
                if _OTHERS in theirs
            ),
        )

    def find(self, cell: str) -> str:
        """Return our value for the cell; the cell itself if there is none."""
        value = fold_value(cell)
        if value in self.values:
            return self.values[value]
        return next((ours for matches, ours in self._wildcards if matches.fullmatch(value)), cell)


@frozen
class RowRule:
    """Rows in which every one of the conditions is met."""

    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, entry: object) -> Self | None:
        """Read `{ column = value, … }`; `False` switches an inherited rule off.

        A column name may end in `?`: the rule is off for files without the column.
        """
        if entry is False or entry == {}:
            return None
        if not isinstance(entry, Mapping):
            raise MapEntryError(
                'a rule is a table like { "Order Status" = ["cancelled", "failed"] }'
            )
        return cls(tuple(_condition(str(column), values) for column, values in entry.items()))


def _condition(column: str, values: object) -> Condition:
    negated = isinstance(values, Mapping)
    if isinstance(values, Mapping):
        if set(values) != {"not"}:
            raise MapEntryError(f"{column}: values are a text, a list, or {{ not = [...] }}")
        values = values["not"]
    listed = values if isinstance(values, list) else [values]
    name = column.removesuffix("?")
    return Condition(name, tuple(map(to_text, listed)), negated, optional=name != column)


# --- values computed over the rows of an order: [compute] ----------------------------------------


@frozen
class Formula:
    """`[sum of|max of] A [+ B | - B]... [/ C] [when COD]`: names of columns, no numbers."""

    terms: tuple[tuple[int, str], ...]
    reduce: str = ""
    divisor: str | None = None
    when_cod: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a formula, or raise `MapEntryError`."""
        rest = text.strip()
        when_cod = rest.endswith(" when COD")
        rest = rest.removesuffix(" when COD")
        reduce = next((name for name in ("sum", "max") if rest.startswith(f"{name} of ")), "")
        rest = rest.removeprefix(f"{reduce} of ") if reduce else rest
        rest, _, divisor = rest.partition(" / ")
        parts = re.split(r" ([+-]) ", f" + {rest}")
        signs, names = parts[1::2], [name.strip() for name in parts[2::2]]
        if not all(names):
            raise MapEntryError(f"{text!r} is not a formula; write it like 'sum of Price + Tax'")
        terms = tuple(
            (-1 if sign == "-" else 1, name) for sign, name in zip(signs, names, strict=True)
        )
        return cls(terms, reduce, divisor.strip() or None, when_cod)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the formula needs."""
        return (*(name for _, name in self.terms), *([self.divisor] if self.divisor else ()))


def to_decimal(cell: str) -> Decimal | None:
    """Read a number exactly, `None` for a blank, or raise `BadCellError`."""
    value = read_cell(cell, CellKind.NUMBER)
    return None if value is None else Decimal(str(value))


def decimal_text(number: Decimal) -> str:
    """Return a number as the text of a cell, without exponent and trailing zeros."""
    return f"{number.normalize():f}"


# --- dates: [dates], and relative times ----------------------------------------------------------


@frozen
class DateFormat:
    """A date format of a file, with or without a time of day: `DD/MM/YYYY`."""

    text: str
    _dates: Dates = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        try:
            object.__setattr__(self, "_dates", Dates(self.text))
        except ValueError as error:
            raise MapEntryError(f"[dates] {error}") from None

    def read(self, cell: str) -> ReadDate | None:
        """Return a date or time, `None` if the cell has another format."""
        try:
            return self._dates.read(strip_blanks(cell).removeprefix("'"))
        except BadDateError:
            return None


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_RELATIVE = re.compile(
    rf"(?P<day>today|tomorrow|in \d{{1,2}} days|{'|'.join(_DAYS)})"
    r"(?: (?P<time>\d{1,2}:\d{2}))?(?: (?P<zone>[A-Za-z_]+(?:/[A-Za-z_+-]+)*))?",
    re.IGNORECASE,
).fullmatch


def resolve_moment(text: str, zone: str | None, now: dt.datetime) -> str | None:
    """Return the time that `tomorrow 11:00` or `monday 9:30 Asia/Kolkata` names, in ISO format.

    `None` if it is no such time. Without a time of day it is a date.

    Raises:
        MapEntryError: The zone is missing or unknown, or the time has passed.

    """
    found = _RELATIVE(" ".join(text.split()))
    if found is None:
        return None
    name = found["zone"] or zone
    if name is None:
        raise MapEntryError(
            f"{text!r} needs a time zone: write {text} Asia/Kolkata, or timezone = … in the map"
        )
    try:
        local = now.astimezone(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError):
        raise MapEntryError(
            f"{name!r} is not a known time zone, such as Asia/Kolkata"
            " (if the system has no time zones: pip install tzdata)"
        ) from None
    day = local.date() + dt.timedelta(days=_days_from(found["day"].lower(), local))
    if found["time"] is None:
        return day.isoformat()
    hour, minute = map(int, found["time"].split(":"))
    if hour >= 24 or minute >= 60:
        raise MapEntryError(f"{text!r} has no such time of day; write it like 18:30")
    moment = dt.datetime.combine(day, dt.time(hour, minute))
    if moment <= local.replace(tzinfo=None):
        raise MapEntryError(f"{text!r} has passed: it is {local:%H:%M} in {name}")
    return moment.isoformat()


def _days_from(day: str, local: dt.datetime) -> int:
    if day in _DAYS:
        return (_DAYS.index(day) - local.weekday() - 1) % 7 + 1
    if day.startswith("in "):
        return int(day.split()[1])
    return int(day == "tomorrow")


# --- lookup tables: [by.item_sku], [by.weight] ---------------------------------------------------

_RANGE = re.compile(r"(?:(?P<low>[\d.]+)\s*-\s*(?P<high>[\d.]+)|>\s*(?P<above>[\d.]+))").fullmatch


@frozen
class LookupTable:
    """Looks up cells of our columns by another: a size by SKU, a courier by weight class."""

    rows: Mapping[str, Mapping[str, str]]
    classes: tuple[tuple[Decimal, Decimal, Mapping[str, str]], ...] = ()

    @classmethod
    def parse(cls, key: str, entry: Mapping[str, Any], folder: Path) -> Self:
        """Read the rows of `[by.<key>]` and of the CSV file that its `table` names."""
        rows: dict[str, Mapping[str, str]] = {}
        for value, cells in entry.items():
            if value == "table" and isinstance(cells, str):
                rows |= _read_table(folder / cells)
            elif isinstance(cells, Mapping):
                rows[fold_value(value)] = {
                    find_own(name): to_text(cell) for name, cell in cells.items()
                }
            else:
                raise MapEntryError(f"[by.{key}] {value}: needs a table like {{ weight = 500 }}")
        is_number = find_column(key).kind in NUMBERS
        return cls(rows, tuple(_classes(rows)) if is_number else ())

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ours that it fills in."""
        return tuple(dict.fromkeys(name for row in self.rows.values() for name in row))

    def find(self, cell: str) -> Mapping[str, str]:
        """Return the cells for a value: its own row, else that of its class, else that of `*`."""
        found = self.rows.get(fold_value(cell))
        if found is None and self.classes:
            number = _number_or_none(cell)
            found = next(
                (
                    row
                    for low, high, row in self.classes
                    if number is not None and low < number <= high
                ),
                None,
            )
        return found if found is not None else self.rows.get(_OTHERS, {})


def _number_or_none(cell: str) -> Decimal | None:
    try:
        return to_decimal(cell)
    except BadCellError:
        return None


def _classes(
    rows: Mapping[str, Mapping[str, str]],
) -> Iterable[tuple[Decimal, Decimal, Mapping[str, str]]]:
    for value, row in rows.items():
        if found := _RANGE(value):
            low = Decimal(found["low"] or found["above"])
            yield low, Decimal(found["high"] or "Infinity"), row


def _read_table(path: Path) -> dict[str, Mapping[str, str]]:
    if path.stat().st_size > _MAX_TABLE_BYTES:
        raise MapEntryError(f"{path.name}: more than 64 MiB")
    text = path.read_text("utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    table = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    rows: dict[str, Mapping[str, str]] = {}
    try:
        names = [find_own(name) for name in next(table, [])[1:]]
        for cells in table:
            if not any(map(strip_blanks, cells)):
                continue
            key = fold_value(cells[0])
            if key in rows:
                raise MapEntryError(
                    f"{path.name}: line {table.line_num}: {cells[0]} is there twice"
                )
            rows[key] = {
                name: cell
                for name, cell in zip(names, cells[1:], strict=False)
                if strip_blanks(cell)
            }
    except csv.Error as error:
        raise MapEntryError(f"{path.name}: line {table.line_num}: {error}") from None
    if not names:
        raise MapEntryError(f"{path.name}: its first row names a key and then columns of ours")
    return rows


# --- joined columns: [join] ----------------------------------------------------------------------


@frozen
class Join:
    """Columns of the file that are joined to one of ours, without blanks."""

    columns: tuple[str, ...]
    glue: str

    @classmethod
    def parse(cls, ours: str, entry: object) -> Self:
        """Read a list of columns, or `{ columns = [...], glue = ", " }`."""
        glue: object = ", " if ours.endswith("address") else " "
        if isinstance(entry, Mapping):
            glue = entry.get("glue", glue)
            entry = entry.get("columns")
        if not (isinstance(entry, list) and entry and isinstance(glue, str)):
            raise MapEntryError(f'[join] {ours}: needs a list like ["First Name", "Last Name"]')
        return cls(tuple(map(str, entry)), glue)

    def apply(self, cells: Sequence[str]) -> str:
        """Join the cells that are filled in; a cell equal to the one before is skipped."""
        parts: list[str] = []
        for cell in map(strip_blanks, cells):
            if cell and cell not in parts[-1:]:
                parts.append(cell)
        return self.glue.join(parts)
