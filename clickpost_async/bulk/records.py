"""The records of a journal, and the states of an order."""

import enum
from collections.abc import Mapping

from attrs import frozen

from clickpost_async.bulk.timestamp import Timestamp

# Which of the two kinds of orders it is (`india`, `world`), and its reference number.
Key = tuple[str, str]


class JournalError(Exception):
    """A journal that cannot be used: in use, another account's, damaged, or not to be written.

    Nothing is sent without it. The message says what to do.
    """


class JournalState(enum.Enum):
    """The recorded state of an order."""

    ACCEPTED = "accepted"
    """Not sent yet."""
    SENDING = "sending"
    """About to be sent; without an outcome it is in doubt."""
    QUEUED = "queued"
    """ClickPost has recorded it, and works on it."""
    UNKNOWN = "unknown"
    """Sent, outcome unknown."""
    PLACED = "placed"
    REJECTED = "rejected"


FINAL = frozenset({JournalState.PLACED, JournalState.REJECTED})
DOUBTS = frozenset({JournalState.SENDING, JournalState.UNKNOWN, JournalState.QUEUED})


@frozen(kw_only=True)
class JournalEntry:
    """An order of the input: its position, the payload, and the payload's digest.

    One that is invalid, and so is never sent, has neither.
    """

    key: Key
    position: int
    row: int | None
    payload: bytes | None
    digest: bytes | None


@frozen(kw_only=True)
class JournalRecord:
    """What a journal had recorded of an order before it was admitted.

    `matches`: the order has the contents that are recorded. `seen`: an earlier row of this run's
    input has its reference number, and `position` and `row` are that one's; `contradicts`: with
    other contents. `since` is when the order got into its state.
    """

    state: JournalState | None
    matches: bool = True
    seen: bool = False
    contradicts: bool = False
    position: int
    row: int | None
    attempts: int = 0
    since: Timestamp
    outcome: bytes | None = None

    @property
    def place(self) -> str:
        """Its position in the input, for messages."""
        return place_of(self.position, self.row)


def place_of(position: int, row: int | None) -> str:
    """Return an order's position in the input, for messages."""
    return f"position {position}" if row is None else f"row {row}"


@frozen(kw_only=True)
class StoredOrder:
    """An order as a journal stores it until it is final."""

    key: Key
    position: int
    row: int | None
    payload: bytes
    digest: bytes


@frozen(kw_only=True)
class JournalStatus:
    """Counts of a journal's orders by state; `oldest_doubt` is in seconds since the epoch."""

    account: str
    counts: Mapping[JournalState, int]
    oldest_doubt: float | None

    @property
    def in_doubt(self) -> int:
        """How many orders have an unknown outcome."""
        return sum(self.counts[state] for state in DOUBTS)
