"""Writes structures as plain JSON, by one compiled function for each class."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from clickpost_async.structures._base import RequestModel, Structure
from clickpost_async.structures._compiled import Scope
from clickpost_async.structures._json_values import to_json
from clickpost_async.structures._schema import member_kind, specs

if TYPE_CHECKING:
    from cattrs import Converter

Part = Callable[[Any], Any]


def writer(
    kind: type[Structure], converter: "Converter", keep: Callable[[object, object], bool]
) -> Callable[[Structure], dict[str, Any]]:
    """Return a function that writes a structure.

    `keep` decides about each value of `original`, given that and the field's value now.
    """
    # A request has been checked; a response may hold values that are no JSON.
    foreign = to_json if issubclass(kind, RequestModel) else None
    scope = Scope()
    always: list[str] = []
    lines: list[str] = []
    for spec in specs(kind):
        now = _written(spec.kind, f"made.{spec.name}", converter, foreign, scope)
        if spec.default is not None:
            always.append(f"{spec.wire!r}: {now}")
        else:
            lines.append(f"if made.{spec.name} is not None: out[{spec.wire!r}] = {now}")
    unknown = scope.add(foreign) + "(raw)" if foreign else "raw"
    lines += [
        "if made.extra:",
        f"    for key, raw in made.extra.items(): out.setdefault(key, {unknown})",
    ]
    if issubclass(kind, RequestModel):
        original = scope.add(_original(kind, keep))
        lines.append(f"if made.original: out.update({original}(made))")
    write: Callable[[Structure], dict[str, Any]] = scope.function(
        "write(made)", [f"out = {{{', '.join(always)}}}", *lines, "return out"]
    )
    return write


def _original(
    kind: type[RequestModel], keep: Callable[[object, object], bool]
) -> Callable[[RequestModel], Iterator[tuple[str, Any]]]:
    by_wire = {spec.wire: spec for spec in specs(kind)}

    def unchanged(value: RequestModel) -> Iterator[tuple[str, Any]]:
        """Yield the values as they were read, of fields that have not been evolved since."""
        for wire, raw in value.original.items():
            spec = by_wire[wire]
            now = getattr(value, spec.name)
            then = spec.default if raw is None or spec.is_left_out(raw) else spec.convert(raw)
            if now == then and keep(raw, now):
                yield wire, list(raw) if isinstance(raw, list | tuple) else raw

    return unchanged


def _written(
    kind: Any, value: str, converter: "Converter", foreign: Part | None, scope: Scope
) -> str:
    """Return an expression: a value of this type as plain JSON."""
    if isinstance(kind, type) and issubclass(kind, Structure):
        return f"{scope.add(converter.get_unstructure_hook(kind))}({value})"
    member = member_kind(kind)
    if member is not None:
        each = _written(member, "each", converter, foreign, scope)
        return f"list({value})" if each == "each" else f"[{each} for each in {value}]"
    if kind in (str, int, float, bool):
        return value
    if isinstance(kind, type) and issubclass(kind, str):
        return f"str({value})"
    return value if foreign is None else f"{scope.add(foreign)}({value})"
