"""A reference number identifies one order: within an input, across runs, and in doubt."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from clickpost_async import ClickPost, Resend, RetryPolicy
from clickpost_async.bulk import (
    OrderOutcome,
    OrderRow,
    Pending,
    Placed,
    Rejected,
    Report,
    Unknown,
    create,
    read_orders,
    status,
)
from clickpost_async.bulk.records import JournalState
from clickpost_async.bulk.results import row_of
from clickpost_async.files.columns import Market
from clickpost_async.files.order_rows import RowProblem
from clickpost_async.sandbox import Fault, Sandbox
from clickpost_async.testing import virtual_time
from tests.bulk.test_resume import aged, at, ended_in_the_middle, orders
from tests.helpers.scripted_transport import (
    Line,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
)
from tests.sandbox.samples import connected, india_order

# An unknown outcome after one attempt: later orders of the input find it in doubt.
ONCE = RetryPolicy(attempts=1, reconcile=False)


@pytest.fixture(params=["with a journal", "without"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "run.db" if request.param == "with a journal" else None


async def run(clickpost: ClickPost, given: Any, **how: Any) -> tuple[list[OrderOutcome], Report]:
    async with create(clickpost, given, **how) as bulk:
        outcomes = [outcome async for outcome in bulk]
    return sorted(outcomes, key=lambda outcome: outcome.position), bulk.report


def row(number: int, reference: str, **changes: Any) -> OrderRow:
    order = india_order(reference, **changes)
    return OrderRow(
        number=number, last=number, market=Market.INDIA, reference=reference, order=order
    )


def labels(sandbox: Sandbox) -> dict[str, int]:
    return {reference: len(waybills) for reference, waybills in sandbox.ledger().items()}


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("number", [2001, 2001.0, Decimal("2001.5")], ids=repr)
@virtual_time
async def test_reference_number_given_as_a_number_is_the_text_that_is_sent(
    number: Any, journal: Path | None
) -> None:
    text = "2001.5" if number == Decimal("2001.5") else "2001"
    given = india_order(text)
    given["shipment_details"]["reference_number"] = number
    sandbox = Sandbox()
    async with connected(sandbox) as clickpost:
        outcomes, report = await run(clickpost, [given, india_order(text)], journal=journal)

    assert [(type(one), one.reference_number) for one in outcomes] == [(Placed, text)] * 2
    assert (labels(sandbox), report.requests) == ({text: 1}, 1)


# --- the same order again in an input -----------------------------------------------------------


@pytest.mark.parametrize("max_concurrency", [1, 2, 100])
@pytest.mark.parametrize("apart", [0, 1, 120])
@virtual_time
async def test_same_order_again_shares_the_outcome_of_the_first(
    max_concurrency: int, apart: int, journal: Path | None
) -> None:
    sandbox = Sandbox(courier_seconds=1)
    between = orders(*range(2, 2 + apart))
    given = [*orders(1), *between, *orders(1, 1)]
    async with at(sandbox) as clickpost:
        outcomes, report = await run(
            clickpost, given, journal=journal, max_concurrency=max_concurrency
        )

    first, second, third = outcomes[0], *outcomes[-2:]
    assert isinstance(first, Placed)
    assert (first.duplicate_of, first.already_placed) == (None, False)
    for again in (second, third):
        assert isinstance(again, Placed)
        assert (again.order.waybill, again.duplicate_of) == (first.order.waybill, "position 0")
        # Nothing was sent for it, and it is no second order.
        assert (again.attempts, again.recorded, again.already_placed) == (0, False, True)
    assert labels(sandbox) == dict.fromkeys((f"R-{n}" for n in range(1, apart + 2)), 1)
    assert len(sandbox.requests()) == apart + 1
    assert (report.placed, report.already_placed, report.duplicates) == (apart + 1, 2, 2)
    assert (report.requests, report.skipped, report.total) == (apart + 1, 0, apart + 3)
    assert "2 duplicates of earlier rows" in str(report)


@virtual_time
async def test_rows_are_named_by_their_numbers(journal: Path | None) -> None:
    async with at(Sandbox()) as clickpost:
        given = [row(2, "R-1"), row(9, "R-1")]
        (_, again), _ = await run(clickpost, given, journal=journal)
    assert again.duplicate_of == "row 2"
    assert row_of(again)["reasons"] == "the same order as row 2"
    assert row_of(again)["outcome"] == "already placed"


@virtual_time
async def test_rejection_is_shared_too(journal: Path | None) -> None:
    sandbox = Sandbox()
    given = orders(1, 1, drop_info__drop_pincode="999999")
    async with at(sandbox) as clickpost:
        (first, again), report = await run(clickpost, given, journal=journal)
    assert isinstance(first, Rejected)
    assert isinstance(again, Rejected)
    assert (again.reasons, again.duplicate_of) == (first.reasons, "position 0")
    assert (len(sandbox.requests()), report.rejected, report.duplicates) == (1, 2, 1)


@virtual_time
async def test_same_order_waits_only_for_its_own_number(journal: Path | None) -> None:
    """While many wait for one slow order, the others go on, with a single worker too."""
    sandbox = Sandbox()
    sandbox.faults.next(Fault.DROP_AFTER, reference_number="R-1")
    given = [*orders(1), *orders(*[1] * 500), *orders(*range(2, 40))]
    async with at(sandbox, retry=RetryPolicy(reconcile=False)) as clickpost:
        outcomes, report = await run(clickpost, given, journal=journal, max_concurrency=8)
    assert {type(outcome) for outcome in outcomes} == {Placed}
    assert len({one.order.waybill for one in outcomes if isinstance(one, Placed)}) == 39
    assert (report.duplicates, set(labels(sandbox).values())) == (500, {1})


# --- another order under the same number in an input --------------------------------------------


@pytest.mark.parametrize("max_concurrency", [1, 100])
@pytest.mark.parametrize("apart", [0, 120])
@virtual_time
async def test_another_order_under_a_number_is_rejected_naming_both_rows(
    max_concurrency: int, apart: int, journal: Path | None
) -> None:
    sandbox = Sandbox(courier_seconds=1)
    between = [row(4 + number, f"X-{number}") for number in range(apart)]
    given = [row(2, "R-1"), *between, row(990, "R-1", drop_info__drop_name="Another Name")]
    async with at(sandbox) as clickpost:
        outcomes, report = await run(
            clickpost, given, journal=journal, max_concurrency=max_concurrency
        )

    first, other = outcomes[0], outcomes[-1]
    assert isinstance(first, Placed)
    assert sandbox.ledger()["R-1"] == (first.order.waybill,)
    assert isinstance(other, Rejected)
    (reason,) = other.reasons
    assert "row 990" in reason
    assert "row 2 has the same reference number with other contents" in reason
    assert (other.attempts, other.recorded, other.differs) == (0, False, False)
    assert (report.placed, report.rejected, report.already_placed) == (apart + 1, 1, 0)
    assert len(sandbox.requests()) == apart + 1
    if journal is not None:
        # The first one's outcome is what stays.
        assert status(journal).counts[JournalState.PLACED] == apart + 1
        assert status(journal).counts[JournalState.REJECTED] == 0
        async with at(sandbox) as clickpost:
            (again,), report = await run(clickpost, given[:1], journal=journal)
        assert isinstance(again, Placed)
        assert again.order.waybill == first.order.waybill


@virtual_time
async def test_another_order_under_a_number_in_doubt_does_not_affect_the_first(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "run.db"
    sandbox = Sandbox(courier_seconds=20)
    await ended_in_the_middle(sandbox, journal)
    other = orders(1, drop_info__drop_city="Thane")
    async with at(sandbox) as clickpost:
        given = [*orders(1), *other, *orders(2, 3)]
        outcomes, report = await run(clickpost, given, journal=journal)
    assert [type(one) for one in outcomes] == [Placed, Rejected, Placed, Placed]
    assert (report.placed, status(journal).counts[JournalState.PLACED]) == (3, 3)
    assert labels(sandbox) == dict.fromkeys(("R-1", "R-2", "R-3"), 1)


CSV = """reference_number,item_description,item_sku,item_price,item_quantity
A-1,Tea,T,10,1
A-2,Tea,T,10,1
A-1,Cup,C,20,1
"""


@virtual_time
async def test_file_with_scattered_item_rows_is_refused(
    tmp_path: Path, journal: Path | None
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(CSV)
    base = india_order("A-1")
    rows = [
        OrderRow(
            number=found.number,
            last=found.last,
            market=Market.INDIA,
            reference=found.reference,
            order=india_order(
                str(found.reference), shipment_details__invoice_number=str(found.number)
            ),
        )
        for found in read_orders(file)
    ]
    assert len(rows) == 3
    assert base["shipment_details"]["reference_number"] == "A-1"
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        outcomes, _ = await run(clickpost, rows, journal=journal)
    assert [type(one) for one in outcomes] == [Placed, Placed, Rejected]
    assert isinstance(outcomes[2], Rejected)
    (reason,) = outcomes[2].reasons
    assert "row 2 has the same reference number" in reason
    assert "the rows of one order must stand next to each other" in reason
    assert labels(sandbox) == {"A-1": 1, "A-2": 1}


INVALID: dict[str, Any] = {
    "a mapping": india_order("R-1", drop_info__drop_pincode="12"),
    "a row": OrderRow(
        number=2,
        last=2,
        market=Market.INDIA,
        reference="R-1",
        problems=(RowProblem(row=2, column="weight", message="a number is needed"),),
    ),
    "not JSON": india_order("R-1", additional__anything=float("nan")),
}


@pytest.mark.parametrize("invalid", INVALID)
@virtual_time
async def test_number_whose_first_row_is_invalid_is_not_another_rows(
    invalid: str, journal: Path | None
) -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        given = [INVALID[invalid], row(7, "R-1")]
        outcomes, report = await run(clickpost, given, journal=journal)
        assert [type(one) for one in outcomes] == [Rejected, Rejected]
        assert isinstance(outcomes[1], Rejected)
        assert "has the same reference number" in outcomes[1].reasons[0]
        assert (report.rejected, sandbox.ledger()) == (2, {})
        # Corrected, it is sent by the next run.
        (corrected,), _ = await run(clickpost, [row(2, "R-1")], journal=journal)
    assert isinstance(corrected, Placed)


@pytest.mark.parametrize("invalid", INVALID)
@virtual_time
async def test_invalid_row_after_a_valid_one_keeps_its_own_reasons(
    invalid: str, journal: Path | None
) -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        given = [row(1, "R-1"), INVALID[invalid]]
        outcomes, _ = await run(clickpost, given, journal=journal)
    assert [type(one) for one in outcomes] == [Placed, Rejected]
    assert isinstance(outcomes[1], Rejected)
    assert "same reference number" not in outcomes[1].reasons[0]
    assert labels(sandbox) == {"R-1": 1}


@virtual_time
async def test_order_of_each_kind_may_have_the_same_number(journal: Path | None) -> None:
    from tests.sandbox.samples import world_order

    async with playing([placed()]) as clickpost:
        given = [india_order("R-1"), world_order("R-1")]
        outcomes, report = await run(clickpost, given, journal=journal)
    assert [outcome.duplicate_of for outcome in outcomes] == [None, None]
    assert (report.placed, report.duplicates) == (2, 0)


# --- in doubt -----------------------------------------------------------------------------------


@virtual_time
async def test_number_in_doubt_from_an_earlier_run_is_resolved_before_a_second_row_is_sent(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "run.db"
    sandbox = Sandbox(courier_seconds=20, racy=True)
    await ended_in_the_middle(sandbox, journal)
    began = now()
    async with at(sandbox) as clickpost:
        outcomes, report = await run(clickpost, orders(1, 1, 2, 2, 3, 1), journal=journal)
    assert {type(outcome) for outcome in outcomes} == {Placed}
    await asyncio.sleep(100)
    assert labels(sandbox) == dict.fromkeys(("R-1", "R-2", "R-3"), 1)
    assert 29 <= now() - began - 100 <= 31
    posts = [seen for seen in sandbox.requests() if seen.operation == "orders.create_india"]
    assert len(posts) == 3
    assert (report.duplicates_avoided, report.duplicates) == (3, 3)


@virtual_time
async def test_number_in_doubt_within_a_run_settles_before_a_later_row_is_sent(
    journal: Path | None,
) -> None:
    sandbox = Sandbox(courier_seconds=20, racy=True)
    sandbox.faults.next(Fault.DROP_BEFORE, reference_number="R-1")
    # Far enough apart that the first one has ended, and early enough that it has not settled.
    given = [*orders(1), *orders(1)]
    async with at(sandbox, retry=RetryPolicy(attempts=1)) as clickpost:
        outcomes, report = await run(clickpost, given, journal=journal, max_concurrency=1)
    first, second = outcomes
    assert isinstance(first, Unknown)
    assert isinstance(second, Placed)
    posts = [one.moment for one in sandbox.requests() if one.operation == "orders.create_india"]
    assert len(posts) == 2
    assert posts[1] - posts[0] >= 29
    look_ups = [one for one in sandbox.requests() if one.operation == "orders.fetch_india"]
    assert look_ups
    assert look_ups[-1].moment >= posts[0] + 29
    assert (report.unknown, report.placed) == (1, 1)


@virtual_time
async def test_label_that_was_bought_in_doubt_is_found_by_a_later_row(
    journal: Path | None,
) -> None:
    sandbox = Sandbox(courier_seconds=20, racy=True)
    sandbox.faults.next(Fault.DROP_AFTER, reference_number="R-1")
    async with at(sandbox, retry=ONCE) as clickpost:
        (first, second), report = await run(
            clickpost.with_options(retry=ONCE), orders(1, 1), journal=journal, max_concurrency=1
        )
    assert isinstance(first, Unknown)
    assert isinstance(second, Placed)
    assert labels(sandbox) == {"R-1": 1}
    assert (second.recovered, report.duplicates_avoided) == (True, 1)


@virtual_time
async def test_order_that_was_not_sent_is_sent_by_a_later_row(journal: Path | None) -> None:
    play = Play([httpx.ConnectError(""), placed()])
    async with playing(play, retry=ONCE) as clickpost:
        (first, second), report = await run(
            clickpost, orders(1, 1), journal=journal, max_concurrency=1
        )
    assert isinstance(first, Pending)
    assert isinstance(second, Placed)
    assert (second.duplicate_of, report.requests) == (None, 2)


@virtual_time
async def test_label_from_before_the_run_is_reported_as_such(journal: Path | None) -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
    async with at(sandbox) as clickpost:
        (outcome,), report = await run(clickpost, orders(1), journal=journal)
    assert isinstance(outcome, Placed)
    assert (outcome.already_placed, outcome.recovered, outcome.duplicate_of) == (
        True,
        False,
        None,
    )
    assert (report.already_placed, report.duplicates, report.duplicates_avoided) == (1, 0, 0)


# --- in doubt, and changed ----------------------------------------------------------------------


@virtual_time
async def test_order_in_doubt_whose_row_has_changed_is_found_and_not_sent(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "run.db"
    sandbox = Sandbox(courier_seconds=20)
    await ended_in_the_middle(sandbox, journal)
    changed = orders(1, 2, 3, drop_info__drop_city="Thane")
    began = now()
    async with at(sandbox) as clickpost:
        outcomes, report = await run(clickpost, changed, journal=journal)
    for outcome in outcomes:
        assert isinstance(outcome, Placed)
        assert (outcome.differs, outcome.recovered, outcome.recorded) == (True, True, False)
        assert sandbox.ledger()[str(outcome.reference_number)] == (outcome.order.waybill,)
    assert 29 <= now() - began <= 31
    assert (report.placed, report.changed, report.duplicates_avoided) == (3, 3, 3)
    posts = [one for one in sandbox.requests() if one.operation == "orders.create_india"]
    assert len(posts) == 3
    # What was sent is what is remembered.
    async with at(sandbox) as clickpost:
        outcomes, report = await run(clickpost, orders(1, 2, 3), journal=journal)
    assert (report.skipped, report.changed) == (3, 0)


@pytest.mark.parametrize("how", ["changed", "invalid", "old"])
@virtual_time
async def test_order_in_doubt_that_must_not_be_sent_stays_unknown_where_it_is_not_found(
    how: str, tmp_path: Path
) -> None:
    journal = tmp_path / "run.db"
    await ended_in_the_middle(Sandbox(courier_seconds=20), journal)
    given = {
        "changed": orders(1, drop_info__drop_city="Thane"),
        "invalid": orders(1, drop_info__drop_pincode="12"),
        "old": orders(1),
    }[how]
    if how == "old":
        aged(journal, 86_401)
    forgetful = Sandbox()
    for _ in range(2):
        async with at(forgetful) as clickpost:
            (outcome,), report = await run(clickpost, given, journal=journal)
        assert isinstance(outcome, Unknown)
        assert outcome.differs == (how != "old")
        assert "not resent" in outcome.error.message
        assert outcome.error.safe_to_retry_in is None
        cells = row_of(outcome)
        assert "reference number of its own" not in f"{cells['reasons']} {cells['advice']}"
        assert ("bulk resolve" in str(cells["advice"])) == (how != "old")
        assert (report.unknown, report.changed) == (1, int(how != "old"))
        assert status(journal).in_doubt == 3
    assert {one.operation for one in forgetful.requests()} == {"orders.fetch_india"}
    # As it was, it is sent again.
    if how != "old":
        async with at(forgetful) as clickpost:
            (outcome,), _ = await run(clickpost, orders(1), journal=journal)
        assert isinstance(outcome, Placed)


@virtual_time
async def test_recorded_order_with_a_changed_row_is_looked_up_and_not_sent(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "run.db"
    sandbox = Sandbox(async_polls=100)
    first = orders(1, additional={"async": True})
    async with at(sandbox, retry=RetryPolicy(poll_timeout=0)) as clickpost:
        (queued,), _ = await run(clickpost, first, journal=journal)
    assert isinstance(queued, Pending)
    changed = orders(1, additional={"async": True}, drop_info__drop_city="Thane")
    async with at(sandbox, retry=RetryPolicy(poll_timeout=100)) as clickpost:
        (outcome,), _ = await run(clickpost, changed, journal=journal)
    assert isinstance(outcome, Pending)
    assert outcome.order is not None
    assert (outcome.order.pending, outcome.differs) == (True, True)
    assert status(journal).counts[JournalState.QUEUED] == 1
    creates = [one for one in sandbox.requests() if one.operation == "orders.create_india"]
    look_ups = [one for one in sandbox.requests() if one.operation == "orders.fetch_india"]
    assert (len(creates), len(look_ups) > 1) == (1, True)


@virtual_time
async def test_look_up_that_cannot_be_made_leaves_the_order_in_doubt(tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    async with (
        playing([never_responds]) as clickpost,
        create(clickpost, orders(1), journal=journal),
    ):
        await asyncio.sleep(1)
    changed = orders(1, drop_info__drop_city="Thane")
    lines: list[tuple[Line, bool]] = [
        (httpx.ConnectError(""), False),
        (api_response(301, "wrong key"), True),
        (httpx.ReadError(""), False),
    ]
    for line, halts in lines:
        play = Play([placed()], knows=line)
        async with playing(play, retry=RetryPolicy(attempts=2, backoff=0.01)) as clickpost:
            (outcome,), report = await run(clickpost, changed, journal=journal)
        assert isinstance(outcome, Unknown)
        assert play.requests == []
        assert (report.halted is not None) == halts
    assert status(journal).in_doubt == 1


@virtual_time
async def test_no_order_is_bought_twice(tmp_path: Path) -> None:
    """The advice for a placed order, or one in doubt, is never another reference number."""
    journal = tmp_path / "run.db"
    sandbox = Sandbox(courier_seconds=20)
    await ended_in_the_middle(sandbox, journal)
    async with at(sandbox, retry=RetryPolicy(resend=Resend.NEVER)) as clickpost:
        await run(clickpost, orders(1), journal=journal)
        outcomes, _ = await run(
            clickpost, orders(1, 2, 3, drop_info__drop_city="Thane"), journal=journal
        )
    for outcome in outcomes:
        assert not isinstance(outcome, Rejected)
        assert "number of its own" not in str(row_of(outcome))


# --- bounded ------------------------------------------------------------------------------------


@virtual_time
async def test_no_more_is_read_while_too_many_wait(
    journal: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clickpost_async.bulk import schedule

    monkeypatch.setattr(schedule, "_MAX_WAITING", 50)
    read = 0

    def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield india_order("R-1")

    async with (
        playing([never_responds]) as clickpost,
        create(clickpost, endless(), journal=journal, max_concurrency=4),
    ):
        await asyncio.sleep(20)
        assert 50 <= read <= 60


@virtual_time
async def test_orders_come_up_again_while_an_input_takes_its_time(tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    sandbox = Sandbox(courier_seconds=20)
    await ended_in_the_middle(sandbox, journal)
    began = now()

    async def slow() -> AsyncIterator[Any]:
        for order in orders(1, 2, 3):
            yield order
        await asyncio.sleep(1000)
        yield india_order("R-4")

    came = {}
    async with at(sandbox) as clickpost, create(clickpost, slow(), journal=journal) as bulk:
        async for outcome in bulk:
            came[outcome.reference_number] = now() - began
    assert came.keys() == {"R-1", "R-2", "R-3", "R-4"}
    assert all(29 <= came[name] <= 31 for name in ("R-1", "R-2", "R-3"))
    assert came["R-4"] >= 1000


@pytest.mark.parametrize("max_concurrency", [1, 100])
@virtual_time
async def test_placed_order_is_reported_placed_beside_a_changed_row_of_its_number(
    max_concurrency: int, tmp_path: Path
) -> None:
    sandbox, journal = Sandbox(), tmp_path / "run.db"
    changed = {"drop_info__drop_name": "Another Name"}
    given = [row(2, "R-1", **changed), row(3, "R-1"), row(4, "R-1", **changed)]
    async with at(sandbox) as clickpost:
        await run(clickpost, [row(2, "R-1")], journal=journal)
        outcomes, report = await run(
            clickpost, given, journal=journal, max_concurrency=max_concurrency
        )

    assert [type(outcome) for outcome in outcomes] == [Placed] * 3
    # Each row says whether it is what was placed.
    assert [outcome.differs for outcome in outcomes] == [True, False, True]
    assert (len(sandbox.requests()), report.rejected, report.changed) == (1, 0, 2)
