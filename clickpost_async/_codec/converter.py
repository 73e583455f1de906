"""The one cattrs converter: strict for requests, lenient for responses.

A request's field that cannot be read is a mistake, and all mistakes are reported at once. A
response's field that cannot be read is left `None`, with its raw value kept in `extra`, so that a
new or odd field never costs a waybill.
"""

import enum
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from clickpost_async._codec.validation import explain
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures._base import (
    RequestModel,
    ResponseInfo,
    ResponseModel,
    Structure,
    not_a_mapping,
)
from clickpost_async.structures._json_values import to_json, to_plain
from clickpost_async.structures._rules import log_warnings
from clickpost_async.structures._schema import MEMORY, FieldSpec, member_kind, specs
from clickpost_async.structures._unknown_fields import unknown_fields

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
A = TypeVar("A", bound=ResponseModel)


def structure(data: object, kind: type[T]) -> T:
    """Make a structure of a plain JSON mapping.

    What departs from ClickPost's document without being rejected by it is logged once per kind, and
    listed in the structure's `warnings`. Values in another spelling ("1" for true, a number as
    text, an integer where text is expected, an empty section) are accepted, kept for `unstructure`,
    and sent in ClickPost's own form.

    Raises `InvalidRequestError` that names every mistake with its path.
    """
    try:
        made = _converter().structure(data, kind)
    except (InvalidRequestError, _StructureError, ValueError, TypeError):
        problems = _explain(data, kind)
    else:
        log_warnings(made)
        return made
    raise InvalidRequestError.of(
        problems or (Problem("", f"cannot be read as {kind.__name__}"),),
        reference_number=reference_number_of(data),
    )


def _explain(data: object, kind: Any) -> Sequence[Problem]:
    if isinstance(kind, type) and issubclass(kind, RequestModel) and not isinstance(data, Mapping):
        return (not_a_mapping(data, kind.__name__),)
    return explain(data, kind, _read_value)


def unstructure(value: object) -> Any:
    """Make the plain JSON of a structure, exactly as it was read: the inverse of `structure`."""
    return _converter().unstructure(value)


def to_wire(value: Any) -> Any:
    """Make the plain JSON that is sent: numbers and booleans are such, however they were written.

    ClickPost rejects a courier partner that is a string (code 302), though some of its own
    examples send one. Raises `ValueError` for what cannot be encoded as JSON.
    """
    written = _wire_converter().unstructure(value)
    return written if isinstance(value, Structure) else to_json(written)


# Most are dictionaries; a check of the abstract class costs more than reading a field.
_OBJECT = (dict, Mapping)


def prepare() -> None:
    """Build the converters ahead of the first call, which would be slowed down otherwise."""
    _converter()
    _wire_converter()


class _StructureError(Exception):
    """A value does not fit a field."""


@cache
def _converter() -> "Converter":
    return _build(keep=lambda _raw, _now: True)


@cache
def _wire_converter() -> "Converter":
    return _build(keep=lambda raw, now: raw is None and now is None)


def _build(*, keep: Callable[[object, object], bool]) -> "Converter":
    # cattrs costs more to import than the rest of the package together.
    from cattrs import Converter

    converter = Converter(detailed_validation=False)
    converter.register_structure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, RequestModel),
        lambda kind: _request_reader(kind, converter),
    )
    converter.register_structure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, ResponseModel),
        lambda kind: _response_reader(kind, converter),
    )
    converter.register_unstructure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, Structure),
        lambda kind: _writer(kind, converter, keep),
    )
    return converter


# --- writing --------------------------------------------------------------------------------------


