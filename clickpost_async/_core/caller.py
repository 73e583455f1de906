"""Runs endpoint calls: deadlines, concurrency, downloads."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio

from clickpost_async._codec.endpoint import Get, Post, Query
from clickpost_async._codec.file_types import Download
from clickpost_async._concurrency.as_completed import AsCompleted
from clickpost_async._core.call import Call
from clickpost_async._core.runtime import CallOptions, ClientRuntime
from clickpost_async.errors import ClickPostError, DeadlineError, FailureKind, NoReplyError
from clickpost_async.structures._base import ResponseModel

T = TypeVar("T")
R = TypeVar("R", bound=ResponseModel)


class EndpointCaller:
    """Calls endpoints with the runtime and options of a client."""

    def __init__(self, runtime: ClientRuntime, options: CallOptions) -> None:
        self._runtime = runtime
        self._options = options

    # A gather runs the first step of all its calls in one iteration of the event loop, so these
    # return the coroutine that does the work instead of awaiting it in another.

    def get(self, endpoint: Get[R], query: Query) -> Coroutine[Any, Any, R]:
        """Call an endpoint with a query."""
        return self._run(Call(self._runtime, self._options, endpoint, query))

    def post(
        self, endpoint: Post[R], body: object, query: Query | None = None
    ) -> Coroutine[Any, Any, R]:
        """Call an endpoint with a body: a structure, or a plain mapping of one; and a query."""
        return self._run(Call(self._runtime, self._options, endpoint, query, body))

    def _run(self, call: Call[R]) -> Coroutine[Any, Any, R]:
        deadline = self._options.deadline
        return call.run() if deadline is None else self._within_deadline(call, deadline)

    async def _within_deadline(self, call: Call[R], deadline: float) -> R:
        call.end_within(deadline)
        with anyio.move_on_after(deadline):
            return await call.run()
        raise call.too_late()

    async def gather(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Run calls concurrently; results are in order, the first failure cancels the others."""
        results: dict[int, T] = {}
        failures: list[ClickPostError] = []

        async def one(position: int) -> None:
            try:
                results[position] = await calls[position]()
            except ClickPostError as error:
                failures.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for position in range(len(calls)):
                group.start_soon(one, position)
        if failures:
            raise failures[0]
        return [results[position] for position in range(len(calls))]

    def as_completed(
        self, calls: Iterable[Callable[[], Awaitable[Iterable[T]]]], *, max_concurrency: int
    ) -> AsyncIterator[T]:
        """Make calls, so many at a time, and yield the results of each as it completes."""
        return AsCompleted(calls, max_concurrency=max_concurrency)

    async def pause(self, seconds: float) -> None:
        """Sleep for so many seconds."""
        await anyio.sleep(seconds)

    async def download(
        self, download: Download, url: str, path: Path, *, overwrite: bool = False
    ) -> Path:
        """Download a file from a URL in a response, without sending the API key."""
        self._runtime.refuse_if_closed(download.name)
        deadline = self._options.deadline
        message = f"the deadline of {deadline or 0:g} s passed"
        if deadline is not None and deadline <= 0:
            raise DeadlineError(message, endpoint=download.name)
        with anyio.move_on_after(deadline):
            return await self._runtime.downloader.download(download, url, path, overwrite=overwrite)
        raise NoReplyError(
            message, endpoint=download.name, transient=False, kind=FailureKind.DEADLINE
        )
