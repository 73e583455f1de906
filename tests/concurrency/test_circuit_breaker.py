"""The circuit breaker: when it opens, and how it probes the server."""

import asyncio
import random

import anyio
import pytest
from trio.testing import MockClock

from clickpost_async._concurrency.circuit_breaker import CircuitBreaker, CircuitOpenError
from clickpost_async._concurrency.retry_budget import RetryBudget
from clickpost_async.settings import Priority
from clickpost_async.testing import virtual_time

BULK = Priority.BULK


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def attempts(breaker: CircuitBreaker, *, good: int = 0, bad: int = 0) -> None:
    for number in range(good + bad):
        with await breaker.acquire() as passage:
            if number < good:
                passage.succeeded()
            else:
                passage.failed()


async def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    await attempts(breaker, bad=20)
    assert breaker.is_open
    return breaker


async def refused(breaker: CircuitBreaker) -> float:
    with pytest.raises(CircuitOpenError) as caught:
        await breaker.acquire()
    return caught.value.wait


@pytest.mark.parametrize(
    ("good", "bad", "opens"), [(0, 19, False), (0, 20, True), (10, 10, True), (11, 10, False)]
)
@virtual_time
async def test_breaker_opens_when_half_of_twenty_attempts_fail(
    good: int, bad: int, opens: bool
) -> None:
    breaker = CircuitBreaker()
    await attempts(breaker, good=good, bad=bad)
    assert breaker.is_open == opens


@virtual_time
async def test_failures_of_more_than_ten_seconds_ago_are_forgotten() -> None:
    breaker = CircuitBreaker()
    for _ in range(60):
        await attempts(breaker, bad=1)
        await anyio.sleep(1)
    assert not breaker.is_open
    await anyio.sleep(11)
    for _ in range(20):
        await attempts(breaker, bad=1)
        await anyio.sleep(0.4)
    await refused(breaker)


@virtual_time
async def test_cancelled_attempt_records_no_result() -> None:
    breaker = CircuitBreaker()
    for _ in range(100):
        with await breaker.acquire():
            pass
    await attempts(breaker, bad=19)
    assert not breaker.is_open


@virtual_time
async def test_open_breaker_refuses_normal_calls_with_the_time_left() -> None:
    breaker = await opened(CircuitBreaker())
    await anyio.sleep(1)
    assert await refused(breaker) == 4
    assert anyio.current_time() == 1


@virtual_time
async def test_exactly_one_of_many_is_the_probe() -> None:
    breaker = await opened(CircuitBreaker())
    await anyio.sleep(5)
    outcomes: list[str] = []

    async def call() -> None:
        try:
            with await breaker.acquire() as passage:
                await anyio.sleep(1)
                outcomes.append("probe")
                passage.succeeded()
        except CircuitOpenError:
            outcomes.append("refused")

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(call())
    assert sorted(outcomes) == ["probe"] + ["refused"] * 99
    assert not breaker.is_open


@virtual_time
async def test_failing_probes_become_rarer() -> None:
    breaker = await opened(CircuitBreaker())
    times: list[float] = []
    for _ in range(7):
        with await breaker.acquire(BULK) as passage:
            times.append(anyio.current_time())
            passage.failed()
    assert times == [5, 15, 35, 75, 135, 195, 255]


@virtual_time
async def test_after_a_probe_that_succeeded_the_pauses_begin_anew() -> None:
    breaker = await opened(CircuitBreaker())
    for outcome in ("failed", "succeeded"):
        with await breaker.acquire(BULK) as passage:
            getattr(passage, outcome)()
    assert not breaker.is_open
    await opened(breaker)
    assert await refused(breaker) == 5


@virtual_time
async def test_bulk_calls_wait_for_the_probe_and_then_all_go_in_order() -> None:
    breaker = await opened(CircuitBreaker())
    went: list[tuple[int, float]] = []

    async def call(number: int) -> None:
        with await breaker.acquire(BULK) as passage:
            went.append((number, anyio.current_time()))
            await anyio.sleep(2)
            passage.succeeded()

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(call(number))
    assert went == [(0, 5.0)] + [(number, 7.0) for number in range(1, 100)]


@virtual_time
async def test_cancelled_probe_frees_its_slot() -> None:
    breaker = await opened(CircuitBreaker())
    await anyio.sleep(5)

    async def call() -> None:
        with await breaker.acquire():
            await anyio.sleep(100)

    probe = asyncio.create_task(call())
    await anyio.sleep(1)
    await refused(breaker)
    probe.cancel()
    await asyncio.wait([probe])
    assert breaker.is_open
    with await breaker.acquire() as passage:
        passage.succeeded()
    assert not breaker.is_open


@virtual_time
async def test_cancelled_bulk_calls_leave_the_queue() -> None:
    breaker = await opened(CircuitBreaker())
    chance = random.Random(1)
    went: list[int] = []

    async def call(number: int, patience: float) -> None:
        with anyio.move_on_after(patience):
            with await breaker.acquire(BULK) as passage:
                await anyio.sleep(3)
                passage.succeeded()
                went.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(200):
            patience = 100.0 if number % 10 == 9 else chance.uniform(0, 7.5)
            group.create_task(call(number, patience))
    assert set(went) >= set(range(9, 200, 10))
    assert not breaker.is_open


