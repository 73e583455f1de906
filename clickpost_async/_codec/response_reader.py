"""Reads responses, leniently: a field that cannot be read stays in `extra`, as it was."""

import enum
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

import attrs

from clickpost_async._codec.request_reader import StructureError, mapping, structure_reader
from clickpost_async.structures._base import ResponseModel
from clickpost_async.structures._compiled import Scope, builder, default_of
from clickpost_async.structures._json_values import EXACT_FLOATS, to_boolean, to_number, to_text
from clickpost_async.structures._schema import FieldSpec, specs

if TYPE_CHECKING:
    from cattrs import Converter

Part = Callable[[Any], Any]

_UNREADABLE = (StructureError, ValueError, TypeError, OverflowError)


def response_reader(
    kind: type[ResponseModel], converter: "Converter"
) -> Callable[[Any, Any], ResponseModel]:
    """Return a function that makes a response object of a mapping.

    Most have readable fields only, and are filled by compiled code; any other is read again, field
    by field.
    """
    fields = {spec.name: _field(spec, converter) for spec in specs(kind)}
    read_fields = _fields_reader(kind, fields)
    cls: type = kind
    made_by = builder(cls)
    if made_by is None or hasattr(kind, "__attrs_post_init__"):
        return lambda data, _: read_fields(mapping(data))
    others = [field.name for field in attrs.fields(cls) if field.name not in {*fields, "extra"}]
    also = [wire for spec in specs(kind) for wire in spec.also if wire != spec.wire]
    scope = Scope(
        cls=cls,
        made_by=made_by,
        fill=object.__new__,
        mapping=mapping,
        read_fields=read_fields,
        wires=frozenset(spec.wire for spec in specs(kind)),
        unreadable=_UNREADABLE,
    )
    read: Callable[[Any, Any], ResponseModel] = scope.function(
        "read(data, _)",
        [
            "if type(data) is not dict: data = mapping(data)",
            # Which of two spellings counts depends on their order.
            *(f"if {wire!r} in data: return read_fields(data)" for wire in also),
            "try:",
            "    made = fill(made_by); unread = len(data)",
            *(
                f"    {line}"
                for spec in specs(kind)
                for line in _read_field(spec, fields[spec.name][1], kind, scope)
            ),
            "except unreadable: return read_fields(data)",
            *(f"made.{name} = {default_of(cls, name, scope)}" for name in others),
            "made.extra = {key: data[key] for key in data if key not in wires} if unread else {}",
            "made.__class__ = cls",
            "return made",
        ],
    )
    return read


def _read_field(
    spec: FieldSpec, part: Part, kind: type[ResponseModel], scope: Scope
) -> Sequence[str]:
    default = default_of(kind, spec.name, scope)
    # Most values have the expected type.
    is_expected = [f"type(raw) is {scope.add(spec.kind)}"]
    is_expected += [f"{scope.add(rule)}(raw) is None" for rule in spec.rules]
    other = f"{default} if raw is None else {scope.add(part)}(raw)"
    value = f"raw if {' and '.join(is_expected)} else {other}"
    return [
        f"if {spec.wire!r} in data:",
        f"    unread -= 1; raw = data[{spec.wire!r}]; made.{spec.name} = {value}",
        f"else: made.{spec.name} = {default}",
    ]


def _fields_reader(
    kind: type[ResponseModel], fields: Mapping[str, tuple[Any, Part]]
) -> Callable[[Mapping[Any, Any]], ResponseModel]:
    readers = {
        wire: (spec.name, *fields[spec.name], wire == spec.wire)
        for spec in specs(kind)
        for wire in (*spec.also, spec.wire)
    }
    cls: type = kind
    # A model of the user's may have fields without a default.
    required: dict[str, Any] = {
        field.name: None for field in attrs.fields(cls) if field.default is attrs.NOTHING
    }

    def read(data: Mapping[Any, Any]) -> ResponseModel:
        found: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, raw in data.items():
            known = readers.get(key)
            if known is None:
                extra[key] = raw
            elif raw is not None:
                name, wanted, part, main = known
                try:
                    if main or name not in found:
                        found[name] = raw if type(raw) is wanted else part(raw)
                except _UNREADABLE:
                    extra[key] = raw
        return kind(**{**required, **found}, extra=extra)

    return read


def _field(spec: FieldSpec, converter: "Converter") -> tuple[Any, Callable[[Any], Any]]:
    """Return the type whose values are taken as they are, if any, and how others are read."""
    part, rules = _part(spec.kind, converter), spec.rules
    if not rules:
        return spec.kind, part

    def read(raw: Any) -> Any:
        for rule in rules:
            if rule(raw) is not None:
                raise StructureError
        return part(raw)

    return None, read


def _part(kind: Any, converter: "Converter") -> Callable[[Any], Any]:
    if kind in _LENIENT:
        return _LENIENT[kind]
    origin, arms = get_origin(kind), get_args(kind)
    if origin is Sequence:
        part = _part(arms[0], converter)
        return lambda raw: tuple(map(part, _list(raw)))
    if origin is Mapping:
        part = _part(arms[1], converter)
        return lambda raw: {str(key): part(value) for key, value in mapping(raw).items()}
    if origin in (typing.Union, types.UnionType):
        parts = [_part(arm, converter) for arm in arms]
        return lambda raw: _first_fitting(parts, raw)
    if issubclass(kind, enum.IntEnum):
        return lambda raw: kind(_integer(raw))
    return structure_reader(kind, converter)


def _first_fitting(parts: Sequence[Callable[[Any], Any]], raw: Any) -> Any:
    for part in parts:
        try:
            return part(raw)
        except (StructureError, ValueError, TypeError):
            continue
    raise StructureError


def _list(raw: Any) -> Sequence[Any]:
    """Read a list without nulls; ClickPost also sends false for none, or a text by itself."""
    if isinstance(raw, list):
        return [member for member in raw if member is not None]
    if isinstance(raw, str) and raw:
        return (raw,)
    if raw is False or raw in ("", {}):
        return ()
    raise StructureError


def _text(raw: Any) -> str:
    text = to_text(raw)
    if not isinstance(text, str):
        raise StructureError
    return text


def _number(raw: Any) -> float:
    number = to_number(raw)
    if isinstance(number, bool) or not isinstance(number, int | float) or math.isinf(number):
        raise StructureError
    return number


def _float(raw: Any) -> float:
    number = _number(raw)
    return float(number) if isinstance(raw, str) else number


def _integer(raw: Any) -> int:
    number = _number(raw)
    # A larger float has lost digits.
    if isinstance(number, float) and not (number.is_integer() and abs(number) < EXACT_FLOATS):
        raise StructureError
    return int(number)


def _boolean(raw: Any) -> bool:
    value = to_boolean(raw)
    if not isinstance(value, bool):
        raise StructureError
    return value


_LENIENT: Mapping[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _integer,
    float: _float,
    bool: _boolean,
    Any: lambda raw: raw,
}
