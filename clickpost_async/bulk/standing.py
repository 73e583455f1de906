"""How an order stands in a journal."""

import enum
from collections.abc import Mapping

from attrs import frozen

# Which of the two kinds of orders it is (`india`, `world`), and its reference number.
Key = tuple[str, str]


class JournalError(Exception):
    """A journal that cannot be used: in use, another account's, damaged, or not to be written.

    Nothing is sent without it. The message says what to do.
    """


class State(enum.Enum):
    """What is known of an order."""

    ACCEPTED = "accepted"
    """Nothing of it has left."""
    SENDING = "sending"
    """It was about to leave; without an outcome it is in doubt."""
    QUEUED = "queued"
    """ClickPost has recorded it, and works on it."""
    UNKNOWN = "unknown"
    """It was sent, and nobody knows what became of it."""
    PLACED = "placed"
    REJECTED = "rejected"


FINAL = frozenset({State.PLACED, State.REJECTED})
DOUBTS = frozenset({State.SENDING, State.UNKNOWN, State.QUEUED})


@frozen(kw_only=True)
class Entry:
    """An order of the input: where it stands there, what is sent, and that content's digest."""

    key: Key
    position: int
    row: int | None
    payload: bytes
    digest: bytes


@frozen(kw_only=True)
class Standing:
    """What a journal knew of an order before it was admitted.

    `seen`: it came before in this very run. `since` is when it got into its state, in seconds since
    the epoch, and `boot` the start of the machine whose clock said so.
    """

    state: State
    payload_matches: bool = True
    seen: bool = False
    attempts: int = 0
    since: float
    boot: str
    outcome: bytes | None = None

    @property
    def may_change(self) -> bool:
        """Whether the order may have other contents now: there is none under its number."""
        return self.state in (State.ACCEPTED, State.REJECTED)

    def left_to_settle(self, settling: float, *, now: float, boot: str) -> float:
        """Return for how many seconds it is to be left alone, from when it was last sent.

        In full, if that was before the machine was started or its clock was set back.
        """
        age = now - self.since
        return settling if boot != self.boot or age < 0 else max(0.0, settling - age)


@frozen(kw_only=True)
class Kept:
    """An order as a journal keeps it until it is done."""

    key: Key
    position: int
    row: int | None
    payload: bytes
    digest: bytes


@frozen(kw_only=True)
class Status:
    """How the orders of a journal stand; `oldest_doubt` is in seconds since the epoch."""

    account: str
    counts: Mapping[State, int]
    oldest_doubt: float | None

    @property
    def in_doubt(self) -> int:
        """How many orders may have been bought without anybody knowing."""
        return sum(self.counts[state] for state in DOUBTS)
