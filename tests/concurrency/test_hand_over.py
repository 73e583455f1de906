"""Values pass from many tasks to others without a buffer, and none is lost."""

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from clickpost_async._concurrency.hand_over import EndedError, HandOver
from clickpost_async.testing import virtual_time


async def settle() -> None:
    for _ in range(5):
        await checkpoint()


@virtual_time
async def test_put_waits_until_its_value_is_taken() -> None:
    values: HandOver[int] = HandOver()
    put: list[int] = []
    taken: set[int] = set()

    async def giver(value: int) -> None:
        await values.put(value)
        put.append(value)

    async with anyio.create_task_group() as group:
        for value in range(3):
            group.start_soon(giver, value)
        await settle()
        assert put == []

        taken.add(await values.take())
        await settle()
        assert set(put) == taken
        taken |= {await values.take(), await values.take()}

    assert taken == set(put) == {0, 1, 2}


@virtual_time
async def test_put_returns_at_once_to_a_taker_that_waits() -> None:
    values: HandOver[str] = HandOver()
    taken: list[str] = []

    async def taker() -> None:
        taken.append(await values.take())

    async with anyio.create_task_group() as group:
        group.start_soon(taker)
        await settle()
        with anyio.move_on_after(0) as scope:
            await values.put("first")
        assert not scope.cancelled_caught
        with anyio.move_on_after(0.001) as scope:
            await values.put("second")
        assert scope.cancelled_caught

    assert taken == ["first"]
    assert await values.take() == "second", "a cancelled wait loses the value"


@virtual_time
async def test_values_are_taken_before_the_end() -> None:
    values: HandOver[int] = HandOver()

    async with anyio.create_task_group() as group:
        group.start_soon(values.put, 1)
        await settle()
        values.end()
        assert await values.take() == 1

    with pytest.raises(EndedError):
        await values.take()


@virtual_time
async def test_end_wakes_all_that_wait() -> None:
    values: HandOver[int] = HandOver()
    ended: list[int] = []

    async def taker(number: int) -> None:
        with pytest.raises(EndedError):
            await values.take()
        ended.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(taker, 1)
        group.start_soon(taker, 2)
        await settle()
        values.end()

    assert sorted(ended) == [1, 2]


@virtual_time
async def test_value_of_a_taker_that_is_cancelled_goes_to_the_next() -> None:
    values: HandOver[int] = HandOver()
    first = asyncio.create_task(values.take())
    await settle()
    second = asyncio.create_task(values.take())
    await settle()

    await values.put(7)
    first.cancel()

    assert await second == 7
    assert first.cancelled()


@virtual_time
async def test_taker_that_is_cancelled_while_it_waits_is_forgotten() -> None:
    values: HandOver[int] = HandOver()

    with anyio.move_on_after(0.001) as scope:
        await values.take()
    assert scope.cancelled_caught
    with anyio.move_on_after(0.001) as scope:
        await values.put(1)

    assert scope.cancelled_caught
    assert await values.take() == 1
