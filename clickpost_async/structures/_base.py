"""Base classes of requests and responses.

`RequestModel` is strict: an invalid one cannot be made, and all its mistakes are reported at once.
`ResponseModel` is lenient, so that a new or odd field never costs a waybill. Both keep unknown keys
and hide personal data.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, Generic, TypeVar

from attrs import field, frozen

from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures._json_values import advice, json_problems, type_name
from clickpost_async.structures._rules import Rules, is_warning, source_of, warn
from clickpost_async.structures._schema import Check, FieldSpec, specs


@frozen(kw_only=True, repr=False)
class Structure:
    """A JSON object with typed fields; `extra` keeps every key that is not documented."""

    extra: Mapping[str, Any] = field(factory=dict)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{spec.name}={'…' if spec.personal else repr(value)}"
            for spec in specs(type(self))
            if (value := getattr(self, spec.name)) is not None
        )
        return f"{type(self).__name__}({shown})"


def not_a_mapping(value: object, wanted: str) -> Problem:
    """Report a value that is no mapping: what it is, and what to pass instead."""
    how = _how_to_give(value)
    return Problem("", f"expected a mapping or {wanted}, got {type_name(value)}{how}")


def _how_to_give(value: object) -> str:
    if isinstance(value, Structure):
        # Of the other market, or a part of an order.
        return ""
    if hasattr(value, "_meta") and hasattr(value, "pk"):
        return ": make a mapping of the model's fields, with ClickPost's names"
    for kind, how in _INSTEAD:
        if isinstance(value, kind):
            return how
    if how := advice(value):
        return how
    many = ": pass one per call; asyncio.gather or bulk.create take many"
    return many if isinstance(value, Iterable) else ""


_INSTEAD = (
    (str | bytes, ": parse it first, as with json.loads"),
    (Awaitable, ": await it first"),
)


class _InvalidPart(Exception):  # noqa: N818 - it never leaves the package
    """A value, or a part of it that a rule reads, is a mistake that has been reported."""


class _ValidPart:
    """The valid fields of an invalid structure, so that cross-field rules can still run."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise _InvalidPart(name)


@frozen(kw_only=True, repr=False)
class RequestModel(Structure):
    """What is sent to ClickPost; making one with mistakes raises `InvalidRequestError` naming all.

    Attributes:
        warnings: what departs from ClickPost's document and is sent all the same, with its path.
        original: JSON values that `unstructure` writes back exactly as they were read: nulls, empty
            sections, and numbers, booleans and texts in another spelling.

    """

    original: Mapping[str, Any] = field(factory=dict, eq=False)
    warnings: tuple[Problem, ...] = field(default=(), init=False, eq=False)

    rules: ClassVar[Rules] = ()

    def __attrs_post_init__(self) -> None:
        warnings: list[Problem] = []
        problems = list(self._problems(warnings))
        if problems:
            raise InvalidRequestError.of(problems)
        if warnings:
            object.__setattr__(self, "warnings", tuple(warnings))

    def _problems(self, warnings: list[Problem]) -> Iterator[Problem]:
        """Yield the mistakes of the fields, then those between fields; collect the warnings."""
        invalid: set[str] = set()
        cls: type = type(self)
        fields, values_of = _fields(cls)
        for (spec, exact_types, check, warn_of), value in zip(fields, values_of(self), strict=True):
            if value is not None:
                kind = type(value)
                if kind not in exact_types or (kind is str and not value):
                    value = self._convert(spec, value)  # noqa: PLW2901 - the field has it now
            # Most fields of most orders are left out.
            if value is None:
                if spec.default is not None:
                    invalid.add(spec.name)
                    yield Problem(spec.wire, "required field missing")
            elif problems := check(value):
                invalid.add(spec.name)
                yield from problems
            elif warn_of is not None:
                warnings += warn_of(value)
        if self.extra:
            yield from json_problems(self.extra)
        yield from self._problems_between_fields(invalid, warnings)

    def _convert(self, spec: FieldSpec, value: Any) -> Any:
        # A list becomes a tuple, which nobody can change once it has been checked.
        value = spec.convert(value)
        if spec.default is None and spec.is_left_out(value):
            value = None
        object.__setattr__(self, spec.name, value)
        return value

    def _problems_between_fields(
        self, invalid: set[str], warnings: list[Problem]
    ) -> Iterator[Problem]:
        valid: Any = self
        if invalid:
            names = (spec.name for spec in specs(type(self)) if spec.name not in invalid)
            valid = _ValidPart({name: getattr(self, name) for name in names})
        for rule in self.rules:
            with suppress(_InvalidPart):
                if is_warning(rule):
                    found = rule(valid)
                    warnings += [warn(each.path, each.message, source_of(rule)) for each in found]
                else:
                    yield from rule(valid)


@cache
def _fields(
    cls: type,
) -> tuple[
    Sequence[tuple[FieldSpec, frozenset[type], Check, Check | None]],
    Callable[[object], tuple[Any, ...]],
]:
    """Return the fields with what the check of every value looks at, and what gets their values."""
    found = specs(cls)
    names = [spec.name for spec in found]
    # One call for all of them; with fewer than two names it returns no tuple.
    values_of = (
        attrgetter(*names)
        if len(names) > 1
        else lambda made: tuple(getattr(made, name) for name in names)
    )
    return [(spec, spec.exact_types, spec.check, spec.warn) for spec in found], values_of


@frozen(kw_only=True)
class ResponseInfo:
    """ClickPost's status and message, the raw body, and how many attempts and seconds it took.

    `reconciled`: the response to a create was lost, and the order was found by its reference
    number.
    """

    status: int | None = None
    # ClickPost's message may repeat what it was sent, personal data included.
    message: str = field(default="", repr=False)
    raw: Any = field(default=None, repr=False)
    http_status: int | None = None
    attempts: int = 1
    seconds: float = 0.0
    reconciled: bool = False


@frozen(kw_only=True, repr=False)
class ResponseModel(Structure):
    """What ClickPost returned; `response` holds its status, message and raw body."""

    response: ResponseInfo = field(default=ResponseInfo(), eq=False)

    @property
    def pending(self) -> bool:
        """Whether ClickPost is still working on the request."""
        return False

    @property
    def incomplete(self) -> bool:
        """Whether the response reports success and lacks what success means."""
        return False


T_co = TypeVar("T_co", covariant=True)


class ListResponse(Generic[T_co]):
    """A response that is a list: iterate over it, index it, take its length."""

    __slots__ = ()

    rows: Sequence[T_co]

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> T_co:
        return self.rows[position]
