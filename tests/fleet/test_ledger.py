"""The ledger of a fleet, on a real Redis: which worker has an order, and what was sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from clickpost_async.fleet import Ledger
from clickpost_async.fleet.ledger import (
    AlreadyPlaced,
    Conflict,
    Granted,
    HeldByOther,
    LostError,
    OpenLedger,
    Result,
)
from tests.helpers.redis_server import RedisServer

KEY = ("india", "PEN-5")
ORDER = "clickpost:{acme}:india:PEN-5"
SUMMARY = "12 W-1"


@pytest.fixture
def server(redis_server: RedisServer) -> RedisServer:
    with redis_server.client() as client:
        client.flushall()
    return redis_server


@pytest_asyncio.fixture
async def one(server: RedisServer) -> AsyncIterator[OpenLedger]:
    async with Ledger(server.url, account="acme").open() as opened:
        yield opened


@pytest_asyncio.fixture
async def other(server: RedisServer) -> AsyncIterator[OpenLedger]:
    async with Ledger(server.url, account="acme").open() as opened:
        yield opened


def placed() -> Result:
    return Result(state="placed", summary=SUMMARY)


async def claimed(
    ledger: OpenLedger, *, digest: str = "aa", registered: bool = False
) -> Granted | HeldByOther | AlreadyPlaced | Conflict:
    return await ledger.claim(KEY, digest, registered=registered)


@pytest.mark.asyncio
async def test_order_is_one_workers_and_the_others_wait(one: OpenLedger, other: OpenLedger) -> None:
    assert await claimed(one) == Granted(None)
    assert await claimed(other) == HeldByOther()
    assert await claimed(one) == Granted(None)


@pytest.mark.asyncio
async def test_placed_order_shares_its_response_with_all_waiters(
    one: OpenLedger, other: OpenLedger
) -> None:
    await claimed(one)
    await one.sending(KEY)
    await one.end(KEY, "aa", placed())

    assert await claimed(one) == await claimed(other) == AlreadyPlaced(SUMMARY)
    assert await claimed(other, digest="bb") == Conflict()


@pytest.mark.asyncio
async def test_sent_order_of_a_dead_worker_is_in_doubt(
    server: RedisServer, one: OpenLedger
) -> None:
    async with Ledger(server.url, account="acme").open() as dead:
        await claimed(dead)
        await dead.sending(KEY)

    claim = await claimed(one)
    assert isinstance(claim, Granted)
    assert claim.sent is not None
    assert 0 <= claim.sent < 60
    assert await claimed(one, digest="bb") == Conflict()


@pytest.mark.asyncio
async def test_unsent_order_of_a_dead_worker_is_free_and_may_change(
    server: RedisServer, one: OpenLedger
) -> None:
    async with Ledger(server.url, account="acme").open() as dead:
        await claimed(dead)

    assert await claimed(one, digest="bb") == Granted(None)


@pytest.mark.asyncio
async def test_worker_whose_lease_was_lost_must_not_send(
    server: RedisServer, one: OpenLedger, other: OpenLedger
) -> None:
    await claimed(one)
    with server.client() as client:
        client.delete(f"clickpost:{{acme}}:worker:{one.worker_id}")
    assert await claimed(other) == Granted(None)

    with pytest.raises(LostError, match="PEN-5"):
        await one.sending(KEY)
    # Nor does it undo what the other one does; only an order that is placed is placed.
    await one.end(KEY, "aa", Result(state="nothing"))
    assert await claimed(one) == HeldByOther()
    await one.end(KEY, "aa", placed())
    assert await claimed(other) == AlreadyPlaced(SUMMARY)


@pytest.mark.asyncio
async def test_only_lost_orders_of_a_joint_call_must_not_be_sent(
    server: RedisServer, one: OpenLedger
) -> None:
    keys = [("india", f"PEN-{number}") for number in range(4)]
    for key in keys:
        await one.claim(key, "aa")
    with server.client() as client:
        client.delete("clickpost:{acme}:india:PEN-0", "clickpost:{acme}:india:PEN-2")

    results = await asyncio.gather(*map(one.sending, keys), return_exceptions=True)
    assert [type(result) for result in results] == [LostError, type(None)] * 2


@pytest.mark.parametrize("became", ["placed", "open", "nothing"])
@pytest.mark.asyncio
async def test_worker_whose_lease_was_lost_must_not_send_a_finished_order(
    server: RedisServer, one: OpenLedger, other: OpenLedger, became: str
) -> None:
    # It would be sent a second time with no time to settle in between.
    await claimed(one)
    await one.send_heartbeat()
    await claimed(other)
    await other.sending(KEY)
    await other.end(KEY, "aa", Result(state=became, summary=SUMMARY))

    with pytest.raises(LostError):
        await one.sending(KEY)


@pytest.mark.asyncio
async def test_live_worker_keeps_only_orders_whose_lease_it_renews(
    one: OpenLedger, other: OpenLedger
) -> None:
    with one.holding(KEY):
        await claimed(one)
        await one.send_heartbeat()
        assert await claimed(other) == HeldByOther()
    await one.send_heartbeat()

    # Given up, as by a task that was cancelled: the worker lives on, and the order is free.
    assert await claimed(other) == Granted(None)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let silent workers count as dead after two seconds."""
    monkeypatch.setattr("clickpost_async.fleet.ledger.ALIVE", 2)


