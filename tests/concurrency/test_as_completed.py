"""Results of many calls as they complete, on every event loop."""

import gc
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import anyio
import pytest

from clickpost_async._concurrency.as_completed import AsCompleted

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Calls:
    """Calls that wait for their event, and count themselves."""

    def __init__(self) -> None:
        self.running = self.peak = self.started = self.cancelled = 0

    async def make(self, results: Sequence[int], go: anyio.Event | None = None) -> Sequence[int]:
        self.started += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await (anyio.lowlevel.checkpoint() if go is None else go.wait())
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return results


def run(backend: str, main: Any) -> Any:
    return anyio.run(main, backend=backend)


@BACKENDS
def test_results_come_as_their_calls_complete(backend: str) -> None:
    async def main() -> list[int]:
        calls, slow = Calls(), anyio.Event()
        work = [
            partial(calls.make, [1], slow),
            partial(calls.make, [2, 3]),
            partial(calls.make, [4]),
        ]
        taken: list[int] = []
        async for result in AsCompleted[int](work, max_concurrency=2):
            taken.append(result)
            if len(taken) == 3:
                slow.set()
        return taken

    assert run(backend, main) == [2, 3, 4, 1]


@BACKENDS
def test_no_more_calls_are_under_way_than_allowed(backend: str) -> None:
    async def main() -> Calls:
        calls = Calls()
        work = (partial(calls.make, [number]) for number in range(100))
        assert sorted([r async for r in AsCompleted[int](work, max_concurrency=7)]) == list(
            range(100)
        )
        return calls

    calls = run(backend, main)
    assert (calls.started, calls.peak, calls.running) == (100, 7, 0)


@BACKENDS
def test_calls_are_taken_only_when_there_is_room(backend: str) -> None:
    async def main() -> list[int]:
        calls, taken, ahead = Calls(), 0, []

        def work() -> Iterator[Any]:
            for number in range(1000):
                ahead.append(number - taken)
                yield partial(calls.make, [number])

        async for _ in AsCompleted[int](work(), max_concurrency=5):
            taken += 1
        assert taken == 1000
        return ahead

    assert max(run(backend, main)) <= 10


@BACKENDS
def test_exception_is_raised_and_cancels_the_others(backend: str) -> None:
    async def main() -> Calls:
        calls = Calls()

        async def fails() -> list[int]:
            await anyio.lowlevel.checkpoint()
            raise LookupError("no such thing")

        work = [partial(calls.make, [1], anyio.Event()), fails, partial(calls.make, [2])]
        completed = AsCompleted[int](work, max_concurrency=2)
        with pytest.raises(LookupError, match="no such thing"):
            await anext(completed)
        with pytest.raises(StopAsyncIteration):
            await anext(completed)
        return calls

    calls = run(backend, main)
    assert (calls.started, calls.cancelled) == (1, 1)


@BACKENDS
def test_closing_cancels_what_is_under_way(backend: str) -> None:
    async def main() -> Calls:
        calls = Calls()
        work = [partial(calls.make, [1]), *(partial(calls.make, [2], anyio.Event()),) * 3]
        completed = AsCompleted[int](work, max_concurrency=3)
        assert await anext(completed) == 1
        await completed.aclose()
        await completed.aclose()
        assert [result async for result in completed] == []
        return calls

    calls = run(backend, main)
    assert (calls.running, calls.cancelled) == (0, calls.started - 1)


@BACKENDS
def test_cancelled_consumer_leaves_nothing_under_way(backend: str) -> None:
    async def main() -> Calls:
        calls = Calls()
        work = [partial(calls.make, [1], anyio.Event()) for _ in range(3)]
        completed = AsCompleted[int](work, max_concurrency=3)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(anext, completed)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        await anyio.wait_all_tasks_blocked()
        return calls

    calls = run(backend, main)
    assert (calls.running, calls.cancelled) == (0, 3)


@BACKENDS
def test_loop_that_is_left_early_starts_no_more_calls(backend: str) -> None:
    async def main() -> Calls:
        calls = Calls()
        work = (partial(calls.make, [number]) for number in range(100))
        async for _ in AsCompleted[int](work, max_concurrency=3):
            break
        gc.collect()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        return calls

    calls = run(backend, main)
    assert calls.running == 0
    assert calls.started <= 6


@BACKENDS
def test_no_calls_are_no_results(backend: str) -> None:
    async def main() -> list[int]:
        return [result async for result in AsCompleted[int]([], max_concurrency=3)]

    assert run(backend, main) == []
