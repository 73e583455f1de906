"""Connections to the simulated Redis, and their protocol."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.redis import Blocked, Redis, RedisReplyError, Reply, Status

if TYPE_CHECKING:
    from tests.simulation.loop import SimLoop


class Link(asyncio.Transport):
    """The server's end of a connection, and what the client writes to."""

    def __init__(self, redis: Redis, loop: "SimLoop", protocol: Any) -> None:
        super().__init__()
        self._redis = redis
        self._world = redis.world
        self._process = loop.process
        self._protocol = protocol
        self._unread = b""
        self._open = True
        self._closing = False
        self._queued: list[list[str]] | None = None
        self._waiting: tuple[list[str], float] | None = None
        self._commands: list[list[str]] = []
        # Replies come in the order of their commands.
        self._last = 0.0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send commands, which arrive some time later."""
        if self._open and self._process.alive:
            self._later(self._arrive, bytes(data))

    def _later(self, act: Callable[..., object], *args: object) -> None:
        at = max(self._last, self._world.now + self._redis.delay())
        self._last = at
        self._world.at(at - self._world.now, act, *args)

    def _arrive(self, data: bytes) -> None:
        if not self._open or not self._redis.is_up:
            return
        self._unread += data
        while (read := _read(self._unread)) is not None:
            words, self._unread = read
            self._commands.append(words)
        self._work()

    def _work(self) -> None:
        while self._commands and self._waiting is None and self._open:
            self._do(self._commands.pop(0))

    def _do(self, words: list[str]) -> None:
        name = words[0].upper()
        if name == "MULTI":
            self._queued = []
            self._reply(Status("OK"))
        elif name == "EXEC":
            queued, self._queued = self._queued or [], None
            self._reply([self._result(each) for each in queued])
        elif name == "DISCARD":
            self._queued = None
            self._reply(Status("OK"))
        elif self._queued is not None:
            self._queued.append(words)
            self._reply(Status("QUEUED"))
        else:
            try:
                self._reply(self._result(words))
            except Blocked as blocked:
                until = self._world.now + blocked.seconds
                self._waiting = (words, until)
                self._world.at(blocked.seconds, self._give_up, until)

    def _result(self, words: list[str]) -> Reply:
        try:
            return self._redis.call(*words)
        except RedisReplyError as error:
            return error

    def look_again(self) -> None:
        """Try once more what was blocked."""
        if self._waiting is not None and self._open:
            words, _ = self._waiting
            try:
                reply = self._result(words)
            except Blocked:
                return
            self._waiting = None
            self._reply(reply)
            self._work()

    def _give_up(self, until: float) -> None:
        if self._waiting is not None and self._waiting[1] == until:
            self._waiting = None
            self._reply(None)
            self._work()

    def _reply(self, reply: Reply) -> None:
        self._later(self._deliver, _written(reply))

    def _deliver(self, data: bytes) -> None:
        if self._open and self._process.alive:
            self._process.loops[0].call_soon(self._protocol.data_received, data)

    # --- the ends ---------------------------------------------------------------------------------

    def drop(self) -> None:
        """Break off: the server is gone."""
        if self._open:
            self._end(ConnectionResetError("Redis is gone"))

    def close(self) -> None:
        """Close, as the client does."""
        if self._open:
            self._end(None)

    def abort(self) -> None:
        """Close at once."""
        self.close()

    def _end(self, error: Exception | None) -> None:
        self._open = False
        self._redis.forget(self)
        if self._process.alive:
            self._process.loops[0].call_soon(self._protocol.connection_lost, error)

    def is_closing(self) -> bool:
        """Tell whether it is closed."""
        return not self._open

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell nothing: there is no socket."""
        return default

    def pause_reading(self) -> None:
        """Be read on: what comes is small."""

    def resume_reading(self) -> None:
        """Be read on."""

    def can_write_eof(self) -> bool:
        """Tell that it cannot be half closed."""
        return False


# --- the protocol ---------------------------------------------------------------------------------


def _read(data: bytes) -> tuple[list[str], bytes] | None:
    """Read one command, an array of texts."""
    if not data.startswith(b"*") or b"\r\n" not in data:
        return None
    head, rest = data.split(b"\r\n", 1)
    words = []
    for _ in range(int(head[1:])):
        if b"\r\n" not in rest:
            return None
        size, rest = rest.split(b"\r\n", 1)
        length = int(size[1:])
        if len(rest) < length + 2:
            return None
        words.append(rest[:length].decode("latin-1"))
        rest = rest[length + 2 :]
    return words, rest


def _written(reply: Reply) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, RedisReplyError):
        return f"-{reply}\r\n".encode("latin-1")
    if isinstance(reply, Status):
        return f"+{reply}\r\n".encode("latin-1")
    if isinstance(reply, int):
        return f":{reply}\r\n".encode()
    if isinstance(reply, list):
        return f"*{len(reply)}\r\n".encode() + b"".join(map(_written, reply))
    data = str(reply).encode("latin-1")
    return b"$%d\r\n%s\r\n" % (len(data), data)
