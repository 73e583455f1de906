"""The shared bucket in virtual time: the very script at a real Redis, but with the loop's clock."""

import asyncio
import itertools

import redis

from clickpost_async.limits import redis as room
from clickpost_async.limits._shared import Answer, Question, Shared
from clickpost_async.settings import Rate

_CLOCK = "redis.call('TIME')"
_SCRIPT = room._SCRIPT.replace(_CLOCK, "{ARGV[9], ARGV[10]}")
assert room._SCRIPT.count(_CLOCK) == 1

_numbers = itertools.count()


class PlayedBucket(Shared):
    """A shared bucket of one process; its account is an old one, so that it has its burst.

    It asks without the event loop's help: an open socket would make virtual time wait.
    """

    def __init__(self, client: "redis.Redis", rate: Rate, *, share: int = 1) -> None:
        super().__init__(rate, share, "the played rate")
        self.client = client
        self.key = f"clickpost:{{play-{next(_numbers)}}}:rate"
        # What a Redis that fails would do, and by how much its clock is ahead.
        self.failure: Exception | None = None
        self.ahead = 0.0
        self.asked = 0
        state = {"next": "-1e6", "held": "-1e6", "seen": "0", "era": "0"}
        client.hset(self.key, mapping=state)

    def _open(self) -> "PlayedBucket":
        return self

    async def ask(self, question: Question) -> Answer:
        self.asked += 1
        if self.failure:
            raise self.failure
        now = asyncio.get_running_loop().time() + self.ahead
        words = room.arguments(self._law, question)
        said = self.client.eval(_SCRIPT, 1, self.key, *words, repr(now), "0")
        return room.answer(said)

    async def aclose(self) -> None:
        self.client.close()
