"""What all structures share: unknown keys survive, mistakes are told together, people are hidden.

`Sent` is what goes to ClickPost: strict, so an illegal one cannot exist. `Answer` is what comes
back: lenient, so that a new or odd field never costs a waybill.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Generic, TypeVar

from attrs import field, frozen

from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures._json_values import advice, json_problems, type_name
from clickpost_async.structures._schema import specs

CrossRule = Callable[[Any], Iterable[Problem]]
Rules = tuple[CrossRule, ...]


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
    """Say that something else than an object's fields was given, what, and what to give."""
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
    """A value, or a part of it that a rule wants to read, is a mistake that has been told."""


class _ValidPart:
    """As much of a structure as is sound, for the rules that can still be asked."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise _InvalidPart(name)


@frozen(kw_only=True, repr=False)
class RequestModel(Structure):
    """What goes to ClickPost; making one with mistakes raises `InvalidRequestError` naming all.

    `given` remembers wire values that `unstructure` writes back exactly as they were read: nulls
    that were said, and numbers that were written as text.
    """

    original: Mapping[str, Any] = field(factory=dict, eq=False)

    rules: ClassVar[Rules] = ()

    def __attrs_post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise InvalidRequestError.of(problems)

    def _problems(self) -> Iterator[Problem]:
        """Tell what is wrong with the fields themselves, then with how they go together."""
        unsound: set[str] = set()
        for spec in specs(type(self)):
            value = getattr(self, spec.name)
            if value is None:
                if spec.default is not None:
                    unsound.add(spec.name)
                    yield Problem(spec.wire, "required field missing")
                continue
            if type(value) not in spec.exact_types:
                # A list becomes a tuple, which nobody can change once it has been checked.
                value = spec.convert(value)
                object.__setattr__(self, spec.name, value)
            for problem in spec.check(value):
                unsound.add(spec.name)
                yield problem
        if self.extra:
            yield from json_problems(self.extra)
        asked: Any = self
        if unsound:
            sound = (spec.name for spec in specs(type(self)) if spec.name not in unsound)
            asked = _ValidPart({name: getattr(self, name) for name in sound})
        for rule in self.rules:
            with suppress(_InvalidPart):
                yield from rule(asked)


@frozen(kw_only=True)
class ResponseInfo:
    """How ClickPost answered: its code and words, the whole answer, and what it took.

    `looked_up`: the answer to a create was lost, and the order was found by its reference number.
    """

    status: int | None = None
    # ClickPost's words may repeat what it was sent, and with it a person.
    message: str = field(default="", repr=False)
    raw: Any = field(default=None, repr=False)
    http_status: int | None = None
    attempts: int = 1
    seconds: float = 0.0
    reconciled: bool = False


@frozen(kw_only=True, repr=False)
class ResponseModel(Structure):
    """What ClickPost answered with; `reply` tells how."""

    response: ResponseInfo = field(default=ResponseInfo(), eq=False)

    @property
    def pending(self) -> bool:
        """Whether ClickPost is still working on what was asked."""
        return False

    @property
    def incomplete(self) -> bool:
        """Whether it claims success and lacks what success means."""
        return False


T_co = TypeVar("T_co", covariant=True)


class ListResponse(Generic[T_co]):
    """An answer that is a list: iterate over it, index it, ask its length."""

    __slots__ = ()

    rows: Sequence[T_co]

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> T_co:
        return self.rows[position]
