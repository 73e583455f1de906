"""Compiles structures to straight-line code, which handles valid values in their own types.

Whatever else a structure holds (a mistake, another spelling, an unknown key) is left to the code
that reads it field by field. Nothing is accepted or rejected here that would not be there; it only
takes less time.
"""

import enum
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import count
from typing import Any, TypeVar, Union, get_args, get_origin

import attrs

from clickpost_async.errors import Problem
from clickpost_async.structures._json_values import is_plain_json, text_problem
from clickpost_async.structures._rules import (
    Rule,
    Severity,
    ValueRule,
    is_warning,
    severity_of,
    source_of,
    warn,
)
from clickpost_async.structures._schema import FieldSpec, member_kind, specs, undecorate

T = TypeVar("T", bound=attrs.AttrsInstance)
Check = Callable[[Any, list[Problem]], bool]


class Scope:
    """What generated code refers to, by name."""

    def __init__(self, **names: Any) -> None:
        self.names = names
        self._numbers = count()

    def add(self, value: Any) -> str:
        """Return the name of a value in the generated code."""
        name = self.new("_")
        self.names[name] = value
        return name

    def new(self, prefix: str) -> str:
        """Return a name for a variable of the generated code, which no other has."""
        return f"{prefix}{next(self._numbers)}"

    def function(self, signature: str, lines: Iterable[str]) -> Any:
        """Compile a function of these lines."""
        body = "\n    ".join(lines)
        source = f"def {signature}:\n    {body}\n"
        name = signature.partition("(")[0]
        exec(compile(source, f"<clickpost_async {name}>", "exec"), self.names)  # noqa: S102 - as attrs and cattrs do
        return self.names[name]


def builder(cls: type) -> type | None:
    """Return a mutable class with the layout of a frozen one, `None` if that one may not be filled.

    An instance of it is filled without the cost of `__init__`, and made one of `cls` by assigning
    its `__class__`. A class with converters, validators or a hand-written `__init__`, as a
    user's subclass may have, is made by calling it.
    """
    made_by_attrs = _source_of(getattr(cls, "__init__", None)).startswith("<attrs generated")
    is_plain = all(
        field.converter is None
        and field.validator is None
        and not getattr(field.default, "takes_self", False)
        for field in attrs.fields(cls)
    )
    if not (made_by_attrs and is_plain) or hasattr(cls, "__attrs_pre_init__"):
        return None
    # Both of `object`'s own: an assignment then costs no call.
    mutable = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(cls.__name__, (cls,), {"__slots__": (), **mutable})


def constructor(cls: type[T]) -> Callable[..., T]:
    """Return a function that makes an instance as calling the class does, in half the time.

    It takes the fields by position too, in the order of their declaration: half the time again.
    """
    made_by = builder(cls)
    names = [field.name for field in attrs.fields(cls)]
    scope = Scope(cls=cls, made_by=made_by, fill=object.__new__)
    parameters = ", ".join(f"{name}={default_of(cls, name, scope)}" for name in names)
    make: Callable[..., T] = scope.function(
        f"make({parameters})",
        [
            "made = fill(made_by)",
            *(f"made.{name} = {name}" for name in names),
            "made.__class__ = cls",
            "return made",
        ],
    )
    return make


def _source_of(function: object) -> str:
    return str(getattr(getattr(function, "__code__", None), "co_filename", ""))


def default_of(cls: type, name: str, scope: Scope) -> str:
    """Return an expression for the default of a field; `None` if it is required."""
    default = getattr(attrs.fields(cls), name).default
    if default is None or default is attrs.NOTHING:
        return "None"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # typed as a function
        return f"{scope.add(default.factory)}()"
    return scope.add(default)


@cache
def compile_check(cls: type) -> Check:
    """Return a function that checks whether every field of a structure is valid in its own type.

    It appends the warnings of a valid structure to a list. The list is of no use if it is invalid,
    or may be.
    """
    scope = Scope(is_plain_json=is_plain_json, text_problem=text_problem, warn=warn)
    lines = [line for spec in specs(cls) for line in _check_field(spec, scope)]
    lines += [line for rule in getattr(cls, "rules", ()) for line in _check_rule(rule, scope)]
    check: Check = scope.function("check(made, warnings)", [*lines, "return not made.extra"])
    return check


def _check_field(spec: FieldSpec, scope: Scope) -> Iterable[str]:
    refusing = [rule for rule in spec.rules if severity_of(rule) is Severity.MISTAKE]
    conditions = [_has_its_type(spec.kind, "value", scope), *_obeys(refusing, spec.kind, scope)]
    lines = [f"if not ({' and '.join(conditions)}): return False"]
    if spec.warn is not None:
        lines += [f"{_may_be_warned_of(spec, scope)}: warnings += {scope.add(spec.warn)}(value)"]
    yield f"value = made.{spec.name}"
    if spec.default is None:
        yield "if value is not None:"
        lines = [f"    {line}" for line in lines]
    yield from lines


def _may_be_warned_of(spec: FieldSpec, scope: Scope) -> str:
    warning = [rule for rule in spec.rules if is_warning(rule)]
    if warning:
        return f"if not ({' and '.join(_obeys(warning, spec.kind, scope))})"
    return "if value" if member_kind(spec.kind) is not None else "if value.warnings"


def _has_its_type(kind: Any, value: str, scope: Scope) -> str:
    """Return an expression: whether a value is valid in this type, without a conversion."""
    member = member_kind(kind)
    if member is not None:
        inner = undecorate(member)[0]
        if _is_class(inner) and attrs.has(inner):
            each = f"{{*map(type, {value})}} <= {scope.add({inner})}"
        else:
            each = f"all({_has_its_type(inner, 'each', scope)} for each in {value})"
        return f"type({value}) is tuple and {each}"
    if get_origin(kind) in (Union, types.UnionType):
        arms = [f"({_has_its_type(arm, value, scope)})" for arm in get_args(kind)]
        return f"({' or '.join(arms)})"
    if get_origin(kind) is Mapping:
        return f"type({value}) is dict and is_plain_json({value})"
    if kind in _EXPRESSIONS:
        return _EXPRESSIONS[kind].format(value)
    return f"type({value}) is {scope.add(kind)}"


# Numbers within these bounds are finite; few others are ever sent.
_IS_FINITE = f"-{2**53} < {{0}} < {2**53}"
_EXPRESSIONS: Mapping[Any, str] = {
    str: "type({0}) is str and {0} and ({0}.isascii() or text_problem({0}) is None)"
    " and '\\x00' not in {0}",
    int: f"type({{0}}) is int and {_IS_FINITE}",
    float: f"(type({{0}}) is float or type({{0}}) is int) and {_IS_FINITE}",
    Any: "is_plain_json({0})",
}


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and not issubclass(kind, enum.Enum)


def _obeys(rules: Iterable[Rule], kind: Any, scope: Scope) -> Iterable[str]:
    for rule in rules:
        name = scope.add(rule)
        if isinstance(rule, ValueRule) and kind in rule.inline_kinds:
            yield rule.inline("value", name)
        else:
            yield f"{name}(value) is None"


def _check_rule(rule: Callable[[Any], Iterable[Problem]], scope: Scope) -> Iterable[str]:
    name = scope.add(getattr(rule, "check", rule))
    if is_warning(rule):
        source = scope.add(source_of(rule))
        found = f"warn(found.path, found.message, {source})"
        yield f"warnings += [{found} for found in {name}(made)]"
    else:
        yield f"for found in {name}(made): return False"
