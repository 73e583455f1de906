"""Machines and their clocks, which can be set, suspended and restarted."""

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from clickpost_async.bulk import timestamp

if TYPE_CHECKING:
    from tests.simulation.world import World

# 2026-03-02T00:00:00Z.
EPOCH = 1_772_409_600.0
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Machine:
    """A computer: what its clocks say, and whether it sleeps."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.wall_offset = 0.0
        self.asleep_since: float | None = None
        self._slept = 0.0
        self._boots = 0
        self._booted_at = 0.0
        self.boot_id = ""
        self._boot(uptime=world.random.uniform(100.0, 100_000.0))

    def _boot(self, uptime: float) -> None:
        self._boots += 1
        self._booted_at = self.world.now - uptime
        self._slept = 0.0
        self.boot_id = f"{self.name}-boot-{self._boots}"

    def monotonic(self) -> float:
        """Return CLOCK_MONOTONIC: it stands still while the machine sleeps."""
        now = self.world.now if self.asleep_since is None else self.asleep_since
        return now - self._booted_at - self._slept

    def boottime(self) -> float:
        """Return CLOCK_BOOTTIME: it goes on while the machine sleeps."""
        return self.world.now - self._booted_at

    def wall(self) -> float:
        """Return what the machine takes for the time of day."""
        return EPOCH + self.world.now + self.wall_offset

    def true_time(self, monotonic: float) -> float:
        """Return when the monotonic clock will say that, if the machine stays awake."""
        return monotonic + self._booted_at + self._slept

    def set_wall_clock(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self.world.note(self.name, f"wall clock set by {seconds:+.0f} s")
        self.wall_offset += seconds

    def suspend(self, seconds: float) -> None:
        """Sleep for so long, with all that runs here."""
        if self.asleep_since is None:
            self.world.note(self.name, f"suspended for {seconds:.1f} s")
            self.asleep_since = self.world.now
            self.world.at(seconds, self._wake)

    def _wake(self) -> None:
        if self.asleep_since is not None:
            self._slept += self.world.now - self.asleep_since
            self.asleep_since = None
            self.world.note(self.name, "awake again")

    def reboot(self) -> None:
        """Start anew: another boot id, and a monotonic clock that begins again."""
        self.asleep_since = None
        self._boot(uptime=self.world.random.uniform(1.0, 20.0))
        self.world.note(self.name, f"rebooted: {self.boot_id}")


def _clocks(world: "World") -> dict[str, Callable[..., float]]:
    """Return what stands in for the clocks of the `time` module."""

    def wall() -> float:
        return world.current_machine().wall()

    def monotonic() -> float:
        return world.current_machine().monotonic()

    def clock_gettime(clock: int) -> float:
        if clock == time.CLOCK_REALTIME:
            return wall()
        if clock == getattr(time, "CLOCK_BOOTTIME", -1):
            return world.current_machine().boottime()
        return monotonic()

    def nanoseconds(read: Callable[..., float]) -> Callable[..., int]:
        return lambda *clock: int(read(*clock) * 1e9)

    return {
        "time": wall,
        "time_ns": nanoseconds(wall),
        "monotonic": monotonic,
        "monotonic_ns": nanoseconds(monotonic),
        "perf_counter": monotonic,
        "perf_counter_ns": nanoseconds(monotonic),
        "clock_gettime": clock_gettime,
        "clock_gettime_ns": nanoseconds(clock_gettime),
    }


@contextmanager
def virtual_clocks(world: "World") -> Iterator[None]:
    """Let every clock, boot id and random number that the code reads be the world's."""

    read_text = Path.read_text
    clocks: dict[str, Any] = _clocks(world)

    def sim_read_text(path: Path, *args: Any, **options: Any) -> str:
        if str(path) == _BOOT_ID:
            return world.current_machine().boot_id
        return read_text(path, *args, **options)

    def uuid4() -> uuid.UUID:
        return uuid.UUID(bytes=world.names.randbytes(16), version=4)

    state = random.getstate()
    random.seed(world.random.getrandbits(64))
    try:
        with (
            mock.patch.multiple(time, **clocks),
            mock.patch.object(Path, "read_text", sim_read_text),
            # A process reads it once. Here processes of several boots share the cache.
            mock.patch.object(timestamp, "boot_id", timestamp.boot_id.__wrapped__),
            mock.patch.object(os, "urandom", world.names.randbytes),
            mock.patch.object(uuid, "uuid4", uuid4),
        ):
            yield
    finally:
        random.setstate(state)
