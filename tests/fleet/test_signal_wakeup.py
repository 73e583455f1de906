"""Signals wake the event loop of a worker, though taskiq's handlers only set an event."""

import asyncio
import contextlib
import selectors
import signal
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

import pytest

from clickpost_async.integrations._signal_wakeup import wake_on_signals
from clickpost_async.integrations.taskiq import OrderBroker
from tests.helpers.redis_server import RedisServer


class SignalledSelector(selectors.DefaultSelector):
    """Gets a signal when its loop has already decided for how long to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.is_armed = False
        self.found: list[Any] | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        if not self.is_armed or timeout == 0:
            return super().select(timeout)
        self.is_armed = False
        signal.raise_signal(signal.SIGUSR1)
        self.found = super().select(timeout)
        return self.found


def wakes(wakeup: AbstractContextManager[None], timeout: float) -> bool:
    """Return whether the signal has woken the loop, which would else sleep for `timeout`."""
    selector = SignalledSelector()

    async def sleep_until_signalled() -> None:
        event = asyncio.Event()

        def handle(number: int, frame: FrameType | None) -> None:
            del number, frame
            event.set()

        before = signal.signal(signal.SIGUSR1, handle)
        try:
            with wakeup:
                selector.is_armed = True
                async with asyncio.timeout(timeout):
                    await event.wait()
        finally:
            signal.signal(signal.SIGUSR1, before)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(sleep_until_signalled())
    assert selector.found is not None
    return selector.found != []


def test_signal_wakes_a_loop_that_has_just_begun_to_sleep() -> None:
    assert wakes(wake_on_signals(), timeout=60)
    assert signal.set_wakeup_fd(-1) == -1


def test_control_signal_is_noticed_when_the_loop_would_have_woken_anyway() -> None:
    assert not wakes(contextlib.nullcontext(), timeout=0.05)


@pytest.mark.asyncio
async def test_broker_that_listens_is_woken_by_signals(redis_server: RedisServer) -> None:
    broker = OrderBroker(redis_server.url, account="acme")
    await broker.startup()
    messages = broker.listen()
    reading = asyncio.create_task(anext(messages))
    for _ in range(1000):
        descriptor = signal.set_wakeup_fd(-1)
        if descriptor != -1:
            signal.set_wakeup_fd(descriptor)
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("no descriptor is woken by signals")

    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await messages.aclose()
    await broker.shutdown()
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.asyncio
async def test_broker_may_listen_in_a_thread_which_signals_never_reach() -> None:
    def enter() -> None:
        with wake_on_signals():
            pass

    await asyncio.to_thread(enter)
    assert signal.set_wakeup_fd(-1) == -1
