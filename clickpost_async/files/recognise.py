"""Recognises the export of a shop system by its column names, and writes a starter map."""

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache

from attrs import frozen

from clickpost_async.files.column_map import FILL_IN, ColumnMap, ready_made
from clickpost_async.files.columns import Market
from clickpost_async.files.header import UnknownColumnError, find_column, suggest_column
from clickpost_async.files.map_entries import fold_title
from clickpost_async.files.mapped_table import MappedTable
from clickpost_async.files.template import GUIDES


@frozen
class Export:
    """A kind of file with a ready-made map: its name, its title, and how it is recognised.

    It has one column of each of the `marks`.
    """

    name: str
    title: str
    marks: Sequence[frozenset[str]]


@cache
def exports() -> Sequence[Export]:
    """Return the exports that have ready-made maps."""
    found: list[Export] = []
    for name, file in ready_made().items():
        entry = tomllib.loads(file.read_text("utf-8"))["recognise"]
        marks = [
            frozenset(map(fold_title, mark if isinstance(mark, list) else [mark]))
            for mark in entry["columns"]
        ]
        found.append(Export(name, entry["title"], marks))
    return found


@frozen(kw_only=True)
class Recognised:
    """The header row of a file, and the export it belongs to.

    `export` is `None` for a file without a ready-made map; `is_own`: the names are ours.
    """

    header_row: int
    titles: Sequence[str]
    export: Export | None = None
    is_own: bool = False


def recognise(titles: Sequence[str]) -> Export | None:
    """Return the export that has columns with these names."""
    names = {fold_title(title) for title in titles}
    return next(
        (export for export in exports() if all(mark & names for mark in export.marks)), None
    )


def recognise_rows(rows: Iterable[tuple[int, Sequence[str]]]) -> Recognised | None:
    """Find the header row among the first rows of a file; `None`: no rows."""
    first: Recognised | None = None
    for number, cells in rows:
        titles = [cell.strip() for cell in cells]
        export = recognise(titles)
        found = Recognised(
            header_row=number,
            titles=titles,
            export=export,
            is_own=export is None and "reference_number" in _own_names(titles),
        )
        if export is not None or found.is_own:
            return found
        first = first or found
    return first


def _own_names(titles: Iterable[str]) -> Sequence[str]:
    names: list[str] = []
    for title in titles:
        try:
            names.append(find_column(title).name)
        except UnknownColumnError:
            continue
    return names


# --- starter map ---------------------------------------------------------------------------------


def write_map(found: Recognised) -> str:
    """Return a starter map for a file, in which the entries to fill in are marked."""
    if found.export is not None:
        columns = ColumnMap.load(found.export.name)
        lines = [
            f"# {found.export.title[0].upper()}{found.export.title[1:]}.",
            *_HOW_TO,
            f'extends = "{found.export.name}"',
        ]
        covered = _covered(columns, found.titles)
    else:
        suggestions = _suggest(found.titles)
        lines = [
            "# A file of unknown origin: check every suggestion, and name the other columns of",
            "# ours that it has. A column behind # is ignored.",
            *_HOW_TO,
            "ignore_others = true",
            "",
            "[columns]  # a column of the file = ours",
            *(
                f"{_quote(title)} = {_quote(ours)}" if ours else f"# {_quote(title)} = {_quote('')}"
                for title, ours in suggestions
            ),
        ]
        if not any(ours == "reference_number" for _, ours in suggestions):
            missing = f"{FILL_IN}: the column with the number of the order"
            lines.append(f'{_quote(missing)} = "reference_number"')
        covered = {ours for _, ours in suggestions if ours}
    lines += ["", "[fixed]  # values for missing columns; delete those that the file has"]
    for guide in GUIDES:
        if guide.is_required and guide.name not in covered and guide.name != "reference_number":
            value = _DEFAULTS.get(guide.name, FILL_IN)
            example = guide.example(Market.INDIA)
            note = f"  # like {example}{f'. {guide.text}' if guide.text else ''}"
            lines.append(f"{guide.name} = {_quote(value)}{note if value == FILL_IN else ''}")
    lines += [
        "",
        "# Sizes and weights by SKU, in a table whose first column is the SKU:",
        "# [by.item_sku]",
        '# table = "products.csv"  # sku,item_weight,length,breadth,height',
        "# [compute]",
        '# weight = "sum of item_weight"',
    ]
    return "\n".join(lines) + "\n"


_HOW_TO = (
    f'# Replace every "{FILL_IN}", then: clickpost bulk FILE --map THIS --dry-run',
    'timezone = "Asia/Kolkata"',
)
_DEFAULTS = {"delivery_type": "FORWARD", "pickup_country": "IN", "pickup_time": "tomorrow 11:00"}


def _covered(columns: ColumnMap, titles: Sequence[str]) -> set[str]:
    """Return the columns of ours that a map assigns or fixes."""
    table = MappedTable(columns, titles)
    return {*table.columns.values(), *_own_names(titles), *columns.fixed}


def _suggest(titles: Sequence[str]) -> Sequence[tuple[str, str | None]]:
    """Return for each column of a file the most similar one of ours, each of ours once."""
    given = set(_own_names(titles))
    suggestions: list[tuple[str, str | None]] = []
    for title in dict.fromkeys(filter(None, titles)):
        if _own_names([title]):
            continue
        ours = "reference_number" if fold_title(title) in _REFERENCES else suggest_column(title)
        if ours in given:
            ours = None
        if ours is not None:
            given.add(ours)
        suggestions.append((title, ours))
    return suggestions


_REFERENCES = frozenset(
    {
        *("order_id", "order_no", "order_number", "order", "order_reference", "reference"),
        *("reference_no", "ref_no", "invoice_order_id", "sale_order_code", "increment_id"),
    }
)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    printable = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped)
    return f'"{printable}"'
