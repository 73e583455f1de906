"""Count what this process has open."""

import os
from pathlib import Path

import pytest

_LISTED = Path("/proc/self/fd")

needs_descriptors_listed = pytest.mark.skipif(
    not _LISTED.exists(), reason="counts descriptors as Linux lists them"
)


def descriptors() -> int:
    """Return how many descriptors are open, as Linux lists them.

    Compare by `<=`: what an earlier test left may be collected, and closed, at any time.
    """
    return len(os.listdir(_LISTED))  # noqa: PTH208 - they are counted
