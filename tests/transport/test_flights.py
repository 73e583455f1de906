import asyncio
import copy
from collections.abc import Awaitable, Callable

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    ClickPostError,
    CourierError,
    Credentials,
    Hosts,
    InvalidRequestError,
    NoReplyError,
    Outcome,
    structure,
)
from clickpost_async.sandbox import Sandbox, served
from clickpost_async.structures import IndiaOrder
from clickpost_async.testing import virtual_time
from tests.strategies import india
from tests.transport.plays import Play, placed, playing, said

ORDER = india({"shipment_details.reference_number": "ONE"})
OTHER = india({"shipment_details.reference_number": "ONE", "drop_info.drop_pincode": "110002"})


def slowly(answer: httpx.Response) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    async def answered(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return answer

    return answered


@pytest.mark.fault("X08")
@virtual_time
async def test_the_same_order_twice_at_once_is_sent_once() -> None:
    play = Play([slowly(placed())])
    async with playing(play) as clickpost:
        first, again, typed = await asyncio.gather(
            clickpost.orders.create(ORDER),
            clickpost.orders.create(copy.deepcopy(ORDER)),
            clickpost.orders.create(structure(ORDER, IndiaOrder)),
        )

    assert len(play.requests) == 1
    assert first is again is typed


@virtual_time
async def test_one_after_the_other_is_sent_twice() -> None:
    play = Play([placed(), placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(ORDER)
        await clickpost.orders.create(ORDER)

    assert len(play.requests) == 2


@pytest.mark.fault("X08")
@virtual_time
async def test_another_order_under_the_same_reference_is_refused() -> None:
    play = Play([slowly(placed())])
    async with playing(play) as clickpost:
        first, refused = await asyncio.gather(
            clickpost.orders.create(ORDER),
            clickpost.orders.create(OTHER),
            return_exceptions=True,
        )

    assert not isinstance(first, BaseException)
    assert isinstance(refused, InvalidRequestError)
    assert [problem.path for problem in refused.problems] == ["reference_number"]
    assert len(play.requests) == 1


@pytest.mark.fault("X08")
@virtual_time
async def test_a_failure_is_shared_too() -> None:
    play = Play([slowly(said(319, "not that pincode"))])
    async with playing(play) as clickpost:
        failures = await asyncio.gather(
            *(clickpost.orders.create(ORDER) for _ in range(3)), return_exceptions=True
        )

    assert [type(failure) for failure in failures] == [CourierError] * 3
    assert len({id(failure) for failure in failures}) == 3
    assert len(play.requests) == 1


@virtual_time
async def test_what_is_shared_is_the_truth_about_the_whole_call() -> None:
    play = Play([httpx.ReadError(""), httpx.ConnectError("")])
    async with playing(play) as clickpost:
        failures = await asyncio.gather(
            *(clickpost.orders.create(ORDER) for _ in range(2)), return_exceptions=True
        )

    assert [type(failure) for failure in failures] == [NoReplyError] * 2


@virtual_time
async def test_one_that_is_given_up_before_it_left_makes_room_for_the_next() -> None:
    play = Play([slowly(placed())])
    async with playing(play, at_once=1) as clickpost:
        before = asyncio.create_task(clickpost.orders.create(india({})))
        given_up = asyncio.create_task(clickpost.orders.create(ORDER))
        next_one = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(0)
        given_up.cancel()

        order = await next_one
        await before

    assert order.waybill is not None
    assert len(play.requests) == 2
    assert given_up.cancelled()


async def arrived(sandbox: Sandbox) -> None:
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if sandbox.traffic.in_flight:
            return
    raise AssertionError("nothing arrived")


@pytest.mark.asyncio
async def test_one_that_is_given_up_on_its_way_leaves_the_others_in_doubt() -> None:
    async with served(Sandbox(courier_seconds=5.0)) as server:
        account = Credentials(server.sandbox.username, server.sandbox.key)
        async with ClickPost(account, hosts=Hosts.at(server.url)) as clickpost:
            given_up = asyncio.create_task(clickpost.orders.create(ORDER))
            await arrived(server.sandbox)
            doubtful = asyncio.create_task(clickpost.orders.create(ORDER))
            await asyncio.sleep(0.01)
            given_up.cancel()

            with pytest.raises(NoReplyError) as caught:
                await doubtful

    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.fault("X08")
@pytest.mark.asyncio
async def test_a_racy_courier_is_asked_once_for_twenty_at_once() -> None:
    async with served(Sandbox(courier_seconds=0.2, racy=True)) as server:
        account = Credentials(server.sandbox.username, server.sandbox.key)
        hosts = Hosts.at(server.url)
        async with ClickPost(account, hosts=hosts) as one:
            await asyncio.gather(*(one.orders.create(ORDER) for _ in range(20)))
        bought = len(server.sandbox.ledger()["ONE"])

        # Two clients know nothing of each other: this is what the rule keeps one of them from.
        control = india({"shipment_details.reference_number": "TWO"})
        async with ClickPost(account, hosts=hosts) as one, ClickPost(account, hosts=hosts) as two:
            await asyncio.gather(one.orders.create(control), two.orders.create(control))

    assert bought == 1
    assert len(server.sandbox.ledger()["TWO"]) == 2


@virtual_time
async def test_nothing_is_remembered_of_a_flight_that_has_landed() -> None:
    play = Play([said(319), placed()])
    async with playing(play) as clickpost:
        with pytest.raises(ClickPostError):
            await clickpost.orders.create(ORDER)

        assert (await clickpost.orders.create(OTHER)).waybill is not None
