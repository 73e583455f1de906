"""Cancelled calls, and servers that go away: nothing leaks, and no call waits for ever."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from clickpost_async import (
    ClickPost,
    NoReplyError,
    NotSentError,
    Outcome,
    Rate,
    RetryPolicy,
)
from clickpost_async._concurrency import circuit_breaker
from clickpost_async.bulk import Pending, Placed, Unknown, create
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder
from tests.helpers.http_server import PLACED, Peer, http, serving, until
from tests.helpers.process_servers import process
from tests.helpers.scripted_transport import KEY
from tests.sandbox.samples import india_order

MANY = 2_000
AT_ONCE = 20
SANDBOX = ("sandbox", "sandbox-key-not-a-secret")


def slowly(dice: random.Random) -> Callable[[Peer], Any]:
    async def talk(peer: Peer) -> None:
        while True:
            await peer.read()
            await asyncio.sleep(dice.random() * 0.004)
            response = http(PLACED)
            middle = dice.randrange(len(response))
            await peer.send(response[:middle])
            await asyncio.sleep(0)
            await peer.send(response[middle:])

    return talk


@pytest.mark.fault("T20")
@pytest.mark.asyncio
@pytest.mark.parametrize("rate", [None, Rate(20_000)])
async def test_calls_cancelled_at_random_leak_nothing(rate: Rate | None) -> None:
    dice = random.Random(20)
    cancelled = completed = 0

    async with (
        serving(slowly(dice)) as server,
        ClickPost(
            "acme",
            KEY,
            base_url=server.url,
            max_concurrency=AT_ONCE,
            rate=rate,
            retry=RetryPolicy.never(),
        ) as clickpost,
    ):

        async def one() -> None:
            nonlocal cancelled, completed
            call = asyncio.create_task(clickpost.orders.find_india("R-1"))
            for _ in range(dice.randrange(12)):
                await asyncio.sleep(0)
            await asyncio.sleep(dice.choice([0, 0.005, 0.01]) * dice.random())
            for _ in range(dice.choice([0, 1, 1, 1, 2])):
                call.cancel()
                await asyncio.sleep(0)
            try:
                await call
            except asyncio.CancelledError:
                cancelled += 1
            else:
                completed += 1

        with anyio.fail_after(60):
            for _ in range(MANY // 50):
                await asyncio.gather(*(one() for _ in range(50)))
            stats = clickpost.stats()
            await until(lambda: server.open == stats.connections)
            # Those that are left are idle, and good.
            orders = await asyncio.gather(
                *(clickpost.orders.find_india("R-1") for _ in range(3 * AT_ONCE))
            )
            after = clickpost.stats()

    assert cancelled + completed == MANY
    assert min(cancelled, completed) > MANY // 20
    assert (stats.in_flight, stats.queued) == (0, 0)
    assert stats.connections <= AT_ONCE
    assert [order.waybill for order in orders] == ["W-1"] * (3 * AT_ONCE)
    assert (after.in_flight, after.queued, after.connections <= AT_ONCE) == (0, 0, True)


@pytest.mark.asyncio
async def test_task_group_that_ends_early_leaves_the_client_as_it_was() -> None:
    async def some_hang(peer: Peer) -> None:
        while True:
            call = await peer.read()
            if b"R-odd" in call:
                await peer.until_gone()
            await peer.send(http(PLACED))

    async with (
        serving(some_hang) as server,
        ClickPost("acme", KEY, base_url=server.url, max_concurrency=5) as clickpost,
    ):

        async def fails() -> None:
            await asyncio.sleep(0.05)
            raise KeyError

        async def together() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    reference = "R-odd" if number % 2 else "R-1"
                    group.create_task(clickpost.orders.find_india(reference))
                group.create_task(fails())

        with pytest.raises(ExceptionGroup) as caught:
            await together()
        assert [type(error) for error in caught.value.exceptions] == [KeyError]
        assert (clickpost.stats().in_flight, clickpost.stats().queued) == (0, 0)
        assert (await clickpost.orders.find_india("R-1")).waybill == "W-1"


QUICK = RetryPolicy(attempts=2, backoff=0.01, settle_delay=0.01)


@pytest.mark.asyncio
async def test_killing_the_server_ends_every_call_in_a_clear_error() -> None:
    found: list[CreatedOrder | NotSentError | NoReplyError] = []

    with process("--latency", "0.02") as server, anyio.fail_after(60):
        async with ClickPost(
            *SANDBOX, base_url=server.url, max_concurrency=20, retry=QUICK
        ) as clickpost:

            async def call(number: int) -> None:
                try:
                    found.append(await clickpost.orders.create(india_order(f"R-{number}")))
                except (NotSentError, NoReplyError) as error:
                    found.append(error)
                if len(found) == 60:
                    server.kill()

            await asyncio.gather(*(call(number) for number in range(200)))
            stats = clickpost.stats()

    lost = [one for one in found if isinstance(one, NoReplyError)]
    unsent = [one for one in found if isinstance(one, NotSentError)]
    assert (len(found), stats.in_flight, stats.queued, stats.connections) == (200, 0, 0, 0)
    assert 60 <= len(found) - len(lost) - len(unsent) < 100
    # Only those that were under way are in doubt.
    assert 0 < len(lost) <= 20
    assert {one.outcome for one in lost} == {Outcome.UNKNOWN}
    assert {one.outcome for one in unsent} == {Outcome.NOT_SENT}


@pytest.mark.asyncio
async def test_bulk_run_waits_for_a_server_that_was_killed_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "_FIRST_PAUSE", 0.2)
    book = str(tmp_path / "book.db")
    with process("--latency", "0.02", "--path", book) as first, anyio.fail_after(60):
        port = first.url.rsplit(":", 1)[1].partition("/")[0]
        async with ClickPost(
            *SANDBOX, base_url=first.url, max_concurrency=20, retry=QUICK
        ) as clickpost:
            orders = (india_order(f"R-{number}") for number in range(150))
            outcomes: list[Any] = []
            with contextlib.ExitStack() as later:
                async with create(clickpost, orders, max_concurrency=20) as run:
                    async for outcome in run:
                        outcomes.append(outcome)
                        if len(outcomes) == 50:
                            first.kill()
                            again = process("--port", port, "--path", book)
                            later.enter_context(again)

    assert run.report.total == 150
    assert {type(outcome) for outcome in outcomes} <= {Placed, Unknown, Pending}
    with Sandbox(path=book) as sandbox:
        ledger = sandbox.ledger()
    for outcome in outcomes:
        bought = ledger.get(outcome.reference_number, ())
        if isinstance(outcome, Placed):
            assert bought == (outcome.order.waybill,)
        elif isinstance(outcome, Pending):
            assert bought == ()
        else:
            assert len(bought) <= 1
    # Only those in flight, and the attempts that found that the server does not respond.
    assert run.report.placed >= 150 - 20 - 20
