"""A run that cannot reach the server logs it, and halts after `max_outage`."""

import asyncio
import logging
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from clickpost_async import NotSentError, RetryPolicy
from clickpost_async.bulk import OrderOutcome, Pending, Placed, Report, Unknown, create, status
from clickpost_async.bulk.outage import describe
from clickpost_async.bulk.records import JournalState
from clickpost_async.limits import NoRateLimit
from clickpost_async.testing import virtual_time
from tests.bulk.test_resume import orders
from tests.helpers.scripted_transport import Line, Play, api_response, placed, playing, unguarded

REFUSED = httpx.ConnectError("")
HOST = "www.clickpost.in:443"


class LogRecorder(logging.Handler):
    """Notes what is logged, and when in virtual time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[tuple[float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert record.levelno == logging.WARNING
        self.lines.append((asyncio.get_running_loop().time(), record.getMessage()))


@pytest.fixture
def logged() -> Any:
    handler = LogRecorder()
    logger = logging.getLogger("clickpost_async.bulk")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


def now() -> float:
    return asyncio.get_running_loop().time()


async def run(play: Play, count: int, **how: Any) -> tuple[list[OrderOutcome], Report]:
    settings = how.pop("settings", {})
    async with (
        playing(play, limiter=NoRateLimit(), **settings) as clickpost,
        create(clickpost, orders(*range(count)), **how) as bulk,
    ):
        return [outcome async for outcome in bulk], bulk.report


def until(end: float, before: Line, after: Line) -> Any:
    async def line(request: httpx.Request) -> httpx.Response:
        found = before if now() < end else after
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, httpx.Response)
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    return line


# --- unreachable host ---------------------------------------------------------------------------


@virtual_time
async def test_unreachable_host_is_logged_repeatedly_and_halts_the_run(
    logged: list[tuple[float, str]], tmp_path: Path
) -> None:
    journal = tmp_path / "run.db"
    play = Play([REFUSED])
    outcomes, report = await run(play, 1000, journal=journal)

    # The thread of the journal works in ordinary time, so bounds are wide.
    assert 59 <= now() <= 80
    assert isinstance(report.halted, NotSentError)
    assert f"no response from {HOST} for 60 s" in report.halted.message
    assert {type(outcome) for outcome in outcomes} == {Pending}
    # A hundred are under way at a time; most were not even read.
    assert len(outcomes) < 500
    times = [moment for moment, _ in logged]
    assert times[0] < 5
    assert all(after - before <= 10 for before, after in pairwise(times))
    assert times[-1] >= 50
    assert all(f"no response from {HOST}" in line for _, line in logged)
    assert sum("next attempt in" in line for _, line in logged) >= 8
    assert "the run halts in" in logged[0][1]

    counts = status(journal).counts
    assert (counts[JournalState.ACCEPTED], status(journal).in_doubt) == (len(outcomes), 0)
    # Nothing has left: the same call again sends all of them at once.
    began = now()
    outcomes, report = await run(Play([placed()]), 1000, journal=journal)
    assert (report.placed, report.halted) == (1000, None)
    assert now() - began < 20


# The second is when the circuit breaker probes next.
@pytest.mark.parametrize(("max_outage", "halts_at"), [(1.0, 5), (12.5, 15), (35, 35), (300, 315)])
@virtual_time
async def test_max_outage_sets_how_long_an_outage_may_last(
    max_outage: float, halts_at: float
) -> None:
    _, report = await run(Play([REFUSED]), 200, max_outage=max_outage)
    assert report.halted is not None
    assert halts_at - 0.1 <= now() <= halts_at + 0.6


@pytest.mark.parametrize("seconds", [3.0, 30.0, 50.0, 59.0])
@virtual_time
async def test_host_that_comes_back_before_max_outage_is_found_before_the_run_halts(
    seconds: float, logged: list[tuple[float, str]]
) -> None:
    # The circuit breaker probes after 5, 15, 35 and 75 s.
    outcomes, report = await run(Play([until(seconds, REFUSED, placed())]), 300)

    assert report.halted is None
    assert len(outcomes) == 300
    assert now() <= 110
    assert all(isinstance(outcome, Placed) for outcome in outcomes)
    assert logged[-1][1] == f"{HOST} responds again"
    assert all("-" not in line.partition("the run halts")[2] for _, line in logged)


@virtual_time
async def test_host_that_flaps_for_minutes_gets_all_orders_without_a_retry_storm() -> None:
    async def flap(request: httpx.Request) -> httpx.Response:
        # Three seconds away, one second there.
        if now() < 300 and now() % 4 < 3:
            raise REFUSED
        return placed()

    play = Play([flap])
    outcomes, report = await run(play, 2000, max_concurrency=20, max_outage=math.inf)

    assert report.halted is None
    assert {type(outcome) for outcome in outcomes} <= {Placed, Pending}
    assert report.placed >= 1900
    assert now() <= 400
    # Attempts that failed: the breaker lets twenty of them through, and one probe at a time.
    assert len(play.requests) <= 2000 + 30 * 75


@virtual_time
async def test_run_with_an_infinite_max_outage_waits(logged: list[tuple[float, str]]) -> None:
    play = Play([until(3600, REFUSED, placed())])
    outcomes, report = await run(play, 200, max_outage=math.inf)
    assert report.halted is None
    assert 3600 <= now() <= 3700
    assert {type(outcome) for outcome in outcomes} <= {Placed, Pending}
    assert not any("halts" in line for _, line in logged)
    # Never silent for long, and silent again afterwards.
    gaps = [b - a for (a, _), (b, _) in pairwise(logged)]
    assert max(gaps) <= 5.1
    assert logged[-1][1] == f"{HOST} responds again"


@virtual_time
async def test_sent_orders_without_a_response_are_unknown_when_the_run_halts(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "run.db"
    play = Play([httpx.ReadError("")], knows=httpx.ReadError(""))
    outcomes, report = await run(play, 300, journal=journal)
    assert report.halted is not None
    assert {type(outcome) for outcome in outcomes} == {Pending, Unknown}
    unknown = {str(one.reference_number) for one in outcomes if isinstance(one, Unknown)}
    sent = {request.content for request in play.requests}
    assert len(unknown) == len(sent)
    assert status(journal).in_doubt == len(sent)


# --- what is no outage --------------------------------------------------------------------------


@virtual_time
async def test_single_lost_connection_is_not_logged_as_an_outage(
    logged: list[tuple[float, str]],
) -> None:
    lines: list[Line] = [placed(), *[placed(), placed(), REFUSED] * 60, placed()]
    _, report = await run(Play(lines), 150, max_concurrency=5)
    assert (report.placed, report.halted, logged) == (150, None, [])


@virtual_time
async def test_outage_during_a_run_is_logged_with_its_end(
    logged: list[tuple[float, str]],
) -> None:
    async def line(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        if 3 <= now() < 40:
            raise REFUSED
        return placed()

    _, report = await run(Play([line]), 2000)
    assert report.halted is None
    assert report.placed + report.pending == 2000
    times = [moment for moment, _ in logged]
    assert 3 <= times[0] <= 6
    assert logged[-1][1] == f"{HOST} responds again"
    assert 40 <= times[-1] <= 80
    assert len(logged) >= 8


@virtual_time
async def test_proxy_response_for_a_missing_server_is_logged_and_waited_for(
    logged: list[tuple[float, str]],
) -> None:
    play = Play([until(300, httpx.Response(502, text="<html>"), placed())])
    _, report = await run(play, 300)
    assert (report.halted, report.rejected) == (None, 0)
    assert now() >= 300
    # The circuit breaker is open, and says so.
    assert logged[0][0] <= 5
    assert any("502" in line and "next attempt in" in line for _, line in logged)
    gaps = [b - a for (a, _), (b, _) in pairwise(logged)]
    assert max(gaps) <= 5.1
    assert logged[-1][1] == f"{HOST} responds again"


@virtual_time
async def test_long_retry_after_is_logged(
    logged: list[tuple[float, str]],
) -> None:
    held = httpx.Response(429, headers={"retry-after": "90"})
    _, report = await run(Play([held, placed()]), 50)
    assert (report.placed, report.halted) == (50, None)
    assert logged[0][1].startswith(f"requests to {HOST} fail: too many calls (HTTP 429)")
    assert logged[0][1].endswith("next attempt in 90 s")
    assert len(logged) >= 18


@virtual_time
async def test_refusals_are_responses(logged: list[tuple[float, str]]) -> None:
    _, report = await run(Play([api_response(307, "order type")]), 300)
    assert (report.rejected, report.halted, logged) == (300, None, [])


@virtual_time
async def test_slow_courier_is_not_an_outage(logged: list[tuple[float, str]]) -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(55)
        return placed()

    _, report = await run(Play([slow]), 300, settings={"retry": RetryPolicy(attempts=1)})
    assert (report.placed, report.halted, logged) == (300, None, [])


# --- the line -----------------------------------------------------------------------------------

LINES: list[tuple[float | None, float, float | None, str]] = [
    (0.0, 0.0, 60.0, "no response from h:1: refused; trying again, the run halts in 60 s"),
    (
        50.0,
        25.0,
        10.0,
        "no response from h:1 for 50 s: refused; next attempt in 25 s, the run halts if that fails",
    ),
    (
        *(12.4, 4.6, 47.6),
        "no response from h:1 for 12 s: refused; next attempt in 5 s, the run halts in 48 s",
    ),
    (12.4, 4.6, math.inf, "no response from h:1 for 12 s: refused; next attempt in 5 s"),
    (None, 30.0, None, "requests to h:1 fail: refused; next attempt in 30 s"),
    (None, -1.0, None, "requests to h:1 fail: refused; trying again"),
]


@pytest.mark.parametrize(("outage", "pause", "halts_in", "line"), LINES)
def test_log_line_names_place_reason_and_next_step(
    outage: float | None, pause: float, halts_in: float | None, line: str
) -> None:
    assert describe("h:1", NotSentError("refused"), outage, pause, halts_in) == line


@virtual_time
async def test_outage_starts_over_after_a_response() -> None:
    async def line(request: httpx.Request) -> httpx.Response:
        # Unreachable for 30 of every 40 seconds, and so never for a minute in one piece.
        if now() % 40 < 30:
            raise REFUSED
        return httpx.Response(429)

    policy = RetryPolicy(attempts=200, max_backoff=1)
    async with (
        playing(Play([line] * 500), limiter=NoRateLimit(), retry=policy) as clickpost,
        create(unguarded(clickpost), orders(1), max_outage=60) as bulk,
    ):
        outcome = await anext(aiter(bulk))

    assert (type(outcome), bulk.report.halted) == (Pending, None)
    assert now() > 100


# --- orders that settle -------------------------------------------------------------------------


@virtual_time
async def test_resumed_run_reports_once_that_its_orders_settle(
    logged: list[tuple[float, str]], tmp_path: Path
) -> None:
    journal = tmp_path / "run.db"
    never = {"retry": RetryPolicy.never()}
    outcomes, _ = await run(Play([httpx.ReadError("")]), 2, journal=journal, settings=never)
    assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown]
    logged.clear()
    outcomes, _ = await run(Play([placed()]), 2, journal=journal)
    assert [type(outcome) for outcome in outcomes] == [Placed, Placed]
    (_, line), *others = logged
    assert line.startswith(
        "orders that settle before they are looked up or sent again: 2; the next"
    )
    assert others == []


@virtual_time
async def test_run_reports_no_settling_while_it_has_orders_to_send(
    logged: list[tuple[float, str]], tmp_path: Path
) -> None:
    outcomes, _ = await run(Play([placed()]), 50, journal=tmp_path / "run.db")
    assert {type(outcome) for outcome in outcomes} == {Placed}
    assert logged == []
