"""Keys of a plain mapping that no field has: undocumented ones, and misspelt ones."""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator

from attrs import frozen

from clickpost_async.errors import Problem

_LIKENESS = 0.75
_LONGEST = 60
_SIDES = ("pickup", "drop", "return", "rto")


@frozen
class UnknownField(Problem):
    """A warning: a key that no field of a structure has, and the field that was probably meant."""

    def __str__(self) -> str:
        return f"unknown field {self.path}: {self.message}"


def suggest(name: str, known: Collection[str]) -> str | None:
    """Return the one of the known names that was probably meant, if any is near enough.

    A name of one side of a shipment is never taken for the other's (`pickup_`, `drop_`), and one
    that names no side is not taken for a name that several sides have.
    """
    folded = re.sub(r"[\s_-]+", "_", name.strip().lower())
    near = difflib.get_close_matches(folded, known, n=5, cutoff=_LIKENESS)
    if sides := _sides(folded):
        near = [candidate for candidate in near if _sides(candidate) in (frozenset(), sides)]
    elif len({_sides(candidate) for candidate in near} - {frozenset()}) > 1:
        return None
    return near[0] if near else None


def _sides(name: str) -> frozenset[str]:
    return frozenset(side for side in _SIDES if side in name)


def unknown_fields(keys: Iterable[str], known: Collection[str]) -> Iterator[UnknownField]:
    """Yield a warning for each key; `known` are the names of the structure's fields."""
    for key in keys:
        name = _printable(key)
        near = suggest(name, known)
        meant = f"did you mean {near}?" if near else "it is not in ClickPost's document."
        yield UnknownField(name, f"{meant} It is sent as it is")


def _printable(key: str) -> str:
    return key if key.isprintable() and len(key) <= _LONGEST else ascii(key[:_LONGEST])
