"""Tells every mistake in a payload with its path, after it was refused.

The converter stops at the first mistake, which is what makes it fast. This walks the same
annotations again and goes on: past missing fields and wrong types, down into the parts, and through
the rules between fields as long as the fields they read are sound.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from clickpost_async.errors import Problem
from clickpost_async.structures._base import Sent
from clickpost_async.structures._fields import Spec, check_kind, member_kind, specs

Read = Callable[[Any, Any], Any]


class _Broken(Exception):
    """A value, or a part of it that a rule wants to read, is a mistake that has been told."""


class _Partial:
    """As much of a structure as could be read, for the rules that can still be asked."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise _Broken(name)


def explain(data: object, kind: Any, read: Read) -> Sequence[Problem]:
    """Tell every mistake in `data`; `read` is how a single value of a kind is read."""
    walk = _Walk(read)
    try:
        walk.value(data, kind, walk.problems)
    except _Broken:
        pass
    return walk.problems


class _Walk:
    def __init__(self, read: Read) -> None:
        self._read = read
        self.problems: list[Problem] = []

    def value(self, data: Any, kind: Any, problems: list[Problem]) -> Any:
        """Collect the mistakes, and return what can be asked further: a value, or part of one."""
        if isinstance(kind, type) and issubclass(kind, Sent) and not isinstance(data, kind):
            return self._fields(data, kind, problems)
        member = member_kind(kind)
        if member is not None and isinstance(data, list | tuple):
            return tuple(
                self._under(f"[{position}]", raw, member, problems)
                for position, raw in enumerate(data)
            )
        value = self._read(data, kind)
        found = list(check_kind(kind, value))
        problems.extend(found)
        if found:
            raise _Broken
        return value

    def _under(self, prefix: str, raw: Any, kind: Any, problems: list[Problem]) -> Any:
        inner: list[Problem] = []
        try:
            return self.value(raw, kind, inner)
        finally:
            problems.extend(problem.under(prefix) for problem in inner)

    def _fields(self, data: Any, kind: type[Sent], problems: list[Problem]) -> Any:
        if not isinstance(data, Mapping):
            problems.extend(check_kind(kind, data))
            raise _Broken
        fields: dict[str, Any] = {}
        for spec in specs(kind):
            raw = data.get(spec.wire)
            if raw is not None:
                self._field(spec, raw, fields, problems)
            elif spec.required:
                problems.append(Problem(spec.wire, "required field missing"))
            else:
                fields[spec.name] = getattr(attrs.fields(kind), spec.name).default
        known = {spec.wire for spec in specs(kind)}
        partial = _Partial(
            {
                **fields,
                "extra": {key: raw for key, raw in data.items() if key not in known},
                "given": {key: None for key, raw in data.items() if key in known and raw is None},
            }
        )
        for rule in kind.rules:
            try:
                problems.extend(rule(partial))
            except _Broken:
                continue
        return partial

    def _field(
        self, spec: Spec, raw: Any, fields: dict[str, Any], problems: list[Problem]
    ) -> None:
        before = len(problems)
        try:
            value = self._under(spec.wire, raw, spec.kind, problems)
        except _Broken:
            return
        fields[spec.name] = value
        if len(problems) > before or isinstance(value, _Partial):
            return
        messages = (rule(value) for rule in spec.rules)
        message = next((message for message in messages if message is not None), None)
        if message is not None:
            problems.append(Problem(spec.wire, message))
