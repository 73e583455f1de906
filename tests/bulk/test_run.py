"""A bulk run yields an outcome for every order, independent of the others."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async import (
    BusyCourierError,
    ClickPost,
    CourierError,
    CredentialsError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Priority,
    RetryPolicy,
    UnreadableReplyError,
    structure,
)
from clickpost_async._concurrency.retry_budget import RetryBudget
from clickpost_async.bulk import OrderOutcome, Pending, Placed, Rejected, Report, Unknown, create
from clickpost_async.bulk.recovery import PreparedPayload
from clickpost_async.files.columns import Market
from clickpost_async.files.order_rows import OrderRow, RowProblem
from clickpost_async.sandbox import Fault, Sandbox
from clickpost_async.structures import CreatedOrder, IndiaOrder
from clickpost_async.testing import run_virtual, virtual_time
from tests.helpers.scripted_transport import (
    Line,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
    queued,
)
from tests.sandbox.samples import connected, india_order, world_order

INDIA = Market.INDIA
QUICK = RetryPolicy(attempts=3, backoff=0.01, settle_delay=0.01, poll_interval=1, poll_timeout=5)


def at(sandbox: Sandbox, **changes: Any) -> ClickPost:
    return ClickPost(
        sandbox.username,
        sandbox.api_key,
        transport=httpx.ASGITransport(app=sandbox),
        **{"retry": QUICK} | changes,
    )


async def outcomes_of(
    clickpost: ClickPost, orders: Any, **how: Any
) -> tuple[list[OrderOutcome], Report]:
    async with create(clickpost, orders, **how) as run:
        outcomes = [outcome async for outcome in run]
    return sorted(outcomes, key=lambda outcome: outcome.position), run.report


def counts(report: Report) -> tuple[int, int, int, int, int]:
    return (
        report.placed,
        report.already_placed,
        report.rejected,
        report.unknown,
        report.pending,
    )


# --- used wrongly -----------------------------------------------------------------------------


@virtual_time
async def test_run_that_was_not_entered_is_not_waited_for() -> None:
    async with playing([placed()]) as clickpost:
        run = create(clickpost, [india_order("R-1")])
        with pytest.raises(RuntimeError, match="has to be entered"):
            _ = [outcome async for outcome in run]


@virtual_time
async def test_run_is_entered_once() -> None:
    async with playing([placed()]) as clickpost:
        async with create(clickpost, [india_order("R-1")]) as run:
            assert [type(outcome) async for outcome in run] == [Placed]
        with pytest.raises(RuntimeError, match="entered once"):
            await run.__aenter__()
        # Its outcomes were given out.
        assert [outcome async for outcome in run] == []


# --- one outcome for each ---------------------------------------------------------------------


@virtual_time
async def test_every_order_has_an_outcome_whatever_its_form() -> None:
    sandbox = Sandbox()
    row = OrderRow(number=9, last=9, market=INDIA, reference="R-4", order=india_order("R-4"))
    orders = [
        india_order("R-1"),
        structure(india_order("R-2"), IndiaOrder),
        world_order("R-3"),
        row,
        india_order("R-1"),
    ]
    async with at(sandbox) as clickpost:
        outcomes, report = await outcomes_of(clickpost, orders, max_concurrency=1)

    assert [type(outcome) for outcome in outcomes] == [Placed] * 5
    assert [outcome.reference_number for outcome in outcomes] == [
        "R-1",
        "R-2",
        "R-3",
        "R-4",
        "R-1",
    ]
    assert [outcome.row for outcome in outcomes] == [None, None, None, 9, None]
    assert [outcome.already_placed for outcome in outcomes] == [False] * 4 + [True]  # type: ignore[union-attr]
    assert counts(report) == (4, 1, 0, 0, 0)
    ledger = sandbox.ledger()
    assert [outcome.order.waybill for outcome in outcomes] == [  # type: ignore[union-attr]
        ledger[str(outcome.reference_number)][0] for outcome in outcomes
    ]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        "an order",
        {},
        [],
        {"pickup_info": None},
        {"pickup_info": {"pickup_pincode": "380009"}},
        {"pickup_info": {"pickup_pincode": object()}, "shipment_details": 7},
        {"shipment_details": {"reference_number": {}}},
        {1: 2},
        india_order("R-1", drop_info__drop_pincode="12"),
        india_order("R-1", additional__anything=float("nan")),
        india_order("R-1", additional__anything=object()),
        india_order("R-1", additional__anything="\ud800"),
        india_order("\ud800"),
    ],
)
@virtual_time
async def test_value_that_is_no_order_is_rejected_and_stops_no_other(bad: Any) -> None:
    orders = [india_order("R-1"), bad, india_order("R-2")]
    async with at(Sandbox()) as clickpost:
        outcomes, report = await outcomes_of(clickpost, orders)

    assert [type(outcome) for outcome in outcomes] == [Placed, Rejected, Placed]
    wrong = outcomes[1]
    assert isinstance(wrong, Rejected)
    assert wrong.reasons
    assert (wrong.attempts, isinstance(wrong.error, InvalidRequestError)) == (0, True)
    assert (counts(report), report.requests) == ((2, 0, 1, 0, 0), 2)


@virtual_time
async def test_unreadable_row_is_rejected_in_its_place() -> None:
    problem = RowProblem(row=7, column="Pincode", message="six digits are needed")
    bad = OrderRow(number=7, last=8, market=INDIA, reference="R-1", problems=(problem,))
    async with at(Sandbox()) as clickpost:
        outcomes, report = await outcomes_of(clickpost, [bad])

    assert outcomes == [
        Rejected(position=0, reference_number="R-1", row=7, reasons=(str(problem),))
    ]
    assert (report.rejected, report.requests) == (1, 0)


@virtual_time
async def test_all_problems_of_an_order_are_reported() -> None:
    bad = india_order("R-1", drop_info__drop_pincode="12", shipment_details__cod_value=-1)
    async with at(Sandbox()) as clickpost:
        (outcome,), _ = await outcomes_of(clickpost, [bad])

    assert isinstance(outcome, Rejected)
    assert {reason.partition(":")[0] for reason in outcome.reasons} >= {
        "drop_info.drop_pincode",
        "shipment_details.cod_value",
    }


KINDS: dict[str, tuple[list[Line], type[OrderOutcome], type[Exception] | None, int]] = {
    "200": ([placed()], Placed, None, 1),
    "323": ([placed(status=323)], Placed, None, 1),
    "lost, then 323": ([httpx.ReadError(""), placed(status=323)], Placed, None, 2),
    "202, then 200": ([queued(), placed()], Placed, None, 2),
    "202 for ever": ([queued()], Pending, None, -1),
    "307": ([api_response(307, "order type")], Rejected, InvalidRequestError, 1),
    "319": ([api_response(319, "not served")], Rejected, CourierError, 1),
    "351": ([api_response(351, "no such account")], Rejected, CredentialsError, 1),
    "322 for ever": ([api_response(322, "busy")], Unknown, BusyCourierError, 3),
    "354": ([api_response(354, "odd")], Unknown, CourierError, 1),
    "999": ([api_response(999, "new")], Unknown, Exception, 1),
    "no response": ([httpx.ReadError("")], Unknown, NoReplyError, 3),
    "no connection": ([httpx.ConnectError("")], Pending, NotSentError, 3),
    "429 for ever": ([httpx.Response(429)], Pending, NotSentError, 3),
    "a redirect": ([httpx.Response(302)], Pending, NotSentError, 1),
    "a response for another order": ([placed("W-9", "R-9")], Unknown, UnreadableReplyError, 3),
    "200 without a waybill": (
        [api_response(200, "SUCCESS", result={})],
        Unknown,
        UnreadableReplyError,
        3,
    ),
}


@pytest.mark.parametrize("what", KINDS)
@virtual_time
async def test_outcome_states_what_is_known(what: str) -> None:
    lines, kind, error, attempts = KINDS[what]
    async with playing(lines, retry=QUICK) as clickpost:
        (outcome,), report = await outcomes_of(clickpost, [india_order("R-1")])

    assert type(outcome) is kind
    found = getattr(outcome, "error", None)
    assert found is None if error is None else isinstance(found, error)
    assert attempts in (outcome.attempts, -1)
    assert (report.requests, report.retries) == (outcome.attempts, outcome.attempts - 1)
    assert report.total == 1


def budget_of(clickpost: ClickPost, budget: RetryBudget) -> None:
    for guard in clickpost._runtime.health.values():
        object.__setattr__(guard, "budget", budget)


@pytest.mark.parametrize("found", [True, False])
@virtual_time
async def test_rescheduled_order_in_doubt_is_looked_up_and_found(
    found: bool,
) -> None:
    """The budget keeps it from being repeated at once; it is no new order later."""
    play = Play(
        [httpx.ReadError(""), placed("W-1", "R-1", status=323)],
        knows=placed("W-1", "R-1") if found else api_response(321, "no such order"),
    )
    async with playing(play, retry=RetryPolicy(settle_delay=5)) as clickpost:
        budget_of(clickpost, RetryBudget(share=0.001, at_start=0.0))
        async with create(clickpost, [india_order("R-1")]) as bulk:
            # As many calls have gone well meanwhile that one may be repeated.
            asyncio.get_running_loop().call_later(1, budget_of, clickpost, RetryBudget())
            (outcome,) = [outcome async for outcome in bulk]
    assert isinstance(outcome, Placed)
    assert (outcome.recovered, bulk.report.duplicates_avoided) == (True, 1)
    assert (len(play.requests), len(play.look_ups)) == (1 if found else 2, 1)


# --- memory -----------------------------------------------------------------------------------


@virtual_time
async def test_input_is_read_no_faster_than_outcomes_are_taken() -> None:
    read = 0

    def endless() -> Iterator[Any]:
        nonlocal read
        for read in itertools.count(1):
            yield india_order(f"R-{read}")

    taken = 0
    async with (
        playing([placed()]) as clickpost,
        create(clickpost, endless(), max_concurrency=5) as run,
    ):
        async for _ in run:
            taken += 1
            for _ in range(50):
                await asyncio.sleep(0)
            # One in every worker's hands, and one that it would start next.
            assert read <= taken + 5
            if taken == 500:
                break
        assert taken == run.report.total == 500
        assert clickpost.stats().calls <= 505


class AtHand(Iterator[Any]):
    """Orders that can be read without waiting; the input fails after so many."""

    are_at_hand = True

    def __init__(self, number: int = 1000) -> None:
        self.read = 0
        self._number = number

    def __next__(self) -> Any:
        if self.read == self._number:
            message = "the file cannot be read any further"
            raise UnicodeError(message)
        self.read += 1
        return india_order(f"R-{self.read}")


@virtual_time
async def test_orders_at_hand_are_prepared_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = AtHand()
    prepared = []
    structures = PreparedPayload.__init__

    def count(payload: PreparedPayload, given: object) -> None:
        prepared.append(orders.read)
        structures(payload, given)

    monkeypatch.setattr(PreparedPayload, "__init__", count)
    async with (
        playing([placed()]) as clickpost,
        create(clickpost, orders, max_concurrency=1) as run,
    ):
        outcomes = [await anext(run) for _ in range(20)]

    assert [outcome.reference_number for outcome in outcomes] == [f"R-{n}" for n in range(1, 21)]
    # Sixteen are read, then the sixteen are validated and encoded, once each.
    assert prepared == [16] * 16 + [32] * 16
    assert orders.read == 32


@virtual_time
async def test_orders_at_hand_before_a_failure_of_the_input_are_created() -> None:
    async with (
        playing([placed()]) as clickpost,
        create(clickpost, AtHand(11), max_concurrency=3) as run,
    ):
        outcomes = [await anext(run) for _ in range(11)]
        with pytest.raises(UnicodeError, match="any further"):
            await anext(run)

    assert [type(outcome) for outcome in outcomes] == [Placed] * 11


@virtual_time
async def test_orders_that_were_read_have_outcomes_when_the_run_is_stopped() -> None:
    orders = AtHand()
    async with (
        playing([placed()]) as clickpost,
        create(clickpost, orders, max_concurrency=1) as run,
    ):
        first = await anext(run)
        run.stop()
        others = [outcome async for outcome in run]
        calls = clickpost.stats().calls

    assert orders.read == 1 + len(others) == 16
    assert [outcome.position for outcome in (first, *others)] == [*range(16)]
    assert {type(outcome) for outcome in others} <= {Placed, Pending}
    assert isinstance(others[-1], Pending)
    # The second one was under way, at most.
    assert calls <= 2


@virtual_time
async def test_asynchronous_input_may_take_its_time() -> None:
    async def slow() -> AsyncIterator[Any]:
        for number in range(5):
            await asyncio.sleep(100)
            yield india_order(f"R-{number}")

    async with playing([placed()]) as clickpost, create(clickpost, slow()) as run:
        came = [asyncio.get_running_loop().time() async for _ in run]

    # Each one leaves when it is there, not when the next one is.
    assert came == [100, 200, 300, 400, 500]


@virtual_time
async def test_no_more_than_so_many_are_created_at_once() -> None:
    inside = most = 0

    async def respond(request: httpx.Request) -> httpx.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(1)
        inside -= 1
        return placed()

    async with playing([respond]) as clickpost:
        orders = [india_order(f"R-{number}") for number in range(40)]
        _, report = await outcomes_of(clickpost, orders, max_concurrency=8)

    assert (most, report.placed) == (8, 40)
    assert asyncio.get_running_loop().time() == 5


@virtual_time
async def test_other_calls_go_first() -> None:
    async def respond(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return placed()

    async with playing([respond], max_concurrency=2) as clickpost:
        orders = [india_order(f"R-{number}") for number in range(20)]
        async with create(clickpost, orders) as run:
            await anext(run)
            await clickpost.with_options(priority=Priority.NORMAL).orders.create(india_order("N-1"))
            assert asyncio.get_running_loop().time() <= 3
            assert len([outcome async for outcome in run]) == 19


# --- ends -------------------------------------------------------------------------------------


@virtual_time
async def test_no_orders_are_a_run_too() -> None:
    async with playing([placed()]) as clickpost:
        outcomes, report = await outcomes_of(clickpost, [])

    assert (outcomes, report.total, report.requests) == ([], 0, 0)


@pytest.mark.parametrize("asynchronous", [False, True])
@virtual_time
async def test_failing_input_is_raised_after_the_orders_before_it(asynchronous: bool) -> None:
    def failing() -> Iterator[Any]:
        for number in range(7):
            yield india_order(f"R-{number}")
        message = "line 8 of the file cannot be read"
        raise UnicodeError(message)

    async def failing_too() -> AsyncIterator[Any]:
        for order in failing():
            yield order

    orders = failing_too() if asynchronous else failing()
    async with (
        playing([placed()]) as clickpost,
        create(clickpost, orders, max_concurrency=3) as run,
    ):
        positions = [(await anext(run)).position for _ in range(7)]
        with pytest.raises(UnicodeError, match="line 8"):
            await anext(run)

    assert (sorted(positions), run.report.placed) == (list(range(7)), 7)


@virtual_time
async def test_leaving_early_ends_what_is_under_way() -> None:
    async def respond(request: httpx.Request) -> httpx.Response:
        if len(play.times) <= 3:
            return placed()
        return await never_responds(request)

    play = Play([respond])
    async with playing(play) as clickpost:
        orders = (india_order(f"R-{number}") for number in itertools.count())
        async with create(clickpost, orders, max_concurrency=4) as run:
            for _ in range(3):
                await anext(run)
        assert run.report.placed == 3
        assert (clickpost.stats().in_flight, clickpost.stats().queued) == (0, 0)
        assert len(asyncio.all_tasks()) == 1


@virtual_time
async def test_error_of_the_consumer_propagates_unchanged() -> None:
    class OwnError(Exception):
        pass

    async with playing([placed()]) as clickpost:

        async def consume() -> None:
            async with create(clickpost, [india_order("R-1"), india_order("R-2")]) as run:
                async for _ in run:
                    raise OwnError

        with pytest.raises(OwnError):
            await consume()
        assert len(asyncio.all_tasks()) == 1


@virtual_time
async def test_run_that_is_cancelled_leaves_nothing_behind() -> None:
    async with playing([never_responds]) as clickpost:

        async def work() -> None:
            await outcomes_of(clickpost, [india_order(f"R-{number}") for number in range(10)])

        task = asyncio.create_task(work())
        await asyncio.sleep(1)
        assert clickpost.stats().in_flight == 10
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert clickpost.stats().in_flight == 0
        assert len(asyncio.all_tasks()) == 1


# --- the key is revoked -----------------------------------------------------------------------


@virtual_time
async def test_revoked_key_halts_the_run_and_rejects_no_order() -> None:
    sandbox = Sandbox()
    taken: list[OrderOutcome] = []
    async with at(sandbox) as clickpost:
        orders = (india_order(f"R-{number}") for number in range(1000))
        async with create(clickpost, orders, max_concurrency=10) as run:
            async for outcome in run:
                taken.append(outcome)
                if len(taken) == 50:
                    sandbox.api_key = "a-new-key-not-a-secret"

    placed_ones = [outcome for outcome in taken if isinstance(outcome, Placed)]
    pending = [outcome for outcome in taken if isinstance(outcome, Pending)]
    assert len(placed_ones) + len(pending) == len(taken)
    assert 0 < len(pending) <= 10
    assert 50 <= len(placed_ones) == len(sandbox.ledger()) <= 60
    assert isinstance(run.report.halted, CredentialsError)
    assert "halted" in str(run.report)
    # The input was left where it was.
    assert next(orders)["shipment_details"]["reference_number"] == f"R-{len(taken)}"


@virtual_time
async def test_first_failure_that_halts_a_run_is_the_one_reported() -> None:
    async def fail(request: httpx.Request) -> httpx.Response:
        if b'"R-1"' in request.content:
            await asyncio.sleep(1)
            return api_response(301, "wrong key")
        await asyncio.sleep(2)
        return httpx.Response(302)

    async with playing([fail]) as clickpost:
        orders = [india_order("R-1"), india_order("R-2")]
        outcomes, report = await outcomes_of(clickpost, orders, max_concurrency=2)

    errors = [outcome.error for outcome in outcomes if isinstance(outcome, Pending)]
    assert [type(error) for error in errors] == [CredentialsError, NotSentError]
    assert report.halted is errors[0]


@virtual_time
async def test_failures_of_one_courier_account_halt_no_other() -> None:
    orders = [
        india_order(f"R-{number}", shipment_details__account_code=code)
        for number, code in enumerate(["lotus-surface", "inactive-account", "lotus-surface"])
    ]
    async with at(Sandbox()) as clickpost:
        outcomes, report = await outcomes_of(clickpost, orders, max_concurrency=1)

    assert [type(outcome) for outcome in outcomes] == [Placed, Rejected, Placed]
    assert report.halted is None


# --- it adds up -------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["", "COURIER-REFUSES", "COURIER-BUSY-1", "COURIER-SLOW", "COURIER-ODD", "CLICKPOST-DOWN-1"]
)
SCRIPTS = st.lists(
    st.tuples(WORDS, st.lists(st.sampled_from(list(Fault)[:-1]), max_size=4), st.booleans()),
    max_size=12,
)


@settings(max_examples=30)
@given(SCRIPTS, st.integers(1, 6))
def test_report_adds_up_and_matches_the_ledger_under_any_fault(
    script: list[tuple[str, list[Fault], bool]], max_concurrency: int
) -> None:
    sandbox = Sandbox()
    orders = []
    for number, (word, faults, asynchronous) in enumerate(script):
        reference = f"R-{number}-{word}"
        for fault in faults:
            sandbox.faults.next(fault, reference_number=reference)
        orders.append(india_order(reference, additional={"async": True} if asynchronous else {}))

    async def main() -> tuple[list[OrderOutcome], Report]:
        async with at(sandbox) as clickpost:
            return await outcomes_of(
                clickpost, orders, max_concurrency=max_concurrency, max_outage=math.inf
            )

    outcomes, report = run_virtual(main)
    ledger = sandbox.ledger()

    # Conservation: each order once, and the counts add up.
    assert [outcome.position for outcome in outcomes] == list(range(len(orders)))
    assert report.total == sum(counts(report)) == len(orders)
    assert report.requests == sum(outcome.attempts for outcome in outcomes)
    sent = [one for one in sandbox.requests() if one.operation == "orders.create_india"]
    assert report.requests == len(sent)
    # Never twice.
    assert max(map(len, ledger.values()), default=1) == 1
    for outcome in outcomes:
        bought = ledger.get(str(outcome.reference_number), ())
        match outcome:
            case Placed():
                assert bought == (outcome.order.waybill,)
            case Rejected():
                assert bought == ()
            case Pending(error=error):
                assert bought == () or error is None


def test_report_counts_each_row_once_and_each_label_once() -> None:
    report = Report()
    order = CreatedOrder(waybill="W-1")
    facts: dict[str, Any] = {"reference_number": "R-1", "order": order}
    report.count(Placed(position=0, attempts=2, seconds=3.0, recovered=True, **facts))
    report.count(Placed(position=1, duplicate_of="position 0", recovered=True, **facts))
    report.count(Placed(position=2, recorded=True, differs=True, attempts=5, **facts))
    assert counts(report) == (2, 1, 0, 0, 0)
    assert (report.requests, report.retries, report.duplicates_avoided) == (2, 1, 1)
    assert (report.skipped, report.changed, report.duplicates) == (1, 1, 1)


def test_report_reads_well() -> None:
    report = Report(placed=3, rejected=1, unknown=1, requests=7, retries=2, seconds=1.25)
    assert str(report) == (
        "5 orders in 1.2 s: 3 placed, 0 already placed, 1 rejected, 1 unknown, 0 pending,"
        " 7 requests, 2 retries, 0 duplicates avoided, slowest 0.00 s"
    )


@pytest.mark.parametrize("orders", [None, "orders.csv", Path("orders.csv"), {"a": 1}, 5])
@pytest.mark.asyncio
async def test_orders_that_are_no_iterable_of_orders_are_refused(orders: Any) -> None:
    async with connected(Sandbox()) as clickpost:
        with pytest.raises(TypeError, match=r"an iterable of orders.*bulk\.read_orders"):
            create(clickpost, orders)


@pytest.mark.parametrize("number", [0, -1, 2.5, "100", True])
@pytest.mark.asyncio
async def test_concurrency_that_would_send_nothing_is_refused(number: Any) -> None:
    async with connected(Sandbox()) as clickpost:
        with pytest.raises((TypeError, ValueError), match="max_concurrency must be a whole number"):
            create(clickpost, [india_order("R-1")], max_concurrency=number)
