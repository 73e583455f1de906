"""How an order stands in a journal."""

import enum
from collections.abc import Mapping

from attrs import frozen

from clickpost_async.bulk.moment import Timestamp

# Which of the two kinds of orders it is (`india`, `world`), and its reference number.
Key = tuple[str, str]


class JournalError(Exception):
    """A journal that cannot be used: in use, another account's, damaged, or not to be written.

    Nothing is sent without it. The message says what to do.
    """


class JournalState(enum.Enum):
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


FINAL = frozenset({JournalState.PLACED, JournalState.REJECTED})
DOUBTS = frozenset({JournalState.SENDING, JournalState.UNKNOWN, JournalState.QUEUED})


@frozen(kw_only=True)
class JournalEntry:
    """An order of the input: where it stands there, what is sent, and that content's digest.

    One that is invalid, and so is never sent, has neither.
    """

    key: Key
    position: int
    row: int | None
    payload: bytes | None
    digest: bytes | None


@frozen(kw_only=True)
class JournalRecord:
    """What a journal knew of an order before it was admitted.

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
        """Where it stands in the input."""
        return place_of(self.position, self.row)


def place_of(position: int, row: int | None) -> str:
    """Say where an order stands in the input."""
    return f"position {position}" if row is None else f"row {row}"


@frozen(kw_only=True)
class StoredOrder:
    """An order as a journal keeps it until it is done."""

    key: Key
    position: int
    row: int | None
    payload: bytes
    digest: bytes


@frozen(kw_only=True)
class JournalStatus:
    """How the orders of a journal stand; `oldest_doubt` is in seconds since the epoch."""

    account: str
    counts: Mapping[JournalState, int]
    oldest_doubt: float | None

    @property
    def in_doubt(self) -> int:
        """How many orders may have been bought without anybody knowing."""
        return sum(self.counts[state] for state in DOUBTS)
