"""Connecting: the first address that responds is used, and no socket is left open."""

import asyncio
import gc
import socket
from typing import Any

import pytest

from clickpost_async._http import happy_eyeballs
from clickpost_async._http.happy_eyeballs import connect
from tests.helpers.http_server import closed_port, serving

NAME = "acme.example"


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what lets a name lead to some ports of this machine, and others to nowhere."""

    def lead(*ports: int, deaf: frozenset[int] = frozenset()) -> None:
        loop = asyncio.get_running_loop()
        connect, look_up = loop.sock_connect, loop.getaddrinfo

        async def looked_up(host: Any, *rest: Any, **more: Any) -> Any:
            if host != NAME:  # uvloop looks up addresses, too, when it connects
                return await look_up(host, *rest, **more)
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports
            ]

        async def connects(made: socket.socket, where: Any) -> None:
            if where[1] in deaf:
                await asyncio.sleep(1000)
            await connect(made, where)

        monkeypatch.setattr(happy_eyeballs, "_HEAD_START", 0.01)
        monkeypatch.setattr(loop, "getaddrinfo", looked_up)
        monkeypatch.setattr(loop, "sock_connect", connects)

    return lead


async def port_of() -> int:
    with await connect(asyncio.get_running_loop(), NAME, 443) as made:
        port: int = made.getpeername()[1]
        return port


@pytest.mark.asyncio
async def test_address_is_not_looked_up(addresses: Any) -> None:
    async with serving() as server:
        addresses(closed_port())
        made = await connect(asyncio.get_running_loop(), "127.0.0.1", server.port)
        assert made.getpeername() == ("127.0.0.1", server.port)
        made.close()


@pytest.mark.asyncio
async def test_next_address_is_tried_at_once_where_the_first_is_refused(addresses: Any) -> None:
    async with serving() as server:
        addresses(closed_port(), server.port)
        assert await port_of() == server.port


@pytest.mark.asyncio
async def test_refused_address_does_not_delay_the_next(
    addresses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as server:
        addresses(closed_port(), server.port)
        monkeypatch.setattr(happy_eyeballs, "_HEAD_START", 10_000)
        async with asyncio.timeout(60):
            assert await port_of() == server.port


@pytest.mark.asyncio
async def test_second_of_two_sockets_that_connect_at_once_is_closed(
    addresses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as server:
        addresses(server.port, server.port)
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect
        both = asyncio.Event()
        made: list[socket.socket] = []

        async def connects(one: socket.socket, where: Any) -> None:
            await connect(one, where)
            made.append(one)
            if len(made) == 2:
                both.set()
            await both.wait()

        monkeypatch.setattr(loop, "sock_connect", connects)
        with await happy_eyeballs.connect(loop, "acme.example", 443) as taken:
            assert [one.fileno() != -1 for one in made].count(True) == 1
            assert taken in made


@pytest.mark.asyncio
async def test_next_address_is_tried_while_the_first_is_silent(addresses: Any) -> None:
    async with serving() as server:
        addresses(1, 2, server.port, deaf=frozenset({1, 2}))
        assert await port_of() == server.port


@pytest.mark.asyncio
async def test_two_simultaneous_connects_leave_one_connection(addresses: Any) -> None:
    async with serving() as server:
        addresses(server.port, server.port)
        assert await port_of() == server.port
        gc.collect()  # a socket that is left open is warned of here


@pytest.mark.asyncio
async def test_last_error_is_raised_where_no_address_connects(addresses: Any) -> None:
    addresses(closed_port(), closed_port())
    with pytest.raises(ConnectionRefusedError):
        await port_of()
    addresses()
    with pytest.raises(OSError, match=r"acme\.example has no address"):
        await port_of()


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(1, 12))
async def test_being_cancelled_leaves_no_socket_open(addresses: Any, turns: int) -> None:
    async with serving() as server:
        addresses(1, server.port, deaf=frozenset({1}))
        dialling = asyncio.create_task(port_of())
        for _ in range(turns):
            await asyncio.sleep(0.002)
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
        gc.collect()


def test_two_kinds_of_addresses_take_turns() -> None:
    def address(family: int, number: int) -> happy_eyeballs.Address:
        return (family, socket.SOCK_STREAM, 6, "", (str(number), 443))

    six, four = socket.AF_INET6, socket.AF_INET
    given = [address(six, 1), address(six, 2), address(four, 3), address(six, 4)]

    assert [one[4][0] for one in happy_eyeballs._interleave(given)] == ["1", "3", "2", "4"]
