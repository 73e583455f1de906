"""The header of a file: maps its columns to ours."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate

from attrs import evolve, frozen

from clickpost_async._util.similar import fold, similar
from clickpost_async.files.cells import CellKind, shown, strip_blanks
from clickpost_async.files.columns import COLUMNS, ITEMS, REFERENCE, Column, Market


class UnknownColumnError(ValueError):
    """A column that is neither known nor a path; the message suggests the most similar name."""


@frozen(kw_only=True)
class Heading:
    """A column of this file: its index and its title."""

    index: int
    title: str
    column: Column

    @property
    def is_reference(self) -> bool:
        """Whether it is the reference number, which identifies orders."""
        return self.column.india == REFERENCE

    @property
    def belongs_to_items(self) -> bool:
        """Whether it is a field of items: each row of an order has its own value."""
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
# There are few of them, and none is similar to another.
_ROOT_LIKENESS = 0.6
_MAX_SUGGESTED = 3
# A foreign column that is ignored.
IGNORED = Column(name="", kind=CellKind.TEXT, india=None, world=None)

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII).fullmatch


_MARKS = re.compile(r"\*|\((?:optional|required|mandatory)\)|:\s*\Z", re.IGNORECASE)


def strip_marks(title: str) -> str:
    """Return a title without the marks of templates, as in `*Order Id` and `Email (Optional)`."""
    return _MARKS.sub(" ", title)


def find_column(name: str) -> Column:
    """Return the column of this name, or of this path, or raise `UnknownColumnError`."""
    known = COLUMNS.get(fold(name)) or COLUMNS.get(fold(strip_marks(name)))
    if known is not None:
        return known
    root = name.partition(".")[0]
    if _PATH(name) and root in _ROOTS:
        alike = COLUMNS.by_path.get(name, IGNORED)
        return evolve(alike, name=name, india=name, world=name)
    raise UnknownColumnError(_advice(name, root))


def _advice(name: str, root: str) -> str:
    if _PATH(name):
        near = similar(root, _ROOTS, likeness=_ROOT_LIKENESS)
        suggestions: Sequence[str] = [f"{near[0]}{name[len(root) :]}"] if near else []
    else:
        suggestions = _suggest_columns(name)[:_MAX_SUGGESTED]
    if suggestions:
        return f"unknown column; did you mean {' or '.join(suggestions)}?"
    return (
        "unknown column; rename it to a known one, remove it, "
        "or give the path it goes to (additional.…)"
    )


_SIDES = {
    "pickup": ("pickup", "sender", "consignor", "warehouse", "origin", "from"),
    "drop": (
        *("drop", "ship", "shipping", "delivery", "deliver", "to", "consignee", "customer"),
        *("buyer", "buyers", "recipient", "receiver"),
    ),
    "return": ("return", "rto"),
}
_SIDE_OF = {word: side for side, words in _SIDES.items() for word in words}
_PINCODE = re.compile(r"\b(?:pin|zip|post|postal) ?(?:code)?\b|\bpostcode\b")
_SYNONYMS = {
    "mobile": "phone",
    "telephone": "phone",
    "tel": "phone",
    "contact": "phone",
    "mail": "email",
    "addr": "address",
    "street": "address",
    "province": "state",
    "town": "city",
    "qty": "quantity",
    "lineitem": "item",
    "product": "item",
    "width": "breadth",
}
_NOISE = frozenset({"no", "number", "info", "details", "s", "the", "of", "complete"})


def suggest_column(name: str) -> str | None:
    """Return the column of ours that is similar to a foreign name, `None` if that is unclear.

    A name with pickup or drop never matches a column of the other side, and one with neither
    matches no column of either side.
    """
    side, key = _liken(name)
    by_key: dict[str, str] = {}
    for column in COLUMNS:
        other_side, other_key = _liken(column)
        if other_side == side:
            by_key.setdefault(other_key, column)
    near = similar(key, by_key)
    return by_key[near[0]] if near else None


def _suggest_columns(name: str) -> Sequence[str]:
    """Return the columns that a foreign name may mean: those of all sides if it names none."""
    certain = suggest_column(name)
    if certain is not None:
        return (certain,)
    side, key = _liken(name)
    within = [column for column in COLUMNS if side in (None, _liken(column)[0])]
    by_side: dict[str | None, str] = {}
    for column in within:
        other_side, other_key = _liken(column)
        if other_key in (key, f"item_{key}"):
            by_side.setdefault(other_side, column)
    return [*by_side.values()] or similar(name, within)


@cache
def _liken(name: str) -> tuple[str | None, str]:
    """Return the side (pickup or drop) in a name, and the rest of it with synonyms replaced."""
    text = _PINCODE.sub("pincode", " ".join(re.findall(r"[a-z0-9]+", name.lower())))
    words = [_SYNONYMS.get(word, word) for word in text.split()]
    side = next((_SIDE_OF[word] for word in words if word in _SIDE_OF), None)
    rest = [word for word in words if word not in _SIDE_OF]
    return side, "_".join([word for word in rest if word not in _NOISE] or rest)


def read_headings(
    titles: Sequence[str],
    columns: Mapping[str, str],
    headings: list[Heading],
    *,
    ignore_others: bool = False,
) -> Iterator[tuple[str, str]]:
    """Fill in the headings, and yield the columns that cannot be used, with the reasons."""
    ours = {fold(foreign): name for foreign, name in columns.items()}
    seen: dict[str, Heading] = {}
    for index, cell in enumerate(titles):
        name = strip_blanks(cell)
        title = shown(name)
        if not name:
            continue
        own_name = columns.get(name, ours.get(fold(name), name))
        if own_name == IGNORED.name:
            headings.append(Heading(index=index, title=title, column=IGNORED))
            continue
        try:
            column = find_column(own_name)
        except UnknownColumnError as unknown:
            if ignore_others:
                headings.append(Heading(index=index, title=title, column=IGNORED))
            else:
                yield title, str(unknown)
            continue
        other = seen.setdefault(column.name, Heading(index=index, title=title, column=column))
        if other.index != index:
            yield title, _describe_duplicate(other, index, title)
        headings.append(Heading(index=index, title=title, column=column))
    for outer, inner in dict.fromkeys(_clashes(headings)):
        yield outer.title, f"cannot hold a value and contain column {inner.title} as well"
    if not any(heading.is_reference for heading in headings):
        yield "reference_number", "this column is missing; the first row names the columns"


def _describe_duplicate(other: Heading, index: int, title: str) -> str:
    if fold(other.title) == fold(title):
        return f"columns {other.index + 1} and {index + 1} have the same name"
    return (
        f'columns {other.index + 1} "{other.title}" and {index + 1} "{title}" both become '
        f"{other.column.name}; join them with [join] in a map, or leave one out"
    )


def _clashes(headings: Sequence[Heading]) -> Iterator[tuple[Heading, Heading]]:
    """Find columns whose path is a value in one column and an object in others."""
    for market in Market:
        paths = {path: heading for heading in headings if (path := heading.column.path(market))}
        for path, inner in paths.items():
            for outer in accumulate(path.split("."), "{}.{}".format):
                if outer in paths and outer != path:
                    yield paths[outer], inner
