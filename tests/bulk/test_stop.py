"""Stopping a run: waiting orders end at once, orders in flight within a grace period."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clickpost_async import ClickPost, NoReplyError, NotSentError, Rate, RetryPolicy
from clickpost_async.bulk import (
    OrderOutcome,
    Pending,
    Placed,
    Rejected,
    Run,
    Unknown,
    create,
    status,
)
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.journal_file import JournalFile
from clickpost_async.bulk.records import JournalState
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import virtual_time
from tests.bulk.test_resume import at, ended_in_the_middle, orders
from tests.helpers.scripted_transport import (
    Line,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
    queued,
)
from tests.sandbox.samples import india_order

# The thread of a journal works in ordinary time, on a machine that may have other things to do.
SOON = 5.0


def now() -> float:
    return asyncio.get_running_loop().time()


async def stopped(
    run: Run, *, after: float, grace: float | None = None
) -> tuple[list[OrderOutcome], float]:
    """Stop a run after so many seconds; return its outcomes, and how long it took to end."""
    began = now()

    def stop() -> None:
        run.stop() if grace is None else run.stop(grace=grace)

    async with run:
        asyncio.get_running_loop().call_later(after, stop)
        outcomes = [outcome async for outcome in run]
    assert run.report.stopped
    assert len({outcome.position for outcome in outcomes}) == len(outcomes)
    return outcomes, now() - began - after


async def responds_after(seconds: float, line: httpx.Response | None = None) -> httpx.Response:
    await asyncio.sleep(seconds)
    return placed() if line is None else line


def slowly(seconds: float) -> Line:
    async def line(request: httpx.Request) -> httpx.Response:
        return await responds_after(seconds)

    return line


# --- nothing has left ---------------------------------------------------------------------------

WAITS: dict[str, tuple[list[Line], dict[str, Any], float]] = {
    # What is played, the client's settings, and when nothing is on the wire.
    "for the rate": ([placed()], {"rate": Rate(1, per=300.0, burst=1)}, 10),
    "for a place": ([slowly(4)], {"max_concurrency": 1}, 1),
    "for the circuit breaker": ([httpx.ConnectError("")], {}, 12),
    "for a retry": (
        [httpx.ConnectError("")],
        {"retry": RetryPolicy(backoff=500.0, max_backoff=500.0, attempts=3)},
        5,
    ),
    "for the end of a pause": ([httpx.Response(429, headers={"retry-after": "300"})], {}, 10),
}


@pytest.mark.parametrize("what", WAITS)
@pytest.mark.parametrize("with_journal", [True, False])
@virtual_time
async def test_waiting_orders_are_pending_at_once(
    what: str, with_journal: bool, tmp_path: Path
) -> None:
    lines, settings, after = WAITS[what]
    journal = tmp_path / "run.db"
    play = Play(lines)
    async with playing(play, **settings) as clickpost:
        run = create(
            clickpost,
            orders(*range(500)),
            journal=journal if with_journal else None,
            max_concurrency=50,
        )
        outcomes, took = await stopped(run, after=after)

        # But for what was on the wire, if anything was.
        assert took < (3 + SOON if what == "for a place" else SOON)
        came = [one for one in outcomes if isinstance(one, Placed)]
        left = [one for one in outcomes if not isinstance(one, Placed)]
        assert {type(one) for one in left} == {Pending}
        assert len(came) <= 1
        assert 49 <= len(left) <= 100
        sent = len(play.requests)
        await asyncio.sleep(1000)
        assert len(play.requests) == sent
        assert clickpost.stats().in_flight == clickpost.stats().queued == 0
    errors = {type(one.error) for one in left if isinstance(one, Pending)}
    assert errors <= {NotSentError, type(None)} or "end of a pause" in what
    if with_journal:
        assert status(journal).in_doubt == 0
        async with (
            playing([placed()]) as clickpost,
            create(clickpost, orders(*range(500)), journal=journal) as run,
        ):
            again = [outcome async for outcome in run]
        assert {type(one) for one in again} == {Placed}


@virtual_time
async def test_order_that_is_in_doubt_does_not_settle_before_it_ends(tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    async with playing([httpx.ReadError("")]) as clickpost:
        run = create(clickpost, orders(*range(5)), journal=journal)
        outcomes, took = await stopped(run, after=5)
    assert took < SOON
    assert {type(one) for one in outcomes} == {Unknown}
    for outcome in outcomes:
        assert isinstance(outcome, Unknown)
        assert isinstance(outcome.error, NoReplyError)
        assert (outcome.attempts, "the run ended" in outcome.error.message) == (1, True)
    assert status(journal).counts[JournalState.UNKNOWN] == 5


@virtual_time
async def test_orders_of_an_earlier_run_stay_in_doubt(tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    sandbox = Sandbox(courier_seconds=20)
    await ended_in_the_middle(sandbox, journal)
    async with at(sandbox) as clickpost:
        outcomes, took = await stopped(create(clickpost, orders(1, 2, 3), journal=journal), after=5)
    assert took < SOON
    assert {type(one) for one in outcomes} == {Unknown}
    assert status(journal).in_doubt == 3


@virtual_time
async def test_orders_that_are_worked_on_are_left_to_a_later_run(tmp_path: Path) -> None:
    async with playing([queued()]) as clickpost:
        run = create(clickpost, orders(*range(5)), journal=tmp_path / "run.db")
        outcomes, took = await stopped(run, after=5)
    assert took < SOON
    assert [one.order is not None for one in outcomes if isinstance(one, Pending)] == [True] * 5
    assert status(tmp_path / "run.db").counts[JournalState.QUEUED] == 5


@virtual_time
async def test_duplicate_that_waits_for_the_first_gets_its_outcome(
    tmp_path: Path,
) -> None:
    async with playing([slowly(4)]) as clickpost:
        run = create(clickpost, orders(1, 1, 1), journal=tmp_path / "run.db")
        outcomes, took = await stopped(run, after=1)
    assert 2.9 <= took < 3 + SOON
    assert {type(one) for one in outcomes} == {Placed}
    assert run.report.duplicates == 2


# --- on the wire --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "grace", "kind", "took"),
    [
        (4, None, Placed, 3),
        (10.5, None, Placed, 9.5),
        (30, None, Unknown, 10),
        (30, 0.0, Unknown, 0),
        (30, 2.0, Unknown, 2),
        (30, 60.0, Placed, 29),
    ],
)
@virtual_time
async def test_attempts_on_the_wire_finish_within_the_grace_period(
    seconds: float, grace: float | None, kind: type[OrderOutcome], took: float, tmp_path: Path
) -> None:
    journal = tmp_path / "run.db"
    async with playing([slowly(seconds)]) as clickpost:
        # Read one by one, so that all that were read are on the wire.
        run = create(clickpost, iter(orders(*range(500))), journal=journal, max_concurrency=10)
        outcomes, waited = await stopped(run, after=1, grace=grace)
    assert [type(outcome) for outcome in outcomes] == [kind] * 10
    assert took - 0.1 <= waited < took + SOON
    assert {outcome.attempts for outcome in outcomes} == {1}
    assert status(journal).in_doubt == (10 if kind is Unknown else 0)


@virtual_time
async def test_second_stop_may_shorten_the_grace_period() -> None:
    async with playing([never_responds]) as clickpost:
        run = create(clickpost, orders(*range(5)))
        async with run:
            asyncio.get_running_loop().call_later(1, run.stop)
            asyncio.get_running_loop().call_later(3, lambda: run.stop(grace=0.0))
            outcomes = [outcome async for outcome in run]
    assert (now(), {type(one) for one in outcomes}) == (3, {Unknown})


BACK: dict[str, tuple[Line, type[OrderOutcome]]] = {
    "refused by ClickPost": (api_response(307, "order type"), Rejected),
    "not processed": (httpx.Response(429), Pending),
    "connection refused": (httpx.ConnectError(""), Pending),
    "cut off": (httpx.ReadError(""), Unknown),
    "busy": (api_response(322, "busy"), Unknown),
    "worked on": (queued(), Pending),
    "502": (httpx.Response(502), Unknown),
}


@pytest.mark.parametrize("how", BACK)
@virtual_time
async def test_order_returned_after_a_stop_is_not_resent(how: str) -> None:
    line, kind = BACK[how]

    async def back(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        if isinstance(line, Exception):
            raise line
        assert isinstance(line, httpx.Response)
        return httpx.Response(line.status_code, content=line.content)

    play = Play([back])
    async with playing(play) as clickpost:
        outcomes, took = await stopped(create(clickpost, orders(*range(3))), after=1)
    assert [type(outcome) for outcome in outcomes] == [kind] * 3
    assert 3.9 <= took < 4 + SOON
    assert len(play.requests) == 3


@virtual_time
async def test_order_cut_off_after_a_stop_is_looked_up_within_the_grace_period() -> None:
    async def cut(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        raise httpx.ReadError("")

    async def found(request: httpx.Request) -> httpx.Response:
        return placed("W-1", request.url.params["reference_number"])

    for knows, kind, took in ((found, Placed, 4), (never_responds, Unknown, 10)):
        play = Play([cut], knows=knows)
        async with playing(play) as clickpost:
            outcomes, waited = await stopped(create(clickpost, orders(*range(3))), after=1)
        assert [type(outcome) for outcome in outcomes] == [kind] * 3
        assert took - 0.1 <= waited < took + SOON
        assert (len(play.requests), len(play.look_ups)) == (3, 3)


# --- odd moments --------------------------------------------------------------------------------


@virtual_time
async def test_run_that_is_stopped_before_it_is_entered_sends_nothing() -> None:
    play = Play([placed()])
    async with playing(play) as clickpost:
        run = create(clickpost, orders(1, 2, 3))
        run.stop()
        async with run:
            assert [outcome async for outcome in run] == []
    assert (play.requests, run.report.total) == ([], 0)


@virtual_time
async def test_order_that_waits_for_the_journal_at_the_stop_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marking, may_mark = threading.Event(), threading.Event()
    mark = JournalFile.mark_sending

    def held(store: JournalFile, key: Any) -> None:
        marking.set()
        assert may_mark.wait(30)
        mark(store, key)

    monkeypatch.setattr(JournalFile, "mark_sending", held)
    play = Play([placed()])
    async with (
        playing(play) as clickpost,
        create(clickpost, orders(1, 2), journal=tmp_path / "run.db") as run,
    ):
        # The first order is being marked as sent, the second waits to be admitted.
        assert await asyncio.to_thread(marking.wait, 30)
        await asyncio.sleep(1)
        run.stop()
        # The run has ended its calls by now, and then the orders come.
        await asyncio.sleep(1)
        may_mark.set()
        outcomes = [outcome async for outcome in run]
    assert [type(outcome) for outcome in outcomes] == [Pending, Pending]
    assert play.requests == []
    assert status(tmp_path / "run.db").counts[JournalState.ACCEPTED] == 2


@virtual_time
async def test_order_about_to_be_sent_at_a_stop_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sending mark becomes durable in the very moment in which the run is stopped."""
    written, mark = Journal._finish, JournalFile.mark_sending
    marked = threading.Event()
    play = Play([placed()])

    def noted(store: JournalFile, key: Any) -> None:
        marked.set()
        mark(store, key)

    def stops(journal: Journal, *results: Any) -> None:
        if marked.is_set():
            run.stop()
        written(journal, *results)

    monkeypatch.setattr(JournalFile, "mark_sending", noted)
    monkeypatch.setattr(Journal, "_finish", stops)
    async with (
        playing(play) as clickpost,
        create(clickpost, orders(1), journal=tmp_path / "run.db") as run,
    ):
        outcomes = [outcome async for outcome in run]
    assert [type(outcome) for outcome in outcomes] == [Pending]
    assert play.requests == []
    assert status(tmp_path / "run.db").counts[JournalState.ACCEPTED] == 1


