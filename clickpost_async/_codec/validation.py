"""Reports every validation error in a payload with its path, after it was rejected.

The converter stops at the first error, which is what makes it fast. This walks the same annotations
again without stopping: past missing fields and wrong types, down into the nested structures, and
through the cross-field rules as long as the fields they read are valid.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs

from clickpost_async.errors import Problem
from clickpost_async.structures._base import RequestModel, _InvalidPart, _ValidPart
from clickpost_async.structures._json_values import json_problems
from clickpost_async.structures._rules import Severity, severity_of
from clickpost_async.structures._schema import FieldSpec, check_kind, converter, member_kind, specs

Read = Callable[[Any, Any], Any]


def explain(data: object, kind: Any, read: Read) -> Sequence[Problem]:
    """Return every mistake in `data`; `read` converts a single value to a kind."""
    walk = _Walk(read)
    with suppress(_InvalidPart):
        walk.value(data, kind, walk.problems)
    return walk.problems


class _Walk:
    def __init__(self, read: Read) -> None:
        self._read = read
        self.problems: list[Problem] = []

    def value(self, data: Any, kind: Any, problems: list[Problem]) -> Any:
        """Collect the mistakes; return what rules can still check: a value, or its valid part."""
        if isinstance(kind, type) and issubclass(kind, RequestModel) and not isinstance(data, kind):
            return self._fields(data, kind, problems)
        member = member_kind(kind)
        if member is not None and isinstance(data, list | tuple):
            return self._members(data, member, problems)
        value = converter(kind)(self._read(data, kind))
        found = list(check_kind(kind, value))
        problems.extend(found)
        if found:
            raise _InvalidPart
        return value

    def _members(self, data: Sequence[Any], kind: Any, problems: list[Problem]) -> Any:
        members: list[Any] = []
        for position, raw in enumerate(data):
            with suppress(_InvalidPart):
                members.append(self._under(f"[{position}]", raw, kind, problems))
        if len(members) < len(data):
            raise _InvalidPart
        return tuple(members)

    def _under(self, prefix: str, raw: Any, kind: Any, problems: list[Problem]) -> Any:
        inner: list[Problem] = []
        try:
            return self.value(raw, kind, inner)
        finally:
            problems.extend(problem.under(prefix) for problem in inner)

    def _fields(self, data: Any, kind: type[RequestModel], problems: list[Problem]) -> Any:
        if not isinstance(data, Mapping):
            problems.extend(check_kind(kind, data))
            raise _InvalidPart
        fields: dict[str, Any] = {}
        for spec in specs(kind):
            raw = data.get(spec.wire)
            if raw is not None and not spec.is_left_out(raw):
                self._field(spec, raw, fields, problems)
            elif spec.required:
                problems.append(Problem(spec.wire, "required field missing"))
            else:
                fields[spec.name] = getattr(attrs.fields(kind), spec.name).default
        by_wire = {spec.wire: spec for spec in specs(kind)}
        extra = {key: raw for key, raw in data.items() if key not in by_wire}
        problems.extend(json_problems(extra))
        original = {
            key: raw
            for key, raw in data.items()
            if key in by_wire and (raw is None or by_wire[key].is_left_out(raw))
        }
        partial = _ValidPart({**fields, "extra": extra, "original": original})
        for rule in kind.rules:
            if severity_of(rule) is Severity.MISTAKE:
                with suppress(_InvalidPart):
                    problems.extend(rule(partial))
        return partial

    def _field(
        self, spec: FieldSpec, raw: Any, fields: dict[str, Any], problems: list[Problem]
    ) -> None:
        before = len(problems)
        try:
            value = self._under(spec.wire, raw, spec.kind, problems)
        except _InvalidPart:
            return
        fields[spec.name] = value
        if len(problems) > before or isinstance(value, _ValidPart):
            return
        messages = (rule(value) for rule in spec.rules if severity_of(rule) is Severity.MISTAKE)
        message = next((message for message in messages if message is not None), None)
        if message is not None:
            problems.append(Problem(spec.wire, message))