@pytest.mark.fault("R04")
@pytest.mark.asyncio
async def test_r04_order_in_flight_by_an_older_redis_is_in_doubt_and_unclaimed(
    brief: None,
) -> None:
    with RedisServer(save="3600 1000") as server:
        account = Ledger(server.url, account="acme")
        async with account.open() as one, account.open() as other:
            with one.holding(KEY):
                await claimed(one)
                with server.client() as client:
                    client.save()
                # What comes now is forgotten.
                await one.sending(KEY)
                await one.end(KEY, "aa", Result(state="open"))
            server.restart()

            await eventually_free(other)


async def eventually_free(ledger: OpenLedger) -> None:
    for _ in range(60):
        claim = await claimed(ledger)
        if claim != HeldByOther():
            # Its bytes may have left, though this Redis has no record of it: it has to settle.
            assert claim == Granted(0.0)
            return
        await asyncio.sleep(0.1)
    pytest.fail("the order stays with a worker that does not have it")


@pytest.mark.fault("R04")
@pytest.mark.asyncio
async def test_r04_worker_keeps_its_order_when_redis_is_back(
    brief: None,
) -> None:
    with RedisServer(appendonly="yes") as server:
        account = Ledger(server.url, account="acme")
        async with account.open() as one, account.open() as other:
            with one.holding(KEY):
                await claimed(one)
                server.kill()
                # Long enough for all that was known to live to have ended.
                await asyncio.sleep(2.2)
                server.start()
                for _ in range(30):
                    assert await claimed(other) == HeldByOther()
                    await asyncio.sleep(0.1)
                await one.sending(KEY)


@pytest.mark.asyncio
async def test_lost_response_is_recovered(one: OpenLedger, server: RedisServer) -> None:
    box = one.reply_stream()
    await one.reply(box, 1, "first")
    await one.reply(box, 2, "second")

    # As if the connection had been lost on the way back.
    assert await one.collect(box, "0-0", 1.0) == (read := await one.collect(box, "0-0", 1.0))
    assert [replies for _, replies in read] == [{"1": "first"}, {"2": "second"}]
    assert await one.collect(box, read[-1][0], 0.01) == []
    with server.client() as client:
        assert client.xlen(box) == 1


@pytest.mark.asyncio
async def test_order_that_was_refused_is_forgotten_and_may_change(
    one: OpenLedger, server: RedisServer
) -> None:
    await claimed(one)
    await one.sending(KEY)
    await one.end(KEY, "aa", Result(state="nothing"))

    with server.client() as client:
        assert client.keys("*:india:*") == []
    assert await claimed(one, digest="bb") == Granted(None)


@pytest.mark.asyncio
async def test_order_that_stays_open_is_still_in_doubt(one: OpenLedger, other: OpenLedger) -> None:
    await claimed(one)
    await one.sending(KEY)
    await one.end(KEY, "aa", Result(state="open"))

    claim = await claimed(other)
    assert isinstance(claim, Granted)
    assert claim.sent is not None


@pytest.mark.asyncio
async def test_registered_order_of_this_redis_is_new(one: OpenLedger) -> None:
    await one.generation()
    await one.register([KEY])

    assert await claimed(one, registered=True) == Granted(None)


@pytest.mark.asyncio
async def test_registered_order_of_an_earlier_redis_is_in_doubt_and_stays_so(
    one: OpenLedger, server: RedisServer
) -> None:
    await one.generation()
    await one.register([KEY])
    with server.client() as client:
        client.set(ORDER, "an-earlier-era - - -")

    assert await claimed(one, registered=True) == Granted(0.0)
    assert await claimed(one) != Granted(None)


