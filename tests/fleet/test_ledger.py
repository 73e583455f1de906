"""The ledger of a fleet, at a real Redis: who has an order, and what was sent."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from clickpost_async.fleet import Ledger
from clickpost_async.fleet.ledger import Busy, Changed, LostError, OpenLedger, Placed, Yours
from tests.redis_server import RedisServer

KEY = ("india", "PEN-5")


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


async def claimed(
    ledger: OpenLedger, *, digest: str = "aa", fed_in: str = ""
) -> Yours | Busy | Placed | Changed:
    return await ledger.claim(KEY, digest, fed_in=fed_in)


@pytest.mark.asyncio
async def test_an_order_is_one_workers_and_the_others_wait(
    one: OpenLedger, other: OpenLedger
) -> None:
    assert await claimed(one) == Yours(None)
    assert await claimed(other) == Busy()
    assert await claimed(one) == Yours(None)


@pytest.mark.asyncio
async def test_a_placed_order_gives_its_answer_to_all(one: OpenLedger, other: OpenLedger) -> None:
    await claimed(one)
    await one.sending(KEY, "aa")
    await one.end(KEY, "aa", "placed", "the answer")

    assert await claimed(one) == await claimed(other) == Placed("the answer")
    assert await claimed(other, digest="bb") == Changed()


@pytest.mark.asyncio
async def test_what_a_dead_worker_has_sent_is_in_doubt(
    server: RedisServer, one: OpenLedger
) -> None:
    async with Ledger(server.url, account="acme").open() as dead:
        await claimed(dead)
        await dead.sending(KEY, "aa")

    claim = await claimed(one)
    assert isinstance(claim, Yours)
    assert claim.sent is not None
    assert 0 <= claim.sent < 60
    assert await claimed(one, digest="bb") == Changed()


@pytest.mark.asyncio
async def test_what_a_dead_worker_has_not_sent_is_free_and_may_change(
    server: RedisServer, one: OpenLedger
) -> None:
    async with Ledger(server.url, account="acme").open() as dead:
        await claimed(dead)

    assert await claimed(one, digest="bb") == Yours(None)


@pytest.mark.asyncio
async def test_a_worker_that_was_thought_dead_must_not_send(
    server: RedisServer, one: OpenLedger, other: OpenLedger
) -> None:
    await claimed(one)
    with server.client() as client:
        client.delete(f"clickpost:{{acme}}:worker:{one.me}")
    assert await claimed(other) == Yours(None)

    with pytest.raises(LostError, match="PEN-5"):
        await one.sending(KEY, "aa")
    # Nor does it undo what the other one does; only an order that is placed is placed.
    await one.end(KEY, "aa", "nothing", "refused")
    assert await claimed(one) == Busy()
    await one.end(KEY, "aa", "placed", "late")
    assert await claimed(other) == Placed("late")


@pytest.mark.asyncio
async def test_an_order_that_was_refused_is_forgotten_and_may_change(
    one: OpenLedger, server: RedisServer
) -> None:
    await claimed(one)
    await one.sending(KEY, "aa")
    await one.end(KEY, "aa", "nothing", "refused")

    with server.client() as client:
        assert client.keys("*:order:*") == []
    assert await claimed(one, digest="bb") == Yours(None)


@pytest.mark.asyncio
async def test_an_order_that_stays_open_is_still_in_doubt(
    one: OpenLedger, other: OpenLedger
) -> None:
    await claimed(one)
    await one.sending(KEY, "aa")
    await one.end(KEY, "aa", "open", "no answer")

    claim = await claimed(other)
    assert isinstance(claim, Yours)
    assert claim.sent is not None


@pytest.mark.asyncio
async def test_an_order_of_an_earlier_redis_is_in_doubt_and_one_of_this_is_not(
    one: OpenLedger,
) -> None:
    era = await one.era()
    assert await one.claim(("india", "NEW"), "aa", fed_in=era) == Yours(None)

    assert await one.claim(("india", "OLD"), "aa", fed_in="another") == Yours(0.0)
    # It stays in doubt, whoever claims it next.
    assert await one.claim(("india", "OLD"), "aa", fed_in=era) != Yours(None)


@pytest.mark.asyncio
async def test_the_script_comes_back_after_a_flush(one: OpenLedger, server: RedisServer) -> None:
    with server.client() as client:
        client.script_flush()
    assert await claimed(one) == Yours(None)


@pytest.mark.asyncio
async def test_accounts_do_not_see_each_other(one: OpenLedger, server: RedisServer) -> None:
    await claimed(one)
    async with AsyncExitStack() as stack:
        stranger = Ledger(server.url, account="emca")
        assert await claimed(await stack.enter_async_context(stranger.open())) == Yours(None)


@pytest.mark.asyncio
async def test_all_that_is_kept_ends_one_day(one: OpenLedger, server: RedisServer) -> None:
    await claimed(one)
    await one.tell(one.mailbox(), "{}")
    with server.client() as client:
        kept = client.keys("*")
        assert len(kept) == 3
        assert min(client.ttl(key) for key in kept) > 0


@pytest.mark.parametrize("account", ["", "a{b", "a b"])
def test_an_account_that_cannot_be_a_key_is_refused(account: str) -> None:
    with pytest.raises(ValueError, match="account"):
        Ledger("redis://127.0.0.1", account=account)


def test_a_ledger_does_not_show_the_password() -> None:
    ledger = Ledger("redis://:not-a-real-password@127.0.0.1", account="acme")
    assert "not-a-real-password" not in repr(ledger)
