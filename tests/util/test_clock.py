import time

import pytest

from clickpost_async._util import clock as _clock


def test_boottime_is_not_moved_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _clock.boottime()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before <= _clock.boottime() < before + 3600


def test_boottime_reads_the_clock_that_counts_suspends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def clock_gettime(clock: int) -> float:
        asked.append(clock)
        return 7.0

    monkeypatch.setattr(time, "clock_gettime", clock_gettime, raising=False)
    monkeypatch.setattr(_clock, "_BOOTTIME", 42)
    assert (_clock.boottime(), asked) == (7.0, [42])


def test_boottime_falls_back_on_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clock, "_BOOTTIME", None)
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    assert _clock.boottime() == 5.0
