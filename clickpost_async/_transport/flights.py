"""One create per reference number at a time: a second one shares the first one's answer.

ClickPost tells repeated orders by their reference number, but only once it has recorded them; two
that are under way together may both be booked.
"""

import copy
from collections.abc import Hashable
from typing import Any, Protocol, TypeVar

import anyio

from clickpost_async.errors import ClickPostError, InvalidRequestError, NoReplyError, Problem
from clickpost_async.structures._base import Answer

R = TypeVar("R", bound=Answer)


class Create(Protocol[R]):
    """A create that can be compared with another one, and asked how it ended."""

    answer: R | None
    error: ClickPostError | None
    landed: anyio.Event | None

    def written(self) -> bytes | None:
        """Write what is sent; only asked to compare two."""
        ...

    def may_have_left(self) -> bool:
        """Tell whether one that was given up may have reached ClickPost."""
        ...


class Flights:
    """The creates that are under way on one event loop, by what ClickPost tells them apart by."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Create[Any]] = {}

    def under_way(self, key: Hashable) -> bool:
        """Tell whether there is one to be joined."""
        return key in self._flights

    def start(self, key: Hashable, create: Create[Any]) -> None:
        """Have others join this one from now on."""
        self._flights[key] = create

    def land(self, key: Hashable, create: Create[Any]) -> None:
        """Let those that have joined know that this one has ended."""
        del self._flights[key]
        if create.landed is not None:
            create.landed.set()

    async def join(self, key: Hashable, create: Create[R]) -> R | None:
        """Share the answer of the one under way; `None` if that was given up before it left.

        Raises `InvalidRequestError` if it is another order under the same reference number.
        """
        other: Create[R] = self._flights[key]
        if other.written() != create.written():
            advice = "another order with this reference number is under way"
            raise InvalidRequestError.of([Problem("reference_number", advice)])
        other.landed = other.landed or anyio.Event()
        await other.landed.wait()
        if other.error is not None:
            raise copy.copy(other.error)
        if other.answer is None and other.may_have_left():
            message = "the same order was given up while it was under way"
            raise NoReplyError(message, transient=False)
        return other.answer
