"""A worker of a fleet in this process: its broker, its task, and the messages that it reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from taskiq import AckableMessage
from taskiq.receiver import Receiver

from clickpost_async import ClickPost, RetryPolicy
from clickpost_async.fleet import Ledger
from clickpost_async.integrations.taskiq import CreateOrder, OrderBroker, order_task
from clickpost_async.sandbox import Sandbox

BRISK = RetryPolicy(attempts=3, backoff=0.01, settle_delay=0.2)


class Process:
    """A worker process's broker, its task, and its view of the queue."""

    def __init__(self, url: str, broker: OrderBroker, task: CreateOrder) -> None:
        self.url = url
        self.broker = broker
        self.task = task
        self.receiver = Receiver(broker)
        self._messages = broker.listen()

    async def next(self) -> AckableMessage:
        return await asyncio.wait_for(anext(self._messages), 30)

    async def work(self) -> None:
        await self.receiver.callback(await self.next())

    async def stop_listening(self) -> None:
        await self._messages.aclose()


def sandbox_client(sandbox: Sandbox, **settings: Any) -> ClickPost:
    return ClickPost(
        sandbox.username,
        sandbox.api_key,
        base_url=sandbox.base_url,
        retry=BRISK,
        **settings,
    )


@asynccontextmanager
async def process(
    url: str, sandbox: Sandbox, *, client: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Process]:
    broker = OrderBroker(url, account="acme", idle=0.3, **settings)
    broker.is_worker_process = True
    task = order_task(
        broker,
        client=lambda: sandbox_client(sandbox, **(client or {})),
        ledger=Ledger(url, account="acme"),
    )
    await broker.startup()
    started = Process(url, broker, task)
    try:
        yield started
    finally:
        await started.stop_listening()
        await broker.shutdown()
