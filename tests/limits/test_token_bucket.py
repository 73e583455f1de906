"""The token bucket, local and shared, in virtual time."""

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clickpost_async.limits import AdaptiveLimiter, Limiter, NoRateLimit, TokenBucket
from clickpost_async.settings import Priority, Rate
from clickpost_async.testing import VirtualLoop, run_virtual, virtual_time
from tests.helpers.redis_server import RedisServer
from tests.limits.scripted_callers import (
    Coming,
    Holding,
    Pace,
    bursts,
    holdings,
    impatient,
    moments,
    overshoot,
    patient,
    play,
    rates,
)
from tests.limits.virtual_redis import PlayedBucket, PlayedRedis

NORMAL, BULK = Priority.NORMAL, Priority.BULK
near = 1e-6


Bucket = Callable[[float, float], Pace]


@pytest.fixture(scope="module", params=["own", "shared"])
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """Makes a bucket of a process's own, and one that is shared through Redis."""
    if request.param == "own":
        yield TokenBucket
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    with server.client() as client:
        yield lambda rate, burst: PlayedBucket(PlayedRedis(client), Rate(rate, burst=burst))


class Naive:
    """A token bucket as one first writes it: all that wait sleep as long and leave together."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._seen = 0.0

    async def acquire(self, priority: Priority = NORMAL) -> None:
        now = anyio.current_time()
        self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._rate)
        self._seen = now
        if self._tokens < 1:
            await anyio.sleep((1 - self._tokens) / self._rate)
        self._tokens = max(0.0, self._tokens - 1)

    async def pause(self, seconds: float) -> None:
        self._tokens = 0.0


class FixedWindow(Naive):
    """So many in each second of the clock: twice as many around its turn."""

    async def acquire(self, priority: Priority = NORMAL) -> None:
        while True:
            now = anyio.current_time()
            if math.floor(now) > self._seen:
                self._seen, self._tokens = math.floor(now), self._rate
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await anyio.sleep(math.floor(now) + 1 - now)


@given(rates, bursts, impatient, holdings)
def test_no_window_sees_more_than_the_burst_and_the_rate(
    bucket: Bucket, rate: float, burst: float, come: list[Coming], hold: list[Holding]
) -> None:
    leavings = play(bucket(rate, burst), come, hold)
    assert overshoot(leavings, rate, burst) == 0


@pytest.mark.parametrize(
    ("limiter", "come"),
    [
        pytest.param(Naive(10, 5), [Coming(at=0)] * 40, id="all wake together"),
        pytest.param(
            FixedWindow(10, 10), [Coming(at=0.9)] * 10 + [Coming(at=1)] * 10, id="fixed window"
        ),
    ],
)
def test_same_check_finds_limiters_that_overshoot(limiter: Naive, come: list[Coming]) -> None:
    assert overshoot(play(limiter, come), 10, 5) > 1


@given(rates, bursts, patient, holdings)
def test_every_waiting_call_is_sent_once(
    bucket: Bucket, rate: float, burst: float, come: list[Coming], hold: list[Holding]
) -> None:
    leavings = play(bucket(rate, burst), come, hold)
    assert sorted(leaving.who for leaving in leavings) == list(range(len(come)))


@given(rates, bursts, impatient, holdings)
def test_each_lane_is_first_come_first_served(
    bucket: Bucket, rate: float, burst: float, come: list[Coming], hold: list[Holding]
) -> None:
    leavings = play(bucket(rate, burst), come, hold)
    for lane in Priority:
        left = [one.who for one in leavings if come[one.who].priority is lane]
        assert left == sorted(left, key=lambda who: (come[who].at, who))


@given(rates, bursts, patient)
def test_bulk_precedes_waiting_normal_calls_only_when_overtaken_eight_times(
    bucket: Bucket, rate: float, burst: float, come: list[Coming]
) -> None:
    leavings = play(bucket(rate, burst), come)
    lanes = [come[one.who].priority for one in leavings]
    left_at = {one.who: one.at for one in leavings}
    for place, bulk in enumerate(leavings):
        waiting = [
            who
            for who, coming in enumerate(come)
            if coming.priority is NORMAL and coming.at < bulk.at - near < left_at[who] - 2 * near
        ]
        if lanes[place] is BULK and waiting:
            assert lanes[max(0, place - 8) : place] == [NORMAL] * 8


@given(rates, bursts, patient, holdings)
def test_no_call_is_sent_during_a_pause(
    bucket: Bucket, rate: float, burst: float, come: list[Coming], hold: list[Holding]
) -> None:
    for limiter in (bucket(rate, burst), NoRateLimit()):
        leavings = play(limiter, come, hold)
        for one in hold:
            during = [x for x in leavings if one.at + near < x.at < one.at + one.seconds - near]
            assert during == []


@given(st.integers(2, 50).map(float), bursts, moments, st.floats(0.5, 30))
def test_after_a_pause_calls_are_sent_at_the_rate_from_its_end(
    bucket: Bucket, rate: float, burst: float, at: float, seconds: float
) -> None:
    hold = Holding(at=at, seconds=seconds)
    come = [Coming(at=at + seconds / 2)] * 10
    leavings = play(bucket(rate, burst), come, [hold])
    ideal = [at + seconds + n / rate for n in range(10)]
    assert [one.at for one in leavings] == pytest.approx(ideal, abs=near)


def test_later_end_of_overlapping_pauses_counts(bucket: Bucket) -> None:
    holds = [
        Holding(at=0, seconds=60),
        Holding(at=1, seconds=5),
        Holding(at=2, seconds=100),
        Holding(at=90, seconds=1),
    ]
    # One that waits already, and one that comes after the last hold was asked for.
    for come in (Coming(at=3), Coming(at=95)):
        for limiter in (bucket(5, 5), NoRateLimit()):
            (left,) = play(limiter, [come], holds)
            assert left.at == pytest.approx(102)


@given(rates, bursts, st.integers(1, 60))
@settings(max_examples=50)
def test_rate_is_used_fully_while_calls_wait(
    bucket: Bucket, rate: float, burst: float, crowd: int
) -> None:
    leavings = play(bucket(rate, burst), [Coming(at=0)] * crowd)
    ideal = max(0.0, (crowd - burst) / rate)
    assert leavings[-1].at <= ideal * 1.001 + near


@given(rates, bursts, impatient, holdings)
@example(1.0, 1.0, [Coming(at=0), Coming(at=0, patience=0.5), Coming(at=0, patience=1)] * 5, [])
def test_cancelled_waiters_take_no_slot(
    bucket: Bucket, rate: float, burst: float, come: list[Coming], hold: list[Holding]
) -> None:
    leavings = play(bucket(rate, burst), come, hold)
    stayed = [come[who] for who in sorted(one.who for one in leavings)]
    without = [Coming(at=one.at, priority=one.priority) for one in stayed]
    again = play(bucket(rate, burst), without, hold)
    assert [one.at for one in leavings] == pytest.approx([one.at for one in again], abs=near)


def test_normal_call_overtakes_a_sleeping_bulk_call(bucket: Bucket) -> None:
    come = [Coming(at=0), Coming(at=0, priority=BULK), Coming(at=0.5), Coming(at=0.75)]
    leavings = play(bucket(1, 1), come)
    assert [(one.who, one.at) for one in leavings] == [(0, 0), (2, 1), (3, 2), (1, 3)]


def test_normal_call_overtakes_a_queued_bulk_call(bucket: Bucket) -> None:
    come = [Coming(at=0), *[Coming(at=0, priority=BULK)] * 2, Coming(at=1.5)]
    leavings = play(bucket(1, 1), come)
    assert [(one.who, one.at) for one in leavings] == [(0, 0), (1, 1), (3, 2), (2, 3)]


def test_bulk_gets_every_ninth_slot_of_a_stream_of_normal_calls(bucket: Bucket) -> None:
    come = [Coming(at=0, priority=BULK)] * 4 + [Coming(at=0.5)] * 40
    lanes = [come[one.who].priority for one in play(bucket(1, 1), come)]
    assert lanes == [BULK, *([*[NORMAL] * 8, BULK] * 3), *[NORMAL] * 16]


def test_sleeping_bulk_call_is_overtaken_eight_times_where_no_other_bulk_call_waits(
    bucket: Bucket,
) -> None:
    come = [Coming(at=0, priority=BULK)] * 2 + [Coming(at=0.5)] * 20
    lanes = [come[one.who].priority for one in play(bucket(1, 1), come)]
    assert lanes == [BULK, *[NORMAL] * 8, BULK, *[NORMAL] * 12]


def test_waiter_cancelled_while_yielding_neither_takes_nor_blocks_a_slot(bucket: Bucket) -> None:
    come = [
        Coming(at=0),
        Coming(at=0, priority=BULK, patience=1.5),
        Coming(at=0.5),
        Coming(at=0.5),
        Coming(at=0.6, priority=BULK),
    ]
    leavings = play(bucket(1, 1), come)
    assert [(one.who, one.at) for one in leavings] == [(0, 0), (2, 1), (3, 2), (4, 3)]


class HandClock:
    """The loop's clock, pushed ahead by hand: what a blocked event loop looks like."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return anyio.current_time() + self.ahead


