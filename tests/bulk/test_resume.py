"""A run with a journal resumes after any interruption."""

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from clickpost_async import ClickPost, NoReplyError, Resend, RetryPolicy, structure
from clickpost_async._codec import request as request_codec
from clickpost_async._codec.converter import to_wire
from clickpost_async.bulk import (
    JournalError,
    Pending,
    Placed,
    Rejected,
    Report,
    Unknown,
    create,
    resolve,
    status,
)
from clickpost_async.bulk.journal_file import JournalFile
from clickpost_async.bulk.records import JournalState
from clickpost_async.bulk.results import row_of
from clickpost_async.bulk.timestamp import Timestamp
from clickpost_async.files.columns import Market
from clickpost_async.files.order_rows import OrderRow, RowProblem
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import IndiaOrder
from clickpost_async.testing import virtual_time
from tests.faults.misbehaving_sandbox import Door
from tests.faults.test_api import Detached
from tests.helpers.scripted_transport import (
    KEY,
    Line,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
    queued,
    unguarded,
)
from tests.sandbox.samples import india_order, world_order

ASYNC = {"async": True}


def at(sandbox: Sandbox, **settings: Any) -> ClickPost:
    return ClickPost(sandbox.username, sandbox.api_key, transport=Detached(sandbox), **settings)


def orders(*numbers: int, **changes: Any) -> list[dict[str, Any]]:
    return [india_order(f"R-{number}", **changes) for number in numbers]


async def run(
    clickpost: ClickPost, given: Any, journal: Path, **how: Any
) -> tuple[dict[str, Any], Report]:
    async with create(clickpost, given, journal=journal, **how) as bulk:
        outcomes = {str(outcome.reference_number): outcome async for outcome in bulk}
    return outcomes, bulk.report


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@virtual_time
async def test_recorded_order_is_skipped_and_reported_again(journal: Path) -> None:
    sandbox = Sandbox()
    bad = india_order("R-bad", shipment_details__account_code="unknown-account")
    given = [*orders(*range(20)), world_order("W-1"), bad]
    async with at(sandbox) as clickpost:
        first, _ = await run(clickpost, given, journal)
        calls = len(sandbox.requests())
        again, report = await run(clickpost, given, journal)

    assert len(sandbox.requests()) == calls
    assert (report.placed, report.rejected, report.skipped, report.requests) == (21, 1, 22, 0)
    assert {one.recorded for one in first.values()} == {False}
    assert {one.recorded for one in again.values()} == {True}
    for reference, outcome in again.items():
        before = first[reference]
        assert type(outcome) is type(before)
        if isinstance(outcome, Placed):
            assert outcome.order == before.order
            assert outcome.order.response.status == 200
        else:
            assert outcome.reasons == before.reasons
            assert (type(outcome.error), outcome.error.status) == (type(before.error), 351)


@pytest.mark.fault("L15")
@virtual_time
async def test_l15_new_rows_are_added_and_missing_ones_counted(journal: Path) -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        await run(clickpost, orders(1, 2, 3), journal)
        _, report = await run(clickpost, orders(4, 3, 5), journal)
    assert (report.placed, report.skipped, report.missing) == (3, 1, 2)
    assert "2 in the journal and not in the input" in str(report)
    assert len(sandbox.ledger()) == 5


@pytest.mark.fault("L14")
@virtual_time
async def test_l14_order_that_is_placed_stays_placed_however_its_row_changes(
    journal: Path,
) -> None:
    sandbox = Sandbox()
    invalid = india_order("R-1", drop_info__drop_pincode="12")
    row = OrderRow(
        number=2,
        last=2,
        market=Market.INDIA,
        reference="R-1",
        problems=(RowProblem(row=2, column="weight", message="missing"),),
    )
    async with at(sandbox) as clickpost:
        first, _ = await run(clickpost, orders(1), journal)
        for given in (orders(1, drop_info__drop_city="Thane")[0], invalid, row):
            changed, report = await run(clickpost, [given], journal)

            outcome = changed["R-1"]
            assert isinstance(outcome, Placed)
            assert (outcome.order, outcome.recorded, outcome.differs) == (
                first["R-1"].order,
                True,
                True,
            )
            assert (report.placed, report.changed, report.skipped, report.rejected) == (1, 1, 1, 0)
            assert "1 changed since they were sent" in str(report)
            (cells,) = [row_of(one) for one in changed.values()]
            assert cells["waybill"] == outcome.order.waybill
            assert "row has changed" in str(cells["reasons"])
            assert "edit or cancel" in str(cells["advice"])
        same, report = await run(clickpost, orders(1), journal)
    assert (type(same["R-1"]), same["R-1"].recorded, same["R-1"].differs) == (Placed, True, False)
    assert report.changed == 0
    assert len(sandbox.requests()) == 1