@virtual_time
async def test_idle_input_does_not_delay_a_stop() -> None:
    async def idle() -> AsyncIterator[Any]:
        yield india_order("R-1")
        await asyncio.sleep(10_000)
        yield india_order("R-2")

    async with playing([placed()]) as clickpost:
        outcomes, took = await stopped(create(clickpost, idle()), after=5)
    assert (len(outcomes), took) == (1, 0)


@virtual_time
async def test_slot_held_at_a_stop_is_released() -> None:
    play = Play([slowly(1)])
    async with playing(play, max_concurrency=3) as clickpost:
        for after in (0.5, 1.0, 1.5, 2.0, 2.000001):
            outcomes, _ = await stopped(create(clickpost, orders(*range(50))), after=after)
            assert {type(one) for one in outcomes} == {Placed, Pending}
        assert clickpost.stats().in_flight == 0
        assert (await clickpost.orders.create(india_order("N-1"))).waybill


class Elsewhere:
    """Creates orders in other processes, which report nothing before their end."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.cancelled = 0

    async def create(
        self,
        order: Any,
        *,
        payload: bytes | None = None,
        in_doubt: bool = False,
        polls: bool = True,
    ) -> CreatedOrder:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        async with playing([placed()]) as clickpost:
            return await clickpost.orders.create(order)


@pytest.mark.parametrize(("seconds", "kind", "took"), [(5.0, Placed, 4), (300.0, Unknown, 10)])
@virtual_time
async def test_orders_that_other_processes_create_have_the_grace_period(
    seconds: float, kind: type[OrderOutcome], took: float, tmp_path: Path
) -> None:
    elsewhere = Elsewhere(seconds)
    async with playing([placed()]) as clickpost:
        run = create(
            clickpost,
            orders(*range(50)),
            journal=tmp_path / "run.db",
            max_concurrency=5,
            creator=elsewhere,
        )
        outcomes, waited = await stopped(run, after=1)
    sent = [outcome for outcome in outcomes if not isinstance(outcome, Pending)]
    assert [type(outcome) for outcome in sent] == [kind] * 5
    # Sixteen were read at a time; what was not sent is not in doubt.
    assert len(outcomes) == 16
    assert took - 0.1 <= waited < took + SOON
    assert elsewhere.cancelled == (5 if kind is Unknown else 0)
    assert status(tmp_path / "run.db").in_doubt == elsewhere.cancelled


@virtual_time
async def test_run_that_is_cancelled_from_outside_is_cancelled() -> None:
    """Its own ends are not mistaken for those of its caller."""

    async def work(clickpost: ClickPost) -> None:
        async with create(clickpost, orders(*range(5))) as run:
            run.stop()
            async for _ in run:
                pass
            await asyncio.sleep(10_000)

    async with playing([never_responds]) as clickpost:
        task = asyncio.ensure_future(work(clickpost))
        await asyncio.sleep(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1
