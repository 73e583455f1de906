"""The shared limiter in virtual time: the real script on a real Redis, with the loop's clock."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Self

import redis
from attrs import define, field

from clickpost_async.limits import redis as room
from clickpost_async.limits._distributed import DistributedLimiter, RateSpec, SlotGrant, SlotRequest
from clickpost_async.settings import Rate

_CLOCK = "redis.call('TIME')"
_SCRIPT = room._SCRIPT.replace(_CLOCK, "{ARGV[9], ARGV[10]}")
assert room._SCRIPT.count(_CLOCK) == room._HEARTBEAT_SCRIPT.count(_CLOCK) == 1
_HEARTBEAT = room._HEARTBEAT_SCRIPT.replace(_CLOCK, "{ARGV[4], 0}")

_numbers: Iterator[int] = itertools.count()


@define
class PlayedRedis:
    """What the processes of a fleet ask; its account is old, so that there is a burst.

    It is asked without the event loop's help: an open socket would make virtual time wait.
    """

    client: "redis.Redis"
    key: str = field(factory=lambda: f"clickpost:{{play-{next(_numbers)}}}:rate")
    # By how much its clock is ahead of everybody's.
    ahead: float = 0.0
    failure: Exception | None = None
    hangs: bool = False
    asked: int = 0

    def __attrs_post_init__(self) -> None:
        old = {"next": "-1e6", "held": "-1e6", "seen": "-1e6", "generation": "old"}
        self.client.hset(self.key, mapping=old)

    def forget(self) -> None:
        """Lose everything, as one that is started again."""
        self.client.delete(self.key)

    async def count(self, process: str, calls: int, interval: float) -> int:
        """Count a process, fail or hang."""
        if self.hangs:
            await asyncio.sleep(3600)
        if self.failure is not None:
            raise self.failure
        now = asyncio.get_running_loop().time() + self.ahead
        arguments = (process, str(calls), repr(interval), repr(now))
        words = (self.key, f"{self.key}:processes", *arguments)
        return int(self.client.eval(_HEARTBEAT, 2, *words))

    async def grant(self, spec: RateSpec, request: SlotRequest) -> SlotGrant:
        """Answer, fail or hang."""
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.failure is not None:
            raise self.failure
        now = asyncio.get_running_loop().time() + self.ahead
        words = room.arguments_of(spec, request)
        return room.read_grant(self.client.eval(_SCRIPT, 1, self.key, *words, repr(now), "0"))


class PlayedBucket(DistributedLimiter):
    """The limiter of one process of a fleet."""

    def __init__(
        self,
        at: PlayedRedis,
        rate: Rate,
        *,
        process_count: int | None = None,
        latency: float = 0.0,
    ) -> None:
        super().__init__(rate, process_count, "the rate of a play")
        self._at = at
        self._latency = latency

    def _open(self) -> Self:
        return self

    async def request_slots(self, request: SlotRequest) -> SlotGrant:
        await asyncio.sleep(self._latency / 2)
        grant = await self._at.grant(self._spec, request)
        await asyncio.sleep(self._latency / 2)
        return grant

    async def send_heartbeat(self, process: str, calls: int) -> int:
        await asyncio.sleep(self._latency / 2)
        count = await self._at.count(process, calls, self._spec.interval)
        await asyncio.sleep(self._latency / 2)
        return count

    async def aclose(self) -> None:
        """Close nothing."""

    def abandon(self) -> None:
        """Close nothing."""