@virtual_time
async def test_order_that_was_rejected_may_be_corrected(journal: Path) -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        bad, _ = await run(clickpost, orders(1, drop_info__drop_pincode="999999"), journal)
        good, _ = await run(clickpost, orders(1), journal)
    assert (type(bad["R-1"]), type(good["R-1"])) == (Rejected, Placed)


@virtual_time
async def test_same_order_is_the_same_however_it_is_given(journal: Path) -> None:
    sandbox = Sandbox()
    shape = india_order("R-1")
    spelled = india_order("R-1", shipment_details__courier_partner="4")
    async with at(sandbox) as clickpost:
        for given in (shape, structure(shape, IndiaOrder), spelled):
            outcomes, _ = await run(clickpost, [given], journal)
            assert isinstance(outcomes["R-1"], Placed)
    assert len(sandbox.requests()) == 1


# --- ended in the middle ------------------------------------------------------------------------


async def ended_in_the_middle(sandbox: Sandbox, journal: Path) -> None:
    """Leave a run while its orders are at a slow courier."""
    async with (
        at(sandbox) as clickpost,
        create(clickpost, orders(1, 2, 3), journal=journal) as bulk,
    ):
        await asyncio.sleep(1)
        assert bulk.waiting == 3
    assert status(journal).counts[JournalState.SENDING] == 3


@pytest.mark.fault("L01")
@virtual_time
async def test_l01_orders_that_were_under_way_are_found_again(journal: Path) -> None:
    sandbox = Sandbox(courier_seconds=20)
    await ended_in_the_middle(sandbox, journal)
    began = asyncio.get_running_loop().time()
    async with at(sandbox) as clickpost:
        outcomes, report = await run(clickpost, orders(1, 2, 3), journal)
        waited = asyncio.get_running_loop().time() - began

    assert {type(one) for one in outcomes.values()} == {Placed}
    assert {one.order.response.reconciled for one in outcomes.values()} == {True}
    assert {k: (one.order.waybill,) for k, one in outcomes.items()} == sandbox.ledger()
    assert (report.placed, report.duplicates_avoided) == (3, 3)
    # The first sending had the time to be worked off.
    assert 29 <= waited <= 31


def aged(journal: Path, seconds: float) -> None:
    with contextlib.closing(sqlite3.connect(journal)) as database, database:
        database.execute(
            "UPDATE orders SET since = since - ?, clock = clock - ?", (seconds, seconds)
        )


@pytest.mark.fault("A15")
@virtual_time
async def test_a15_orders_that_have_been_in_doubt_for_a_day_are_looked_up_and_not_sent_again(
    journal: Path,
) -> None:
    await ended_in_the_middle(Sandbox(courier_seconds=20), journal)
    aged(journal, 86_401)
    # It has forgotten all.
    sandbox = Sandbox()
    for _ in range(2):
        async with at(sandbox) as clickpost:
            outcomes, report = await run(clickpost, orders(1, 2, 3), journal)

        assert {type(one) for one in outcomes.values()} == {Unknown}
        assert {one.error.safe_to_retry_in for one in outcomes.values()} == {None}
        assert (report.unknown, status(journal).in_doubt) == (3, 3)
    assert {seen.operation for seen in sandbox.requests()} == {"orders.fetch_india"}
    assert sandbox.ledger() == {}


@pytest.mark.fault("A15", control=True)
@virtual_time
async def test_a15_orders_in_doubt_are_resent_within_a_longer_resend_window(journal: Path) -> None:
    await ended_in_the_middle(Sandbox(courier_seconds=20), journal)
    aged(journal, 86_401)
    sandbox = Sandbox()
    async with at(sandbox, retry=RetryPolicy(resend_window=172_800)) as clickpost:
        outcomes, _ = await run(clickpost, orders(1, 2, 3), journal)

    assert {type(one) for one in outcomes.values()} == {Placed}
    assert len(sandbox.ledger()) == 3


