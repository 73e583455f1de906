"""The sandbox's rate limit, and its measurement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.sandbox import Sandbox
from clickpost_async.sandbox.http.traffic import Limit, busiest
from tests.sandbox.samples import INDIA, client, india_order, status_of


@given(
    gaps=st.lists(st.floats(0, 0.5), max_size=60),
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 10),
)
def test_no_time_window_exceeds_the_rate(gaps: list[float], rate: float, burst: int) -> None:
    limit = Limit(rate=rate, burst=burst)
    now, passed = 0.0, []
    for gap in gaps:
        now += gap
        if limit.wait(now) == 0:
            passed.append(now)

    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            within = burst + rate * (passed[last] - start)
            assert last - first + 1 <= within + 1e-3


@given(rate=st.floats(0.5, 100), burst=st.integers(1, 10))
def test_call_that_waits_for_the_retry_after_succeeds(rate: float, burst: int) -> None:
    limit = Limit(rate=rate, burst=burst)
    assert [limit.wait(5.0) for _ in range(burst)] == [0.0] * burst

    wait = limit.wait(5.0)
    assert wait == pytest.approx(1 / rate)
    assert limit.wait(5.0 + wait) == 0.0


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (1, 0)])
def test_limit_of_zero_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Limit(rate=rate, burst=burst)


def test_fullest_window_is_found() -> None:
    assert busiest([0.0, 0.5, 0.9, 1.0, 1.4, 3.0], 1.0) == 4
    assert busiest([], 1.0) == 0


@pytest.mark.asyncio
async def test_call_too_many_is_429_with_whole_seconds_to_wait_and_books_nothing() -> None:
    sandbox = Sandbox(rate=0.25, burst=2)
    async with client(sandbox) as http:
        replies = [await http.post(INDIA, json=india_order(f"PEN-{n}")) for n in range(3)]

    assert [status_of(reply) for reply in replies[:2]] == [200, 200]
    assert (replies[2].status_code, replies[2].headers["retry-after"]) == (429, "4")
    assert list(replies[2].json()) == ["detail"]
    assert set(sandbox.ledger()) == {"PEN-0", "PEN-1"}
    assert [call.http_status for call in sandbox.requests()] == [200, 200, 429]
    assert sandbox.busiest(seconds=60) == 3
