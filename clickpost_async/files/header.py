"""The first row of a file: which of its columns is which of ours."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from attrs import evolve, frozen

from clickpost_async.files.cells import Kind, shown, strip_blanks
from clickpost_async.files.columns import COLUMNS, ITEMS, REFERENCE, Column, Market


class UnknownColumnError(ValueError):
    """A column that is neither known nor a path; the message suggests the nearest name."""


@frozen(kw_only=True)
class Heading:
    """A column of this file: where it stands and what its first row calls it."""

    index: int
    title: str
    column: Column

    @property
    def is_reference(self) -> bool:
        """Whether the orders are told apart by it."""
        return self.column.india == REFERENCE

    @property
    def belongs_to_items(self) -> bool:
        """Whether every row of an order has its own."""
        return (self.column.india or "").startswith(f"{ITEMS}.")


_ROOTS = (
    "pickup_info",
    "drop_info",
    "shipment_details",
    "additional",
    "return_info",
    "gst_info",
    "tax_info",
    "courier_custom_fields",
)
# A foreign column that is left out.
IGNORED = Column(name="", kind=Kind.TEXT, india=None, world=None)

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII).fullmatch


def fold(name: str) -> str:
    """Return a column name as it is compared: without capitals, with `_` between words."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower()).strip("_")


def find_column(name: str) -> Column:
    """Return the column of this name, or of this path, or raise `UnknownColumnError`."""
    known = COLUMNS.get(fold(name))
    if known is not None:
        return known
    root = name.partition(".")[0]
    if _PATH(name) and root in _ROOTS:
        alike = COLUMNS.by_path.get(name, IGNORED)
        return evolve(alike, name=name, india=name, world=name)
    raise UnknownColumnError(_advice(name, root))


def _advice(name: str, root: str) -> str:
    if _PATH(name):
        near = difflib.get_close_matches(root, _ROOTS, n=1)
        nearest = f"{near[0]}{name[len(root) :]}" if near else None
    else:
        names = difflib.get_close_matches(fold(name), COLUMNS, n=1)
        nearest = names[0] if names else None
    if nearest:
        return f"unknown column; did you mean {nearest}?"
    return (
        "unknown column; rename it to a known one, remove it, "
        "or give the path it goes to (additional.…)"
    )


def read_headings(
    titles: Sequence[str],
    columns: Mapping[str, str],
    headings: list[Heading],
    *,
    ignore_others: bool = False,
) -> Iterator[tuple[str, str]]:
    """Fill in the headings, and tell which columns cannot be understood and why."""
    ours = {fold(foreign): name for foreign, name in columns.items()}
    seen: dict[str, int] = {}
    for index, cell in enumerate(titles):
        name = strip_blanks(cell)
        title = shown(name)
        if not name:
            continue
        try:
            column = find_column(ours.get(fold(name), name))
        except UnknownColumnError as unknown:
            if ignore_others:
                headings.append(Heading(index=index, title=title, column=IGNORED))
            else:
                yield title, str(unknown)
            continue
        if column.name in seen:
            yield title, f"columns {seen[column.name] + 1} and {index + 1} have the same name"
        seen[column.name] = index
        headings.append(Heading(index=index, title=title, column=column))
    for outer, inner in dict.fromkeys(_clashes(headings)):
        yield outer.title, f"cannot hold a value and contain column {inner.title} as well"
    if not any(heading.is_reference for heading in headings):
        yield "reference_number", "this column is missing; the first row names the columns"


def _clashes(headings: Sequence[Heading]) -> Iterator[tuple[Heading, Heading]]:
    """Find columns that want one value where others want an object of several."""
    for market in Market:
        paths = {path: heading for heading in headings if (path := heading.column.path(market))}
        for path, inner in paths.items():
            for outer in accumulate(path.split("."), "{}.{}".format):
                if outer in paths and outer != path:
                    yield paths[outer], inner
