"""Fault injection: which faults are injected, at random or scripted, and what each of them does.

Over HTTP a drop is a real close of the TCP connection (with `reset=True` an RST). An ASGI transport
has none to close: there a drop is a ConnectionResetError raised out of the application.
"""

import enum
import os
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Self

from attrs import define, evolve, field, validators
from starlette.types import Receive, Scope, Send

from clickpost_async.sandbox.operation import Operation, Reply
from clickpost_async.sandbox.world.scenarios import COURIER_ERROR, INTERNAL_ERROR

# The key in the scope's state under which the server passes the connection to the application.
CONNECTION = "clickpost_async.sandbox.connection"
_LINGER_ZERO = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Fault(enum.StrEnum):
    """One kind of fault: its title, what the client sees, and whether the order is placed."""

    title_text: str
    effect: str
    books: bool

    def __new__(
        cls,
        value: str,
        title: str = "",
        effect: str = "",
        books: bool = False,  # noqa: FBT001, FBT002
    ) -> Self:
        """Make a member, whose value is only the name."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.title_text, member.effect, member.books = title, effect, books
        return member

    TOO_MANY = "too_many", "Too many calls", "HTTP 429 with Retry-After", False
    BUSY = "busy", "Busy", "HTTP 503 with Retry-After", False
    SERVER_ERROR = "server_error", "Server error", "HTTP 500 and a page of HTML", False
    HTML = "html", "Maintenance", "HTTP 200 and a maintenance page", False
    DROP_BEFORE = "drop_before", "Cut before booking", "the connection closes", False
    DROP_AFTER = "drop_after", "Cut after booking", "the connection closes", True
    HALF_RESPONSE = "half_response", "Half a response", "the connection closes midway", True
    GATEWAY = "gateway", "Gateway timeout", "HTTP 504 and a page of HTML", True
    OOPS = "oops", "Internal error", "status 500, mostly in HTTP 200", True
    HANG = "hang", "No response", "no response, until a timeout", True
    COURIER_DOWN = "courier_down", "Courier down", "HTTP 200 with status 322; creates only", False


_PAGES: Mapping[Fault, Reply] = {
    Fault.BUSY: Reply("503 Service Temporarily Unavailable", 503),
    Fault.SERVER_ERROR: Reply("Server Error (500)", 500),
    Fault.HTML: Reply("We are down for maintenance"),
    Fault.GATEWAY: Reply("504 Gateway Time-out", 504),
}

_MAX_TIMES = 1_000_000
_MAX_LATENCY = 3600


def _up_to(maximum: float) -> float:
    number: float = field(default=0.0, validator=[validators.ge(0), validators.le(maximum)])
    return number


@define
class _ScriptedFault:
    fault: Fault
    times: int
    reference_number: str | None


@define(kw_only=True)
class Faults:
    """Probabilities between 0 and 1 for each fault; `latency` is seconds before every response."""

    latency: float = _up_to(_MAX_LATENCY)
    too_many: float = _up_to(1)
    busy: float = _up_to(1)
    server_error: float = _up_to(1)
    html: float = _up_to(1)
    drop_before: float = _up_to(1)
    drop_after: float = _up_to(1)
    half_response: float = _up_to(1)
    gateway: float = _up_to(1)
    oops: float = _up_to(1)
    hang: float = _up_to(1)
    courier_down: float = _up_to(1)
    reset: bool = False
    retry_after: int = 1
    seed: int = 0
    _script: list[_ScriptedFault] = field(factory=list, init=False, repr=False)
    _calls: Counter[str] = field(factory=Counter, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False, eq=False)

    def next(
        self, fault: Fault | str, *, times: int = 1, reference_number: str | None = None
    ) -> None:
        """Fail the next calls.

        Args:
            fault: How they fail.
            times: How many calls.
            reference_number: The only order that is meant; `None` is any call.

        """
        if not 1 <= times <= _MAX_TIMES:
            raise ValueError(f"times: must be from 1 to {_MAX_TIMES:,}")
        with self._lock:
            self._script.append(_ScriptedFault(Fault(fault), times, reference_number))

    def draw(self, reference_number: str, *, asks_courier: bool = True) -> Fault | None:
        """Return the fault of this call, if any: scripted ones first, then at random.

        Args:
            reference_number: The order that the call is about.
            asks_courier: Whether the call reaches a courier, which may be down.

        """
        with self._lock:
            for line in self._script:
                applies = asks_courier or line.fault is not Fault.COURIER_DOWN
                if applies and line.reference_number in (None, reference_number):
                    line.times -= 1
                    if line.times <= 0:
                        self._script.remove(line)
                    return line.fault
            fault = self._by_chance(reference_number)
        return None if fault is Fault.COURIER_DOWN and not asks_courier else fault

    def scripted(self) -> Mapping[Fault, int]:
        """Return how often each scripted fault is still to be injected."""
        with self._lock:
            waiting: Counter[Fault] = Counter()
            for line in self._script:
                waiting[line.fault] += line.times
        return waiting

    def chances(self) -> Mapping[str, float]:
        """Return the latency, and the probability of each fault."""
        chances = {fault.value: float(getattr(self, fault.value)) for fault in Fault}
        return {"latency": self.latency, **chances}

    def clear(self) -> None:
        """Stop injecting faults: drop the script, set every probability and the latency to 0."""
        with self._lock:
            self._script.clear()
            self._calls.clear()
        self.latency = 0.0
        for fault in Fault:
            setattr(self, fault.value, 0.0)

    def _by_chance(self, reference_number: str) -> Fault | None:
        odds = [(fault, float(getattr(self, fault))) for fault in Fault]
        if not any(chance for _, chance in odds):
            return None
        # From the reference and its number of calls: the order of arrival changes nothing.
        self._calls[reference_number] += 1
        turn = f"{self.seed}/{reference_number}/{self._calls[reference_number]}"
        dice = random.Random(turn)  # noqa: S311 - dice, not secrets
        return next((fault for fault, chance in odds if dice.random() < chance), None)


def injected_reply(fault: Fault, faults: Faults, called: Operation) -> Reply | None:
    """Return the reply of a fault to a call; None if it drops the connection."""
    if fault is Fault.TOO_MANY:
        return throttled(faults.retry_after)
    if fault is Fault.OOPS:
        return called.refuse(500, INTERNAL_ERROR)
    if fault is Fault.COURIER_DOWN:
        return called.refuse(322, COURIER_ERROR)
    if fault is Fault.BUSY:
        return evolve(_PAGES[fault], headers={"Retry-After": str(faults.retry_after)})
    return _PAGES.get(fault)


def throttled(seconds: int) -> Reply:
    """Return the reply to a call above the rate limit."""
    detail = f"Request was throttled. Expected available in {seconds} seconds."
    return Reply({"detail": detail}, 429, {"Retry-After": str(seconds)})


async def drop(
    scope: Scope, receive: Receive, send: Send, *, half: Reply | None, reset: bool
) -> None:
    """Close the connection without a response, or after the first half of one."""
    if half is not None:
        response = half.response()
        status, headers = response.status_code, response.raw_headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        first = response.body[: len(response.body) // 2]
        await send({"type": "http.response.body", "body": first, "more_body": True})
    connection = scope.get("state", {}).get(CONNECTION)
    if connection is None:
        raise ConnectionResetError("the sandbox dropped this call on purpose")
    wire = connection.get_extra_info("socket")
    if reset and wire is not None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    connection.close()
    await until_gone(receive)


async def until_gone(receive: Receive) -> None:
    """Wait until the client disconnects; returning earlier would make the server respond."""
    while (await receive())["type"] != "http.disconnect":
        pass