def _writer(
    kind: type[Structure], converter: "Converter", keep: Callable[[object, object], bool]
) -> Callable[[Structure], dict[str, Any]]:
    from cattrs.fns import identity
    from cattrs.gen import make_dict_unstructure_fn, override

    # A request has been checked; a response may hold values that are no JSON.
    foreign = to_json if issubclass(kind, RequestModel) else identity
    how: dict[str, Any] = {name: override(omit=True) for name in MEMORY if hasattr(kind, name)}
    how |= {
        spec.name: override(
            rename=spec.wire,
            omit_if_default=spec.default is None,
            unstruct_hook=_part_writer(spec.kind, converter, foreign),
        )
        for spec in specs(kind)
    }
    write_fields: Callable[[Structure], dict[str, Any]] = make_dict_unstructure_fn(
        kind, converter, _cattrs_use_linecache=False, **how
    )
    by_wire = {spec.wire: spec for spec in specs(kind)}

    def unchanged(value: RequestModel) -> Iterator[tuple[str, Any]]:
        """Yield the values as they were read, of fields that have not been evolved since."""
        for wire, raw in value.original.items():
            spec = by_wire[wire]
            now = getattr(value, spec.name)
            then = spec.default if raw is None or spec.is_left_out(raw) else spec.convert(raw)
            if now == then and keep(raw, now):
                yield wire, list(raw) if isinstance(raw, list | tuple) else raw

    def write(value: Structure) -> dict[str, Any]:
        out = write_fields(value)
        if value.extra:
            for key, raw in value.extra.items():
                out.setdefault(key, foreign(raw))
        if isinstance(value, RequestModel) and value.original:
            out.update(unchanged(value))
        return out

    return write


