"""Writes structures as plain JSON, by one compiled function for each class."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from clickpost_async.structures._base import RequestModel, Structure
from clickpost_async.structures._compiled import Scope
from clickpost_async.structures._json_values import to_json
from clickpost_async.structures._schema import member_kind, specs

if TYPE_CHECKING:
    from cattrs import Converter

Keep = Callable[[object, object], bool]


def writer(
    kind: type[Structure], converter: "Converter", keep: Keep
) -> Callable[[Structure], dict[str, Any]]:
    """Return a function that writes a structure.

    `keep` decides about each value of `original`, given that and the field's value now.
    """
    scope = Scope(to_json=to_json)
    lines = _Writer(scope, converter, keep).write(kind, "made", "out")
    write: Callable[[Structure], dict[str, Any]] = scope.function(
        "write(made)", [*lines, "return out"]
    )
    return write


class _Writer:
    """Generates code that writes a structure, and those in it, at once."""

    def __init__(self, scope: Scope, converter: "Converter", keep: Keep) -> None:
        self._scope = scope
        self._converter = converter
        self._keep = keep

    def write(self, kind: type[Structure], made: str, out: str) -> Sequence[str]:
        """Return code that writes `made`, a structure of this class, to the dictionary `out`."""
        is_request = issubclass(kind, RequestModel)
        before: list[str] = []
        always: list[str] = []
        after: list[str] = []
        for spec in specs(kind):
            value = f"{made}.{spec.name}"
            lines: Sequence[str] = ()
            if isinstance(spec.kind, type) and issubclass(spec.kind, Structure):
                inner, written = self._scope.new("made"), self._scope.new("out")
                lines = [f"{inner} = {value}", *self.write(spec.kind, inner, written)]
            else:
                written = self._written(spec.kind, value, is_request=is_request)
            if spec.default is None:
                after.append(f"if {value} is not None:")
                after += [f"    {line}" for line in (*lines, f"{out}[{spec.wire!r}] = {written}")]
            else:
                before += lines
                always.append(f"{spec.wire!r}: {written}")
        # A request has been checked; a response may hold values that are no JSON.
        unknown = "to_json(raw)" if is_request else "raw"
        after += [
            f"if {made}.extra:",
            f"    for key, raw in {made}.extra.items(): {out}.setdefault(key, {unknown})",
        ]
        if issubclass(kind, RequestModel):
            original = self._scope.add(_original(kind, self._keep))
            after.append(f"if {made}.original: {out}.update({original}({made}))")
        return [*before, f"{out} = {{{', '.join(always)}}}", *after]

    def _written(self, kind: Any, value: str, *, is_request: bool) -> str:
        """Return an expression: a value of this type as plain JSON."""
        if isinstance(kind, type) and issubclass(kind, Structure):
            return f"{self._scope.add(self._converter.get_unstructure_hook(kind))}({value})"
        member = member_kind(kind)
        if member is not None:
            each = self._written(member, "each", is_request=is_request)
            return f"list({value})" if each == "each" else f"[{each} for each in {value}]"
        if kind in (str, int, float, bool):
            return value
        if isinstance(kind, type) and issubclass(kind, str):
            return f"str({value})"
        return f"to_json({value})" if is_request else value


def _original(
    kind: type[RequestModel], keep: Keep
) -> Callable[[RequestModel], Iterator[tuple[str, Any]]]:
    by_wire = {spec.wire: spec for spec in specs(kind)}

    def unchanged(value: RequestModel) -> Iterator[tuple[str, Any]]:
        """Yield the values as they were read, of fields that have not been evolved since."""
        for wire, raw in value.original.items():
            spec = by_wire[wire]
            now = getattr(value, spec.name)
            then = spec.default if raw is None or spec.is_left_out(raw) else spec.convert(raw)
            if now == then and keep(raw, now):
                yield wire, copy(raw) if isinstance(raw, list | dict) else raw

    return unchanged
