"""Orders sent to a sandbox with injected faults, checked against its ledger."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any

import httpx
from attrs import define, field

from clickpost_async import ClickPost
from clickpost_async.bulk import OrderOutcome, Pending, Placed, Rejected, Report, create
from clickpost_async.sandbox import Sandbox
from tests.helpers.scripted_transport import Line
from tests.sandbox.samples import india_order

# What the door says to an order's n-th call, instead of what the sandbox would; nothing: it opens.
Instead = Callable[[str, int], Line | None]


def _open(reference: str, number: int) -> Line | None:
    return None


@define
class Door(httpx.AsyncBaseTransport):
    """Stands before a sandbox that works on when its caller has given up, as over a socket.

    `books` are the references whose calls reach the sandbox although they get another response.
    """

    sandbox: Sandbox = field(factory=Sandbox)
    instead: Instead = _open
    books: Collection[str] = ()
    creates: defaultdict[str, list[bytes]] = field(factory=lambda: defaultdict(list))
    _working: set[asyncio.Task[httpx.Response]] = field(factory=set, init=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return await self._within(request)
        reference = json.loads(request.content)["shipment_details"]["reference_number"]
        self.creates[reference].append(request.content)
        line = self.instead(reference, len(self.creates[reference]))
        if line is None:
            return await self._within(request)
        if reference in self.books:
            await self._within(request)
        if isinstance(line, Exception):
            raise line
        if isinstance(line, httpx.Response):
            return httpx.Response(line.status_code, headers=line.headers, content=line.content)
        return await line(request)

    async def _within(self, request: httpx.Request) -> httpx.Response:
        inner = httpx.ASGITransport(app=self.sandbox)
        work = asyncio.create_task(inner.handle_async_request(request))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        try:
            return await asyncio.shield(work)
        except ConnectionResetError:
            # Over a socket it is httpcore that reads, and calls it so.
            raise httpx.ReadError("reset") from None

    def client(self, **settings: Any) -> ClickPost:
        """Return a client that comes through this door."""
        return ClickPost(self.sandbox.username, self.sandbox.api_key, transport=self, **settings)

    @property
    def posts(self) -> int:
        """How many creates were sent."""
        return sum(map(len, self.creates.values()))


def orders(count: int, word: str = "R", **changes: Any) -> list[dict[str, Any]]:
    return [india_order(f"{word}-{number}", **changes) for number in range(count)]


async def run(
    clickpost: ClickPost,
    given: Iterable[dict[str, Any]],
    max_concurrency: int = 100,
    max_outage: float = 60.0,
) -> tuple[dict[str, OrderOutcome], Report]:
    """Create orders in bulk, and return their outcomes by reference number."""
    outcomes: dict[str, OrderOutcome] = {}
    async with create(
        clickpost, given, max_concurrency=max_concurrency, max_outage=max_outage
    ) as bulk:
        async for outcome in bulk:
            reference = str(outcome.reference_number)
            assert reference not in outcomes
            outcomes[reference] = outcome
    assert bulk.report.total == len(outcomes)
    return outcomes, bulk.report


def canonical(body: bytes) -> str:
    return json.dumps(json.loads(body), sort_keys=True)


def keeps_faith(door: Door, outcomes: dict[str, OrderOutcome]) -> None:
    """Check what holds whatever goes wrong: nothing twice, nothing lost, nothing made up."""
    ledger = door.sandbox.ledger()
    assert {len(waybills) for waybills in ledger.values()} <= {1}
    assert set(ledger) <= set(outcomes)
    # A bulk run writes the keys of an order in another sequence than a single call.
    sent = ({canonical(body) for body in bodies} for bodies in door.creates.values())
    assert {len(bodies) for bodies in sent} <= {1}
    assert door.sandbox.traffic.overlaps == 0
    for reference, outcome in outcomes.items():
        bought = ledger.get(reference, ())
        match outcome:
            case Placed():
                assert bought == (outcome.order.waybill,)
            case Rejected() | Pending(order=None):
                assert bought == ()
            case _:
                pass
