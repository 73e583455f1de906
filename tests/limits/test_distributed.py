"""A fleet in virtual time: the limiters of several processes, one Redis, and its failures."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Self

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async.limits import TokenBucket
from clickpost_async.limits._distributed import DistributedLimiter, RateSpec, SlotRequest
from clickpost_async.limits._fallback_share import FallbackShare
from clickpost_async.settings import Priority, Rate
from clickpost_async.testing import run_virtual, virtual_time
from tests.helpers.redis_server import RedisServer
from tests.limits.scripted_callers import Leaving, overshoot
from tests.limits.virtual_redis import PlayedBucket, PlayedRedis

RATE = Rate(200, burst=20)
near = 1e-6


@pytest.fixture
def at(redis_server: RedisServer) -> Iterator[PlayedRedis]:
    with redis_server.client() as client:
        yield PlayedRedis(client)


def fleet(at: PlayedRedis, rate: Rate = RATE, processes: int = 4) -> list[DistributedLimiter]:
    return [PlayedBucket(at, rate, process_count=processes) for _ in range(processes)]


class Crowd:
    """So many calls in each process, each of which comes again as soon as it has left."""

    def __init__(self, buckets: list[DistributedLimiter], crowds: list[int]) -> None:
        self.leavings: list[Leaving] = []
        self._buckets = buckets
        self._crowds = crowds
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        for who, (bucket, crowd) in enumerate(zip(self._buckets, self._crowds, strict=True)):
            self._tasks += [self._group.create_task(self._come(who, bucket)) for _ in range(crowd)]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    async def _come(self, who: int, bucket: DistributedLimiter) -> None:
        while True:
            await bucket.acquire()
            self.leavings.append(Leaving(who=who, at=anyio.current_time()))

    def counts(self, since: float = 0, until: float = 1e9) -> list[int]:
        left = [one.who for one in self.leavings if since <= one.at < until]
        return [left.count(who) for who in range(len(self._buckets))]


@virtual_time
async def test_fleet_keeps_one_rate_and_uses_it_fully(at: PlayedRedis) -> None:
    async with Crowd(fleet(at), [10] * 4) as crowd:
        await anyio.sleep(5)

    assert overshoot(crowd.leavings, 200, 20) == 0
    assert len(crowd.leavings) >= 0.99 * (20 + 200 * 5)


@virtual_time
async def test_frequent_caller_requests_several_slots_at_once(at: PlayedRedis) -> None:
    (bucket,) = fleet(at, processes=1)

    for _ in range(400):
        await bucket.acquire()

    assert at.asked <= 110


@pytest.mark.fault("R08")
@virtual_time
async def test_r08_thousand_that_wait_leave_one_by_one(at: PlayedRedis) -> None:
    rate = Rate(500, burst=1)

    async with Crowd(fleet(at, rate), [250] * 4) as crowd:
        await anyio.sleep(2)

    assert overshoot(crowd.leavings, 500, 1) == 0
    assert len(crowd.leavings) >= 990
    assert at.asked <= len(crowd.leavings) / 5


@pytest.mark.fault("R08")
@pytest.mark.parametrize("calls", [2, 5, 20])
@virtual_time
async def test_r08_slow_rate_costs_one_redis_request_per_call(at: PlayedRedis, calls: int) -> None:
    async with Crowd(fleet(at, Rate(calls, burst=1)), [5] * 4) as crowd:
        await anyio.sleep(100)

    assert len(crowd.leavings) >= 99 * calls
    assert at.asked <= len(crowd.leavings) + 8


@pytest.mark.fault("R08", control=True)
@virtual_time
async def test_r08_buckets_that_do_not_share_go_four_times_as_fast() -> None:
    buckets = [TokenBucket(500, 1) for _ in range(4)]

    async with Crowd(buckets, [250] * 4) as crowd:
        await anyio.sleep(2)

    assert overshoot(crowd.leavings, 500, 1) > 2000


@pytest.mark.fault("R09")
@pytest.mark.parametrize("crowds", [[1000, 10, 10, 10], [100, 4, 2, 1], [50, 50, 50, 50]])
@virtual_time
async def test_r09_busy_process_gets_no_more_than_its_share(
    at: PlayedRedis, crowds: list[int]
) -> None:
    async with Crowd(fleet(at), crowds) as crowd:
        await anyio.sleep(4)

    counts = crowd.counts()
    assert max(counts) / min(counts) <= 1.5


@pytest.mark.fault("R09", control=True)
@virtual_time
async def test_r09_unbounded_slot_requests_starve_other_processes(
    at: PlayedRedis,
) -> None:
    buckets = fleet(at)
    for bucket in buckets:
        bucket._most = 1000

    async with Crowd(buckets, [1000, 10, 10, 10]) as crowd:
        await anyio.sleep(4)

    counts = crowd.counts()
    assert max(counts) > 1.5 * min(counts)


@virtual_time
async def test_pause_of_one_process_pauses_all(at: PlayedRedis) -> None:
    buckets = fleet(at)

    async with Crowd(buckets, [10] * 4) as crowd:
        await anyio.sleep(1)
        await buckets[0].pause(3)
        await anyio.sleep(5)

    # What Redis granted last may be used for a tenth of a second.
    assert sum(crowd.counts(1 + near, 1.1)) <= 3 * 4
    assert sum(crowd.counts(1.1, 4 - near)) == 0
    assert sum(crowd.counts(4 - near, 5)) == pytest.approx(200, abs=3)
    assert overshoot(crowd.leavings, 200, 20) == 0


@virtual_time
async def test_pause_of_one_process_reaches_another(at: PlayedRedis) -> None:
    first, second, *_ = fleet(at)
    assert (first.held, second.held) == (0, 0)

    await first.pause(30)
    with anyio.move_on_after(1):
        await second.acquire()

    assert first.held == second.held == pytest.approx(29, abs=0.1)


@pytest.mark.parametrize("calls", [2, 40])
@virtual_time
async def test_pause_applies_to_calls_that_already_have_a_slot(at: PlayedRedis, calls: int) -> None:
    buckets = fleet(at, Rate(calls, burst=1))

    async with Crowd(buckets, [5] * 4) as crowd:
        await anyio.sleep(10.01)
        await buckets[0].pause(7)
        await anyio.sleep(20)

    assert sum(crowd.counts(10.11, 17.01 - near)) == 0
    assert sum(crowd.counts(17.01 - near, 30.01)) == pytest.approx(13 * calls, abs=2)


@virtual_time
async def test_slots_granted_before_a_short_pause_are_not_used_after_it(
    at: PlayedRedis,
) -> None:
    (bucket,) = fleet(at, Rate(200, burst=1), processes=1)

    async with Crowd([bucket], [10]) as crowd:
        for number in range(20):
            await anyio.sleep(1 + number / 1000)
            await bucket.pause(0.012)
        await anyio.sleep(1)

    assert overshoot(crowd.leavings, 200, 1) == 0


# --- a Redis that fails ------------------------------------------------------------------------


def fail(at: PlayedRedis, how: str) -> None:
    at.hangs = how == "hangs"
    at.failure = ConnectionError("gone") if how == "is gone" else None


@pytest.mark.fault("R01")
@pytest.mark.fault("R02")
@pytest.mark.parametrize("how", ["hangs", "is gone"])
@virtual_time
async def test_r01_r02_call_waits_fifty_milliseconds_for_redis(at: PlayedRedis, how: str) -> None:
    fail(at, how)
    (bucket, *_) = fleet(at)

    await bucket.acquire()

    assert anyio.current_time() <= 0.05


@pytest.mark.fault("R01")
@pytest.mark.fault("R02")
@pytest.mark.parametrize("how", ["hangs", "is gone"])
@pytest.mark.parametrize("forgets", [False, True])
@given(st.data())
@settings(max_examples=10)
def test_r01_r02_fleet_keeps_to_the_rate_while_redis_fails_and_when_it_is_back(
    redis_server: RedisServer, how: str, forgets: bool, data: st.DataObject
) -> None:
    down = data.draw(st.floats(0, 3))
    up = down + data.draw(st.floats(0.1, 5))
    crowds = data.draw(st.lists(st.integers(1, 12), min_size=4, max_size=4))

    async def main(at: PlayedRedis) -> Crowd:
        async with Crowd(fleet(at), crowds) as crowd:
            await anyio.sleep(down)
            fail(at, how)
            await anyio.sleep(up - down)
            fail(at, "answers")
            if forgets:
                at.forget()
            await anyio.sleep(4)
        return crowd

    with redis_server.client() as client:
        crowd = run_virtual(lambda: main(PlayedRedis(client)))
    assert overshoot(crowd.leavings, 200, 20) <= 2
    # It is not blocked either: the share of each is used, and then the whole rate.
    assert sum(crowd.counts(down + 0.3, up)) >= 0.95 * 200 * (up - down - 0.3) - 4
    assert sum(crowd.counts(up + 2.5, up + 4)) >= 0.95 * 200 * 1.5


@pytest.mark.fault("R01", control=True)
@virtual_time
async def test_r01_fleet_without_a_process_count_exceeds_the_rate_without_redis(
    at: PlayedRedis,
) -> None:
    fail(at, "is gone")
    buckets = [PlayedBucket(at, RATE, process_count=1) for _ in range(4)]

    async with Crowd(buckets, [10] * 4) as crowd:
        await anyio.sleep(2)

    assert overshoot(crowd.leavings, 200, 20) > 500


@pytest.mark.fault("R01")
@virtual_time
async def test_r01_redis_outage_and_its_end_are_logged_once_each(
    at: PlayedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    fail(at, "is gone")
    async with Crowd(fleet(at, processes=1), [10]):
        await anyio.sleep(5)
        fail(at, "answers")
        await anyio.sleep(5)

    assert {one.levelno for one in caplog.records} == {logging.WARNING}
    gone, back = (one.getMessage() for one in caplog.records)
    assert gone.startswith(
        "the rate of a play: Redis unavailable (ConnectionError: gone); falling back to 100%"
    )
    assert back == "the rate of a play: Redis is back, and all processes share one rate again"


@virtual_time
async def test_short_outages_that_follow_each_other_are_logged_once_a_minute(
    at: PlayedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    async with Crowd(fleet(at, processes=1), [10]):
        for _ in range(90):
            fail(at, "is gone")
            await anyio.sleep(0.3)
            fail(at, "answers")
            await anyio.sleep(0.7)

    logged = [record.getMessage().split(": ")[1][:13] for record in caplog.records]
    assert logged == ["Redis unavail", "Redis is back"] * 2


@virtual_time
async def test_outage_that_lasts_is_logged_however_soon_it_follows_another(
    at: PlayedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    async with Crowd(fleet(at, processes=1), [10]):
        for seconds in (0.3, 10.0):
            fail(at, "is gone")
            await anyio.sleep(seconds)
            fail(at, "answers")
            await anyio.sleep(3)

    logged = [record.getMessage().split(": ")[1][:13] for record in caplog.records]
    assert logged == ["Redis unavail", "Redis is back"] * 2


@virtual_time
async def test_pause_during_a_redis_outage_is_shared_when_it_is_back(at: PlayedRedis) -> None:
    throttled, other = fleet(at, processes=2)
    fail(at, "is gone")
    await throttled.acquire()
    await throttled.pause(30)
    fail(at, "answers")

    async with Crowd([throttled, other], [1, 1]) as crowd:
        await anyio.sleep(40)

    assert [one.who for one in crowd.leavings if 2 <= one.at < 30 - near] == []
    assert sum(crowd.counts(30 - near, 40)) >= 1500


@virtual_time
async def test_unreachable_redis_is_tried_once_a_second(at: PlayedRedis) -> None:
    fail(at, "is gone")
    async with Crowd(fleet(at, processes=1), [10]):
        await anyio.sleep(20)

    assert 20 <= at.asked <= 26


@virtual_time
async def test_share_that_is_not_used_is_not_saved_up(at: PlayedRedis) -> None:
    (bucket, *_) = buckets = fleet(at)
    fail(at, "is gone")
    await bucket.acquire()
    await anyio.sleep(60)

    async with Crowd([bucket], [50]) as crowd:
        await anyio.sleep(1)

    # And what calls that waited make up for.
    assert overshoot(crowd.leavings, 200 / len(buckets), 1 + 0.05 * 50) <= near


@virtual_time
async def test_later_end_of_two_pauses_counts_without_redis_too(at: PlayedRedis) -> None:
    (bucket, *_) = fleet(at)
    fail(at, "is gone")
    await bucket.acquire()
    await bucket.pause(30)
    await bucket.pause(1)
    began = anyio.current_time()

    await bucket.acquire()

    assert anyio.current_time() == pytest.approx(began + 30)


@virtual_time
async def test_slot_request_that_times_out_is_cancelled(at: PlayedRedis) -> None:
    fail(at, "hangs")
    (bucket, *_) = fleet(at)

    await bucket.acquire()
    await asyncio.sleep(0)

    left = asyncio.all_tasks() - {asyncio.current_task()}
    # Only the heartbeat, which has more time.
    assert ["heartbeat" in repr(task.get_coro()) for task in left] == [True]


@virtual_time
async def test_pause_of_another_process_is_kept_when_redis_is_gone(at: PlayedRedis) -> None:
    throttled, other = fleet(at, processes=2)
    await throttled.pause(30)
    await other.pause(1)
    fail(at, "is gone")

    await other.acquire()

    assert anyio.current_time() >= 30 - near


# --- the number of processes -------------------------------------------------------------------

SLOW = Rate(30, burst=1)


def distant(at: PlayedRedis, *latencies: float) -> list[DistributedLimiter]:
    return [PlayedBucket(at, SLOW, latency=latency) for latency in latencies]


@virtual_time
async def test_workers_whose_redis_is_70_ms_away_keep_to_the_rate_and_use_it(
    at: PlayedRedis,
) -> None:
    async with Crowd(distant(at, *[0.07] * 4), [10] * 4) as crowd:
        await anyio.sleep(60)

    # They may leave at the same moment, one of each.
    assert overshoot(crowd.leavings, 30, 1) <= 5
    assert sum(crowd.counts(10, 60)) >= 0.97 * 30 * 50


@virtual_time
async def test_workers_that_each_take_themselves_for_the_only_one_multiply_the_rate(
    at: PlayedRedis,
) -> None:
    # The control: what a count of one process does, 70 ms from Redis.
    buckets = [PlayedBucket(at, SLOW, process_count=1, latency=0.07) for _ in range(4)]
    for bucket in buckets:
        bucket._learn = lambda count, is_prompt: None  # type: ignore[method-assign]
    async with Crowd(buckets, [10] * 4) as crowd:
        await anyio.sleep(60)

    assert overshoot(crowd.leavings, 30, 1) > 3 * 30 * 50


@pytest.mark.parametrize("is_booked", [True, False], ids=["booked", "control: not booked"])
@virtual_time
async def test_share_of_processes_far_from_redis_is_booked_before_a_near_one_takes_the_whole_rate(
    at: PlayedRedis, is_booked: bool
) -> None:
    buckets = distant(at, 0.08, 0.08, 0.08, 0.0)
    if not is_booked:
        for bucket in buckets:
            bucket._fallback.book_ahead = lambda seconds: 0  # type: ignore[method-assign]
    async with Crowd(buckets, [10] * 4) as crowd:
        await anyio.sleep(40)

    if is_booked:
        assert overshoot(crowd.leavings, 30, 1) <= 8
        assert sum(crowd.counts(10, 40)) >= 0.9 * 30 * 30
    else:
        assert overshoot(crowd.leavings, 30, 1) > 300


@virtual_time
async def test_processes_that_join_far_from_redis_are_counted_before_their_calls_leave(
    at: PlayedRedis,
) -> None:
    first, later = distant(at, *[0.07] * 2), distant(at, *[0.07] * 4)
    async with Crowd(first, [10] * 2) as crowd:
        await anyio.sleep(20.5)
        async with Crowd(later, [10] * 4) as joined:
            await anyio.sleep(30)

    leavings = sorted([*crowd.leavings, *joined.leavings], key=lambda one: one.at)
    assert overshoot(leavings, 30, 1) <= 6
    assert len(joined.leavings) >= 0.9 * 20 * 20


@virtual_time
async def test_process_that_falls_back_while_others_do_not_is_booked_at_redis(
    at: PlayedRedis,
) -> None:
    async with Crowd(distant(at, 0.07, 0.0, 0.0, 0.0), [10] * 4) as crowd:
        await anyio.sleep(60)

    # What the first one has booked may leave together with calls of the others.
    assert overshoot(crowd.leavings, 30, 1) <= 4
    assert len(crowd.leavings) >= 0.95 * 30 * 60


@virtual_time
async def test_processes_that_lose_redis_for_moments_do_not_exceed_the_rate(
    at: PlayedRedis,
) -> None:
    buckets = [PlayedBucket(at, RATE, process_count=4) for _ in range(4)]

    async def lose_for_moments(bucket: PlayedBucket, first: float) -> None:
        await anyio.sleep(first)
        while True:
            bucket._latency = 0.07
            await anyio.sleep(0.2)
            bucket._latency = 0.0
            await anyio.sleep(2.5)

    async with anyio.create_task_group() as group:
        for number, bucket in enumerate(buckets):
            group.start_soon(lose_for_moments, bucket, 1 + 0.675 * number)
        async with Crowd(list(buckets), [10] * 4) as crowd:
            await anyio.sleep(60)
        group.cancel_scope.cancel()

    assert overshoot(crowd.leavings, 200, 20) <= 4
    assert len(crowd.leavings) >= 0.9 * 200 * 60


@virtual_time
async def test_process_count_of_an_emptied_redis_is_ignored(at: PlayedRedis) -> None:
    buckets = distant(at, *[0.0] * 4)
    async with Crowd(buckets, [10] * 4) as crowd:
        await anyio.sleep(20.5)
        at.client.delete(f"{at.key}:processes")
        await anyio.sleep(1)
        fail(at, "hangs")
        await anyio.sleep(60)

    assert overshoot(crowd.leavings, 30, 1) <= 4


@virtual_time
async def test_first_process_count_after_a_long_outage_is_ignored(at: PlayedRedis) -> None:
    buckets = [PlayedBucket(at, Rate(30, burst=1)) for _ in range(4)]
    async with Crowd(list(buckets), [10] * 4) as crowd:
        await anyio.sleep(20.5)
        # Longer than a count is believed for; then only one process is counted before the next.
        fail(at, "is gone")
        await anyio.sleep(30)
        at.forget()
        at.client.delete(f"{at.key}:processes")
        for bucket in buckets[1:]:
            bucket._latency = 100
        fail(at, "answers")
        await anyio.sleep(0.3)
        fail(at, "is gone")
        await anyio.sleep(5)

    assert overshoot(crowd.leavings, 30, 1) <= 4


@pytest.mark.parametrize("latency", [0.4, 2.5], ids=["prompt", "late"])
@virtual_time
async def test_late_process_count_is_not_enough_for_a_process_to_start(
    at: PlayedRedis, latency: float
) -> None:
    # As late as this, heartbeats of other processes may not arrive at all.
    async with Crowd(distant(at, latency), [10]) as crowd:
        await anyio.sleep(30)

    assert bool(crowd.leavings) == (latency < 1)


@virtual_time
async def test_count_outlasts_many_heartbeats_of_a_process_that_has_lost_redis(
    at: PlayedRedis,
) -> None:
    async with Crowd(distant(at, *[0.07] * 4), [10] * 4) as crowd:
        await anyio.sleep(20.5)
        # More than six heartbeats of a process that has fallen back, before all others' next ones.
        at.client.delete(f"{at.key}:processes")
        for _ in range(8):
            at.client.delete(f"{at.key}:processes")
            await anyio.sleep(0.25)
        await anyio.sleep(10)

    assert overshoot(crowd.leavings, 30, 1) <= 5


@virtual_time
async def test_calls_wait_for_redis_while_the_number_of_processes_is_not_known(
    at: PlayedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    fail(at, "is gone")
    async with Crowd(distant(at, 0.0), [10]) as crowd:
        await anyio.sleep(30)
        assert crowd.leavings == []
        fail(at, "answers")
        await anyio.sleep(10)

    assert len(crowd.leavings) >= 0.8 * 30 * 10
    gone, back = (record.getMessage() for record in caplog.records)
    assert gone == (
        "the rate of a play: Redis unavailable (ConnectionError: gone); no call is sent until it"
        " responds: the number of processes is not known yet"
    )
    assert back == "the rate of a play: Redis is back, and all processes share one rate again"


@pytest.mark.fault("R04")
@virtual_time
async def test_r04_redis_that_lost_the_last_seconds_grants_no_second_burst(
    at: PlayedRedis,
) -> None:
    async with Crowd(fleet(at), [10] * 4) as crowd:
        await anyio.sleep(2)
        saved = at.client.hgetall(at.key)
        await anyio.sleep(3)
        at.client.hset(at.key, mapping=saved)
        await anyio.sleep(3)

    # No burst, and none of the slots that each process was granted before.
    assert overshoot(crowd.leavings, 200, 20) <= 1


@pytest.mark.fault("R04")
@virtual_time
async def test_r04_emptied_redis_starts_without_a_burst(
    at: PlayedRedis,
) -> None:
    at.forget()
    async with Crowd(fleet(at), [10] * 4) as crowd:
        await anyio.sleep(2)
        at.forget()
        await anyio.sleep(2)

    assert overshoot(crowd.leavings, 200, 1) <= 4 * 4


@virtual_time
async def test_slots_of_an_emptied_redis_are_not_kept(
    at: PlayedRedis,
) -> None:
    first = await at.grant(SPEC, SlotRequest(count_wanted=3))
    at.forget()
    again = await at.grant(
        SPEC, SlotRequest(count_wanted=3, generation=first.generation, first=first.first, count=3)
    )

    assert (first.kept, again.kept) == (0, 0)
    assert again.generation != first.generation


@virtual_time
async def test_slots_that_a_replica_does_not_know_are_void(at: PlayedRedis) -> None:
    old = at.client.hgetall(at.key)
    first = await at.grant(SPEC, SlotRequest(count_wanted=1))
    lost = await at.grant(SPEC, SlotRequest(count_wanted=3))
    at.client.hset(at.key, mapping=old)
    again = await at.grant(
        SPEC, SlotRequest(count_wanted=3, generation=lost.generation, first=lost.first, count=3)
    )
    earlier = await at.grant(
        SPEC, SlotRequest(count_wanted=1, generation=first.generation, first=first.first, count=1)
    )

    assert (again.kept, earlier.kept) == (0, 0)
    assert again.generation == earlier.generation != lost.generation
    # They may have been used: the new ones come after them.
    assert again.first == pytest.approx(lost.first + 3 * SPEC.interval)


@virtual_time
async def test_slots_up_to_the_last_one_that_redis_granted_are_kept(at: PlayedRedis) -> None:
    granted = await at.grant(SPEC, SlotRequest(count_wanted=3))
    await at.grant(SPEC, SlotRequest(count_wanted=1))
    again = await at.grant(
        SPEC,
        SlotRequest(count_wanted=3, generation=granted.generation, first=granted.first, count=3),
    )

    assert (again.kept, again.generation) == (3, granted.generation)


@virtual_time
async def test_process_keeps_its_share_until_others_can_reach_redis_again(
    at: PlayedRedis,
) -> None:
    *lost, other = fleet(at)
    await other.acquire()

    async with Crowd(lost, [10] * 3) as crowd:
        await anyio.sleep(1)
        fail(at, "is gone")
        # Long enough for them to ask once a second only.
        await anyio.sleep(2.1)
        at.forget()
        fail(at, "answers")
        async with Crowd([other], [10]) as late:
            await anyio.sleep(1)

    leavings = sorted([*crowd.leavings, *late.leavings], key=lambda one: one.at)
    assert overshoot(leavings, 200, 20) <= 2
    # What the others had booked ahead comes first.
    assert len(late.leavings) >= 30


@virtual_time
async def test_burst_that_was_used_is_not_granted_again_after_redis_was_gone(
    at: PlayedRedis,
) -> None:
    buckets = fleet(at, Rate(200, burst=100))
    leavings: list[Leaving] = []

    async def leave(who: int) -> None:
        await buckets[who].acquire()
        leavings.append(Leaving(who=who, at=anyio.current_time()))

    async def leave_steadily(who: int) -> None:
        # Just below the share of each, so that no process queues.
        while anyio.current_time() < 2.2:
            await leave(who)
            await anyio.sleep(0.0201)

    for _ in range(100):
        await leave(0)
    async with anyio.create_task_group() as group:
        for who in range(4):
            group.start_soon(leave_steadily, who)
        await anyio.sleep(0.5)
        fail(at, "is gone")
        await anyio.sleep(0.3)
        fail(at, "answers")
    async with anyio.create_task_group() as group:
        for _ in range(120):
            group.start_soon(leave, 0)

    assert overshoot(leavings, 200, 100) <= 2


# --- what the script keeps ---------------------------------------------------------------------

SPEC = RateSpec(interval=0.1, slack=0.5, lapse=0.1)


@virtual_time
async def test_script_keeps_the_later_end_of_two_pauses(at: PlayedRedis) -> None:
    await at.grant(SPEC, SlotRequest(hold=10))
    grant = await at.grant(SPEC, SlotRequest(hold=1))

    assert grant.held == 10


@virtual_time
async def test_script_grants_slots_after_a_pause_without_a_burst(
    at: PlayedRedis,
) -> None:
    grant = await at.grant(SPEC, SlotRequest(count_wanted=2))
    await at.grant(SPEC, SlotRequest(hold=5))
    kept = await at.grant(
        SPEC, SlotRequest(count_wanted=2, generation=grant.generation, first=grant.first, count=2)
    )
    assert (kept.kept, kept.first) == (0, 5)

    await anyio.sleep(7)
    await at.grant(SPEC, SlotRequest(hold=1))
    after = await at.grant(SPEC, SlotRequest(count_wanted=1, slack=SPEC.slack))
    assert after.first == 8


@virtual_time
async def test_script_keeps_the_rest_of_a_pause_when_its_clock_steps_back(
    at: PlayedRedis,
) -> None:
    at.ahead = 1000
    await at.grant(SPEC, SlotRequest(hold=5))
    at.ahead = 400
    grant = await at.grant(SPEC, SlotRequest(count_wanted=1))

    assert grant.held - grant.now == 5
    assert grant.first == grant.held


# --- calls that are given up -------------------------------------------------------------------


@pytest.mark.fault("R07")
@given(st.lists(st.floats(0, 3), min_size=20, max_size=200), st.booleans())
def test_r07_many_cancelled_calls_neither_exceed_the_rate_nor_starve_others(
    redis_server: RedisServer, patience: list[float], slow: bool
) -> None:
    rate = Rate(20 if slow else 200, burst=5)
    times: list[Leaving] = []

    async def impatient(bucket: DistributedLimiter, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await bucket.acquire()
            times.append(Leaving(who=-1, at=anyio.current_time()))

    async def stays(who: int, bucket: DistributedLimiter) -> None:
        await bucket.acquire(Priority.BULK if who % 2 else Priority.NORMAL)
        times.append(Leaving(who=who, at=anyio.current_time()))

    async def main(at: PlayedRedis) -> None:
        buckets = fleet(at, rate)
        async with anyio.create_task_group() as group:
            for who, seconds in enumerate(patience):
                group.start_soon(impatient, buckets[who % 4], seconds)
                if who % 5 == 0:
                    group.start_soon(stays, who, buckets[who % 4])

    with redis_server.client() as client:
        run_virtual(lambda: main(PlayedRedis(client)))
    assert overshoot(times, rate.calls, 5) == 0
    stayed = sorted(one.who for one in times if one.who >= 0)
    assert stayed == list(range(0, len(patience), 5))


@pytest.mark.fault("R07")
@virtual_time
async def test_r07_slot_of_a_cancelled_waiter_passes_to_the_next(at: PlayedRedis) -> None:
    (bucket,) = fleet(at, Rate(0.1, burst=1), processes=1)
    await bucket.acquire()
    with anyio.move_on_after(3):
        await bucket.acquire()
    await anyio.sleep(3)

    await bucket.acquire()

    assert anyio.current_time() == pytest.approx(10)


@pytest.mark.fault("R07")
@virtual_time
async def test_r07_slot_granted_to_a_cancelled_call_passes_to_the_next(
    at: PlayedRedis,
) -> None:
    (bucket,) = fleet(at, processes=1)
    task = asyncio.create_task(bucket.acquire())
    await asyncio.sleep(0)
    task.cancel()
    await bucket.acquire()

    assert at.asked == 1
    assert task.cancelled()


# --- odd rates and clocks ----------------------------------------------------------------------


@pytest.mark.fault("R10")
@virtual_time
async def test_r10_one_call_an_hour_is_one_call_an_hour(at: PlayedRedis) -> None:
    hour = 3600
    async with Crowd(fleet(at, Rate(1, per=hour, burst=2)), [3] * 4) as crowd:
        await anyio.sleep(5.5 * hour)

    assert [one.at for one in crowd.leavings] == pytest.approx(
        [0, 0, *(hour * n for n in range(1, 6))]
    )


@pytest.mark.fault("C04")
@virtual_time
async def test_c04_redis_clock_that_steps_back_delays_no_call(
    at: PlayedRedis,
) -> None:
    at.ahead = 1000
    async with Crowd(fleet(at), [10] * 4) as crowd:
        await anyio.sleep(2)
        at.ahead = 400
        await anyio.sleep(3)

    assert sum(crowd.counts(2, 5)) >= 0.95 * 600
    # Grants by the old time lapse or leave: a lease each.
    assert overshoot(crowd.leavings, 200, 20) <= 4 * 4


@pytest.mark.fault("C04")
@virtual_time
async def test_c04_clock_that_steps_ahead_gives_a_burst_at_most(at: PlayedRedis) -> None:
    async with Crowd(fleet(at), [10] * 4) as crowd:
        await anyio.sleep(2)
        at.ahead = 3600
        await anyio.sleep(2)

    assert overshoot(crowd.leavings, 200, 20) <= 20 + 4 * 4


def test_fallback_share_is_kept_until_the_slowest_process_has_asked_again() -> None:
    now = 0.0
    found, slow = FallbackShare(0.1, lambda: now), FallbackShare(0.1, lambda: now)
    for share in (found, slow):
        share.now()
    found.mark_lost()
    for _ in range(20):
        slow.mark_lost()
    found.mark_found()

    now = slow.retry_at
    found.now()
    assert found.keeps_share()

    now += 1
    found.now()
    assert not found.keeps_share()
