"""Chapter T: faults of the connection, over real TCP, checked against the ledger."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    ClickPostError,
    Idempotency,
    NoReplyError,
    NotSentError,
    Outcome,
    Post,
    RetryPolicy,
    Timeouts,
)
from clickpost_async._codec.envelope import order_of
from clickpost_async._http import pool
from clickpost_async.bulk import Placed, create
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder, IndiaOrder
from clickpost_async.testing import virtual_time
from tests.faults.proxy import QUICK, SHORT, Line, Proxy, proxied
from tests.helpers.http_server import PLACED, Peer, closed_port, envelope, http, serving, until
from tests.helpers.scripted_transport import KEY, Play, placed, playing, unguarded
from tests.sandbox.samples import india_order

# As the create, but of the kind that is never sent twice: what a pickup is.
ONCE_ONLY = Post(
    "/v3/create-order/",
    takes=IndiaOrder,
    returns=CreatedOrder,
    extract=order_of,
    idempotency=Idempotency.UNSAFE,
)


async def survives(proxy: Proxy, **settings: Any) -> CreatedOrder:
    """Create an order through the fault: it is placed, once, and the same bytes were sent."""
    async with proxy.client(**settings) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))
        assert clickpost.stats().in_flight == 0
    assert proxy.sandbox.ledger() == {"R-1": (order.waybill,)}
    assert len(proxy.bodies) == 1
    return order


async def is_left_alone(proxy: Proxy, **settings: Any) -> None:
    """Make a call that must not be repeated: it is sent once, and its outcome is unknown."""
    async with proxy.client(**settings) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.post(ONCE_ONLY, india_order("R-1"))
    assert caught.value.outcome is Outcome.UNKNOWN
    assert caught.value.safe_to_retry_in is None
    assert len(proxy.creates) <= 1
    assert sum(map(len, proxy.sandbox.ledger().values())) <= 1


async def not_sent(clickpost: ClickPost) -> NotSentError:
    with pytest.raises(NotSentError) as caught:
        await clickpost.orders.create(india_order("R-1"))
    assert (caught.value.outcome, caught.value.safe_to_retry_in) == (Outcome.NOT_SENT, 0)
    return caught.value


def at(url: str, **settings: Any) -> ClickPost:
    settings = {"retry": QUICK, "timeouts": SHORT} | settings
    return ClickPost("acme", KEY, base_url=url, **settings)


# --- no connection ------------------------------------------------------------------------------


@pytest.mark.fault("T01")
@pytest.mark.parametrize("error", [socket.EAI_NONAME, socket.EAI_AGAIN])
@pytest.mark.asyncio
async def test_t01_name_that_is_not_found_is_tried_again_and_nothing_is_sent(
    error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def no_such_name(*_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        raise socket.gaierror(error, "no")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    async with at("https://clickpost.invalid/api") as clickpost:
        failed = await not_sent(clickpost)
    assert (failed.attempts, failed.transient, asked) == (4, True, 4)


@pytest.mark.fault("T01")
@pytest.mark.asyncio
async def test_t01_look_up_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def slow(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(1000)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", slow)
    async with at("https://clickpost.invalid/api", retry=RetryPolicy.never()) as clickpost:
        await not_sent(clickpost)


@pytest.mark.fault("T02")
@pytest.mark.asyncio
async def test_t02_closed_port_is_retried_until_it_is_open() -> None:
    port = closed_port()
    async with at(f"http://127.0.0.1:{port}/api") as clickpost:
        failed = await not_sent(clickpost)
        assert failed.attempts == 4
        sandbox = Sandbox()
        calling = asyncio.create_task(
            ClickPost(
                sandbox.username,
                sandbox.api_key,
                base_url=f"http://127.0.0.1:{port}/api",
                retry=RetryPolicy(attempts=9, backoff=0.2, max_backoff=0.2),
            ).orders.create(india_order("R-1"))
        )
        await asyncio.sleep(0.05)
        sandbox.start(port)
        order = await calling
        sandbox.stop()
    assert sandbox.ledger() == {"R-1": (order.waybill,)}


@pytest.mark.fault("T03")
@pytest.mark.asyncio
async def test_t03_silent_host_ends_within_the_timeout() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        # The backlog is full: further first packets are dropped.
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            async with at(
                f"http://127.0.0.1:{address[1]}/api", retry=RetryPolicy(attempts=2, backoff=0.001)
            ) as clickpost:
                failed = await not_sent(clickpost)
        finally:
            for filler in fillers:
                filler.close()
    assert failed.attempts == 2
    assert "ConnectTimeout" in failed.message


# --- closed, reset, silent ----------------------------------------------------------------------


async def closes(peer: Peer) -> None:
    """Say nothing, and close."""


async def resets(peer: Peer) -> None:
    peer.reset()


@pytest.mark.fault("T05")
@pytest.mark.parametrize("act", [closes, resets])
@pytest.mark.asyncio
async def test_t05_connection_that_is_closed_unread_leaves_the_order_in_doubt_and_then_placed(
    act: Callable[[Peer], Awaitable[None]],
) -> None:
    async with proxied(on_accept=act) as proxy:
        order = await survives(proxy)
    # Headers had been written: the client cannot know that they were not read.
    assert order.response.attempts == 2
    async with proxied(on_accept=act) as proxy:
        await is_left_alone(proxy)


async def resets_in_the_call(peer: Peer) -> None:
    await peer._reader.read(1000)
    peer.reset()


@pytest.mark.fault("T06")
@pytest.mark.asyncio
async def test_t06_reset_in_the_middle_of_the_call_leaves_it_in_doubt() -> None:
    big = india_order("R-1", additional={"remark": "x" * 4_000_000})
    async with proxied(on_accept=resets_in_the_call) as proxy, proxy.client() as clickpost:
        with pytest.raises(NoReplyError):
            await clickpost.with_options(retry=RetryPolicy.never()).orders.create(big)
        order = await clickpost.orders.create(big)
        assert proxy.sandbox.ledger() == {"R-1": (order.waybill,)}


async def closes_after(line: Line) -> None:
    """Close without a response, unbooked."""


async def resets_after(line: Line) -> None:
    line.peer.reset()


async def books_and_closes(line: Line) -> None:
    await line.response()


async def books_and_resets(line: Line) -> None:
    await line.response()
    line.peer.reset()


AFTER_THE_CALL = [closes_after, resets_after, books_and_closes, books_and_resets]


@pytest.mark.fault("T07")
@pytest.mark.parametrize("spoil", AFTER_THE_CALL)
@pytest.mark.asyncio
async def test_t07_response_cut_off_before_it_begins_costs_no_label(
    spoil: Callable[[Line], Awaitable[None]],
) -> None:
    async with proxied(spoil) as proxy:
        order = await survives(proxy)
    booked = spoil in (books_and_closes, books_and_resets)
    assert (order.response.reconciled, order.response.attempts) == (booked, 1 if booked else 2)
    async with proxied(spoil) as proxy:
        await is_left_alone(proxy)


async def hangs(line: Line) -> None:
    await line.peer.until_gone()


async def books_and_hangs(line: Line) -> None:
    await line.response()
    await line.peer.until_gone()


@pytest.mark.fault("T07", control=True)
@pytest.mark.fault("T09", control=True)
@pytest.mark.fault("T10", control=True)
@pytest.mark.asyncio
async def test_t07_control_without_look_up_and_settle_delay_a_slow_courier_sells_two_labels() -> (
    None
):
    hasty = RetryPolicy(attempts=2, settle_delay=0.0, reconcile=False)
    short = Timeouts(create=0.1)
    async with proxied(times=0, racy=True, courier_seconds=0.5) as proxy:
        async with proxy.client(retry=hasty, timeouts=short) as clickpost:
            with pytest.raises(NoReplyError):
                await clickpost.orders.create(india_order("R-1"))
        await until(lambda: not proxy.sandbox.traffic.in_flight)
        assert len(proxy.sandbox.ledger()["R-1"]) == 2


@pytest.mark.fault("T08")
@pytest.mark.asyncio
async def test_t08_connection_closed_early_by_the_server_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def brief(peer: Peer) -> None:
        await peer.read()
        await peer.send(http(PLACED))
        # HTTP/1.1 without "Connection: close", and closed a moment later.
        await asyncio.sleep(0.005)

    question = Post("/x/", returns=CreatedOrder, extract=order_of, idempotency=Idempotency.UNSAFE)
    async with serving(brief) as server, at(server.url) as clickpost:
        for _ in range(40):
            # A response each time: no request was written into a closed connection.
            assert (await clickpost.post(question, {})).waybill == "W-1"
            await until(lambda: not server.open)
            await asyncio.sleep(0.005)
        assert server.connections == 40

    monkeypatch.setattr(pool, "KEEP_ALIVE", 0.005)
    async with serving() as server, at(server.url) as clickpost:
        for _ in range(5):
            assert (await clickpost.post(question, {})).waybill == "W-1"
            await asyncio.sleep(0.02)
        # Not trusted for longer than a server would keep it.
        assert server.connections == 5


@pytest.mark.fault("T09")
@pytest.mark.parametrize("spoil", [hangs, books_and_hangs])
@pytest.mark.asyncio
async def test_t09_missing_response_is_reconciled(
    spoil: Callable[[Line], Awaitable[None]],
) -> None:
    async with proxied(spoil) as proxy:
        await survives(proxy, timeouts=SHORT)
    async with proxied(spoil) as proxy:
        await is_left_alone(proxy, timeouts=SHORT)


@pytest.mark.fault("T09")
@virtual_time
async def test_t09_nothing_is_sent_again_before_it_has_settled() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise httpx.ReadTimeout("")

    play = Play([never, placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
    # Sixty seconds until it was given up, then thirty and up to sixty of settling.
    assert 90 <= play.pauses[0] <= 120


@pytest.mark.fault("T10")
@pytest.mark.asyncio
async def test_t10_late_response_is_ignored_and_its_order_found() -> None:
    async def late(line: Line) -> None:
        response = await line.response()
        await asyncio.sleep(1.2)
        await line.peer.send(response)

    hasty = Timeouts(create=1.0)
    async with proxied(late) as proxy:
        order = await survives(proxy, timeouts=hasty)
    assert order.response.reconciled

    async with proxied(late) as proxy:
        once_more = RetryPolicy(settle_delay=0.05, reconcile=False)
        order = await survives(proxy, timeouts=hasty, retry=once_more)
    # A busy machine may be late with a response once more.
    assert order.already_placed
    assert order.response.attempts >= 2


# --- responses that are cut, garbled, slow ------------------------------------------------------


async def half_a_head(line: Line) -> None:
    await line.peer.send((await line.response())[:25])


async def garbage(line: Line) -> None:
    await line.response()
    await line.peer.send(b"\x16\x03\x01 good day\r\n\r\n")


async def a_huge_head(line: Line) -> None:
    response = await line.response()
    await line.peer.send(response.replace(b"\r\n", b"\r\nx: " + b"y" * 200_000 + b"\r\n", 1))


async def only_continue(line: Line) -> None:
    await line.response()
    await line.peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")


async def half_a_body(line: Line) -> None:
    await line.peer.send((await line.response())[:-10])


async def half_a_body_and_a_reset(line: Line) -> None:
    await half_a_body(line)
    await asyncio.sleep(0.02)
    line.peer.reset()


async def half_of_the_chunks(line: Line) -> None:
    body = (await line.response()).partition(b"\r\n\r\n")[2]
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    await line.peer.send(head + b"%x\r\n%s\r\n" % (len(body), body))


async def drips(line: Line) -> None:
    await line.peer.drip(await line.response(), 0.01)


HEADS = [half_a_head, garbage, a_huge_head, only_continue]
BODIES = [half_a_body, half_a_body_and_a_reset, half_of_the_chunks]


@pytest.mark.fault("T11")
@pytest.mark.parametrize("spoil", HEADS)
@pytest.mark.asyncio
async def test_t11_response_without_a_valid_head_is_no_response(
    spoil: Callable[[Line], Awaitable[None]],
) -> None:
    async with proxied(spoil) as proxy:
        assert (await survives(proxy)).response.reconciled
    async with proxied(spoil) as proxy:
        await is_left_alone(proxy)


@pytest.mark.fault("T12")
@pytest.mark.parametrize("spoil", BODIES)
@pytest.mark.asyncio
async def test_t12_truncated_response_is_no_response_and_not_bad_json(
    spoil: Callable[[Line], Awaitable[None]],
) -> None:
    async with proxied(spoil) as proxy:
        assert (await survives(proxy)).response.reconciled
    async with proxied(spoil) as proxy:
        await is_left_alone(proxy)


@pytest.mark.fault("T13")
@pytest.mark.asyncio
async def test_t13_dripping_response_ends_at_the_total_timeout() -> None:
    dripping = Timeouts(create=0.3, read=0.3, total=0.4)
    async with proxied(drips) as proxy:
        assert (await survives(proxy, timeouts=dripping)).response.reconciled


# --- while it is being written ------------------------------------------------------------------

BIG = {"remark": "x" * 6_000_000}


@pytest.mark.fault("T15")
@pytest.mark.parametrize("status", ["413 Content Too Large", "400 Bad Request"])
@pytest.mark.asyncio
@pytest.mark.parametrize("has_status", [True, False], ids=["clickpost", "gateway"])
async def test_t15_early_refusal_is_read_or_leaves_the_order_in_doubt(
    status: str, has_status: bool
) -> None:
    async def refuses_early(peer: Peer) -> None:
        await peer._reader.read(1000)
        await peer.send(http(envelope(307) if has_status else b"no", status))
        await asyncio.sleep(0.05)

    async with serving(refuses_early) as server, at(server.url) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.with_options(retry=RetryPolicy.never()).orders.create(
                india_order("R-1", additional=BIG)
            )
    # Rejected only if the refusal was read, and is ClickPost's.
    error = caught.value
    assert (error.outcome is Outcome.REJECTED) == (has_status and error.http_status is not None)
    assert error.outcome in (Outcome.REJECTED, Outcome.UNKNOWN)


@pytest.mark.fault("T16")
@pytest.mark.asyncio
async def test_t16_slow_response_in_small_pieces_is_read() -> None:
    async def in_pieces(line: Line) -> None:
        response = await line.response()
        for start in range(0, len(response), 7):
            await line.peer.send(response[start : start + 7])
            await asyncio.sleep(0.001)

    patient = Timeouts(total=10)
    async with proxied(in_pieces) as proxy:
        order = await survives(proxy, timeouts=patient)
    assert (order.response.attempts, order.response.reconciled) == (1, False)


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.fault("T17")
@virtual_time
async def test_t17_flapping_network_gets_no_retry_storm_and_all_orders() -> None:
    async def flaps(request: httpx.Request) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(0.1)
        if now < 300 and now % 4 < 3:
            raise httpx.ConnectError("")
        return placed()

    play = Play([flaps])
    async with playing(play) as clickpost:
        orders = (india_order(f"R-{number}") for number in range(500))
        # A run halts after 60 s without a response by default, and the breaker's probes may miss
        # every second in which this network is there: who wants to outlast it says so.
        async with create(clickpost, orders, max_concurrency=20, max_outage=400.0) as run:
            outcomes = [outcome async for outcome in run]

    unsent = [one for one in outcomes if not isinstance(one, Placed)]
    # Each time the network fails, only the calls in flight notice.
    assert {getattr(one, "error", None).__class__ for one in unsent} <= {NotSentError}
    assert len(outcomes) == 500
    assert run.report.placed >= 400
    assert len(play.requests) <= 500 * 1.5


@pytest.mark.fault("T19")
@pytest.mark.asyncio
async def test_t19_low_concurrency_makes_calls_wait_and_fails_none() -> None:
    async with proxied(times=0, courier_seconds=0.01) as proxy:
        async with proxy.client(max_concurrency=1) as clickpost:
            orders = await asyncio.gather(
                *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(30))
            )
            assert clickpost.stats().retries == 0
        assert {order.response.attempts for order in orders} == {1}
        assert len(proxy.sandbox.ledger()) == 30


@pytest.mark.fault("T19")
@virtual_time
async def test_t19_full_custom_pool_does_not_open_the_circuit_breaker() -> None:
    play = Play([httpx.PoolTimeout(""), httpx.PoolTimeout(""), placed()])
    async with playing(play) as clickpost:
        before = clickpost._runtime.health["main"].budget.left  # type: ignore[index]
        order = await clickpost.orders.create(india_order("R-1"))
        assert clickpost._runtime.health["main"].budget.left >= before  # type: ignore[index]
    assert order.response.attempts == 3


@pytest.mark.fault("T21")
@pytest.mark.asyncio
async def test_t21_proxy_of_the_environment_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def listens(peer: Peer) -> None:
        seen.append(await peer.read())

    async with serving(listens) as evil:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            for spelled in (name, name.upper()):
                monkeypatch.setenv(spelled, f"http://127.0.0.1:{evil.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with proxied() as proxy:
            await survives(proxy)
        assert seen == []
        # The control: httpx's own client goes there.
        async with httpx.AsyncClient() as plain:
            with pytest.raises(httpx.HTTPError):
                await plain.get("http://clickpost.example/?key=secret")
    assert len(seen) == 1


# --- responses to other calls -------------------------------------------------------------------


@pytest.mark.fault("T22")
@pytest.mark.asyncio
async def test_t22_swapped_responses_are_taken_for_neither_order() -> None:
    waiting: list[tuple[Line, bytes]] = []
    both = asyncio.Event()

    async def swaps(line: Line) -> None:
        waiting.append((line, await line.response()))
        if len(waiting) == 2:
            both.set()
        await both.wait()
        (response,) = (response for other, response in waiting if other is not line)
        await line.peer.send(response)
        await line.go_on()

    async with proxied(swaps, times=2) as proxy, proxy.client() as clickpost:
        orders = await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in (1, 2))
        )
        ledger = proxy.sandbox.ledger()
    assert {order.reference_number: (order.waybill,) for order in orders} == ledger
    assert {order.response.reconciled for order in orders} == {True}


@pytest.mark.fault("T22")
@virtual_time
async def test_t22_response_for_an_unknown_order_is_not_recorded_as_placed() -> None:
    async with (
        playing([placed("W-9", "SOMEBODY-ELSES")]) as clickpost,
        create(clickpost, [india_order("R-1")]) as run,
    ):
        (outcome,) = [outcome async for outcome in run]
    assert not isinstance(outcome, Placed)
    assert run.report.unknown == 1


@pytest.mark.fault("T17", control=True)
@virtual_time
async def test_t17_control_without_a_circuit_breaker_the_network_gets_a_retry_storm() -> None:
    async def gone(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.1)
        raise httpx.ConnectError("")

    play = Play([gone])
    async with playing(play) as clickpost:
        orders = (india_order(f"R-{number}") for number in range(100))
        async with create(unguarded(clickpost), orders, max_concurrency=20) as run:
            outcomes = [outcome async for outcome in run]
    assert (len(play.requests), len(outcomes)) == (400, 100)
