"""Read a structure's annotations once: wire names, checks, and who is a person.

The checks are built from the same annotations that type checkers read, so that a field is declared
in one place.
"""

import enum
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import attrs
from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._rules import Personal, Wire

Check = Callable[[Any], Iterator[Problem]]

# Not wire fields: how a structure remembers what is beside its documented ones.
_MEMORY = frozenset({"extra", "given", "reply"})


@frozen
class Spec:
    """One field: its names, its type without decoration, and how a value of it is checked."""

    name: str
    wire: str
    also: tuple[str, ...]
    kind: Any
    required: bool
    personal: bool
    rules: tuple[Callable[[Any], str | None], ...]

    def check(self, value: Any) -> Iterator[Problem]:
        wrong = False
        for problem in check_kind(self.kind, value):
            wrong = True
            yield problem.under(self.wire)
        if wrong:
            return
        for rule in self.rules:
            message = rule(value)
            if message is not None:
                yield Problem(self.wire, message)
                return


def specs(cls: type) -> tuple[Spec, ...]:
    """Return the wire fields of a structure, in the order they are declared."""
    return _specs(cls)


@cache
def _specs(cls: type) -> tuple[Spec, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        _spec(attribute, hints[attribute.name])
        for attribute in attrs.fields(cls)
        if attribute.name not in _MEMORY
    )


def _spec(attribute: "attrs.Attribute[Any]", hint: Any) -> Spec:
    kind, marks = _undecorated(hint)
    wire = next((mark for mark in marks if isinstance(mark, Wire)), Wire(attribute.name))
    return Spec(
        name=attribute.name,
        wire=wire.name,
        also=wire.also,
        kind=kind,
        required=attribute.default is attrs.NOTHING,
        personal=any(isinstance(mark, Personal) for mark in marks),
        rules=tuple(mark for mark in marks if not isinstance(mark, Wire | Personal)),
    )


def _undecorated(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Take `Annotated` and `| None` off a type, and return it with its marks."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *marks = get_args(hint)
        kind, more = _undecorated(inner)
        return kind, (*more, *marks)
    if origin in (Union, types.UnionType):
        arms = [arm for arm in get_args(hint) if arm is not type(None)]
        if len(arms) == 1:
            return _undecorated(arms[0])
        parts = [_undecorated(arm) for arm in arms]
        return (
            Union[tuple(kind for kind, _ in parts)],  # noqa: UP007 - made of a run-time list
            tuple(mark for _, marks in parts for mark in marks),
        )
    return hint, ()


def member_kind(kind: Any) -> Any:
    """Return what a sequence holds, or `None` if the kind is no sequence."""
    return get_args(kind)[0] if get_origin(kind) is Sequence else None


def check_kind(kind: Any, value: Any) -> Iterator[Problem]:
    """Tell what is wrong with the type of a value, wherever inside it."""
    origin = get_origin(kind)
    if origin is Sequence:
        yield from _check_sequence(get_args(kind)[0], value)
    elif origin in (Union, types.UnionType):
        if all(any(check_kind(arm, value)) for arm in get_args(kind)):
            names = " or ".join(_name(arm) for arm in get_args(kind))
            yield Problem("", f"{names} is needed, not {_name(type(value))}")
    elif origin is Mapping:
        if not isinstance(value, Mapping):
            yield Problem("", f"an object is needed, not {_name(type(value))}")
    elif kind is Any or kind is object:
        return
    elif issubclass(kind, enum.Enum):
        if not any(value == member.value for member in kind):
            yield Problem("", f"one of {', '.join(str(member.value) for member in kind)} is needed")
    elif kind is str:
        yield from _check_text(value)
    elif kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Problem("", f"a number is needed, not {_name(type(value))}")
        elif not math.isfinite(value):
            yield Problem("", "a finite number is needed")
    elif kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            yield Problem("", f"a whole number is needed, not {_name(type(value))}")
    elif not isinstance(value, kind):
        yield Problem("", f"{_name(kind)} is needed, not {_name(type(value))}")


def _check_text(value: Any) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem("", f"text is needed, not {_name(type(value))}")
    elif "\x00" in value:
        yield Problem("", "must not contain a NUL character")
    elif not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        yield Problem("", "must not contain half a surrogate pair")


def _check_sequence(kind: Any, value: Any) -> Iterator[Problem]:
    if not isinstance(value, list | tuple):
        yield Problem("", f"a list is needed, not {_name(type(value))}")
        return
    inner, _ = _undecorated(kind)
    for position, member in enumerate(value):
        for problem in check_kind(inner, member):
            yield problem.under(f"[{position}]")


_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    list: "a list",
    tuple: "a list",
    dict: "an object",
}


def _name(kind: Any) -> str:
    if kind in _NAMES:
        return _NAMES[kind]
    if attrs.has(kind):
        return "an object"
    return str(getattr(kind, "__name__", kind))