@pytest.mark.fault("L01", control=True)
@virtual_time
async def test_l01_control_without_settle_delay_and_look_up_orders_are_bought_twice(
    journal: Path,
) -> None:
    sandbox = Sandbox(courier_seconds=20, racy=True)
    await ended_in_the_middle(sandbox, journal)
    async with at(sandbox, retry=RetryPolicy(settle_delay=0.0, reconcile=False)) as clickpost:
        await run(clickpost, orders(1, 2, 3), journal)
        await asyncio.sleep(60)
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {2}


@virtual_time
async def test_order_never_resent_stays_unknown_after_a_crash(journal: Path) -> None:
    sandbox = Sandbox()
    hold = RetryPolicy(resend=Resend.NEVER, attempts=2)
    async with (
        playing([never_responds]) as clickpost,
        create(clickpost, orders(1), journal=journal),
    ):
        await asyncio.sleep(1)
    # Only the run's own account may resume it.
    with pytest.raises(JournalError, match="belongs to acme"):
        async with at(sandbox) as other:
            await run(other, orders(1), journal)
    play = Play([placed()])
    async with playing(play, retry=hold) as clickpost:
        outcomes, _ = await run(clickpost, orders(1), journal)
    assert isinstance(outcomes["R-1"], Unknown)
    assert isinstance(outcomes["R-1"].error, NoReplyError)
    assert (play.requests, len(play.look_ups)) == ([], 2)
    assert status(journal).counts[JournalState.UNKNOWN] == 1


@virtual_time
async def test_orders_that_were_not_sent_are_sent_at_once_by_the_next_run(journal: Path) -> None:
    async with playing([httpx.ConnectError("")], retry=RetryPolicy(attempts=1)) as clickpost:
        outcomes, _ = await run(unguarded(clickpost), orders(*range(30)), journal)
    assert {type(one) for one in outcomes.values()} == {Pending}
    assert status(journal).counts[JournalState.ACCEPTED] == 30
    began = asyncio.get_running_loop().time()
    async with playing([placed()]) as clickpost:
        _, report = await run(clickpost, orders(*range(30)), journal)
    assert report.placed == 30
    assert asyncio.get_running_loop().time() - began < 5


# --- orders that are worked on ------------------------------------------------------------------


@pytest.mark.fault("A10")
@virtual_time
async def test_a10_pending_order_is_polled_by_the_journals_clock_after_a_restart(
    journal: Path,
) -> None:
    sandbox = Sandbox(async_polls=3)
    given = orders(*range(5), additional=ASYNC)
    async with at(sandbox) as clickpost, create(clickpost, given, journal=journal) as bulk:
        await asyncio.sleep(40)
        assert bulk.waiting == 5
    assert status(journal).counts[JournalState.QUEUED] == 5
    assert sandbox.ledger() == {}
    async with at(sandbox) as clickpost:
        outcomes, report = await run(clickpost, given, journal)
    assert {k: (one.order.waybill,) for k, one in outcomes.items()} == sandbox.ledger()
    assert (report.placed, report.pending) == (5, 0)


@virtual_time
async def test_order_pending_for_too_long_is_left_to_a_later_run(journal: Path) -> None:
    play = Play([queued()])
    async with playing(play, retry=RetryPolicy(poll_timeout=100)) as clickpost:
        outcomes, _ = await run(clickpost, orders(1), journal)
    assert isinstance(outcomes["R-1"], Pending)
    assert outcomes["R-1"].order.pending
    assert 2 <= len(play.requests) <= 4
    assert status(journal).counts[JournalState.QUEUED] == 1


@virtual_time
async def test_pending_order_is_looked_up_by_the_next_run(journal: Path) -> None:
    async with playing([queued()], retry=RetryPolicy(poll_timeout=0)) as clickpost:
        await run(clickpost, orders(1), journal)
    assert status(journal).counts[JournalState.QUEUED] == 1
    play = Play([queued()], knows=placed("W-1", "R-1"))
    async with playing(play) as clickpost:
        outcomes, report = await run(clickpost, orders(1), journal)
    assert isinstance(outcomes["R-1"], Placed)
    assert (outcomes["R-1"].recovered, report.duplicates_avoided) == (True, 1)
    assert (play.requests, len(play.look_ups)) == ([], 1)


