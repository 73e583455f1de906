"""Runs a test on every event loop that is installed."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

try:
    import uvloop
except ImportError:  # not made for every Python yet
    uvloop = None

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_ASYNCIO: Mapping[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
EVERY_LOOP: Mapping[str, LoopFactory] = {
    **_ASYNCIO,
    **({} if uvloop is None else {"uvloop": uvloop.new_event_loop}),
}
_RUN_ON_EVERY_LOOP = (
    "test_per_loop_adapter",
    "test_happy_eyeballs",
    "test_downloader",
    "test_pool",
    "test_every_adapter",
)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, LoopFactory]:
    """Return the event loops that a test is run on."""
    return EVERY_LOOP if item.path.stem in _RUN_ON_EVERY_LOOP else _ASYNCIO