@virtual_time
async def test_permit_from_before_the_opening_is_invalid() -> None:
    breaker = CircuitBreaker()
    with await breaker.acquire() as early:
        held = [early.is_valid]
        await opened(breaker)
        assert [*held, early.is_valid] == [True, False]
        early.succeeded()
    assert breaker.is_open
    await anyio.sleep(5)
    with await breaker.acquire() as probe:
        assert probe.is_valid


@virtual_time
async def test_failures_before_an_outage_are_forgotten_when_it_is_over() -> None:
    breaker = await opened(CircuitBreaker())
    await anyio.sleep(5)
    await attempts(breaker, good=1)
    await attempts(breaker, bad=19)
    assert not breaker.is_open


@virtual_time
async def test_attempt_that_reports_twice_counts_once() -> None:
    breaker = CircuitBreaker()
    for _ in range(19):
        with await breaker.acquire() as permit:
            permit.failed()
            permit.failed()
    assert not breaker.is_open


@virtual_time
async def test_failures_that_began_before_the_outage_ended_do_not_open_it_again() -> None:
    breaker = CircuitBreaker()
    slow = [await breaker.acquire() for _ in range(50)]
    await opened(breaker)
    await anyio.sleep(5)
    await attempts(breaker, good=1)
    for passage in slow:
        passage.failed()
    assert not breaker.is_open


@virtual_time
async def test_first_result_of_an_attempt_counts() -> None:
    breaker = await opened(CircuitBreaker())
    await anyio.sleep(5)
    with await breaker.acquire() as probe:
        probe.failed()
        probe.succeeded()
    assert breaker.is_open


def test_clock_that_begins_anew_does_not_lock_it() -> None:
    hands = Hands()
    breaker = CircuitBreaker(clock=hands)
    hands.now = 1e6
    asyncio.run(attempts(breaker, bad=20))
    hands.now = 3.0
    assert asyncio.run(refused(breaker)) == 5
    hands.now = 8.0
    asyncio.run(attempts(breaker, good=1))
    assert not breaker.is_open
    asyncio.run(attempts(breaker, bad=20))
    assert breaker.is_open


def test_circuit_breaker_works_on_trio() -> None:
    async def main() -> list[float]:
        breaker = await opened(CircuitBreaker())
        began = anyio.current_time()
        times: list[float] = []

        async def call() -> None:
            with await breaker.acquire(BULK) as passage:
                times.append(anyio.current_time() - began)
                passage.succeeded()

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(call)
        return times

    times = anyio.run(main, backend="trio", backend_options={"clock": MockClock(0, 0)})
    assert times == pytest.approx([5.0] * 5)


@pytest.mark.parametrize("priority", Priority)
@virtual_time
async def test_outage_of_ten_minutes_sees_few_attempts(priority: Priority) -> None:
    breaker, budget = CircuitBreaker(), RetryBudget()
    sent = fast = done = 0

    async def attempt() -> bool:
        nonlocal sent
        with await breaker.acquire(priority) as passage:
            sent += 1
            await anyio.sleep(0.1)
            if anyio.current_time() < 600:
                passage.failed()
                return False
            passage.succeeded()
            return True

    async def call() -> None:
        nonlocal fast, done
        budget.deposit()
        try:
            for number in range(4):
                if number and not budget.withdraw():
                    return
                if await attempt():
                    done += 1
                    return
                await anyio.sleep(random.uniform(0, 1))
        except CircuitOpenError:
            fast += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(6000):
            group.create_task(call())
            await anyio.sleep(0.1)
    # 20 to open it, what is under way then, and 12 probes.
    assert sent - done <= 40
    assert sent <= 6000 * 1.10
    if priority is BULK:
        assert fast == 0
        assert done >= 6000 - 40
    else:
        assert fast > 5900


@virtual_time
async def test_flapping_network_completes_bulk_calls_without_a_retry_storm() -> None:
    breaker = CircuitBreaker()
    sent = done = 0

    async def call() -> None:
        nonlocal sent, done
        while True:
            with await breaker.acquire(BULK) as passage:
                sent += 1
                await anyio.sleep(0.1)
                now = anyio.current_time()
                if now > 300 or now % 4 >= 3:
                    passage.succeeded()
                    done += 1
                    return
                passage.failed()

    async with asyncio.TaskGroup() as group:
        for _ in range(200):
            group.create_task(call())
    assert done == 200
    assert sent <= 200 * 2.1


@virtual_time
async def test_probe_without_a_result_leaves_it_open_and_the_next_one_is_sent_at_once() -> None:
    breaker = await opened(CircuitBreaker())
    await anyio.sleep(5)
    for _ in range(3):
        with await breaker.acquire():
            assert await refused(breaker) > 0
        assert breaker.is_open
    with await breaker.acquire() as probe:
        probe.failed()
    # It was the first probe with a result.
    assert await refused(breaker) == 10


@virtual_time
async def test_permit_from_before_an_outage_is_invalid_after_it() -> None:
    breaker = CircuitBreaker()
    with await breaker.acquire() as before:
        assert before.is_valid
        await opened(breaker)
        assert not before.is_valid
        await anyio.sleep(5)
        with await breaker.acquire() as probe:
            assert probe.is_valid
            probe.succeeded()
        assert not breaker.is_open
        assert not before.is_valid
        with await breaker.acquire() as after:
            assert after.is_valid
