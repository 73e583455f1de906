"""Opens a TCP connection to the first address of a host that accepts it (RFC 8305).

asyncio has this too, but leaks sockets when it is cancelled.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import anyio

# Seconds before the next address is tried as well (RFC 8305, Connection Attempt Delay).
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
        # Close the losers, or the winner if this task was cancelled.
        for late in found:
            late.close()


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[Address]:
    try:
        family = _FAMILIES[ipaddress.ip_address(host).version]
    except ValueError:
        return list(_interleave(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    # An IP address needs no resolver call, which would take a thread.
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]


def _interleave(addresses: Iterable[Address]) -> Iterable[Address]:
    """Return the addresses with IPv4 and IPv6 alternating (RFC 8305, section 4)."""
    kinds: dict[int, list[Address]] = {}
    for address in addresses:
        kinds.setdefault(address[0], []).append(address)
    return (one for pair in zip_longest(*kinds.values()) for one in pair if one is not None)


async def _connect_to(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    connected = socket.socket(family, kind, protocol)
    try:
        connected.setblocking(False)  # noqa: FBT003 - positional only
        await loop.sock_connect(connected, where)
    except BaseException:
        connected.close()
        raise
    return connected
