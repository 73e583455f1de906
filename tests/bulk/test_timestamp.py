"""Elapsed time by clocks that are set, frozen or restarted."""

import time

import pytest

from clickpost_async.bulk import timestamp
from clickpost_async.bulk.timestamp import Timestamp, boot_id

SENT = Timestamp(wall=1e9, clock=500.0, boot="b")
# What an earlier version of a journal has not recorded.
UNRECORDED = Timestamp(wall=1e9, clock=None, boot="b")
DAY = 86_400.0


def after(seconds: float, *, wall: float | None = None, boot: str = "b") -> Timestamp:
    """Return a later moment: by the clock, and by the wall clock if that differs."""
    return Timestamp(1e9 + (seconds if wall is None else wall), 500.0 + seconds, boot)


@pytest.fixture(params=["with CLOCK_BOOTTIME", "without"])
def steady(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    has = request.param != "without"
    monkeypatch.setattr(timestamp, "_HAS_BOOTTIME", has)
    return has


@pytest.mark.fault("C01")
@pytest.mark.fault("C02")
@pytest.mark.parametrize(
    ("since", "now", "left", "left_without"),
    [
        (SENT, after(0), 30, 30),
        (SENT, after(10), 20, 20),
        (SENT, after(500), 0, 0),
        # The wall clock was set forward, or back.
        (SENT, after(10, wall=3600), 20, 20),
        (SENT, after(500, wall=510), 0, 0),
        (SENT, after(10, wall=-3600), 20, 30),
        (SENT, after(500, wall=5), 0, 25),
        # A reboot; a virtual machine that was taken back to a snapshot.
        (SENT, after(500, boot="other"), 30, 30),
        (SENT, after(-100, wall=500), 30, 30),
        (UNRECORDED, after(500), 30, 30),
    ],
)
def test_delay_is_never_shortened_by_a_clock_that_was_set_or_began_anew(
    since: Timestamp, now: Timestamp, left: float, left_without: float, steady: bool
) -> None:
    assert since.left_of(30, now) == (left if steady else left_without)


@pytest.mark.parametrize(
    ("now", "left"), [(after(10, boot=""), 20), (after(10, wall=500, boot=""), 20)]
)
def test_without_a_boot_id_the_longer_delay_of_both_clocks_counts(
    now: Timestamp, left: float
) -> None:
    since = Timestamp(wall=1e9, clock=500.0, boot="")
    assert since.left_of(30, now) == left
    # A reboot that only the clock shows.
    assert since.left_of(30, Timestamp(1e9 + 500, 3.0, "")) == 30
    # The clock began anew, and has come further than it was.
    assert since.left_of(30, Timestamp(1e9 + 12, 900.0, "")) == 18


@pytest.mark.fault("A15")
@pytest.mark.parametrize(
    ("since", "now", "old", "old_without"),
    [
        (SENT, after(DAY - 1), False, False),
        (SENT, after(DAY + 1), True, True),
        (SENT, after(DAY + 1, wall=5), True, True),
        (SENT, after(5, wall=DAY + 1), False, True),
        (SENT, after(5, wall=-DAY), False, True),
        (SENT, after(5, boot="other"), False, False),
        (SENT, after(5, wall=DAY + 1, boot="other"), True, True),
        # It is not known how long ago that was.
        (SENT, after(5, wall=-1, boot="other"), True, True),
        (UNRECORDED, after(DAY + 1), True, True),
        (UNRECORDED, after(DAY - 1), False, False),
    ],
)
def test_age_is_overestimated_rather_than_underestimated(
    since: Timestamp, now: Timestamp, old: bool, old_without: bool, steady: bool
) -> None:
    assert since.is_older_than(DAY, now) == (old if steady else old_without)


def test_now_is_read_from_the_clocks() -> None:
    first, second = Timestamp.now(), Timestamp.now()
    assert first.clock is not None
    assert second.clock is not None
    assert first.clock <= second.clock
    assert first.boot == second.boot == boot_id() != ""
    assert abs(first.wall - time.time()) < 3600
