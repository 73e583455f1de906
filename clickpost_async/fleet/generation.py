"""A script that runs only while Redis has lost nothing of what the script has written."""

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from redis.asyncio import Redis

# Sets the generation unless another process was first.
_REPLACE = """
local generation = redis.call('GET', KEYS[1]) or ''
if generation ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
_TIME_DIGITS = 8


class GenerationScript:
    """Runs `script` in the generation of a Redis; a new memory begins a new generation.

    The generation is in the text of the script, which Redis keeps in volatile memory only, and in
    `key`, which is data. After a restart or a failover the script is missing, after FLUSHALL the
    key is, and after a roll-back of the data they differ. `check` is called before a generation
    begins or is joined, and refuses a Redis by raising. A user without @dangerous is enough.
    """

    def __init__(
        self,
        redis: "Redis",
        key: str,
        script: str,
        *,
        kept: int,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self._redis = redis
        self._key = key
        self._script = script
        self._kept = str(kept)
        self._check = check
        self._generation = ""
        self._sha = ""

    async def current(self) -> str:
        """Return the generation; a new one means that Redis may have lost something."""
        await self.run([], [])
        return self._generation

    async def run(self, keys: Sequence[str], arguments: Sequence[str]) -> list[Any]:
        """Run the script with the generation's key in front of `keys`."""
        while True:
            if self._generation:
                try:
                    result = await self._evaluate(keys, arguments)
                except NoScriptError:
                    pass
                else:
                    if result[:1] != ["generation"]:
                        return result
            await self._join_or_begin()

    async def _evaluate(self, keys: Sequence[str], arguments: Sequence[str]) -> list[Any]:
        everything = (self._key, *keys, *arguments)
        # Never EVAL, which would load the script of a generation that is over.
        result = self._redis.evalsha(self._sha, 1 + len(keys), *everything)
        return await cast("Awaitable[list[Any]]", result)

    async def _join_or_begin(self) -> None:
        await self._check()
        generation = str(await self._redis.get(self._key) or "")
        if generation and generation != self._generation:
            self._adopt(generation)
            try:
                if await self._evaluate([], []) == []:
                    return
            except NoScriptError:
                pass
        began = int((await self._redis.time())[0])
        new = f"{began:0{_TIME_DIGITS}x}{uuid.uuid4().hex[:_TIME_DIGITS]}"
        await self._redis.script_load(self._text(new))
        replace = self._redis.eval(_REPLACE, 1, self._key, generation, new, self._kept)
        if await cast("Awaitable[int]", replace):
            self._adopt(new)

    def _adopt(self, generation: str) -> None:
        self._generation = generation
        self._sha = hashlib.sha1(self._text(generation).encode(), usedforsecurity=False).hexdigest()

    def _text(self, generation: str) -> str:
        began = int(generation[:_TIME_DIGITS], 16)
        return f"local GENERATION, BEGAN = '{generation}', {began}\n{self._script}"