@pytest.mark.parametrize("forget", ["flushall", "delete"])
@pytest.mark.asyncio
async def test_registered_order_that_redis_forgot_is_in_doubt(
    one: OpenLedger, other: OpenLedger, server: RedisServer, forget: str
) -> None:
    await one.generation()
    await one.register([KEY])
    await claimed(one, registered=True)
    await one.sending(KEY)
    with server.client() as client:
        client.flushall() if forget == "flushall" else client.delete(ORDER)

    assert await claimed(other, registered=True) == Granted(0.0)
    with pytest.raises(LostError, match="PEN-5"):
        await one.sending(KEY)


@pytest.mark.asyncio
async def test_registering_keeps_the_state_in_the_ledger(
    one: OpenLedger, other: OpenLedger
) -> None:
    await other.generation()
    await claimed(one)
    await one.sending(KEY)
    await one.end(KEY, "aa", Result(state="open"))
    await other.register([KEY])

    claim = await claimed(other, registered=True)
    assert isinstance(claim, Granted)
    assert claim.sent is not None
    assert await claimed(other, digest="bb", registered=True) == Conflict()


@pytest.mark.parametrize("became", ["open", "placed"])
@pytest.mark.asyncio
async def test_outcome_of_a_forgotten_order_is_recorded(
    one: OpenLedger, other: OpenLedger, server: RedisServer, became: str
) -> None:
    await claimed(one)
    await one.sending(KEY)
    with server.client() as client:
        client.flushall()
        await one.end(KEY, "aa", Result(state=became, summary=SUMMARY))
        assert client.ttl(ORDER) > 0

    # No worker has registered it: without a record it would be sent at once.
    claim = await claimed(other)
    assert claim == AlreadyPlaced(SUMMARY) if became == "placed" else claim == Granted(0.0)
    assert await claimed(other, digest="bb") == Conflict()


@pytest.mark.asyncio
async def test_worker_that_lost_its_claim_changes_nothing_about_anothers(
    one: OpenLedger, other: OpenLedger, server: RedisServer
) -> None:
    await claimed(one)
    with server.client() as client:
        client.flushall()
    await claimed(other, digest="bb")
    await other.sending(KEY)
    await one.end(KEY, "aa", Result(state="open"))
    assert await claimed(one, digest="bb") == HeldByOther()
    await other.end(KEY, "bb", Result(state="open"))

    assert isinstance(await claimed(one, digest="bb"), Granted)


@pytest.mark.asyncio
async def test_run_id_changes_with_a_restart_and_with_flushall_only() -> None:
    with RedisServer(appendonly="yes") as server:
        async with Ledger(server.url, account="acme").open() as ledger:
            first = await ledger.generation()
            assert await ledger.generation() == first
            with server.client() as client:
                client.flushall()
            emptied = await ledger.generation()
            assert emptied != first
            assert await ledger.generation() == emptied
            server.restart()
            assert await ledger.generation() not in (first, emptied)


@pytest.mark.asyncio
async def test_closing_does_not_wait_for_an_unresponsive_redis(
    one: OpenLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def silent(*_: object) -> None:
        asked.set()
        await asyncio.sleep(3600)

    with monkeypatch.context() as patch:
        patch.setattr("clickpost_async.fleet.ledger._LEAVE_TIMEOUT", 0.01)
        patch.setattr("redis.asyncio.client.Pipeline.execute", silent)
        await asyncio.wait_for(one.leave(), 10)
    assert asked.is_set()


@pytest.mark.asyncio
async def test_script_is_loaded_again_after_a_flush(one: OpenLedger, server: RedisServer) -> None:
    with server.client() as client:
        client.script_flush()
    assert await claimed(one) == Granted(None)


@pytest.mark.asyncio
async def test_accounts_are_isolated_from_each_other(one: OpenLedger, server: RedisServer) -> None:
    await claimed(one)
    async with AsyncExitStack() as stack:
        other = Ledger(server.url, account="emca")
        assert await claimed(await stack.enter_async_context(other.open())) == Granted(None)


@pytest.mark.asyncio
async def test_every_redis_key_expires(one: OpenLedger, server: RedisServer) -> None:
    await one.register([("india", "PEN-6")])
    await claimed(one)
    await one.reply(one.reply_stream(), 1, "{}")
    with server.client() as client:
        kept = client.keys("*")
        assert len(kept) == 5
        assert min(client.ttl(key) for key in kept) > 0


@pytest.mark.parametrize("account", ["", "a{b", "a b"])
def test_account_that_cannot_be_a_key_is_refused(account: str) -> None:
    with pytest.raises(ValueError, match="account"):
        Ledger("redis://127.0.0.1", account=account)


def test_ledger_does_not_show_the_password() -> None:
    ledger = Ledger("redis://:not-a-real-password@127.0.0.1", account="acme")
    assert "not-a-real-password" not in repr(ledger)