@pytest.mark.parametrize("rate", [1, 50, 1000, 10_000])
@pytest.mark.parametrize("burst", [1, 2, 100, 10_000])
def test_loop_that_was_blocked_makes_up_for_five_milliseconds_at_most(
    rate: int, burst: int
) -> None:
    clock = HandClock()
    bucket = TokenBucket(rate, burst, clock=clock)
    left = 0

    async def come() -> None:
        nonlocal left
        await bucket.acquire()
        left += 1

    async def main() -> None:
        nonlocal left
        for _ in range(burst):
            await bucket.acquire()
        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(come)
            await anyio.lowlevel.checkpoint()
            clock.ahead += 60
            await anyio.sleep(1 / rate)
            for _ in range(500):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    run_virtual(main)
    most = 1 + min(burst - 1, math.floor(rate * 0.01 + near))
    assert 1 <= left <= most + 1  # the one of that very moment


@pytest.mark.parametrize("late", [0.002, 0.007])
@virtual_time
async def test_lateness_of_a_few_milliseconds_does_not_slow_the_rate(late: float) -> None:
    clock = HandClock()
    bucket = TokenBucket(1000, 11, clock=clock)
    start = clock()
    async with anyio.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(bucket.acquire)
        for _ in range(80):
            await anyio.sleep(0.003)
            clock.ahead += late
    assert clock() - start == pytest.approx(0.99, rel=0.01)


