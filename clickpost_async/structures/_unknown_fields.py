"""Keys of a plain mapping that belong to no field: undocumented ones, and misspelt ones."""

import difflib
import re
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

from clickpost_async.structures._base import RequestModel
from clickpost_async.structures._schema import member_kind, specs

_LIKENESS = 0.75
_LONGEST = 60
_SIDES = ("pickup", "drop", "return", "rto")


class UnknownField(NamedTuple):
    """A key that no field of a structure has; `near` is the field that was probably meant."""

    kind: str
    name: str
    path: str
    near: str | None

    def under(self, prefix: str) -> "UnknownField":
        """Return the same key as seen from one level further out."""
        return self._replace(path=f"{prefix}{self.path}")

    def __str__(self) -> str:
        meant = f"did you mean {self.near}?" if self.near else "it is not in ClickPost's document."
        return f"unknown field {self.path}: {meant} It is sent as it is"


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


def unknown_fields(value: RequestModel) -> Sequence[UnknownField]:
    """Return the keys that a structure and its parts have kept in `extra`."""
    kind: type = type(value)
    # Called for every order that is a plain mapping: most have no such key.
    found: list[UnknownField] = _of_one(value) if value.extra else []
    for name, wire, is_list in _parts(kind):
        part: Any = getattr(value, name)
        if part is None:
            continue
        for position, member in enumerate(part if is_list else (part,)):
            if inner := unknown_fields(member):
                prefix = f"{wire}[{position}]." if is_list else f"{wire}."
                found.extend(field.under(prefix) for field in inner)
    return found


def _of_one(value: RequestModel) -> list[UnknownField]:
    kind = type(value)
    known = [spec.wire for spec in specs(kind)]
    names = map(_printable, value.extra)
    return [UnknownField(kind.__name__, name, name, suggest(name, known)) for name in names]


@cache
def _parts(kind: type) -> tuple[tuple[str, str, bool], ...]:
    """Return name, wire name and whether it is a list, for each field that holds structures."""
    parts: list[tuple[str, str, bool]] = []
    for spec in specs(kind):
        member = member_kind(spec.kind)
        part = spec.kind if member is None else member
        if isinstance(part, type) and issubclass(part, RequestModel):
            parts.append((spec.name, spec.wire, member is not None))
    return tuple(parts)


def _printable(key: str) -> str:
    return key if key.isprintable() and len(key) <= _LONGEST else ascii(key[:_LONGEST])
