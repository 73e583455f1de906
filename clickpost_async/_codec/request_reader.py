"""Reads requests, strictly: what cannot be read is a mistake."""

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clickpost_async.structures._base import RequestModel
from clickpost_async.structures._compiled import Scope, builder, compile_check, default_of
from clickpost_async.structures._json_values import to_plain
from clickpost_async.structures._schema import FieldSpec, member_kind, specs
from clickpost_async.structures._unknown_fields import unknown_fields

if TYPE_CHECKING:
    from cattrs import Converter

Part = Callable[[Any], Any]


class StructureError(Exception):
    """A value does not fit a field."""


def request_reader(
    kind: type[RequestModel], converter: "Converter"
) -> Callable[[Any, Any], RequestModel]:
    """Return a function that makes a structure of a mapping.

    Most are valid, each field in its own type. Such a one is filled by compiled code, without the
    cost of the class's `__init__`; any other is read again, field by field.
    """
    parts = {spec.name: _section(spec, part_reader(spec.kind, converter)) for spec in specs(kind)}
    read_fields = _fields_reader(kind, parts)
    cls: type = kind
    made_by = builder(cls)
    if made_by is None or kind.__attrs_post_init__ is not RequestModel.__attrs_post_init__:
        return lambda data, _: data if isinstance(data, kind) else read_fields(mapping(data), None)
    scope = Scope(
        cls=cls,
        made_by=made_by,
        fill=object.__new__,
        mapping=mapping,
        check=compile_check(cls),
        read_fields=read_fields,
        set_warnings=RequestModel.warnings.__set__,  # type: ignore[attr-defined]  # a slot
    )
    by_sections_first = sorted(specs(kind), key=lambda spec: parts[spec.name] is None)
    read: Callable[[Any, Any], RequestModel] = scope.function(
        "read(data, _)",
        [
            "if type(data) is not dict:",
            "    if isinstance(data, cls): return data",
            "    data = mapping(data)",
            "made = fill(made_by)",
            "unread = len(data)",
            *(
                line
                for spec in by_sections_first
                for line in _read_field(spec, parts[spec.name], kind, scope)
            ),
            "made.extra = {}; made.original = {}; made.warnings = (); warnings = []",
            "made.__class__ = cls",
            "if unread or not check(made, warnings): return read_fields(data, made)",
            "if warnings: set_warnings(made, tuple(warnings))",
            "return made",
        ],
    )
    return read


def _read_field(
    spec: FieldSpec, part: Part | None, kind: type[RequestModel], scope: Scope
) -> Sequence[str]:
    """Return code that sets a field, and counts it as read unless it is missing or null."""
    value = f"data[{spec.wire!r}]"
    if part is not None:
        value = f"{scope.add(part)}({value})"
    elif member_kind(spec.kind) is not None:
        value = f"tuple(value) if type(value := {value}) is list else value"
    elif isinstance(spec.kind, type) and issubclass(spec.kind, enum.StrEnum):
        members = scope.add({member.value: member for member in spec.kind})
        value = f"{members}.get(value) if type(value := {value}) is str else value"
    return [
        f"if {spec.wire!r} in data:",
        f"    value = made.{spec.name} = {value}",
        "    if value is not None: unread -= 1",
        f"else: made.{spec.name} = {default_of(kind, spec.name, scope)}",
    ]


def mapping(data: Any) -> dict[Any, Any]:
    """Return a mapping as a dictionary; raises `StructureError` for any other value."""
    if isinstance(data, Mapping):
        return dict(data.items())
    raise StructureError


def _section(spec: FieldSpec, part: Part | None) -> Part | None:
    """Return what reads a structure or a list of them; `None` is what an empty one becomes."""
    if part is None:
        return None
    return lambda raw: None if raw is None or spec.is_left_out(raw) else part(raw)


def _fields_reader(
    kind: type[RequestModel], parts: Mapping[str, Part | None]
) -> Callable[[Mapping[str, Any], RequestModel | None], RequestModel]:
    readers = {spec.wire: (spec, parts[spec.name]) for spec in specs(kind)}
    known = frozenset(readers)

    def read(data: Mapping[str, Any], made: RequestModel | None) -> RequestModel:
        """Read a mapping field by field; structures in it are taken from `made`, if given."""
        fields: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        original: dict[str, Any] = {}
        for key, raw in data.items():
            reader = readers.get(key)
            if reader is None:
                extra[key] = raw
                continue
            spec, part = reader
            if part is not None:
                value = part(raw) if made is None else getattr(made, spec.name)
                is_same = value is not None
            elif type(raw) in spec.exact_types and raw != "":
                value, is_same = raw, True
            elif raw is None or spec.is_left_out(raw):
                value, is_same = None, False
            else:
                value = spec.convert(raw)
                is_same = _is_same(raw, value)
            if value is not None:
                fields[spec.name] = value
            if not is_same:
                original[key] = to_plain(raw)
        request = kind(**fields, extra=extra, original=original)
        if extra:
            # An `extra` that is passed to the class directly is intended, and gets no warning.
            warnings = (*request.warnings, *unknown_fields(extra, known))
            object.__setattr__(request, "warnings", warnings)
        return request

    return read


def _is_same(raw: Any, value: Any) -> bool:
    """Return whether `value` is encoded as `raw` was, so that `raw` need not be kept."""
    if isinstance(value, tuple) and isinstance(raw, list | tuple):
        return len(raw) == len(value) and all(map(_is_same, raw, value))
    return value is raw or (value == raw and isinstance(value, bool) == isinstance(raw, bool))


def part_reader(kind: Any, converter: "Converter") -> Part | None:
    """Return how structures are read, and lists of them; `None` for any other kind."""
    if isinstance(kind, type) and issubclass(kind, RequestModel):
        return structure_reader(kind, converter)
    member = member_kind(kind)
    if member is not None:
        part = part_reader(member, converter)
        return None if part is None else lambda raw: _each(part, raw)
    return None


def structure_reader(kind: type[Any], converter: "Converter") -> Part:
    """Return the reader of a class, which is compiled when the first value is read."""
    hook: Callable[[Any, Any], Any] | None = None

    def read(raw: Any) -> Any:
        nonlocal hook
        if hook is None:
            hook = converter.get_structure_hook(kind)
        return hook(raw, kind)

    return read


def _each(part: Part, raw: Any) -> Any:
    return tuple(map(part, raw)) if isinstance(raw, list | tuple) else raw
