"""The event loops that the client is run on, and the warnings that none may emit."""

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import trio

try:
    import uvloop
except ImportError:  # there are no wheels of it for Windows
    uvloop = None

T = TypeVar("T")
Main = Callable[[], Awaitable[T]]
Run = Callable[[Main[Any]], Any]


def on_asyncio(
    main: Main[T],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    debug: bool | None = None,
) -> T:
    """Run on an asyncio loop; whatever the loop logs as an error or a warning is one."""
    recorder = _Recorder()
    logger = logging.getLogger("asyncio")
    logger.addHandler(recorder)
    try:
        with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
            done = runner.run(_coroutine(main))
        gc.collect()  # a task whose exception was never retrieved is reported when it is deleted
    finally:
        logger.removeHandler(recorder)
    if recorder.messages:
        raise AssertionError("\n".join(recorder.messages))
    return done


async def _coroutine(main: Main[T]) -> T:
    return await main()


class _Recorder(logging.Handler):
    """Keeps warnings, but for slow callbacks: these measure the machine as much as the client."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if not (message.startswith("Executing ") and " took " in message):
            self.messages.append(message)


def _eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def _runners() -> Mapping[str, Run]:
    runners: dict[str, Run] = {"asyncio": on_asyncio}
    if uvloop is not None:
        runners["uvloop"] = partial(on_asyncio, loop_factory=uvloop.new_event_loop)
    if sys.version_info >= (3, 12):
        runners["asyncio, eager tasks"] = partial(on_asyncio, loop_factory=_eager_loop)
    runners["asyncio, debug mode"] = partial(on_asyncio, debug=True)
    runners["trio"] = trio.run
    return runners


RUNNERS: Mapping[str, Run] = _runners()
