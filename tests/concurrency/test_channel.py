"""Values pass from task to task without a buffer, and none is lost."""

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from clickpost_async._concurrency.channel import Channel, ChannelClosedError
from clickpost_async.testing import virtual_time


async def settle() -> None:
    for _ in range(5):
        await checkpoint()


@virtual_time
async def test_send_waits_until_its_value_is_received() -> None:
    channel: Channel[int] = Channel()
    sent: list[int] = []
    received: set[int] = set()

    async def send(value: int) -> None:
        await channel.send(value)
        sent.append(value)

    async with anyio.create_task_group() as group:
        for value in range(3):
            group.start_soon(send, value)
        await settle()
        assert sent == []

        received.add(await channel.receive())
        await settle()
        assert set(sent) == received
        received |= {await channel.receive(), await channel.receive()}

    assert received == set(sent) == {0, 1, 2}


@virtual_time
async def test_send_returns_at_once_if_a_receiver_waits() -> None:
    channel: Channel[str] = Channel()
    received: list[str] = []

    async def receive() -> None:
        received.append(await channel.receive())

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await settle()
        with anyio.move_on_after(0) as scope:
            await channel.send("first")
        assert not scope.cancelled_caught
        with anyio.move_on_after(0.001) as scope:
            await channel.send("second")
        assert scope.cancelled_caught

    assert received == ["first"]
    assert await channel.receive() == "second", "a cancelled wait loses the value"


@virtual_time
async def test_values_are_received_after_the_channel_is_closed() -> None:
    channel: Channel[int] = Channel()

    async with anyio.create_task_group() as group:
        group.start_soon(channel.send, 1)
        await settle()
        channel.close()
        assert await channel.receive() == 1

    with pytest.raises(ChannelClosedError):
        await channel.receive()


@virtual_time
async def test_close_wakes_every_receiver() -> None:
    channel: Channel[int] = Channel()
    ended: list[int] = []

    async def receive(number: int) -> None:
        with pytest.raises(ChannelClosedError):
            await channel.receive()
        ended.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(receive, 1)
        group.start_soon(receive, 2)
        await settle()
        channel.close()

    assert sorted(ended) == [1, 2]


@virtual_time
async def test_value_of_a_cancelled_receiver_goes_to_the_next() -> None:
    channel: Channel[int] = Channel()
    first = asyncio.create_task(channel.receive())
    await settle()
    second = asyncio.create_task(channel.receive())
    await settle()

    await channel.send(7)
    first.cancel()

    assert await second == 7
    assert first.cancelled()


@virtual_time
async def test_receiver_that_is_cancelled_while_it_waits_is_forgotten() -> None:
    channel: Channel[int] = Channel()

    with anyio.move_on_after(0.001) as scope:
        await channel.receive()
    assert scope.cancelled_caught
    with anyio.move_on_after(0.001) as scope:
        await channel.send(1)

    assert scope.cancelled_caught
    assert await channel.receive() == 1
