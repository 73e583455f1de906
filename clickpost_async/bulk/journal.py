"""The lead's placeholder, so that run.py imports: the journal's owner replaces this whole file."""

import enum
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from attrs import frozen

Key = tuple[str, str]


class JournalError(Exception):
    pass


class State(enum.Enum):
    ACCEPTED = "accepted"
    SENDING = "sending"
    QUEUED = "queued"
    UNKNOWN = "unknown"
    PLACED = "placed"
    REJECTED = "rejected"


@frozen(kw_only=True)
class Entry:
    key: Key
    position: int
    row: int | None
    payload: bytes
    digest: bytes


@frozen(kw_only=True)
class Standing:
    state: State
    payload_matches: bool
    seen: bool  # admitted before in this very run
    attempts: int
    since: float
    outcome: bytes | None


class Journal:
    @classmethod
    @asynccontextmanager
    async def at(cls, path: "str | os.PathLike[str]", *, account: str) -> "AsyncIterator[Journal]":
        yield cls()

    async def admit(self, entry: Entry) -> Standing:
        raise NotImplementedError

    async def sending(self, key: Key, attempt: int) -> None:
        raise NotImplementedError

    def settle_left(self, standing: Standing, settling: float) -> float:
        raise NotImplementedError

    def record(
        self, key: Key, state: State, outcome: bytes, *, due: float | None = None
    ) -> Awaitable[None]:
        raise NotImplementedError
