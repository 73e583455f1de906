"""What a pace allows: at most `burst + rate * w` calls in every window of w seconds."""

from collections.abc import Sequence


def over(times: Sequence[float], rate: float, burst: float) -> int:
    """Return by how many whole calls the worst of all windows exceeds what is allowed.

    Parts of a call say only that a clock was read a little later than something was decided.
    """
    worst, begun = 0.0, -float("inf")
    for place, at in enumerate(times):
        begun = max(begun, rate * at - place)
        worst = max(worst, place + 1 - burst - rate * at + begun)
    return int(worst)


def fullest(times: Sequence[float], window: float) -> int:
    """Return how many calls the fullest window of that length has."""
    first = most = 0
    for last, at in enumerate(times):
        while times[first] < at - window:
            first += 1
        most = max(most, last - first + 1)
    return most