@virtual_time
async def test_state_before_a_send_decides_nothing_about_its_outcome(
    journal: Path,
) -> None:
    once = RetryPolicy(attempts=1)
    async with playing([httpx.ConnectError("")], retry=once) as clickpost:
        outcomes, _ = await run(clickpost, orders(1), journal)
    assert isinstance(outcomes["R-1"], Pending)
    async with (
        playing([never_responds]) as clickpost,
        create(clickpost, orders(1), journal=journal),
    ):
        await asyncio.sleep(1)
    async with (
        playing([placed()]) as clickpost,
        create(clickpost, orders(1), journal=journal) as bulk,
    ):
        asyncio.get_running_loop().call_later(1, bulk.stop)
        (outcome,) = [outcome async for outcome in bulk]
    assert isinstance(outcome, Unknown)
    assert isinstance(outcome.error, NoReplyError)
    assert "a previous run stopped while this order was in flight" in outcome.error.message


# --- settled ------------------------------------------------------------------------------------


@virtual_time
async def test_everything_in_doubt_can_be_settled_without_the_input(journal: Path) -> None:
    sandbox = Sandbox(courier_seconds=20)
    await ended_in_the_middle(sandbox, journal)
    async with at(sandbox) as clickpost:
        async with resolve(clickpost, journal) as bulk:
            outcomes = [outcome async for outcome in bulk]
        async with resolve(clickpost, journal) as nothing:
            assert [outcome async for outcome in nothing] == []
    assert {type(one) for one in outcomes} == {Placed}
    assert {one.reference_number for one in outcomes} == {"R-1", "R-2", "R-3"}
    assert sorted(one.position for one in outcomes) == [0, 1, 2]
    assert (bulk.report.placed, bulk.report.missing) == (3, 0)
    assert status(journal).in_doubt == 0


# --- at once, and in the way --------------------------------------------------------------------


@virtual_time
async def test_duplicate_order_in_an_input_is_placed_once(journal: Path) -> None:
    sandbox = Sandbox(courier_seconds=5)
    async with (
        at(sandbox) as clickpost,
        create(clickpost, orders(1, 1, 2), journal=journal) as bulk,
    ):
        outcomes = [outcome async for outcome in bulk]
    assert [type(one) for one in outcomes] == [Placed] * 3
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {1}
    assert asyncio.get_running_loop().time() < 7


