"""Read a structure's annotations once: wire names, checks, and which fields are personal data.

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
    is_empty,
    is_missing,
    json_problems,
    kind_name,
    text_problem,
    to_boolean,
    to_code,
    to_number,
    to_plain,
    to_text,
    type_name,
)
from clickpost_async.structures._marks import Compact, Personal, WireName
from clickpost_async.structures._rules import (
    INVALID,
    MANDATORY,
    Rule,
    Severity,
    Source,
    severity_of,
    source_of,
    warn,
)

Problems = Sequence[Problem]
Check = Callable[[Any], Problems]

# Not wire fields: what a structure stores besides its documented ones.
MEMORY = frozenset({"extra", "original", "response", "warnings"})


@frozen
class FieldSpec:
    """One field: its names, its type without decoration, and how a value of it is checked.

    `convert` returns the equivalent of a value in the field's type, such as of "1", a Decimal or a
    list; values of `exact_types` need no conversion. `check` returns the problems of a converted
    value: its type, or else the first rule that it breaks. `warn` returns what only departs from
    ClickPost's document. `is_left_out` returns whether a value is empty and counts as missing.
    """

    name: str
    wire: str
    also: tuple[str, ...]
    kind: Any
    default: Any
    required: bool
    personal: bool
    rules: tuple[Rule, ...]
    source: str
    exact_types: frozenset[type]
    convert: Callable[[Any], Any]
    check: Check
    warn: Check | None
    is_left_out: Callable[[Any], bool]


def specs(cls: type) -> tuple[FieldSpec, ...]:
    """Return the wire fields of a structure, in the order they are declared."""
    # Not cached itself, since mypy takes the classes of attrs for unhashable.
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
    kind, marks = undecorate(hint)
    wire = next((mark for mark in marks if isinstance(mark, WireName)), WireName(attribute.name))
    is_compact = any(isinstance(mark, Compact) for mark in marks)
    others = WireName | Personal | Source | Compact
    rules = tuple(mark for mark in marks if not isinstance(mark, others))
    required = attribute.default is attrs.NOTHING
    source = Source(MANDATORY if required else INVALID)
    refusing = [rule for rule in rules if severity_of(rule) is Severity.MISTAKE]
    return FieldSpec(
        name=attribute.name,
        wire=wire.name,
        also=wire.also,
        kind=kind,
        default=attribute.default,
        required=required,
        personal=any(isinstance(mark, Personal) for mark in marks),
        rules=rules,
        source=next((mark for mark in marks if isinstance(mark, Source)), source).text,
        exact_types=frozenset() if is_compact else _exact_types(kind),
        convert=to_code if is_compact else converter(kind),
        check=_field_checker(wire.name, _checker(kind), refusing),
        warn=_field_warner(
            wire.name, [rule for rule in rules if severity_of(rule) is Severity.WARNING], kind
        ),
        is_left_out=_emptiness(kind, required=required, rules=rules),
    )


def _field_checker(wire: str, check: Check, rules: Sequence[Callable[[Any], str | None]]) -> Check:
    is_text = check is _check_text

    def checked(value: Any) -> Problems:
        # The fast path: most values are such strings.
        if is_text and type(value) is str and value.isascii() and "\x00" not in value:
            pass
        elif wrong := check(value):
            return [problem.under(wire) for problem in wrong]
        for rule in rules:
            message = rule(value)
            if message is not None:
                return (Problem(wire, message),)
        return ()

    return checked


def _field_warner(wire: str, rules: Sequence[Rule], kind: Any) -> Check | None:
    """Return a function that collects the warnings of a field, and of the structures in it."""
    if rules:

        def warned(value: Any) -> Problems:
            found: list[Problem] = []
            for rule in rules:
                message = rule(value)
                if message is not None:
                    found.append(warn(wire, message, source_of(rule)))
            return found

        return warned
    if member_kind(kind) is not None and attrs.has(undecorate(member_kind(kind))[0]):
        return lambda value: [
            warning.under(f"{wire}[{position}]")
            for position, member in enumerate(value)
            for warning in member.warnings
        ]
    if isinstance(kind, type) and attrs.has(kind):
        return lambda value: [warning.under(wire) for warning in getattr(value, "warnings", ())]
    return None


def _emptiness(kind: Any, *, required: bool, rules: Sequence[Rule]) -> Callable[[Any], bool]:
    """Return a predicate for empty values that count as missing, as far as they are no values.

    "" is a value of an optional string field as long as no rule rejects it, an empty list is one of
    a list, an empty object one of a section without required fields, and false one of a boolean:
    PHP and Odoo write an empty text as false.
    """
    if kind is Any:
        return lambda _: False
    if member_kind(kind) is not None:
        return _is_no_list
    if get_origin(kind) is Mapping:
        return _is_no_section
    if isinstance(kind, type) and attrs.has(kind):
        needs_fields = not required and any(spec.required for spec in specs(kind))
        return _is_blank if needs_fields else _is_no_section
    kinds = (kind, *get_args(kind))
    keeps_blank = str in kinds and (required or all(rule("") is None for rule in rules))
    keeps_false = bool in kinds
    return lambda value: (
        not keeps_false if value is False else is_empty(value, blank=not keeps_blank)
    )


def _is_no_list(value: Any) -> bool:
    return value is False or (isinstance(value, str | Mapping) and not value)


def _is_no_section(value: Any) -> bool:
    return value is False or (isinstance(value, str | list | tuple) and not value)


def _is_blank(section: Any) -> bool:
    """Return whether an optional section is empty, or has no field with a value."""
    if not isinstance(section, Mapping):
        return _is_no_section(section)
    return not any(section.values()) and all(
        value is None or value in ("", []) for value in section.values()
    )


def undecorate(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without `Annotated` and `| None`, and its annotations."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *marks = get_args(hint)
        kind, more = undecorate(inner)
        return kind, (*more, *marks)
    if origin in (Union, types.UnionType):
        arms = [arm for arm in get_args(hint) if arm is not type(None)]
        if len(arms) == 1:
            return undecorate(arms[0])
        parts = [undecorate(arm) for arm in arms]
        return (
            Union[tuple(kind for kind, _ in parts)],  # noqa: UP007 - made of a run-time list
            tuple(mark for _, marks in parts for mark in marks),
        )
    return hint, ()


def member_kind(kind: Any) -> Any:
    """Return the member type of a sequence type, or `None` if it is no sequence."""
    return get_args(kind)[0] if get_origin(kind) is Sequence else None


def _exact_types(kind: Any) -> frozenset[type]:
    """Return the types whose values need no conversion: the fast path of most values."""
    if get_origin(kind) in (Union, types.UnionType):
        return frozenset[type]().union(*map(_exact_types, get_args(kind)))
    if kind is float:
        return frozenset({float, int})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        # Its strings are converted.
        return frozenset({kind})
    return frozenset({kind}) if isinstance(kind, type) else frozenset()


@cache
def converter(kind: Any) -> Callable[[Any], Any]:
    """Return a function that converts equivalent values to a type, and returns others unchanged."""
    member = member_kind(kind)
    if member is not None:
        convert = converter(undecorate(member)[0])
        return lambda value: (
            tuple(map(convert, value)) if isinstance(value, list | tuple) else value
        )
    if get_origin(kind) in (Union, types.UnionType):
        enums = [arm for arm in get_args(kind) if _is_enum(arm)]
        return _to_member(enums[0]) if enums else to_plain
    if _is_enum(kind):
        return _to_member(kind)
    return _CONVERTERS.get(kind, to_plain)


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _to_member(kind: type[enum.Enum]) -> Callable[[Any], Any]:
    members = {member.value: member for member in kind}
    folded = {_fold(value): member for value, member in members.items()}

    def convert(value: Any) -> Any:
        if not isinstance(value, str | int):
            return value
        return members.get(value) or folded.get(_fold(value), value)

    return convert


def _fold(value: str | int) -> str | int:
    return value.strip().casefold() if isinstance(value, str) else value


_CONVERTERS: Mapping[Any, Callable[[Any], Any]] = {
    str: to_text,
    bool: to_boolean,
    int: lambda value: to_number(value, whole=True),
    float: to_number,
}


def check_kind(kind: Any, value: Any) -> Problems:
    """Return what is wrong with the type of a value, at any depth."""
    return _checker(kind)(value)


@cache
def _checker(kind: Any) -> Check:
    """Return the type check of a kind; built once."""
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
    check = _checker(undecorate(kind)[0])

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
    wanted = f"expected one of {', '.join(map(str, values))}"
    return lambda value: () if isinstance(value, str | int) and value in values else _wrong(wanted)


def _instance_checker(kind: type) -> Check:
    def checked(value: Any) -> Problems:
        if isinstance(value, kind):
            return ()
        if isinstance(value, Mapping) or attrs.has(type(value)):
            return _wrong(f"expected {kind.__name__}; `structure` makes one of a mapping")
        return _mistyped(kind_name(kind), value)

    return checked


def _check_text(value: Any) -> Problems:
    if not isinstance(value, str):
        if isinstance(value, int) and not isinstance(value, bool):
            return _wrong("expected a string, got an integer: give str(x)")
        return _mistyped("a string", value)
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
    return _wrong(MISSING if is_missing(value) else "expected a finite number")


def _check_int(value: Any) -> Problems:
    if isinstance(value, bool) or not isinstance(value, int):
        return _mistyped("an integer", value)
    problem = integer_problem(value)
    return () if problem is None else _wrong(problem)


_PLAIN_CHECKERS: Mapping[Any, Check] = {str: _check_text, float: _check_float, int: _check_int}


def _mistyped(wanted: str, value: Any) -> Problems:
    if is_missing(value):
        return _wrong(MISSING)
    return _wrong(f"expected {wanted}, got {type_name(value)}{advice(value)}")


def _wrong(message: str) -> Problems:
    return (Problem("", message),)
