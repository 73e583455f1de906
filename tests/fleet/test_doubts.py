"""How a worker treats an order that may have been sent: in virtual time, with a fake ledger.

What the ledger itself knows is tested with a real Redis.
"""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpx
import pytest

from clickpost_async import ClickPost, Resend, RetryPolicy
from clickpost_async.errors import NotSentError, Outcome
from clickpost_async.fleet import OrderTerms, Worker, created
from clickpost_async.fleet.ledger import Claim, Granted, LostError, OpenLedger, Result
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import Play, placed, playing
from tests.sandbox.samples import india_order

NUMBERS = itertools.count(1)
ONCE = RetryPolicy(attempts=1, settle_delay=30.0)


class ScriptedLedger:
    """Answers claims in order; `lost` are the numbers of the sendings that it refuses."""

    def __init__(self, *claims: Claim, lost: tuple[int, ...] = ()) -> None:
        self._claims = list(claims)
        self._lost = lost
        self.registered: list[bool] = []
        self.sent_at: list[float] = []
        self.ended: list[str] = []

    def enlist(self) -> None:
        """Do nothing: the workers are not counted."""

    @contextmanager
    def holding(self, key: object) -> Iterator[None]:
        yield

    async def claim(self, key: object, digest: str, *, registered: bool) -> Claim:
        self.registered.append(registered)
        return self._claims.pop(0)

    async def sending(self, key: object) -> None:
        self.sent_at.append(now())
        if len(self.sent_at) in self._lost:
            raise LostError("it is another worker's")

    async def end(self, key: object, digest: str, result: Result) -> None:
        self.ended.append(result.state)


def new_order() -> dict[str, Any]:
    """Return an order of its own: a process remembers which orders are in doubt."""
    return india_order(f"DOUBT-{next(NUMBERS)}")


def now() -> float:
    return asyncio.get_running_loop().time()


def worker(clickpost: ClickPost, ledger: ScriptedLedger) -> Worker:
    return Worker(clickpost, cast("OpenLedger", ledger))


@pytest.mark.parametrize(
    ("sent", "settling", "sent_at"),
    [(0.0, None, 30.0), (4.0, None, 26.0), (100.0, None, 0.0), (4.0, 7.0, 3.0)],
)
@virtual_time
async def test_order_of_another_worker_settles_and_is_looked_up_before_it_is_sent_again(
    sent: float, settling: float | None, sent_at: float
) -> None:
    play, ledger = Play([placed()]), ScriptedLedger(Granted(sent))
    async with playing(play, retry=ONCE) as clickpost:
        reply = await worker(clickpost, ledger).create(
            new_order(), OrderTerms(settle_delay=settling)
        )

    assert created(reply).waybill == "W-1"
    assert len(play.look_ups) == 1
    assert play.times == pytest.approx([sent_at])
    assert ledger.ended == ["placed"]


@virtual_time
async def test_new_order_is_sent_at_once_and_not_looked_up() -> None:
    play, ledger = Play([placed()]), ScriptedLedger(Granted(None))
    async with playing(play, retry=ONCE) as clickpost:
        await worker(clickpost, ledger).create(new_order())

    assert (play.times, play.look_ups) == ([0.0], [])


@virtual_time
async def test_order_sent_from_here_is_in_doubt_though_its_claim_is_gone() -> None:
    # The first sending gets no response. Before the second, Redis has forgotten the order.
    play = Play([httpx.ReadError(""), placed()])
    ledger = ScriptedLedger(Granted(None), Granted(None), lost=(2,))
    async with playing(play, retry=RetryPolicy(attempts=2)) as clickpost:
        reply = await worker(clickpost, ledger).create(new_order())

    assert created(reply).waybill == "W-1"
    # Once after the first sending, and once more since the claim was lost.
    assert len(play.look_ups) == 2
    assert play.pauses[0] >= 30


@virtual_time
async def test_order_sent_from_here_settles_from_when_it_was_sent() -> None:
    # Throttled, so that the client would send it again after a second.
    refused = httpx.Response(429, headers={"Retry-After": "1"})
    play = Play([refused, placed()])
    ledger = ScriptedLedger(Granted(None), Granted(None), lost=(2,))
    async with playing(play, retry=RetryPolicy(attempts=2)) as clickpost:
        await worker(clickpost, ledger).create(new_order())

    assert ledger.sent_at[1] < 10
    assert 30 <= play.pauses[0] < 40


@virtual_time
async def test_order_sent_from_here_settles_from_a_later_sending_of_another_worker() -> None:
    # The client waits out the 429; by then another worker has sent the order, 5 s ago.
    refused = httpx.Response(429, headers={"Retry-After": "40"})
    play = Play([refused, placed()])
    ledger = ScriptedLedger(Granted(None), Granted(5.0), lost=(2,))
    async with playing(play, retry=RetryPolicy(attempts=2, settle_delay=30.0)) as clickpost:
        await worker(clickpost, ledger).create(new_order())

    assert ledger.sent_at[1] >= 40
    assert play.times[-1] - ledger.sent_at[1] >= 25


@virtual_time
async def test_lost_claim_is_not_treated_as_a_new_order() -> None:
    play = Play([placed()])
    ledger = ScriptedLedger(Granted(None), Granted(0.0), lost=(1,))
    async with playing(play, retry=ONCE) as clickpost:
        await worker(clickpost, ledger).create(new_order())

    assert ledger.registered == [False, True]
    assert play.times == pytest.approx([30.0])


@pytest.mark.parametrize(
    ("claim", "became"),
    [(Granted(100.0), "open"), (Granted(None), "nothing")],
    ids=["doubt", "new"],
)
@virtual_time
async def test_order_that_was_not_sent_from_here_stays_in_doubt_if_it_was(
    claim: Claim, became: str
) -> None:
    play, ledger = Play([placed()]), ScriptedLedger(claim)
    clickpost = playing(play, retry=ONCE)
    await clickpost.aclose()
    reply = await worker(clickpost, ledger).create(new_order())

    with pytest.raises(NotSentError):
        created(reply)
    assert (play.times, ledger.ended) == ([], [became])


@pytest.mark.parametrize("hold", [False, True])
@virtual_time
async def test_order_that_was_not_sent_is_forgotten_and_may_be_sent_later(*, hold: bool) -> None:
    # A record that says it was sent would keep it from ever being sent under `hold`.
    refused: list[Any] = [httpx.ConnectError("refused")]
    ledger = ScriptedLedger(Granted(None))
    async with playing(Play(refused), retry=ONCE) as clickpost:
        reply = await worker(clickpost, ledger).create(new_order(), OrderTerms(no_resend=hold))

    with pytest.raises(NotSentError):
        created(reply)
    assert ledger.ended == ["nothing"]


@virtual_time
async def test_order_in_doubt_that_is_held_is_looked_up_and_not_sent() -> None:
    play, ledger = Play([placed()]), ScriptedLedger(Granted(100.0))
    async with playing(play, retry=RetryPolicy(attempts=1, resend=Resend.NEVER)) as clickpost:
        reply = await worker(clickpost, ledger).create(new_order())

    with pytest.raises(Exception, match="may have been sent before") as held:
        created(reply)
    assert cast("Any", held.value).outcome is Outcome.UNKNOWN
    assert play.times == []
    assert ledger.ended == ["open"]
