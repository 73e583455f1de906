"""Worker processes that create a fleet's orders, and the fleet that queues orders for them."""

import asyncio
import logging
import os
import re
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from clickpost_async._util.extras import require
from clickpost_async.cli import account
from clickpost_async.cli.messages import print_message
from clickpost_async.client import ClickPost
from clickpost_async.fleet import Fleet, Ledger
from clickpost_async.fleet.redis_calls import RedisError, UnsuitableRedisError
from clickpost_async.fleet.status import read_status
from clickpost_async.integrations.taskiq import (
    STOP_AFTER,
    OrderBroker,
    feed,
    order_task,
)
from clickpost_async.limits.redis import RedisBucket, check_redis_url
from clickpost_async.settings import Rate

with require("workers need the taskiq extra", "clickpost_async[taskiq]"):
    from redis.asyncio import Redis
    from taskiq.cli.common_args import LogLevel
    from taskiq.cli.worker.args import WorkerArgs
    from taskiq.cli.worker.run import run_worker

_URL, _RATE = "CLICKPOST_REDIS_URL", "CLICKPOST_RATE"
_KEEP, _CHECK = "CLICKPOST_KEEP_DAYS", "CLICKPOST_CHECK_EVICTION"
_CONCURRENCY = "CLICKPOST_MAX_CONCURRENCY"
_DAY = 86_400.0
# Seconds that a Redis has to respond before workers wait for it.
_TIMEOUT = 5.0
# Seconds after a signal until a worker leaves the messages that it could not hand back.
_STOPPED_WITHIN = STOP_AFTER + 1


def work(redis: str | None, *, rate: str, processes: int, max_concurrency: int, keep: float) -> int:
    """Run the workers of a fleet until interrupted; returns the exit code.

    Without `redis` its URL is read from the environment.
    """
    try:
        redis = redis_url(redis)
        RedisBucket(redis, Rate.parse(rate), account="any")
        # taskiq starts the worker processes, which read their settings from the environment.
        os.environ |= {_URL: redis, _RATE: rate, _KEEP: repr(keep)}
        os.environ[_CONCURRENCY] = str(max_concurrency)
        asyncio.run(_check(ledger(redis, _account())))
    except (ValueError, UnsuitableRedisError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{processes} workers wait for orders of {_account()}", file=sys.stderr, flush=True)
    ended = run_worker(
        WorkerArgs(
            broker=f"{__name__}:broker",
            modules=[],
            workers=processes,
            max_async_tasks=max_concurrency,
            wait_tasks_timeout=_STOPPED_WITHIN,
            log_level=LogLevel.WARNING,
        )
    )
    return ended or 0


async def _check(opening: Ledger) -> None:
    """Raise `UnsuitableRedisError` if orders are not safe in this Redis."""
    async with opening.open() as opened:
        try:
            async with asyncio.timeout(_TIMEOUT):
                await opened.generation()
        except UnsuitableRedisError:
            raise
        except (RedisError, OSError) as error:
            print_message(f"waiting for Redis, which does not respond ({type(error).__name__})")


def ledger(url: str, name: str) -> Ledger:
    """Return the ledger of an account, as the environment configures it."""
    check = os.environ.get(_CHECK, "yes").strip().lower() not in ("no", "0", "false")
    keep = float(os.environ.get(_KEEP, "7")) * _DAY
    return Ledger(url, account=name, keep=keep, check_eviction=check)


def redis_url(given: str | None) -> str:
    """Return the Redis URL: the one given as an argument, or that of the environment.

    Warns of a password among the arguments. Raises `ValueError`, without the password, where there
    is no URL or it is not one of Redis.
    """
    url = (given or os.environ.get(_URL, "")).strip()
    if not url:
        raise ValueError(f"no Redis: set {_URL}, such as redis://127.0.0.1:6379")
    has_password = check_redis_url("not a Redis URL", url)
    if given and has_password:
        print_message(
            "warning: all users of this machine can read the Redis password in the command line:"
            f" set {_URL} instead"
        )
    return url


def broker() -> OrderBroker:
    """Return the broker that a worker process reads orders from."""
    url, name = os.environ[_URL], _account()
    max_concurrency = int(os.environ[_CONCURRENCY])
    orders = OrderBroker(url, account=name, max_concurrency=max_concurrency)

    @asynccontextmanager
    async def client() -> AsyncGenerator[ClickPost]:
        rate = Rate.parse(os.environ[_RATE])
        async with (
            RedisBucket(url, rate, account=name) as limiter,
            account.client(limiter, max_concurrency=max_concurrency) as clickpost,
        ):
            yield clickpost

    order_task(orders, client=client, ledger=ledger(url, name))
    return orders


@asynccontextmanager
async def fleet(redis: str | None, clickpost: ClickPost) -> AsyncGenerator[Fleet]:
    """Open the fleet of a client's account; without a URL it is read from the environment.

    Raises `OSError` if its Redis does not respond at the start; later outages are waited out.
    """
    name = _slug(clickpost.account_label)
    async with AsyncExitStack() as stack:
        stack.enter_context(_show_warnings())
        try:
            url = redis_url(redis)
            orders, opening = OrderBroker(url, account=name), ledger(url, name)
            stack.push_async_callback(orders.shutdown)
            task = order_task(orders, client=lambda: clickpost, ledger=opening)
            await orders.startup()
            opened = Fleet.open(feed(task), clickpost, opening, bulk=True)
            feeding = await stack.enter_async_context(opened)
        except (RedisError, ValueError) as error:
            message = f"cannot use the fleet's Redis: {error}"
            raise ConnectionError(message) from None
        yield feeding


async def show_status(redis: str | None) -> int:
    """Print the state of the account's fleet; without a URL it is read from the environment.

    Raises `ConnectionError` when Redis does not respond.
    """
    name = _account()
    try:
        async with Redis.from_url(redis_url(redis), decode_responses=True) as client:
            state = await read_status(client, name)
    except RedisError as error:
        message = f"cannot read the fleet's Redis: {error}"
        raise ConnectionError(message) from None
    used = "no process uses it"
    if state.calls_per_second is not None:
        used = f"{state.calls_per_second:.0f} of {state.rate:g} calls/s"
    memory = "unknown: INFO is forbidden"
    if state.memory_bytes is not None:
        memory = f"{state.memory_bytes / 1e6:,.1f} MB"
    lines = {
        "account": name,
        "orders waiting": f"{state.waiting:,}",
        "orders in progress": f"{state.in_progress:,}",
        "orders in doubt": f"{state.in_doubt:,}",
        "workers alive": f"{state.workers:,}",
        "rate in use": f"{used}, {state.processes} processes",
        "memory of Redis": memory,
    }
    for label, value in lines.items():
        print(f"{label:<20}{value}")
    return 0


@contextmanager
def _show_warnings() -> Generator[None]:
    """Print the package's log records at WARNING, such as missing workers or a Redis outage."""

    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print_message(record.getMessage())

    log, printing = logging.getLogger("clickpost_async"), Printing(logging.WARNING)
    log.addHandler(printing)
    try:
        yield
    finally:
        log.removeHandler(printing)


def _account() -> str:
    # Username and host: a sandbox's orders never reach the workers of the real account.
    return _slug(account.client().account_label)


def _slug(identity: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", identity).strip("-")
