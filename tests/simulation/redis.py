"""A Redis that can be flushed, restarted with old data, slowed down, and made unreachable.

It speaks Redis' own protocol to the real redis-py, over simulated connections, and runs the real
Lua scripts in Lua 5.1, as Redis does. It knows the commands that the package uses.
"""

import copy
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from tests.simulation.clock import Machine

lua51 = pytest.importorskip("lupa.lua51", reason="lupa has no wheels for this Python")

if TYPE_CHECKING:
    from tests.simulation.loop import SimLoop
    from tests.simulation.redis_link import Link
    from tests.simulation.world import World

PORT = 6379
URL = f"redis://127.0.0.1:{PORT}?protocol=2"

_LUA = lua51.LuaRuntime(encoding="latin-1")
_COMPILED: dict[str, Any] = {}
_MAX_COMPILED = 100

Reply = Any
"""`None`, an integer, text, a list of replies, a status, or an error."""


class Status(str):
    """A reply such as OK."""

    __slots__ = ()


class RedisReplyError(Exception):
    """A reply that says what was wrong."""


class Blocked(Exception):  # noqa: N818 - it is no error
    """Raised by a command that waits: look again when something changes, until then."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@define
class Memory:
    """What a Redis knows."""

    values: dict[str, Any] = field(factory=dict)
    expires: dict[str, float] = field(factory=dict)
    # Orders that wait for a worker, and those that one has: the queue of the fleet.
    queue: dict[int, dict[str, Any]] = field(factory=dict)


class Redis:
    """A Redis server of the world."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.machine = Machine(world, "redis")
        self.memory = Memory()
        self.latency = 0.002
        self.policy = "noeviction"
        self.is_up = True
        self._life = 0
        self._started = world.now
        self.run_id = ""
        self._snapshot = copy.deepcopy(self.memory)
        self._links: list[Link] = []
        self._scripts: dict[str, str] = {}
        self._begin()
        world.servers[PORT] = self.connect

    def _begin(self) -> None:
        self._life += 1
        self._started = self.world.now
        self.run_id = hashlib.sha1(f"life {self._life}".encode()).hexdigest()
        self._scripts.clear()

    # --- what happens to it -----------------------------------------------------------------------

    def flush(self) -> None:
        """Forget everything, and go on."""
        self.world.note("redis", "FLUSHALL")
        self.memory = Memory()

    def save(self) -> None:
        """Take a snapshot."""
        self.world.note("redis", "takes a snapshot")
        self._snapshot = copy.deepcopy(self.memory)

    def evict(self, share: float) -> None:
        """Delete keys as its `maxmemory-policy` allows, each with that probability."""
        if self.policy == "noeviction":
            return
        memory, everything = self.memory, self.policy.startswith("allkeys")
        keys = [key for key in memory.values if everything or key in memory.expires]
        evicted = [key for key in keys if self.world.chance(share)]
        for key in evicted:
            self.drop(key)
        if everything and self.world.chance(share):
            memory.queue.clear()
        self.world.note("redis", f"{self.policy} evicts {evicted}")

    def fail_over(self, lag: float) -> None:
        """Be replaced by a replica, which has not received the writes of the last `lag` seconds."""
        if self.is_up:
            self.world.note("redis", f"its replica falls behind, {lag:.3f} s before it fails")
            self.world.at(lag, self._promote, copy.deepcopy(self.memory))

    def _promote(self, replica: Memory) -> None:
        if self.is_up:
            self._snapshot = replica
            self.go()
            self.world.at(10 ** self.world.delay(-1.0, 1.0), self.come_back, "as its replica was")

    def go(self) -> None:
        """Be gone, with all connections."""
        self.world.note("redis", "is gone")
        self.is_up = False
        for link in list(self._links):
            link.drop()

    def come_back(self, memory: str) -> None:
        """Start anew: with nothing, with the last snapshot, or with all that it knew."""
        self.world.note("redis", f"is back, {memory}")
        if memory == "empty":
            self.memory = Memory()
        elif memory in ("with an old snapshot", "as its replica was"):
            self.memory = copy.deepcopy(self._snapshot)
        self._begin()
        self.is_up = True

    # --- connections ------------------------------------------------------------------------------

    async def connect(self, loop: "SimLoop", factory: Callable[[], Any]) -> Any:
        """Take a connection."""
        waiter: Any = loop.create_future()
        self.world.at(self.delay(), lambda: waiter.done() or waiter.set_result(None))
        await waiter
        if not self.is_up:
            message = "Redis is gone"
            raise ConnectionRefusedError(message)
        from tests.simulation.redis_link import Link

        protocol = factory()
        link = Link(self, loop, protocol)
        self._links.append(link)
        protocol.connection_made(link)
        return link, protocol

    def delay(self) -> float:
        """Draw how long a message takes."""
        return self.world.delay(0.2 * self.latency, self.latency)

    def forget(self, link: "Link") -> None:
        """Note that a connection has ended."""
        if link in self._links:
            self._links.remove(link)

    def wake(self) -> None:
        """Let those look again that wait for a stream."""
        for link in list(self._links):
            link.look_again()

    # --- commands ---------------------------------------------------------------------------------

    def now(self) -> float:
        """Return its wall clock."""
        return self.machine.wall()

    def get(self, key: str, make: Callable[[], Any] | None = None) -> Any:
        """Return a value, making it if need be."""
        self.alive(key)
        if key not in self.memory.values and make is not None:
            self.memory.values[key] = make()
        return self.memory.values.get(key)

    def alive(self, key: str) -> bool:
        """Tell whether there is such a key that has not expired."""
        if self.memory.expires.get(key, self.now() + 1) <= self.now():
            self.drop(key)
        return key in self.memory.values

    def drop(self, key: str) -> int:
        """Delete a key."""
        self.memory.expires.pop(key, None)
        return int(self.memory.values.pop(key, None) is not None)

    def call(self, *words: str) -> Reply:
        """Do a command."""
        from tests.simulation.redis_commands import COMMANDS

        # One that is not known ends the play: it is to be added.
        return COMMANDS[words[0].lower()](self, *words[1:])

    def info(self) -> str:
        """Return what INFO says."""
        uptime = int(self.world.now - self._started)
        return (
            f"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:{self.run_id}\r\n"
            f"uptime_in_seconds:{uptime}\r\n# Memory\r\nmaxmemory_policy:{self.policy}\r\n"
        )

    def script(self, sha: str, keys: list[str], arguments: list[str]) -> Reply:
        """Run a script that was loaded."""
        if sha not in self._scripts:
            message = "NOSCRIPT No matching script. Please use EVAL."
            raise RedisReplyError(message)
        compiled = _COMPILED.get(sha)
        if compiled is None:
            if len(_COMPILED) >= _MAX_COMPILED:
                # Each generation of each play has a script of its own.
                _COMPILED.clear()
            text = f"function(KEYS, ARGV, redis) {self._scripts[sha]}\nend"
            compiled = _COMPILED[sha] = _LUA.eval(text)

        def call(*words: Any) -> Any:
            return _to_lua(self.call(*(_word(word) for word in words)))

        library = _LUA.table(call=call, pcall=call)
        return _from_lua(compiled(_LUA.table(*keys), _LUA.table(*arguments), library))

    def load(self, script: str) -> str:
        """Keep a script."""
        sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._scripts[sha] = script
        return sha


def _word(word: Any) -> str:
    if isinstance(word, float) and word.is_integer():
        return str(int(word))
    return str(word) if not isinstance(word, float) else f"{word:.14g}"


def _to_lua(reply: Reply) -> Any:
    if reply is None:
        return False
    if isinstance(reply, Status):
        return _LUA.table(ok=str(reply))
    if isinstance(reply, list):
        return _LUA.table(*(_to_lua(one) for one in reply))
    return reply


def _from_lua(value: Any) -> Reply:
    if value is None or value is False:
        return None
    if value is True:
        return 1
    if isinstance(value, float):
        return int(value)
    if lua51.lua_type(value) == "table":
        if (ok := value["ok"]) is not None:
            return Status(ok)
        if (err := value["err"]) is not None:
            raise RedisReplyError(err)
        found: list[Reply] = []
        while (one := value[len(found) + 1]) is not None:
            found.append(_from_lua(one))
        return found
    return value