def _part_writer(
    kind: Any, converter: "Converter", foreign: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    from cattrs.fns import identity

    if isinstance(kind, type) and issubclass(kind, Structure):
        return converter.get_unstructure_hook(kind)
    member = member_kind(kind)
    if member is not None:
        part = _part_writer(member, converter, foreign)
        return list if part is identity else lambda values: [part(value) for value in values]
    if kind in (str, int, float, bool):
        return identity
    return str if isinstance(kind, type) and issubclass(kind, str) else foreign


# --- reading requests, strict ---------------------------------------------------------------------


def _request_reader(
    kind: type[RequestModel], converter: "Converter"
) -> Callable[[Any, Any], RequestModel]:
    readers = {
        spec.wire: (spec.name, spec.exact_types, _request_field(spec, converter))
        for spec in specs(kind)
    }

    def read(data: Any, _: Any) -> RequestModel:
        if isinstance(data, kind):
            return data
        if not isinstance(data, _OBJECT):
            raise _StructureError
        fields: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        original: dict[str, Any] = {}
        for key, raw in data.items():
            reader = readers.get(key)
            if reader is None:
                extra[key] = raw
                continue
            name, exact_types, part = reader
            if type(raw) in exact_types and raw != "":
                # The fast path: most values have the expected type.
                fields[name] = raw
                continue
            value, is_same = part(raw)
            if value is not None:
                fields[name] = value
            if not is_same:
                original[key] = to_plain(raw)
        made = kind(**fields, extra=extra, original=original)
        if extra:
            # An `extra` that is passed to the class directly is intended, and gets no warning.
            object.__setattr__(made, "warnings", (*made.warnings, *unknown_fields(extra, readers)))
        return made

    return read


def _request_field(spec: FieldSpec, converter: "Converter") -> Callable[[Any], tuple[Any, bool]]:
    """Return what reads a field: its value or `None`, and whether that is written as it was."""
    part, convert, is_left_out = _request_part(spec.kind, converter), spec.convert, spec.is_left_out

    def read(raw: Any) -> tuple[Any, bool]:
        if raw is None or is_left_out(raw):
            return None, False
        if part is not None:
            return part(raw), True
        value = convert(raw)
        return value, _is_same(raw, value)

    return read


def _is_same(raw: Any, value: Any) -> bool:
    """Return whether `value` is encoded as `raw` was, so that `raw` need not be kept."""
    if isinstance(value, tuple) and isinstance(raw, list | tuple):
        return len(raw) == len(value) and all(map(_is_same, raw, value))
    return value is raw or (value == raw and isinstance(value, bool) == isinstance(raw, bool))


def _request_part(kind: Any, converter: "Converter") -> Callable[[Any], Any] | None:
    """Return how structures are read, and lists of them; `None` for any other kind."""
    if isinstance(kind, type) and issubclass(kind, RequestModel):
        hook = converter.get_structure_hook(kind)
        return lambda raw: hook(raw, kind)
    member = member_kind(kind)
    if member is not None:
        part = _request_part(member, converter)
        return None if part is None else lambda raw: _each(part, raw)
    return None


def _read_value(raw: Any, kind: Any) -> Any:
    part = _request_part(kind, _converter())
    return raw if part is None else part(raw)


def _each(part: Callable[[Any], Any], raw: Any) -> Any:
    return tuple(map(part, raw)) if isinstance(raw, list | tuple) else raw


def reference_number_of(data: object) -> str | None:
    """Return an order's reference number, whether it is a structure or a plain mapping."""
    if isinstance(data, Structure):
        return getattr(data, "reference_number", None)
    if not isinstance(data, Mapping):
        return None
    # B2B orders have their shipment under another name.
    shipment = data.get("shipment_details", data.get("shipment_info"))
    reference = shipment.get("reference_number") if isinstance(shipment, Mapping) else None
    return reference if isinstance(reference, str) else None


# --- reading responses, lenient -------------------------------------------------------------------


def structure_response(data: object, kind: type[A], reply: ResponseInfo) -> A | None:
    """Make a response object of a body; `None` if the body is no object."""
    try:
        response = _converter().structure(data, kind)
    except _StructureError:
        return None
    # Mutating a frozen instance is safe here: it has not been shared yet, and evolve() would copy.
    object.__setattr__(response, "response", reply)
    return response


def _response_reader(
    kind: type[ResponseModel], converter: "Converter"
) -> Callable[[Any, Any], ResponseModel]:
    readers = {
        wire: (spec.name, *_response_field(spec, converter), wire == spec.wire)
        for spec in specs(kind)
        for wire in (*spec.also, spec.wire)
    }

    def read(data: Any, _: Any) -> ResponseModel:
        if not isinstance(data, _OBJECT):
            raise _StructureError
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
                except (_StructureError, ValueError, TypeError, OverflowError):
                    extra[key] = raw
        return kind(**fields, extra=extra)

    return read


def _response_field(spec: FieldSpec, converter: "Converter") -> tuple[Any, Callable[[Any], Any]]:
    """Return the type whose values are taken as they are, if any, and how others are read."""
    part, rules = _response_part(spec.kind, converter), spec.rules
    if not rules:
        return spec.kind, part

    def read(raw: Any) -> Any:
        for rule in rules:
            if rule(raw) is not None:
                raise _StructureError
        return part(raw)

    return None, read


def _response_part(kind: Any, converter: "Converter") -> Callable[[Any], Any]:
    if kind in _LENIENT:
        return _LENIENT[kind]
    origin, arms = get_origin(kind), get_args(kind)
    if origin is Sequence:
        part = _response_part(arms[0], converter)
        return lambda raw: tuple(map(part, _list(raw)))
    if origin is Mapping:
        part = _response_part(arms[1], converter)
        return lambda raw: {str(key): part(value) for key, value in _object(raw).items()}
    if origin in (typing.Union, types.UnionType):
        parts = [_response_part(arm, converter) for arm in arms]
        return lambda raw: _first_fitting(parts, raw)
    if issubclass(kind, enum.IntEnum):
        return lambda raw: kind(_integer(raw))
    hook = converter.get_structure_hook(kind)
    return lambda raw: hook(raw, kind)


def _first_fitting(parts: Sequence[Callable[[Any], Any]], raw: Any) -> Any:
    for part in parts:
        try:
            return part(raw)
        except (_StructureError, ValueError, TypeError):
            continue
    raise _StructureError


def _object(raw: Any) -> Mapping[Any, Any]:
    if not isinstance(raw, _OBJECT):
        raise _StructureError
    return raw


def _list(raw: Any) -> Sequence[Any]:
    """Read a list; ClickPost also sends false for an empty one, or a single text by itself."""
    if isinstance(raw, list):
        return raw
    if raw is False or raw == "":
        return ()
    if isinstance(raw, str):
        return (raw,)
    raise _StructureError


def _text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise _StructureError
    return str(raw)


def _integer(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise _StructureError
    number = float(raw) if isinstance(raw, str) and "." in raw else raw
    if int(number) != (number if not isinstance(number, str) else int(number)):
        raise _StructureError
    return int(number)


def _float(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise _StructureError
    return float(raw) if isinstance(raw, str) else raw


_BOOLEANS: Mapping[object, bool] = {"true": True, "false": False, "1": True, "0": False}


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    found = _BOOLEANS.get(str(raw).lower())
    if found is None:
        raise _StructureError
    return found


_LENIENT: Mapping[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _integer,
    float: _float,
    bool: _boolean,
    Any: lambda raw: raw,
}
