"""Reads responses, leniently: a field that cannot be read stays in `extra`, as it was."""

import enum
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from clickpost_async._codec.request_reader import StructureError
from clickpost_async.structures._base import ResponseModel
from clickpost_async.structures._compiled import compile_maker
from clickpost_async.structures._schema import FieldSpec, specs

if TYPE_CHECKING:
    from cattrs import Converter

# Most are dictionaries; a check of the abstract class costs more than reading a field.
_OBJECT = (dict, Mapping)


def response_reader(
    kind: type[ResponseModel], converter: "Converter"
) -> Callable[[Any, Any], ResponseModel]:
    """Return a function that makes a response object of a mapping."""
    readers = {
        wire: (spec.name, *_field(spec, converter), wire == spec.wire)
        for spec in specs(kind)
        for wire in (*spec.also, spec.wire)
    }
    make: Callable[[Mapping[str, Any], Mapping[str, Any]], ResponseModel] = compile_maker(kind)

    def read(data: Any, _: Any) -> ResponseModel:
        if not isinstance(data, _OBJECT):
            raise StructureError
        fields: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, raw in data.items():
            known = readers.get(key)
            if known is None:
                extra[key] = raw
            elif raw is not None:
                name, wanted, part, main = known
                try:
                    if main or name not in fields:
                        # The fast path: most values have the expected type.
                        fields[name] = raw if type(raw) is wanted else part(raw)
                except (StructureError, ValueError, TypeError, OverflowError):
                    extra[key] = raw
        return make(fields, extra)

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
        return lambda raw: {str(key): part(value) for key, value in _object(raw).items()}
    if origin in (typing.Union, types.UnionType):
        parts = [_part(arm, converter) for arm in arms]
        return lambda raw: _first_fitting(parts, raw)
    if issubclass(kind, enum.IntEnum):
        return lambda raw: kind(_integer(raw))
    hook = converter.get_structure_hook(kind)
    return lambda raw: hook(raw, kind)


def _first_fitting(parts: Sequence[Callable[[Any], Any]], raw: Any) -> Any:
    for part in parts:
        try:
            return part(raw)
        except (StructureError, ValueError, TypeError):
            continue
    raise StructureError


def _object(raw: Any) -> Mapping[Any, Any]:
    if not isinstance(raw, _OBJECT):
        raise StructureError
    return raw


def _list(raw: Any) -> Sequence[Any]:
    """Read a list; ClickPost also sends false for an empty one, or a single text by itself."""
    if isinstance(raw, list):
        return raw
    if raw is False or raw == "":
        return ()
    if isinstance(raw, str):
        return (raw,)
    raise StructureError


def _text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise StructureError
    return str(raw)


def _integer(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise StructureError
    number = float(raw) if isinstance(raw, str) and "." in raw else raw
    if int(number) != (number if not isinstance(number, str) else int(number)):
        raise StructureError
    return int(number)


def _float(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise StructureError
    return float(raw) if isinstance(raw, str) else raw


_BOOLEANS: Mapping[object, bool] = {"true": True, "false": False, "1": True, "0": False}


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    found = _BOOLEANS.get(str(raw).lower())
    if found is None:
        raise StructureError
    return found


_LENIENT: Mapping[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _integer,
    float: _float,
    bool: _boolean,
    Any: lambda raw: raw,
}
