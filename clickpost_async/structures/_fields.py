"""Read a structure's annotations once: wire names, checks, and who is a person.

The checks are built from the same annotations that type checkers read, so that a field is declared
in one place.
"""

import enum
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import attrs
from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._rules import Personal, Wire

Problems = Sequence[Problem]
Check = Callable[[Any], Problems]

# Not wire fields: how a structure remembers what is beside its documented ones.
MEMORY = frozenset({"extra", "given", "reply"})


@frozen
class Spec:
    """One field: its names, its type without decoration, and how a value of it is checked.

    `check` tells what is wrong with a value: its type, or else the first rule that it breaks.
    """

    name: str
    wire: str
    also: tuple[str, ...]
    kind: Any
    default: Any
    required: bool
    many: bool
    personal: bool
    rules: tuple[Callable[[Any], str | None], ...]
    check: Check


def specs(cls: type) -> tuple[Spec, ...]:
    """Return the wire fields of a structure, in the order they are declared."""
    return _specs(cls)


@cache
def _specs(cls: type) -> tuple[Spec, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        _spec(attribute, hints[attribute.name])
        for attribute in attrs.fields(cls)
        if attribute.name not in MEMORY
    )


def _spec(attribute: "attrs.Attribute[Any]", hint: Any) -> Spec:
    kind, marks = _undecorated(hint)
    wire = next((mark for mark in marks if isinstance(mark, Wire)), Wire(attribute.name))
    rules = tuple(mark for mark in marks if not isinstance(mark, Wire | Personal))
    return Spec(
        name=attribute.name,
        wire=wire.name,
        also=wire.also,
        kind=kind,
        default=attribute.default,
        required=attribute.default is attrs.NOTHING,
        many=member_kind(kind) is not None,
        personal=any(isinstance(mark, Personal) for mark in marks),
        rules=rules,
        check=_field_checker(wire.name, _checker(kind), rules),
    )


def _field_checker(wire: str, check: Check, rules: Sequence[Callable[[Any], str | None]]) -> Check:
    def checked(value: Any) -> Problems:
        if wrong := check(value):
            return [problem.under(wire) for problem in wrong]
        for rule in rules:
            message = rule(value)
            if message is not None:
                return (Problem(wire, message),)
        return ()

    return checked


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


def check_kind(kind: Any, value: Any) -> Problems:
    """Tell what is wrong with the type of a value, wherever inside it."""
    return _checker(kind)(value)


@cache
def _checker(kind: Any) -> Check:
    """Make the check of a kind once; most values are in order, and cost one look."""
    origin = get_origin(kind)
    if origin is Sequence:
        return _sequence_checker(*get_args(kind))
    if origin in (Union, types.UnionType):
        return _union_checker(get_args(kind))
    if origin is Mapping:
        return _mapping_checker
    if kind is Any or kind is object:
        return lambda _: ()
    if issubclass(kind, enum.Enum):
        return _member_checker([member.value for member in kind])
    return _PLAIN_CHECKERS.get(kind) or _instance_checker(kind)


def _sequence_checker(kind: Any) -> Check:
    check = _checker(_undecorated(kind)[0])

    def checked(value: Any) -> Problems:
        if not isinstance(value, list | tuple):
            return _wrong(f"a list is needed, not {_name(type(value))}")
        return [
            problem.under(f"[{position}]")
            for position, member in enumerate(value)
            for problem in check(member)
        ]

    return checked


def _union_checker(kinds: Sequence[Any]) -> Check:
    checks = [_checker(kind) for kind in kinds]
    names = " or ".join(map(_name, kinds))

    def checked(value: Any) -> Problems:
        if all(check(value) for check in checks):
            return _wrong(f"{names} is needed, not {_name(type(value))}")
        return ()

    return checked


def _mapping_checker(value: Any) -> Problems:
    if isinstance(value, Mapping):
        return ()
    return _wrong(f"an object is needed, not {_name(type(value))}")


def _member_checker(values: Sequence[Any]) -> Check:
    advice = f"one of {', '.join(map(str, values))} is needed"
    return lambda value: () if value in values else _wrong(advice)


def _instance_checker(kind: type) -> Check:
    def checked(value: Any) -> Problems:
        if isinstance(value, kind):
            return ()
        if isinstance(value, Mapping) or attrs.has(type(value)):
            return _wrong(f"{kind.__name__} is needed; `structure` makes one of a mapping")
        return _wrong(f"{_name(kind)} is needed, not {_name(type(value))}")

    return checked


def _check_text(value: Any) -> Problems:
    if not isinstance(value, str):
        how = ": use its isoformat()" if isinstance(value, date) else ""
        return _wrong(f"text is needed, not {_name(type(value))}{how}")
    if "\x00" in value:
        return _wrong("must not contain a NUL character")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        return _wrong("must not contain half a surrogate pair")
    return ()


def _check_float(value: Any) -> Problems:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _wrong(f"a number is needed, not {_name(type(value))}")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        # An integer that is larger than any float.
        finite = False
    return () if finite else _wrong("a finite number is needed")


def _check_int(value: Any) -> Problems:
    if isinstance(value, bool) or not isinstance(value, int):
        return _wrong(f"a whole number is needed, not {_name(type(value))}")
    return ()


_PLAIN_CHECKERS: Mapping[Any, Check] = {str: _check_text, float: _check_float, int: _check_int}


def _wrong(message: str) -> Problems:
    return (Problem("", message),)


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
