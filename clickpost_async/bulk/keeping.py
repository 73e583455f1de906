"""The journal's side of a run: what an earlier run knows, and what this one comes to."""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from attrs import evolve

from clickpost_async._transport.retry import ReSend
from clickpost_async._wire.converter import canonical, structure
from clickpost_async.bulk import recorded
from clickpost_async.bulk.columns import Market
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.outcome import Outcome, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.rows import Row
from clickpost_async.bulk.standing import DOUBTS, FINAL, Entry, Key, Standing, State
from clickpost_async.bulk.turns import Turn
from clickpost_async.client import ClickPost
from clickpost_async.endpoints.orders import is_india
from clickpost_async.errors import NoReplyError
from clickpost_async.structures import CreatedOrder, IndiaOrder, WorldOrder

_IN_DOUBT = "an earlier run ended while the order was under way"

Create = Callable[[IndiaOrder | WorldOrder], Awaitable[CreatedOrder]]


class Elsewhere(Protocol):
    """Creates orders in other processes, such as a `Fleet`."""

    async def create(
        self, order: Any, *, in_doubt: bool = False, polls: bool = True
    ) -> CreatedOrder:
        """Create an order; raises what `orders.create` does."""
        ...


class Kept:
    """An order as the journal knows it: its key, and what is sent."""

    def __init__(self, given: object) -> None:
        order = _typed(given)
        india = isinstance(order, IndiaOrder)
        self.order = order
        self.key: Key = ("india" if india else "world", str(order.reference_number))
        written = json.dumps(canonical(order), ensure_ascii=False, sort_keys=True)
        self.payload: bytes = written.encode()
        self.digest: bytes = hashlib.sha256(self.payload).digest()


def _typed(given: object) -> IndiaOrder | WorldOrder:
    if isinstance(given, IndiaOrder | WorldOrder):
        return given
    # What is no mapping at all is refused like any other mistake.
    shaped: Any = given
    return structure(shaped, IndiaOrder) if is_india(shaped) else structure(shaped, WorldOrder)


async def in_doubt(journal: Journal) -> AsyncIterator[tuple[int, Row]]:
    """Go through what earlier runs have left in doubt, as rows of the input that it was."""
    async for kept in journal.doubts():
        market, reference = kept.key
        row = kept.row or 0
        order = json.loads(kept.payload)
        yield (
            kept.position,
            Row(number=row, last=row, market=Market(market), reference=reference, order=order),
        )


class Keeper:
    """Keeps a run's journal."""

    def __init__(
        self, journal: Journal, client: ClickPost, elsewhere: Elsewhere | None = None
    ) -> None:
        self._journal = journal
        self._elsewhere = elsewhere
        self._policy = client.retry
        never = evolve(client.retry, resend=ReSend.NEVER)
        doubts = {
            "none": client.with_options(in_doubt=False),
            "some": client.with_options(in_doubt=True),
            "old": client.with_options(in_doubt=True, retry=never),
        }
        self._creates: dict[tuple[str, str], Any] = {}
        for doubt, doubting in doubts.items():
            for market in ("india", "world"):
                kept = doubting.with_options(before_create=partial(self._announce, market))
                orders = kept.orders
                create = orders.create_india if market == "india" else orders.create_world
                self._creates[market, doubt] = create

    async def _announce(self, market: str, reference: str, _: int) -> None:
        await self._journal.sending((market, reference))

    async def create(self, kept: Kept, turn: Turn) -> CreatedOrder:
        """Create an order; before each of its sendings the journal says so, durably."""
        if self._elsewhere is not None and not turn.is_old:
            await self._journal.sending(kept.key)
            return await self._elsewhere.create(kept.order, in_doubt=turn.in_doubt, polls=False)
        doubt = "old" if turn.is_old else "some" if turn.in_doubt else "none"
        create: Create = self._creates[kept.key[0], doubt]
        return await create(kept.order)

    async def admit(self, turn: Turn, kept: Kept, facts: dict[str, Any]) -> Outcome | None:
        """Return what an earlier run came to; `None`: the order is to be sent, now or later."""
        row = facts["row"]
        entry = Entry(
            key=kept.key,
            position=turn.position,
            row=row,
            payload=kept.payload,
            digest=kept.digest,
        )
        standing = await self._journal.admit(entry)
        if standing.seen and standing.state not in FINAL:
            # Twice in this input: the first is under way, and the second shares its outcome.
            return None
        if not standing.payload_matches:
            return Rejected(reasons=(_changed(standing),), **facts)
        if standing.state in FINAL:
            return self._recorded(standing, **facts)
        if standing.state in DOUBTS:
            turn.in_doubt = True
            turn.is_old = self._journal.is_older_than(standing, self._policy.resend_within)
            left = self._journal.left_to_settle(standing, self._policy.settling)
            turn.wait_for(self._doubt(standing, facts), left)
        return None

    def _doubt(self, standing: Standing, facts: dict[str, Any]) -> Outcome:
        if standing.outcome is not None:
            return self._recorded(standing, **facts)
        error = NoReplyError(_IN_DOUBT, reference_number=facts["reference_number"])
        error.attempts = standing.attempts
        return Unknown(error=error, attempts=standing.attempts, recorded=True, **facts)

    def _recorded(self, standing: Standing, **facts: Any) -> Outcome:
        written = standing.outcome or b""
        return recorded.read(standing.state.value, written, recorded=True, **facts)

    def record(self, kept: Kept, outcome: Outcome) -> Awaitable[None]:
        """Hand an outcome over at once; the awaitable ends when it is durable."""
        return self._journal.record(kept.key, _state_of(outcome), recorded.write(outcome))


def _state_of(outcome: Outcome) -> State:
    match outcome:
        case Placed():
            return State.PLACED
        case Rejected():
            return State.REJECTED
        case Unknown():
            return State.UNKNOWN
        case Pending(order=None):
            return State.ACCEPTED
        case Pending():
            return State.QUEUED


def _changed(standing: Standing) -> str:
    became = {
        State.PLACED: "was placed",
        State.QUEUED: "was recorded by ClickPost",
    }.get(standing.state, "may have been placed")
    return (
        f"reference_number: the order {became} with other contents;"
        " give a changed order a reference number of its own"
    )