@pytest.mark.fault("L05")
@pytest.mark.fault("L13")
@virtual_time
async def test_l05_journal_that_cannot_be_written_ends_the_run_and_nothing_more_is_sent(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(courier_seconds=1)
    commit, commits = JournalFile.commit, 0

    def until_full(store: JournalFile, acts: Any, *, durable: bool = True) -> Any:
        nonlocal commits
        commits += durable
        if commits > 20:
            raise JournalError("the journal could not be written: disk full")
        return commit(store, acts, durable=durable)

    monkeypatch.setattr(JournalFile, "commit", until_full)
    async with at(sandbox) as clickpost:
        with pytest.raises(JournalError, match="disk full"):
            await run(clickpost, orders(*range(300)), journal, max_concurrency=4)
        await asyncio.sleep(10)
    monkeypatch.undo()
    bought = sandbox.ledger()
    assert 0 < len(bought) < 300
    known = {reference for reference, state in states(journal).items() if state != "accepted"}
    assert set(bought) <= known
    async with at(sandbox) as clickpost:
        _, report = await run(clickpost, orders(*range(300)), journal)
    assert report.placed == 300
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {1}


def states(journal: Path) -> dict[str, str]:
    database = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        return dict(database.execute("SELECT reference_number, state FROM orders").fetchall())
    finally:
        database.close()


@virtual_time
async def test_outcome_is_yielded_after_it_is_durable(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, may_commit = threading.Event(), threading.Event()
    record, commit = JournalFile.record, JournalFile.commit

    def noted(store: JournalFile, *values: Any) -> None:
        recorded.set()
        record(store, *values)

    def held(store: JournalFile, acts: Any, *, durable: bool) -> Any:
        acts = [*acts, lambda: recorded.is_set() and may_commit.wait(30)]
        return commit(store, acts, durable=durable)[:-1]

    monkeypatch.setattr(JournalFile, "record", noted)
    monkeypatch.setattr(JournalFile, "commit", held)
    async with (
        at(Sandbox()) as clickpost,
        create(clickpost, orders(1), journal=journal) as bulk,
    ):
        outcome = asyncio.ensure_future(anext(bulk))
        assert await asyncio.to_thread(recorded.wait, 30)
        # The label is bought, and the writer's thread has not written that down yet.
        await asyncio.sleep(0.1)
        assert states(journal) == {"R-1": "sending"}
        assert not outcome.done()
        may_commit.set()
        assert isinstance(await outcome, Placed)
        assert states(journal) == {"R-1": "placed"}


@virtual_time
async def test_order_is_encoded_once_for_journal_and_request(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[object] = []

    def counted(value: Any) -> Any:
        encoded.append(value)
        return to_wire(value)

    monkeypatch.setattr(request_codec, "to_wire", counted)
    play = Play([httpx.ReadError("")])
    async with playing(play, retry=RetryPolicy.never()) as clickpost:
        outcomes, _ = await run(clickpost, orders(1), journal)
    assert isinstance(outcomes["R-1"], Unknown)
    assert len(encoded) == 1
    database = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    with contextlib.closing(database):
        (payload,) = database.execute("SELECT payload FROM orders").fetchone()
    assert [request.content for request in play.requests] == [payload]
    assert structure(json.loads(payload), IndiaOrder).reference_number == "R-1"


@virtual_time
async def test_order_with_its_keys_in_another_order_is_the_same_order(journal: Path) -> None:
    order = india_order("R-1", additional__first=1, additional__second=2)
    turned = json.loads(json.dumps(order), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        await run(clickpost, [order], journal)
        outcomes, report = await run(clickpost, [turned], journal)
    assert (outcomes["R-1"].differs, report.skipped, report.changed) == (False, 1, 0)


@virtual_time
async def test_resend_begins_a_new_settle_delay(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after it was sent again, an order is left alone from then on, not from before."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(
        Timestamp, "now", staticmethod(lambda: Timestamp(1e9 + loop.time(), loop.time(), "b"))
    )
    sent_again = asyncio.Event()

    async def hangs(request: httpx.Request) -> httpx.Response:
        sent_again.set()
        return await never_responds(request)

    play = Play([httpx.ReadError(""), hangs])
    async with (
        playing(play, retry=RetryPolicy(reconcile=False)) as clickpost,
        create(clickpost, orders(1), journal=journal),
    ):
        await sent_again.wait()
    assert play.times[1] >= 30
    again = Play([placed()])
    async with playing(again) as clickpost:
        outcomes, _ = await run(clickpost, orders(1), journal)
    assert isinstance(outcomes["R-1"], Placed)
    assert 29 <= again.times[0] - play.times[1] <= 31


@pytest.mark.fault("C01")
@pytest.mark.parametrize("jump", [3600.0, 86_400.0, -3600.0])
@virtual_time
async def test_c01_wall_clock_that_was_set_between_two_runs_shortens_no_settle_delay(
    jump: float, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(courier_seconds=20, racy=True)
    await ended_in_the_middle(sandbox, journal)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    began = asyncio.get_running_loop().time()
    async with at(sandbox) as clickpost:
        outcomes, _ = await run(clickpost, orders(1, 2, 3), journal)
        waited = asyncio.get_running_loop().time() - began
        await asyncio.sleep(100)
    assert {type(one) for one in outcomes.values()} == {Placed}
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {1}
    assert 29 <= waited <= 31


@pytest.mark.fault("C02")
@virtual_time
async def test_c02_after_a_reboot_orders_settle_in_full(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(courier_seconds=20, racy=True)
    await ended_in_the_middle(sandbox, journal)
    aged(journal, 3600)
    with contextlib.closing(sqlite3.connect(journal)) as database, database:
        database.execute("UPDATE orders SET boot = 'the one before'")
    began = asyncio.get_running_loop().time()
    async with at(sandbox) as clickpost:
        outcomes, _ = await run(clickpost, orders(1, 2, 3), journal)
    assert {type(one) for one in outcomes.values()} == {Placed}
    assert 29 <= asyncio.get_running_loop().time() - began <= 31


PAGES: dict[str, httpx.Response] = {
    "404": httpx.Response(404, text="<html>Not Found</html>"),
    "403": httpx.Response(403, text="<html>Forbidden</html>"),
    "400": httpx.Response(400, text="<html>Bad Request</html>"),
    "405": httpx.Response(405, json={"detail": "method not allowed"}),
}


@pytest.mark.parametrize("page", PAGES)
@virtual_time
async def test_gateway_page_rejects_no_order(page: str, journal: Path) -> None:
    sandbox = Sandbox(courier_seconds=1)
    is_broken = True
    door = Door(sandbox, instead=lambda *_: PAGES[page] if is_broken else None)
    given = orders(*range(60))
    async with door.client() as clickpost:
        outcomes, report = await run(clickpost, given, journal, max_concurrency=40)
        # Three in a row show that another server responds.
        assert report.halted is not None
        assert (report.rejected, report.placed) == (0, 0)
        assert {type(one) for one in outcomes.values()} <= {Pending, Unknown}
        assert status(journal).counts[JournalState.REJECTED] == 0

        is_broken = False
        outcomes, report = await run(clickpost, given, journal)
    assert (report.placed, report.rejected, report.halted) == (60, 0, None)
    assert {k: (one.order.waybill,) for k, one in outcomes.items()} == sandbox.ledger()


@pytest.mark.fault("L08")
@virtual_time
async def test_l08_stopped_run_finishes_the_orders_in_flight(journal: Path) -> None:
    sandbox = Sandbox(courier_seconds=5)
    outcomes = []
    async with (
        at(sandbox) as clickpost,
        create(clickpost, orders(*range(500)), journal=journal, max_concurrency=10) as bulk,
    ):
        async for outcome in bulk:
            outcomes.append(outcome)
            if len(outcomes) == 20:
                bulk.stop()
    # Sixteen are read at a time.
    assert len(outcomes) % 16 == 0
    came = [one for one in outcomes if isinstance(one, Placed)]
    assert 20 <= len(came) == len(sandbox.ledger()) <= 31
    # Those that had not left by then, and never will.
    left = [one for one in outcomes if not isinstance(one, Placed)]
    assert {type(one) for one in left} <= {Pending}
    assert bulk.report.stopped
    assert "stopped" in str(bulk.report)
    assert status(journal).in_doubt == 0


@pytest.mark.fault("L11")
@virtual_time
async def test_l11_input_that_fails_loses_nothing_that_was_read(journal: Path) -> None:
    def fails() -> Any:
        yield from orders(1, 2, 3)
        raise KeyError("line 4")

    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        with pytest.raises(KeyError, match="line 4"):
            await run(clickpost, fails(), journal)
        _, report = await run(clickpost, orders(1, 2, 3, 4), journal)
    assert (report.placed, report.skipped) == (4, 3)


@pytest.mark.fault("L12")
@virtual_time
async def test_l12_outcomes_not_consumed_are_in_the_journal(journal: Path) -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        async with create(clickpost, orders(*range(50)), journal=journal, max_concurrency=10):
            await asyncio.sleep(30)
        assert 0 < len(sandbox.ledger()) <= 10
        outcomes, report = await run(clickpost, orders(*range(50)), journal)
    assert (report.placed, len(outcomes)) == (50, 50)
    assert report.skipped == 10


@pytest.mark.parametrize("line", [api_response(319, "no"), placed(), httpx.ReadError("")])
@virtual_time
async def test_neither_the_key_nor_a_finished_orders_people_are_in_its_files(
    line: Line, journal: Path
) -> None:
    async with playing([line], retry=RetryPolicy(attempts=1, reconcile=False)) as clickpost:
        outcomes, _ = await run(clickpost, orders(1), journal)
        written = b"".join(file.read_bytes() for file in journal.parent.iterdir())
    assert KEY.encode() not in written
    final = not isinstance(outcomes["R-1"], Unknown)
    with_payload = sqlite3.connect(journal)
    (payload,) = with_payload.execute("SELECT payload FROM orders").fetchone()
    with_payload.close()
    assert (payload is None) == final
