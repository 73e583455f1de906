"""How it is measured: in turn, several times, and always with the machine and the versions."""

import asyncio
import importlib.metadata
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from benchmarks._child import ChildError, MissingError, call

# How often the event loop is asked whether it still comes round: a block is seen to so many
# seconds, and asking costs less than a thousandth of the processor.
_TICK = 0.005


@frozen(kw_only=True)
class Case:
    """One thing to measure: its labels in a table, and the arguments of its process."""

    labels: Mapping[str, Any]
    arguments: Mapping[str, Any]
    needs: Sequence[str] = ()
    without: Sequence[str] = ()
    rounds: int = 3
    timeout: float = 600.0

    def call(self, where: str, **more: Any) -> Mapping[str, float]:
        """Call a function of the benchmarks in a process of its own, as this case has it."""
        return call(
            where,
            {**self.arguments, **more},
            timeout=self.timeout,
            needs=self.needs,
            without=self.without,
        )


@frozen(kw_only=True)
class Row:
    """What was found of a case, one value a round.

    `failed` says why there is no more; `missing` that it is only for something not installed.
    """

    labels: Mapping[str, Any]
    found: Mapping[str, Sequence[float]] = field(factory=dict)
    failed: str | None = None
    missing: bool = False


def interleaved(
    cases: Sequence[Case], once: Callable[[Case], Mapping[str, float]]
) -> Sequence[Row]:
    """Measure each case in turn, and all of them again, as often as each has rounds.

    What else the machine does then meets all of them alike.
    """
    rounds: list[list[Mapping[str, float]]] = [[] for _ in cases]
    failed: dict[int, ChildError] = {}
    for turn in range(max(case.rounds for case in cases)):
        for place, case in enumerate(cases):
            if turn >= case.rounds or place in failed:
                continue
            name = ", ".join(str(label) for label in case.labels.values())
            began = time.perf_counter()
            try:
                rounds[place].append(once(case))
            except ChildError as error:
                failed[place] = error
            seconds = time.perf_counter() - began
            say(f"  {name}: {failed.get(place, f'round {turn + 1}')} ({seconds:.1f} s)")
    return [
        Row(
            labels=case.labels,
            found={what: [each[what] for each in found] for what in (found[0] if found else ())},
            failed=str(failed[place]) if place in failed else None,
            missing=isinstance(failed.get(place), MissingError),
        )
        for place, (case, found) in enumerate(zip(cases, rounds, strict=True))
    ]


def say(line: str) -> None:
    """Print the progress."""
    print(line, file=sys.stderr, flush=True)


# --- in the process that is measured --------------------------------------------------------------


def cpu() -> float:
    """Return the seconds of processor time, of user and system, that this process has had."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory(which: str) -> int:
    """Return this process's memory in bytes: `VmRSS` now, `VmHWM` at most."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(which):
            return int(line.split()[1]) * 1024
    raise OSError(which)


def client_core() -> None:
    """Keep this process on the first core, and so out of a server's way."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])


def server_cores(pid: int) -> None:
    """Keep a process off the first core, if there is another."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(pid, cores[1:] or cores)


class Watch:
    """Measures the CPU time for which an event loop does not come round; never too low.

    Wall time would count what other processes do meanwhile. The loop's thread waits for the network
    in its selector only, which is no block.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._loop = asyncio.get_running_loop()
        self._seen = time.thread_time()
        self._timer = self._loop.call_later(_TICK, self._look)

    def _look(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._seen)
        self._seen = now
        self._timer = self._loop.call_later(_TICK, self._look)

    def stop(self) -> None:
        """Look no longer."""
        self._timer.cancel()
        self.longest = max(self.longest, time.thread_time() - self._seen)


# --- where it was measured ------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Tell what it was measured on."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def versions(names: Sequence[str]) -> dict[str, str]:
    """Tell which versions are installed, of those that are."""
    found = {}
    for name in sorted(names):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
