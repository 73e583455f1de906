"""Applies a column map to the rows of one file."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from attrs import evolve, frozen

from clickpost_async._util.similar import similar
from clickpost_async.files.cells import BadCellError, strip_blanks
from clickpost_async.files.column_map import ColumnMap, is_date_column
from clickpost_async.files.columns import Column
from clickpost_async.files.derived_cells import CellPlaces, fill_derived_cells
from clickpost_async.files.header import (
    IGNORED,
    Heading,
    UnknownColumnError,
    find_column,
    read_headings,
)
from clickpost_async.files.map_entries import (
    Condition,
    MapEntryError,
    RowRule,
    decimal_text,
    fold_title,
    resolve_moment,
    to_decimal,
)
from clickpost_async.files.order_rows import RowProblem, SourceRow, TableRow
from clickpost_async.files.text import UnreadableLineError

_Record = tuple[int, Sequence[str] | UnreadableLineError]
# Rows that are buffered until their order is complete; more than an order and its bad rows have.
_MAX_HELD = 4_000


@frozen(kw_only=True)
class MappedGroup:
    """The rows of one order in our columns, and the rows that the map skips.

    `skipped` has a reason for each skipped row: all rows of the order, or some items.
    """

    lines: Sequence[TableRow]
    source: Sequence[SourceRow]
    skipped: tuple[str, ...] = ()

    @property
    def is_skipped(self) -> bool:
        """Whether all rows of the order are skipped."""
        return len(self.skipped) == len(self.lines)


@frozen
class _BoundRule:
    """A rule, with the indices of its columns in the file."""

    reason: str
    conditions: Sequence[tuple[int, Condition]]

    def matches(self, cells: Sequence[str]) -> bool:
        return all(
            condition.matches(cells[index] if index < len(cells) else "")
            for index, condition in self.conditions
        )


def _first_rule(rules: Sequence[_BoundRule], cells: Sequence[str]) -> _BoundRule | None:
    return next((rule for rule in rules if rule.matches(cells)), None)


class MappedTable:
    """Converts the rows of a file to rows with our columns.

    Columns that the map derives from others ([join], [compute], [by]) come after those of the file.
    """

    def __init__(
        self, columns: ColumnMap, titles: Sequence[str], now: dt.datetime | None = None
    ) -> None:
        self.file_titles: Sequence[str] = tuple(titles)
        self.titles: list[str] = [strip_blanks(title) for title in titles]
        self.columns: dict[str, str] = {}
        self.problems: list[tuple[str, str]] = []
        self.fixed: dict[Column, str] = {}
        self._map = columns
        self._width = len(titles)
        self._index: dict[str, int] = {}
        self._own: dict[str, int] = {}
        self._source: dict[int, Sequence[str]] = {}
        for index, title in enumerate(self.titles):
            if title:
                self._index.setdefault(fold_title(title), index)
        self._name_columns()
        self._check_names()
        self._add_columns()
        self._resolve_fixed(now or dt.datetime.now(dt.UTC))
        self._cells = CellPlaces(
            {name: self._find(name) for name in (*self._own, *columns.file_names, *columns.by)},
            self._own,
            {column.name: cell for column, cell in self.fixed.items()},
        )
        self._skip = self._bind(columns.skip)
        self._skip_items = self._bind(columns.skip_items)
        self._refused = self._bind(columns.refuse)
        self._has_rules = bool(
            self._skip or self._skip_items or self._refused or columns.by or columns.compute
        )
        self._joins = [
            (target, [place for place in map(self._find, join.columns) if place is not None], join)
            for ours, join in columns.join.items()
            if (target := self._own.get(ours)) is not None
        ]
        self._translated = [
            (index, name) for index, name in self._named() if columns.translates(name)
        ]

    # --- the first row ---------------------------------------------------------------------------

    def _name_columns(self) -> None:
        # Columns that are joined or computed are the file's, even if named like one of ours.
        foreign = [name for name in self._map.file_names if not _is_own(name)]
        ours = dict.fromkeys(map(fold_title, foreign), IGNORED.name)
        ours |= {fold_title(theirs): name for theirs, name in self._map.columns.items()}
        for title in self.titles:
            name = ours.get(fold_title(title))
            if name is not None:
                self.columns[title] = name
        for index, name in self._named():
            self._own.setdefault(name, index)

    def _named(self) -> Iterator[tuple[int, str]]:
        for index, title in enumerate(self.titles):
            name = self.columns.get(title, title)
            if name == IGNORED.name:
                continue
            try:
                yield index, find_column(name).name
            except UnknownColumnError:
                continue

    def _check_names(self) -> None:
        for name in self._map.file_names:
            if self._find(name) is None and name not in self._map.optional and not _is_own(name):
                self._missing(name, "the map names it")
        for table, rules in (
            ("skip", self._map.skip),
            ("skip_items", self._map.skip_items),
            ("refuse", self._map.refuse),
        ):
            for reason, rule in rules.items():
                for condition in rule.conditions:
                    if self._find(condition.column) is None and not condition.optional:
                        self._missing(
                            condition.column,
                            f'[{table}] "{reason}" needs it, or "{reason}" = false in the map',
                        )

    def _missing(self, name: str, why: str) -> None:
        near = similar(name, filter(None, self.titles))
        hint = f"; did you mean {near[0]}?" if near else ""
        self.problems.append((name, f"the file has no such column: {why}{hint}"))

    def _find(self, name: str) -> int | None:
        """Return the index of a column of the file, or of one of ours."""
        index = self._index.get(fold_title(name))
        return index if index is not None else self._own.get(name)

    def _add_columns(self) -> None:
        for ours, join in self._map.join.items():
            sources = [name for name in join.columns if self._find(name) is not None]
            if sources:
                title = " + ".join(sources)
                self._add(ours if title in self.titles else title, ours)
        for key, table in self._map.by.items():
            if key in self._own or key in self._map.fixed or key in self._map.compute:
                for ours in table.columns:
                    self._add(ours, ours)
            else:
                self.problems.append((key, f"[by.{key}] needs a column that becomes {key}"))
        for ours, formula in self._map.compute.items():
            if any(self._find(name) is not None or _is_own(name) for name in formula.names):
                self._add(ours, ours)

    def _add(self, title: str, ours: str) -> None:
        if ours in self._own:
            return
        self._own[ours] = len(self.titles)
        self.columns[title] = ours
        self.titles.append(title)

    def _resolve_fixed(self, now: dt.datetime) -> None:
        for ours, cell in self._map.fixed.items():
            value = cell
            if is_date_column(ours):
                try:
                    value = resolve_moment(cell, self._map.timezone, now) or cell
                except MapEntryError as error:
                    self.problems.append((ours, f"[fixed]: {error}"))
            self.fixed[find_column(ours)] = value

    def read_headings(self, headings: list[Heading]) -> Iterator[tuple[str, str]]:
        """Fill in the headings, and yield the columns that cannot be used, with the reasons."""
        return read_headings(
            self.titles, self.columns, headings, ignore_others=self._map.ignore_others
        )

    # --- every row -------------------------------------------------------------------------------

    def translate(self, records: Iterator[_Record]) -> Iterator[_Record]:
        """Yield the translated rows, with the derived columns."""
        for number, cells in records:
            if isinstance(cells, UnreadableLineError):
                self._source[number] = ()
                yield number, cells
                continue
            if len(self._source) < _MAX_HELD:
                self._source[number] = cells
            yield number, self._translate(cells)

    def _translate(self, cells: Sequence[str]) -> Sequence[str]:
        added = [""] * (len(self.titles) - self._width)
        row = list(cells)
        if added:
            missing = [""] * (self._width - len(row))
            # Surplus cells stay after all columns, where the reader detects them.
            row = [*row[: self._width], *missing, *added, *row[self._width :]]
        for target, indexes, join in self._joins:
            if not strip_blanks(row[target]):
                row[target] = join.apply([row[index] for index in indexes])
        for index, name in self._translated:
            if index < len(row):
                row[index] = self._scale(name, self._map.translate(name, row[index]))
        return row

    def _scale(self, name: str, cell: str) -> str:
        factor = self._map.scale.get(name)
        if factor is None:
            return cell
        try:
            number = to_decimal(cell)
        except BadCellError:
            return cell
        return cell if number is None else decimal_text(number * Decimal(str(factor)))

    # --- the rows of an order --------------------------------------------------------------------

    def complete(self, lines: Sequence[TableRow], headings: Sequence[Heading]) -> MappedGroup:
        """Skip what is not to be shipped, and fill in computed and looked up values."""
        source = [SourceRow(line.number, self._source.pop(line.number, ())) for line in lines]
        if not self._has_rules:
            return MappedGroup(lines=lines, source=source)
        for row in source:
            if rule := _first_rule(self._skip, row.cells):
                return MappedGroup(lines=lines, source=source, skipped=(rule.reason,) * len(lines))
        rules = [_first_rule(self._skip_items, row.cells) for row in source]
        reasons = [None if rule is None else rule.reason for rule in rules]
        skipped = tuple(reason for reason in reasons if reason is not None)
        if len(skipped) == len(lines):
            return MappedGroup(lines=lines, source=source, skipped=skipped)
        rows = [
            self._refuse(line, raw.cells) if reason is None else _without_item(line, headings)
            for line, raw, reason in zip(lines, source, reasons, strict=True)
        ]
        if self._map.by or self._map.compute:
            rows = fill_derived_cells(rows, reasons, self._map, self._cells)
        return MappedGroup(lines=rows, source=source, skipped=skipped)

    def _refuse(self, line: TableRow, cells: Sequence[str]) -> TableRow:
        rule = _first_rule(self._refused, cells)
        if rule is None:
            return line
        column = rule.conditions[0][1].column
        problem = RowProblem(row=line.number, column=column, message=rule.reason)
        return evolve(line, problems=(*line.problems, problem))

    def _bind(self, rules: Mapping[str, RowRule]) -> Sequence[_BoundRule]:
        return [
            _BoundRule(reason, places)
            for reason, rule in rules.items()
            # A missing optional column switches its rule off.
            if len(places := self._places_of(rule)) == len(rule.conditions)
        ]

    def _places_of(self, rule: RowRule) -> Sequence[tuple[int, Condition]]:
        places = ((self._find(each.column), each) for each in rule.conditions)
        return [(index, each) for index, each in places if index is not None]


def _is_own(name: str) -> bool:
    try:
        return find_column(name).name == name
    except UnknownColumnError:
        return False


def _without_item(line: TableRow, headings: Sequence[Heading]) -> TableRow:
    cells = list(line.cells)
    for heading in headings:
        if heading.belongs_to_items and heading.index < len(cells):
            cells[heading.index] = ""
    return evolve(line, cells=cells)
