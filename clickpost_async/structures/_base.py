"""Base classes of requests and responses.

`RequestModel` is strict: an invalid one cannot be made, and all its mistakes are reported at once.
`ResponseModel` is lenient, so that a new or odd field never costs a waybill. Both keep unknown keys
and hide personal data.
"""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Generic, TypeVar

from attrs import field, frozen

from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures._compiled import compile_check
from clickpost_async.structures._json_values import advice, json_problems, type_name
from clickpost_async.structures._rules import Rules, is_warning, source_of, warn
from clickpost_async.structures._schema import FieldSpec, specs


class _Hidden:
    def __repr__(self) -> str:
        return "…"


_HIDDEN = _Hidden()


@frozen(kw_only=True, repr=False)
class Structure:
    """A JSON object with typed fields; `extra` keeps every key that is not documented."""

    extra: Mapping[str, Any] = field(factory=dict)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        """Yield what a repr shows; without it, rich shows every field of an attrs class."""
        for spec in specs(type(self)):
            value = getattr(self, spec.name)
            if value is not None:
                yield spec.name, _HIDDEN if spec.personal else value


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


class _InvalidPart(Exception):  # noqa: N818 - internal to the package
    """A value, or a field that a rule reads, is invalid, and has been reported."""


class _ValidPart:
    """The valid fields of an invalid structure, so that cross-field rules can still run."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise _InvalidPart(name)


@frozen(kw_only=True, repr=False)
class RequestModel(Structure):
    """A request body; making an invalid one raises `InvalidRequestError` that names all mistakes.

    Attributes:
        warnings: What departs from ClickPost's document and is sent all the same, with its path.
        original: JSON values that `unstructure` restores exactly as they were read: nulls, empty
            sections, and numbers, booleans and strings in another spelling.

    """

    original: Mapping[str, Any] = field(factory=dict, eq=False)
    warnings: tuple[Problem, ...] = field(default=(), init=False, eq=False)

    rules: ClassVar[Rules] = ()

    def __attrs_post_init__(self) -> None:
        cls: type = type(self)
        warnings: list[Problem] = []
        if not compile_check(cls)(self, warnings):
            warnings = []
            problems = list(self._problems(warnings))
            if problems:
                raise InvalidRequestError.of(problems)
        if warnings:
            object.__setattr__(self, "warnings", tuple(warnings))

    def _problems(self, warnings: list[Problem]) -> Iterator[Problem]:
        """Yield the mistakes of the fields, then those between fields; collect the warnings."""
        invalid: set[str] = set()
        for spec in specs(type(self)):
            value = getattr(self, spec.name)
            if value is not None:
                kind = type(value)
                if kind not in spec.exact_types or (kind is str and not value):
                    value = self._convert(spec, value)
            if value is None:
                if spec.default is not None:
                    invalid.add(spec.name)
                    yield Problem(spec.wire, "required field missing")
            elif problems := spec.check(value):
                invalid.add(spec.name)
                yield from problems
            elif spec.warn is not None:
                warnings += spec.warn(value)
        if self.extra:
            yield from json_problems(self.extra)
        yield from self._problems_between_fields(invalid, warnings)

    def _convert(self, spec: FieldSpec, value: Any) -> Any:
        # A list becomes a tuple, which cannot be mutated after it has been validated.
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


@frozen(kw_only=True)
class ResponseInfo:
    """ClickPost's status and message, the raw body, and how many attempts and seconds it took.

    `reconciled`: the response to a create was lost, and the order was found by its reference
    number.
    """

    status: int | None = None
    # ClickPost's message may quote the request, personal data included.
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

    # What `incomplete` misses.
    essential: ClassVar[str] = "result"

    @property
    def pending(self) -> bool:
        """Whether ClickPost is still working on the request."""
        return False

    @property
    def incomplete(self) -> bool:
        """Whether the response reports success and lacks what success means."""
        return False

    @property
    def own_reference(self) -> str | None:
        """The reference number of the order that it is the response for, if it has one."""
        return None


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
