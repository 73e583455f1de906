"""Warns of keys in a plain mapping that no field has: undocumented ones, and misspelt ones."""

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

from attrs import frozen

from clickpost_async._util.similar import fold, similar
from clickpost_async.errors import Problem

_LIKENESS = 0.75
_MAX_LENGTH = 60
_SIDES = ("pickup", "drop", "return", "rto")


@frozen
class UnknownField(Problem):
    """A warning about a key that no field of a structure has; suggests a similar field."""

    def __str__(self) -> str:
        return f"unknown field {self.path}: {self.message}"


def suggest(name: str, known: Collection[str]) -> str | None:
    """Return the most similar of the known names, or `None` if none is similar enough.

    The name of one side of a shipment (`pickup_`, `drop_`) is never suggested for another side, nor
    a name that several sides have for one without a side.
    """
    near = similar(name, known, likeness=_LIKENESS)
    if sides := _sides(fold(name)):
        near = [candidate for candidate in near if _sides(candidate) in (frozenset(), sides)]
    elif len({_sides(candidate) for candidate in near} - {frozenset()}) > 1:
        return None
    return near[0] if near else None


def _sides(name: str) -> frozenset[str]:
    return frozenset(side for side in _SIDES if side in name)


def unknown_fields(keys: Iterable[str], known: frozenset[str]) -> Iterator[UnknownField]:
    """Yield a warning for each key; `known` are the names of the structure's fields."""
    return (_unknown_field(_printable(key), known) for key in keys)


# A shop sends the same keys with every order, and finding a similar name is slow.
@lru_cache(maxsize=512)
def _unknown_field(name: str, known: frozenset[str]) -> UnknownField:
    near = suggest(name, known)
    meant = f"did you mean {near}?" if near else "it is not in ClickPost's document."
    return UnknownField(name, f"{meant} It is sent as it is")


def _printable(key: str) -> str:
    return key if key.isprintable() and len(key) <= _MAX_LENGTH else ascii(key[:_MAX_LENGTH])
