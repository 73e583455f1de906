"""What all structures share: unknown keys survive, mistakes are told together, people are hidden.

`Sent` is what goes to ClickPost: strict, so an illegal one cannot exist. `Answer` is what comes
back: lenient, so that a new or odd field never costs a waybill.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from attrs import field, frozen

from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures._fields import specs

CrossRule = Callable[[Any], Iterable[Problem]]


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


@frozen(kw_only=True, repr=False)
class Sent(Structure):
    """What goes to ClickPost; making one with mistakes raises `InvalidRequestError` naming all.

    `given` remembers wire values that `unstructure` writes back exactly as they were read: nulls
    that were said, and numbers that were written as text.
    """

    given: Mapping[str, Any] = field(factory=dict, eq=False)

    rules: ClassVar[tuple[CrossRule, ...]] = ()

    def __attrs_post_init__(self) -> None:
        problems = list(self.problems())
        if problems:
            raise InvalidRequestError.of(problems)

    def problems(self) -> Iterator[Problem]:
        """Tell what is wrong with the fields themselves, then with how they go together."""
        for spec in specs(type(self)):
            value = getattr(self, spec.name)
            if value is not None:
                yield from spec.check(value)
            elif spec.required:
                yield Problem(spec.wire, "required field missing")
        for rule in self.rules:
            yield from rule(self)


@frozen(kw_only=True)
class Reply:
    """How ClickPost answered: its code and words, the whole answer, and what it took."""

    status: int | None = None
    message: str = ""
    raw: Any = field(default=None, repr=False)
    http_status: int | None = None
    attempts: int = 1
    seconds: float = 0.0


@frozen(kw_only=True, repr=False)
class Answer(Structure):
    """What ClickPost answered with; `reply` tells how."""

    reply: Reply = field(factory=Reply, eq=False)


T_co = TypeVar("T_co", covariant=True)


class Listed(Generic[T_co]):
    """An answer that is a list: iterate over it, index it, ask its length."""

    __slots__ = ()

    rows: Sequence[T_co]

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> T_co:
        return self.rows[position]
