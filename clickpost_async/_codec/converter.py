"""The one cattrs converter: strict for requests, lenient for responses.

A request's field that cannot be read is a mistake, and all mistakes are reported at once. A
response's field that cannot be read is left `None`, with its raw value kept in `extra`, so that a
new or odd field never costs a waybill.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from clickpost_async._codec.request_reader import StructureError, part_reader, request_reader
from clickpost_async._codec.response_reader import response_reader
from clickpost_async._codec.validation import explain
from clickpost_async._codec.writer import writer
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures._base import (
    RequestModel,
    ResponseInfo,
    ResponseModel,
    Structure,
    not_a_mapping,
)
from clickpost_async.structures._json_values import to_json, to_text
from clickpost_async.structures._rules import log_warnings

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

    Args:
        data: The mapping, with ClickPost's names.
        kind: The structure, such as `IndiaOrder`.

    Returns:
        The structure.

    Raises:
        InvalidRequestError: `problems` has every mistake with its path.

    """
    try:
        made = _converter().structure(data, kind)
    except (InvalidRequestError, StructureError, ValueError, TypeError):
        problems = _explain(data, kind)
        reference_number = reference_number_of(data)
    else:
        log_warnings(made)
        return made
    del data  # error trackers export the variables of frames that fail
    raise InvalidRequestError.of(
        problems or (Problem("", f"cannot be read as {kind.__name__}"),),
        reference_number=reference_number,
    )


def _explain(data: object, kind: Any) -> Sequence[Problem]:
    if isinstance(kind, type) and issubclass(kind, RequestModel) and not isinstance(data, Mapping):
        return (not_a_mapping(data, kind.__name__),)
    return explain(data, kind, _read_value)


def unstructure(value: object) -> Any:
    """Make the plain JSON of a structure, exactly as it was read: the inverse of `structure`.

    Args:
        value: A structure, or a list or mapping of them.

    Returns:
        The plain JSON value.

    """
    return _converter().unstructure(value)


def to_wire(value: Any) -> Any:
    """Make the plain JSON that is sent: numbers and booleans are such, however they were written.

    ClickPost rejects a courier partner that is a string (code 302), though some of its own
    examples send one. Raises `ValueError` for what cannot be encoded as JSON.
    """
    if isinstance(value, Structure):
        kind: type = type(value)
        return _wire_writer(kind)(value)
    return to_json(_wire_converter().unstructure(value))


@cache
def _wire_writer(kind: type) -> Callable[[Any], Any]:
    return _wire_converter().get_unstructure_hook(kind)


@cache
def _reader(kind: type) -> Callable[[Any, Any], Any]:
    return _converter().get_structure_hook(kind)


def prepare() -> None:
    """Build the converters ahead of the first call, which would be slowed down otherwise."""
    _converter()
    _wire_converter()


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
        lambda kind: request_reader(kind, converter),
    )
    converter.register_structure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, ResponseModel),
        lambda kind: response_reader(kind, converter),
    )
    converter.register_unstructure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, Structure),
        lambda kind: writer(kind, converter, keep),
    )
    return converter


def _read_value(raw: Any, kind: Any) -> Any:
    part = part_reader(kind, _converter())
    return raw if part is None else part(raw)


def reference_number_of(data: object) -> str | None:
    """Return an order's reference number as it is sent, of a structure or a plain mapping."""
    if isinstance(data, Structure):
        return getattr(data, "reference_number", None)
    if not isinstance(data, Mapping):
        return None
    # B2B orders have their shipment under another name.
    shipment = data.get("shipment_details", data.get("shipment_info"))
    given = shipment.get("reference_number") if isinstance(shipment, Mapping) else None
    reference = to_text(given)
    return reference if isinstance(reference, str) else None


def structure_response(data: object, kind: type[A], reply: ResponseInfo) -> A | None:
    """Make a response object of a body; `None` if the body is no object."""
    cls: type = kind
    try:
        response: A = _reader(cls)(data, kind)
    except StructureError:
        return None
    # Mutating a frozen instance is safe here: it has not been shared yet, and evolve() would copy.
    object.__setattr__(response, "response", reply)
    return response