@virtual_time
async def test_new_call_does_not_overtake_one_whose_timer_is_late() -> None:
    clock = HandClock()
    bucket = TokenBucket(1, 1, clock=clock)
    left: list[str] = []

    async def come(name: str) -> None:
        await bucket.acquire()
        left.append(name)

    async with anyio.create_task_group() as group:
        for name in ("first", "waiting"):
            group.start_soon(come, name)
        await anyio.sleep(0.5)
        clock.ahead += 10
        group.start_soon(come, "newcomer")
    assert left == ["first", "waiting", "newcomer"]


def test_waiting_tasks_of_another_event_loop_do_not_use_up_the_burst() -> None:
    bucket = TokenBucket(1, 3)
    waiting: list[asyncio.Task[None]] = []

    async def leave_waiting() -> None:
        waiting.extend(asyncio.ensure_future(bucket.acquire()) for _ in range(9))
        await anyio.sleep(0.5)

    # As after a fork: the bucket has counted them, but they will not run while the others do.
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(leave_waiting())
        leavings = play(bucket, [Coming(at=20)] * 3)
    assert [one.at for one in leavings] == [20] * 3
    assert sum(task.cancelled() for task in waiting) == 6


def test_event_loop_after_another_shares_the_pace_but_not_the_queue() -> None:
    bucket = TokenBucket(1, 2)
    first = play(bucket, [Coming(at=0)] * 5 + [Coming(at=0, patience=3.5)] * 3)
    second = play(bucket, [Coming(at=0)] * 3)
    assert [one.at for one in first] == pytest.approx([0, 0, 1, 2, 3])
    # The second loop's clock starts at 0 again: the debt of the first is neither lost nor grown.
    assert [one.at for one in second] == pytest.approx([1, 2, 3])


