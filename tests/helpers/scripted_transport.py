"""Scripted responses, played in order by httpx's mock transport; works in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx
from attrs import define, field

from clickpost_async import ClickPost
from clickpost_async._concurrency.circuit_breaker import CircuitBreaker, Permit
from clickpost_async._concurrency.retry_budget import RetryBudget
from clickpost_async.events import Event

KEY = "not-a-real-key"

Line = httpx.Response | Exception | Callable[[httpx.Request], Awaitable[httpx.Response]]


def api_response(status: int, message: str = "", **beside: Any) -> httpx.Response:
    """Return a response in ClickPost's envelope, under HTTP 200."""
    meta = {"status": status, "message": message, "success": status in (200, 202)}
    return httpx.Response(200, json={"meta": meta, **beside})


def placed(
    waybill: str = "W-1", reference_number: str | None = None, status: int = 200
) -> httpx.Response:
    result = {"waybill": waybill, "reference_number": reference_number}
    return api_response(status, "SUCCESS", result=result, order_id=1)


def queued(status: int = 202) -> httpx.Response:
    return api_response(status, "queued", result={"waybill": None}, order_id=1)


async def never_responds(request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(10_000)
    raise AssertionError("waited for too long")


@define
class Play:
    """Plays its lines in order, the last one repeatedly, and records when each call came.

    Look-ups by reference number are not part of the play: they get the response `knows`.
    """

    lines: list[Line] = field(converter=list)
    knows: Line = field(factory=lambda: api_response(321, "no such order"))
    look_ups: list[httpx.Request] = field(factory=list)
    times: list[float] = field(factory=list)
    requests: list[httpx.Request] = field(factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and "reference_number" in request.url.params:
            self.look_ups.append(request)
            line = self.knows
        else:
            self.times.append(asyncio.get_running_loop().time())
            self.requests.append(request)
            line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        if isinstance(line, Exception):
            raise line
        if isinstance(line, httpx.Response):
            # A response is read once; the last line is played more often.
            return httpx.Response(line.status_code, headers=line.headers, content=line.content)
        return await line(request)

    @property
    def pauses(self) -> list[float]:
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


def playing(play: Play | Iterable[Line], **settings: Any) -> ClickPost:
    """Return a client whose calls get the responses of a play."""
    play = play if isinstance(play, Play) else Play(play)
    return ClickPost("acme", KEY, transport=httpx.MockTransport(play), **settings)


class Unbreakable(CircuitBreaker):
    """Never opens."""

    def record(self, passage: Permit, generation: int, *, failed: bool | None) -> None:
        pass


def unbreakable(clickpost: ClickPost) -> ClickPost:
    """Disable a client's circuit breaker."""
    for guard in clickpost._runtime.health.values():
        object.__setattr__(guard, "breaker", Unbreakable())
    return clickpost


def unguarded(clickpost: ClickPost) -> ClickPost:
    """Disable a client's retry budget and circuit breaker: the control of many tests."""
    for guard in clickpost._runtime.health.values():
        object.__setattr__(guard, "budget", RetryBudget(1.0, 1e9, 1e9))
    return unbreakable(clickpost)


@define
class Listener:
    """An observer that keeps the events."""

    events: list[Event] = field(factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]
