"""Opens a TCP connection to whichever of a host's addresses answers first.

asyncio can do that too, and leaves sockets open where it is cancelled in the middle.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import anyio

# When the next address is tried beside one that has not answered yet (RFC 8305).
_HEAD_START = 0.25

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

Address = tuple[int, int, int, str, Any]


async def connect(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Return a connected socket; raises `OSError`."""
    addresses = await _addresses(loop, host, port)
    if len(addresses) == 1:
        return await _connect_to(loop, addresses[0])
    found: list[socket.socket] = []
    failures: list[OSError] = []

    async def attempt(address: Address, failed: anyio.Event) -> None:
        try:
            found.append(await _connect_to(loop, address))
        except OSError as error:
            failures.append(error)
            failed.set()
        else:
            group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for address in addresses:
                failed = anyio.Event()
                group.start_soon(attempt, address, failed)
                with anyio.move_on_after(_HEAD_START):
                    await failed.wait()
        if not found:
            raise failures[-1] if failures else OSError(f"{host} has no address")
        return found.pop(0)
    finally:
        # Two may have answered at once, or nobody wants the one any more.
        for late in found:
            late.close()


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[Address]:
    try:
        family = _FAMILIES[ipaddress.ip_address(host).version]
    except ValueError:
        return list(_in_turn(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    # An address is not looked up: that would take a thread.
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]


def _in_turn(addresses: Iterable[Address]) -> Iterable[Address]:
    """Put the addresses in an order in which the two kinds take turns."""
    kinds: dict[int, list[Address]] = {}
    for address in addresses:
        kinds.setdefault(address[0], []).append(address)
    return (one for turn in zip_longest(*kinds.values()) for one in turn if one is not None)


async def _connect_to(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)  # noqa: FBT003 - the standard library wants it so
        await loop.sock_connect(made, where)
    except BaseException:
        made.close()
        raise
    return made
