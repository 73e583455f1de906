"""The priority semaphore: its width, its order, and that no slot is ever lost."""

import asyncio

import anyio
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async._concurrency.priority_semaphore import PrioritySemaphore
from clickpost_async.settings import Priority
from clickpost_async.testing import run_virtual, virtual_time

NORMAL, BULK = Priority.NORMAL, Priority.BULK


@frozen(kw_only=True)
class Visit:
    """One that comes, stays inside for a while, and is cancelled at some time, if it is."""

    at: int
    stays: int
    priority: Priority
    cancelled: int | None
    gives_way: bool


# Whole seconds, so that leaving, coming and being cancelled often fall on the same moment.
visits = st.lists(
    st.builds(
        Visit,
        at=st.integers(0, 6),
        stays=st.integers(0, 4),
        priority=st.sampled_from(Priority),
        cancelled=st.none() | st.integers(0, 12),
        gives_way=st.booleans(),
    ),
    max_size=30,
)


class Stage:
    """Where visits are played, and what was seen there."""

    def __init__(self, width: int, script: list[Visit]) -> None:
        self.width = width
        self.semaphore = PrioritySemaphore(width)
        self.script = script
        self.inside: set[int] = set()
        self.most = 0
        self.entered: list[int] = []
        self.waited: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def play(self, *, cancel_first: bool) -> None:
        for second in range(13):
            if cancel_first:
                self._cancel(second)
            for who, it in enumerate(self.script):
                if it.at == second:
                    self._tasks[who] = asyncio.create_task(self._visit(who))
            if not cancel_first:
                # After the places of this second were handed over, before their new owners run.
                await asyncio.sleep(0)
                self._cancel(second)
            await asyncio.sleep(1)
        for outcome in await asyncio.gather(*self._tasks.values(), return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError)

    def _cancel(self, second: int) -> None:
        for who, task in self._tasks.items():
            if self.script[who].cancelled == second:
                task.cancel()

    async def _visit(self, who: int) -> None:
        it = self.script[who]
        # Full, or it is entered at once: before one that has been called in and has not run yet.
        if self.semaphore.in_use == self.width:
            self.waited.add(who)
        else:
            assert not self.semaphore.waiting
        async with self.semaphore.slot(it.priority) as place:
            self.entered.append(who)
            await self._stay(who, it.stays)
            if it.gives_way:
                await place.yield_to_higher()
                await self._stay(who, 1)

    async def _stay(self, who: int, seconds: int) -> None:
        self.inside.add(who)
        self.most = max(self.most, len(self.inside))
        try:
            await anyio.sleep(seconds)
        finally:
            self.inside.remove(who)


@given(st.integers(1, 4), visits, st.booleans())
def test_semaphore_never_exceeds_its_width_keeps_order_and_loses_no_slot(
    width: int, script: list[Visit], cancel_first: bool
) -> None:
    stage = Stage(width, script)
    run_virtual(lambda: stage.play(cancel_first=cancel_first))
    assert (stage.semaphore.in_use, stage.semaphore.waiting, stage.inside) == (0, 0, set())
    assert stage.most <= width
    for lane in Priority:
        came = [
            who for who in stage.entered if who in stage.waited and script[who].priority is lane
        ]
        assert came == sorted(came, key=lambda who: (script[who].at, who))
    assert {who for who, it in enumerate(script) if it.cancelled is None} <= set(stage.entered)


@virtual_time
async def test_free_semaphore_is_entered_without_yielding_to_the_event_loop() -> None:
    semaphore = PrioritySemaphore(1)
    with pytest.raises(StopIteration):
        semaphore.slot().__aenter__().send(None)
    assert (semaphore.in_use, semaphore.waiting) == (1, 0)


@virtual_time
async def test_slot_that_is_awaited_is_held_until_it_is_released() -> None:
    semaphore = PrioritySemaphore(1)
    first, second, third = semaphore.slot(), semaphore.slot(), semaphore.slot()
    await first
    waiting = [asyncio.ensure_future(one) for one in (second, third)]
    await asyncio.sleep(0)
    assert (semaphore.in_use, semaphore.waiting) == (1, 2)

    second.release()  # gives up its place in the queue
    assert (semaphore.in_use, semaphore.waiting) == (1, 1)
    first.release()
    await waiting[1]
    assert (semaphore.in_use, semaphore.waiting) == (1, 0)
    third.release()
    third.release()
    assert (semaphore.in_use, semaphore.waiting) == (0, 0)
    waiting[0].cancel()


async def crowd(semaphore: PrioritySemaphore, lanes: list[Priority], order: list[Priority]) -> None:
    async def visit(priority: Priority) -> None:
        async with semaphore.slot(priority):
            order.append(priority)

    async with anyio.create_task_group() as group, semaphore.slot():
        for lane in lanes:
            group.start_soon(visit, lane)
        await anyio.sleep(1)
        assert (semaphore.in_use, semaphore.waiting) == (1, len(lanes))


def test_normal_precedes_bulk_except_at_every_ninth_slot() -> None:
    order: list[Priority] = []
    run_virtual(lambda: crowd(PrioritySemaphore(1), [BULK] * 3 + [NORMAL] * 20, order))
    assert order == [*[*[NORMAL] * 8, BULK] * 2, *[NORMAL] * 4, BULK]


@virtual_time
async def test_returning_waiter_precedes_others_of_its_priority() -> None:
    semaphore = PrioritySemaphore(1)
    order: list[str] = []

    async def visit(name: str, priority: Priority, *, is_returning: bool = False) -> None:
        async with semaphore.slot(priority, is_returning=is_returning):
            order.append(name)

    async with anyio.create_task_group() as group, semaphore.slot():
        group.start_soon(visit, "bulk", BULK)
        group.start_soon(visit, "normal", NORMAL)
        await anyio.sleep(1)
        group.start_soon(lambda: visit("bulk again", BULK, is_returning=True))
        group.start_soon(lambda: visit("normal again", NORMAL, is_returning=True))
        await anyio.sleep(1)

    assert order == ["normal again", "normal", "bulk again", "bulk"]