def test_event_loop_closed_with_a_queue_leaves_nothing_behind() -> None:
    bucket = TokenBucket(1, 1)

    async def die() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(bucket.acquire)
            await anyio.sleep(2.5)
            raise KeyError

    with pytest.raises(ExceptionGroup):
        run_virtual(die)
    # The bucket looked at the clock last at 2, when the next one's time was 3.
    assert [one.at for one in play(bucket, [Coming(at=0)] * 2)] == pytest.approx([1, 2])


@virtual_time
async def test_delay_is_returned_without_taking_a_slot() -> None:
    bucket = TokenBucket(2, 1)
    assert bucket.delay() == 0
    await bucket.acquire()
    assert [bucket.delay(), bucket.delay()] == [0.5, 0.5]
    await bucket.pause(3)
    assert bucket.delay() == 3


@virtual_time
async def test_free_bucket_does_not_give_up_the_event_loop() -> None:
    for limiter in (TokenBucket(10), NoRateLimit()):
        coroutine = limiter.acquire()
        with pytest.raises(StopIteration):
            coroutine.send(None)


def test_without_a_burst_it_is_one_seconds_worth_and_at_least_one() -> None:
    max_concurrency = [
        sum(one.at == 0 for one in play(bucket, [Coming(at=0)] * 20))
        for bucket in (TokenBucket(7), TokenBucket(0.5), TokenBucket(600, per=60))
    ]
    assert max_concurrency == [7, 1, 10]


def test_unlimited_releases_all_in_order_after_a_pause() -> None:
    come = [Coming(at=0)] * 3 + [Coming(at=2, priority=BULK)] * 3 + [Coming(at=3)] * 3
    leavings = play(NoRateLimit(), come, [Holding(at=1, seconds=9)])
    assert [one.who for one in leavings] == [0, 1, 2, 6, 7, 8, 3, 4, 5]
    assert [one.at for one in leavings] == [0, 0, 0] + [10] * 6


def test_buckets_work_on_trio() -> None:
    trio = pytest.importorskip("trio")
    left: list[tuple[str, float]] = []

    async def main() -> None:
        bucket: Limiter = TokenBucket(1, 2)
        start = anyio.current_time()

        async def come(name: str, priority: Priority) -> None:
            await bucket.acquire(priority)
            left.append((name, round(anyio.current_time() - start, 6)))

        async with anyio.create_task_group() as group:
            for name in ("a", "b", "c"):
                group.start_soon(come, name, BULK)
                await anyio.sleep(0.001)
            await anyio.sleep(0.1)
            group.start_soon(come, "urgent", NORMAL)
            with anyio.move_on_after(0.2):
                await come("gives up", NORMAL)
            await bucket.pause(5)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [name for name, _ in left] == ["a", "b", "urgent", "c"]
    assert [at for _, at in left] == pytest.approx([0, 0.001, 5.303, 6.303])


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf])
def test_wrong_rate_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"^rate must be a finite number of calls, above 0"):
        TokenBucket(wrong)
    with pytest.raises(ValueError, match=r"^per must be a finite number of seconds, above 0"):
        TokenBucket(1, per=wrong)


def test_rate_as_text_is_refused_by_name() -> None:
    rate: Any = "10/1s"
    with pytest.raises(TypeError, match=r"^rate must be a finite number of calls, above 0"):
        TokenBucket(rate)


@pytest.mark.parametrize("wrong", [0, 0.99, -1, math.nan, math.inf])
def test_wrong_burst_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"^burst must be a finite number of calls, 1 or more"):
        TokenBucket(1, wrong)


@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf])
@virtual_time
async def test_invalid_pause_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"^seconds must be a finite number of seconds, 0 or more"):
        await NoRateLimit().pause(wrong)


def test_limiters_show_their_class_and_rate() -> None:
    assert repr(TokenBucket(10)) == "TokenBucket(10, 10, per=1)"
    assert repr(TokenBucket(600, 5, per=60)) == "TokenBucket(600, 5, per=60)"
    assert [repr(NoRateLimit()), repr(AdaptiveLimiter())] == ["NoRateLimit()", "AdaptiveLimiter()"]
