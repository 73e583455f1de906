"""Read a structure's annotations once: wire names, checks, and who is a person.

The checks are built from the same annotations that type checkers read, so that a field is declared
in one place.
"""

import enum
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import attrs
from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._json_values import (
    MISSING,
    advice,
    integer_problem,
    is_missing,
    json_problems,
    kind_name,
    text_problem,
    to_integer,
    to_plain,
    type_name,
)
from clickpost_async.structures._marks import Personal, WireName

Problems = Sequence[Problem]
Check = Callable[[Any], Problems]

# Not wire fields: how a structure remembers what is beside its documented ones.
MEMORY = frozenset({"extra", "original", "response"})


@frozen
class FieldSpec:
    """One field: its names, its type without decoration, and how a value of it is checked.

    `convert` makes a value of the field's type of one that says exactly the same, such as a Decimal
    or a list; those of `exact_types` are left as they are. `check` tells what is wrong with a value
    then: its type, or else the first rule that it breaks.
    """

    name: str
    wire: str
    also: tuple[str, ...]
    kind: Any
    default: Any
    required: bool
    personal: bool
    rules: tuple[Callable[[Any], str | None], ...]
    exact_types: frozenset[type]
    convert: Callable[[Any], Any]
    check: Check


def specs(cls: type) -> tuple[FieldSpec, ...]:
    """Return the wire fields of a structure, in the order they are declared."""
    return _specs(cls)


@cache
def _specs(cls: type) -> tuple[FieldSpec, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        _spec(attribute, hints[attribute.name])
        for attribute in attrs.fields(cls)
        if attribute.name not in MEMORY
    )


def _spec(attribute: "attrs.Attribute[Any]", hint: Any) -> FieldSpec:
    kind, marks = _undecorated(hint)
    wire = next((mark for mark in marks if isinstance(mark, WireName)), WireName(attribute.name))
    rules = tuple(mark for mark in marks if not isinstance(mark, WireName | Personal))
    return FieldSpec(
        name=attribute.name,
        wire=wire.name,
        also=wire.also,
        kind=kind,
        default=attribute.default,
        required=attribute.default is attrs.NOTHING,
        personal=any(isinstance(mark, Personal) for mark in marks),
        rules=rules,
        exact_types=_exact_types(kind),
        convert=converter(kind),
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


def _exact_types(kind: Any) -> frozenset[type]:
    """Return the types whose values need no conversion; a look at them is all that most cost."""
    if get_origin(kind) in (Union, types.UnionType):
        return frozenset[type]().union(*map(_exact_types, get_args(kind)))
    if kind is float:
        return frozenset({float, int})
    return frozenset({kind}) if isinstance(kind, type) else frozenset()


@cache
def converter(kind: Any) -> Callable[[Any], Any]:
    """Return what makes a value of a kind where another one says exactly the same."""
    member = member_kind(kind)
    if member is not None:
        convert = converter(_undecorated(member)[0])
        return lambda value: (
            tuple(map(convert, value)) if isinstance(value, list | tuple) else value
        )
    return to_integer if kind is int else to_plain


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
        return json_problems
    if issubclass(kind, enum.Enum):
        return _member_checker([member.value for member in kind])
    return _PLAIN_CHECKERS.get(kind) or _instance_checker(kind)


def _sequence_checker(kind: Any) -> Check:
    check = _checker(_undecorated(kind)[0])

    def checked(value: Any) -> Problems:
        if not isinstance(value, list | tuple):
            return _mistyped("a list", value)
        return [
            problem.under(f"[{position}]")
            for position, member in enumerate(value)
            for problem in check(member)
        ]

    return checked


def _union_checker(kinds: Sequence[Any]) -> Check:
    checks = [_checker(kind) for kind in kinds]
    names = " or ".join(map(kind_name, kinds))

    def checked(value: Any) -> Problems:
        if all(check(value) for check in checks):
            return _mistyped(names, value)
        return ()

    return checked


def _mapping_checker(value: Any) -> Problems:
    return json_problems(value) if isinstance(value, Mapping) else _mistyped("an object", value)


def _member_checker(values: Sequence[Any]) -> Check:
    wanted = f"one of {', '.join(map(str, values))} is needed"
    return lambda value: () if isinstance(value, str | int) and value in values else _wrong(wanted)


def _instance_checker(kind: type) -> Check:
    def checked(value: Any) -> Problems:
        if isinstance(value, kind):
            return ()
        if isinstance(value, Mapping) or attrs.has(type(value)):
            return _wrong(f"{kind.__name__} is needed; `structure` makes one of a mapping")
        return _mistyped(kind_name(kind), value)

    return checked


def _check_text(value: Any) -> Problems:
    if not isinstance(value, str):
        return _mistyped("text", value)
    if "\x00" in value:
        return _wrong("must not contain a NUL character")
    problem = None if value.isascii() else text_problem(value)
    return () if problem is None else _wrong(problem)


def _check_float(value: Any) -> Problems:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _mistyped("a number", value)
    try:
        finite = math.isfinite(value)
    except OverflowError:
        # An integer that is larger than any float.
        finite = False
    if finite:
        return ()
    return _wrong(MISSING if is_missing(value) else "a finite number is needed")


def _check_int(value: Any) -> Problems:
    if isinstance(value, bool) or not isinstance(value, int):
        return _mistyped("a whole number", value)
    problem = integer_problem(value)
    return () if problem is None else _wrong(problem)


_PLAIN_CHECKERS: Mapping[Any, Check] = {str: _check_text, float: _check_float, int: _check_int}


def _mistyped(wanted: str, value: Any) -> Problems:
    if is_missing(value):
        return _wrong(MISSING)
    is_whole = wanted == "text" and isinstance(value, int) and not isinstance(value, bool)
    how = ": give str(x)" if is_whole else advice(value)
    return _wrong(f"{wanted} is needed, not {type_name(value)}{how}")


def _wrong(message: str) -> Problems:
    return (Problem("", message),)