def test_semaphores_work_on_trio() -> None:
    trio = pytest.importorskip("trio")
    order: list[Priority] = []
    lanes = [BULK] * 2 + [NORMAL] * 2
    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(crowd, PrioritySemaphore(1), lanes, order, clock=clock)
    assert order == [NORMAL, NORMAL, BULK, BULK]


@pytest.mark.parametrize("cancelled", range(6))
def test_slot_granted_to_a_cancelled_waiter_passes_to_the_next(cancelled: int) -> None:
    entered: list[int] = []

    async def main() -> None:
        semaphore = PrioritySemaphore(1)

        async def visit(who: int) -> None:
            async with semaphore.slot():
                entered.append(who)

        async with semaphore.slot():
            tasks = [asyncio.create_task(visit(who)) for who in range(6)]
            await asyncio.sleep(0)
            for task in tasks[:cancelled]:
                task.cancel()
        # Left, and the place is handed over, in the same turn of the loop as the cancellation.
        tasks[cancelled].cancel()
        await asyncio.wait(tasks)
        assert (semaphore.in_use, semaphore.waiting) == (0, 0)

    run_virtual(main)
    assert entered == list(range(cancelled + 1, 6))


@virtual_time
async def test_waiter_cancelled_while_yielding_is_released_once() -> None:
    semaphore = PrioritySemaphore(1)
    seen: list[tuple[int, int]] = []

    async def giving_way() -> None:
        async with semaphore.slot(BULK) as place:
            await asyncio.sleep(1)
            await place.yield_to_higher()

    async def urgent() -> None:
        async with semaphore.slot():
            await asyncio.sleep(2)
            seen.append((semaphore.in_use, semaphore.waiting))

    async with asyncio.TaskGroup() as group:
        polite = group.create_task(giving_way())
        await asyncio.sleep(0)
        group.create_task(urgent())
        await asyncio.sleep(2)
        polite.cancel()
    assert seen == [(1, 0)]
    assert semaphore.in_use == 0


def test_semaphore_serves_two_event_loops_in_turn() -> None:
    semaphore = PrioritySemaphore(1)
    order: list[Priority] = []
    for _ in range(2):
        run_virtual(lambda: crowd(semaphore, [BULK, NORMAL], order))
    assert order == [NORMAL, BULK] * 2


@virtual_time
async def test_half_of_ten_thousand_waiters_are_cancelled_and_all_others_get_a_slot() -> None:
    semaphore = PrioritySemaphore(10)
    turns = 0

    async def visit() -> None:
        nonlocal turns
        async with semaphore.slot():
            turns += 1
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(visit()) for _ in range(10_000)]
    await asyncio.sleep(0)
    assert (semaphore.in_use, semaphore.waiting) == (10, 9990)
    for task in tasks[5000:]:
        task.cancel()
    await asyncio.wait(tasks)
    assert (turns, semaphore.in_use, semaphore.waiting) == (5000, 0, 0)


def test_semaphore_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="width: at least 1 is needed"):
        PrioritySemaphore(0)


async def stand(
    semaphore: PrioritySemaphore, priority: Priority, leave: anyio.Event, seen: list[Priority]
) -> None:
    async with semaphore.slot(priority):
        seen.append(priority)
        await leave.wait()


def test_bulk_leaves_a_tenth_of_the_slots_free_while_normal_calls_hold_some() -> None:
    async def play() -> list[int]:
        semaphore, leave, inside = PrioritySemaphore(20), [anyio.Event(), anyio.Event()], []
        found: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(stand, semaphore, NORMAL, leave[0], inside)
            await anyio.sleep(1)
            for _ in range(30):
                group.start_soon(stand, semaphore, BULK, leave[1], inside)
            await anyio.sleep(1)
            found.append(semaphore.in_use)
            for _ in range(2):
                group.start_soon(stand, semaphore, NORMAL, leave[0], inside)
            await anyio.sleep(1)
            found.append(semaphore.in_use)
            leave[0].set()
            await anyio.sleep(1)
            found.append(semaphore.in_use)
            leave[1].set()
        return [*found, semaphore.in_use, semaphore.waiting]

    assert run_virtual(play) == [18, 20, 20, 0, 0]


def test_bulk_alone_gets_every_slot() -> None:
    async def play() -> int:
        semaphore, leave = PrioritySemaphore(20), anyio.Event()
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(stand, semaphore, BULK, leave, [])
            await anyio.sleep(1)
            inside = semaphore.in_use
            leave.set()
        return inside

    assert run_virtual(play) == 20


@given(visits, st.booleans())
def test_semaphore_with_reserved_slots_loses_none(script: list[Visit], cancel_first: bool) -> None:
    semaphore = PrioritySemaphore(10)

    async def visit(it: Visit) -> None:
        await anyio.sleep(it.at)
        with anyio.move_on_after(None if it.cancelled is None else it.cancelled):
            async with semaphore.slot(it.priority) as place:
                await anyio.sleep(it.stays)
                if it.gives_way:
                    await place.yield_to_higher()

    async def play() -> None:
        async with anyio.create_task_group() as group:
            for it in script:
                group.start_soon(visit, it)

    run_virtual(play)

    assert (semaphore.in_use, semaphore.waiting) == (0, 0)
    assert all(
        semaphore.admit(lane) for lane in (semaphore._normal, semaphore._bulk) for _ in range(4)
    )
