"""Counts the open file descriptors of this process."""

import os


def descriptors() -> int:
    """Return how many descriptors are open, as Linux lists them.

    Compare by `<=`: what an earlier test left may be collected, and closed, at any time.
    """
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - they are counted
