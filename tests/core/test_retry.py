"""What is retried, after which pause, and the error if that did not help.

Everything here happens in virtual time.
"""

import asyncio
import errno
import random
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

from clickpost_async import (
    BusyCourierError,
    ClickPostError,
    CourierError,
    CredentialsError,
    DeadlineError,
    FailureKind,
    Idempotency,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    Post,
    Rate,
    RefusedError,
    RetryPolicy,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async._codec.envelope import order_of
from clickpost_async._core.retry import RETRY_TABLE, UNHEALTHY, RetryAction, action_after
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import (
    Line,
    Listener,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
    queued,
    unguarded,
)
from tests.sandbox.samples import india_order

FREELY, SETTLING, REFERENCE, NEVER = Idempotency

RAISE, BACK_OFF, ONCE, SETTLE, LOOK_UP, ON_REQUEST = RetryAction

FINAL = (RAISE, RAISE, RAISE, RAISE)
# SAFE, IDEMPOTENT, BY_REFERENCE, UNSAFE; all other kinds are final.
TABLE: dict[FailureKind, tuple[RetryAction, RetryAction, RetryAction, RetryAction]] = {
    **dict.fromkeys(FailureKind, FINAL),
    FailureKind.NOT_SENT: (BACK_OFF, BACK_OFF, BACK_OFF, BACK_OFF),
    FailureKind.LOCAL_RESOURCES: (BACK_OFF, BACK_OFF, BACK_OFF, BACK_OFF),
    FailureKind.KEY_UNAVAILABLE: (BACK_OFF, BACK_OFF, BACK_OFF, BACK_OFF),
    FailureKind.UNEXPECTED_NOT_SENT: (ONCE, ONCE, ONCE, ONCE),
    FailureKind.THROTTLED: (BACK_OFF, BACK_OFF, BACK_OFF, BACK_OFF),
    FailureKind.COURIER_BUSY: (BACK_OFF, SETTLE, SETTLE, RAISE),
    FailureKind.SERVER_ERROR: (BACK_OFF, SETTLE, SETTLE, RAISE),
    FailureKind.NO_RESPONSE: (BACK_OFF, SETTLE, SETTLE, RAISE),
    FailureKind.UNREADABLE: (ONCE, SETTLE, SETTLE, RAISE),
    FailureKind.UNEXPECTED: (ONCE, RAISE, SETTLE, RAISE),
    FailureKind.NOT_CLICKPOST: (RAISE, RAISE, LOOK_UP, RAISE),
    FailureKind.COURIER_UNRECOGNISED: (RAISE, RAISE, ON_REQUEST, RAISE),
}


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("kind", FailureKind)
def test_retry_table_decides_what_follows_a_failure(
    kind: FailureKind, idempotency: Idempotency
) -> None:
    assert action_after(kind, idempotency) is TABLE[kind][list(Idempotency).index(idempotency)]


def test_retry_table_has_a_row_for_every_kind_of_failure() -> None:
    assert set(RETRY_TABLE) == set(FailureKind)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClickPostError("no"), FailureKind.UNEXPECTED),
        (NotSentError("no"), FailureKind.NOT_SENT),
        (NotSentError("no", transient=False), FailureKind.NOT_SENDABLE),
        (NotSentError("no", kind=FailureKind.CIRCUIT_OPEN), FailureKind.CIRCUIT_OPEN),
        (ThrottledError("no"), FailureKind.THROTTLED),
        (DeadlineError("no"), FailureKind.DEADLINE),
        (DeadlineError("no", transient=False), FailureKind.DEADLINE),
        (NoReplyError("no"), FailureKind.NO_RESPONSE),
        (UnreadableReplyError("no"), FailureKind.UNREADABLE),
        (RefusedError("no"), FailureKind.REJECTED),
        (CredentialsError("no"), FailureKind.CREDENTIALS),
        (InvalidRequestError("no"), FailureKind.INVALID_REQUEST),
        (CourierError("no"), FailureKind.REJECTED),
        (BusyCourierError("no"), FailureKind.COURIER_BUSY),
        (ServerError("no"), FailureKind.SERVER_ERROR),
    ],
)
def test_error_has_the_kind_of_its_class_unless_another_is_given(
    error: ClickPostError, kind: FailureKind
) -> None:
    assert error.kind is kind


def test_retry_costs_less_where_the_server_is_not_to_blame_or_pauses_all_calls() -> None:
    prices = {kind: row.price for kind, row in RETRY_TABLE.items() if TABLE[kind] != FINAL}
    assert {kind: price for kind, price in prices.items() if price != 1} == {
        FailureKind.LOCAL_RESOURCES: 0,
        FailureKind.THROTTLED: 0.1,
        FailureKind.NOT_CLICKPOST: 0,
    }


def test_circuit_breaker_counts_only_failures_to_respond() -> None:
    assert {
        FailureKind.NOT_SENT,
        FailureKind.KEY_UNAVAILABLE,
        FailureKind.UNEXPECTED_NOT_SENT,
        FailureKind.NO_RESPONSE,
        FailureKind.UNREADABLE,
        FailureKind.UNEXPECTED,
        FailureKind.SERVER_ERROR,
    } == UNHEALTHY


# --- the table at work ------------------------------------------------------------------------

SHORT, LONG = (0.0, 0.5), (30.0, 60.0)


def page(status: int) -> httpx.Response:
    return httpx.Response(status, text="<html>")


CROWDED = httpx.ConnectError("")
CROWDED.__cause__ = OSError(errno.EMFILE, "no")

WHAT_HAPPENS: dict[str, tuple[Line, FailureKind]] = {
    "the connection fails": (httpx.ConnectError(""), FailureKind.NOT_SENT),
    "no place in the pool": (httpx.PoolTimeout(""), FailureKind.LOCAL_RESOURCES),
    "no file to open": (CROWDED, FailureKind.LOCAL_RESOURCES),
    "something unforeseen": (RuntimeError("?"), FailureKind.UNEXPECTED),
    "322": (api_response(322, "busy"), FailureKind.COURIER_BUSY),
    "329": (api_response(329, "slow"), FailureKind.COURIER_BUSY),
    "the response is lost": (httpx.ReadError(""), FailureKind.NO_RESPONSE),
    "no response in time": (httpx.ReadTimeout(""), FailureKind.NO_RESPONSE),
    "HTML": (page(200), FailureKind.UNREADABLE),
    "HTTP 500": (page(500), FailureKind.SERVER_ERROR),
    "HTTP 502": (page(502), FailureKind.SERVER_ERROR),
    "HTTP 503": (page(503), FailureKind.SERVER_ERROR),
    "HTTP 504": (page(504), FailureKind.SERVER_ERROR),
    "HTTP 408": (page(408), FailureKind.SERVER_ERROR),
    "500": (api_response(500, "oops"), FailureKind.SERVER_ERROR),
    "301": (api_response(301, "wrong key"), FailureKind.CREDENTIALS),
    "307": (api_response(307, "wrong order type"), FailureKind.INVALID_REQUEST),
    "319": (api_response(319, "refused"), FailureKind.REJECTED),
    "354": (api_response(354, "odd"), FailureKind.COURIER_UNRECOGNISED),
    "999": (api_response(999, "new"), FailureKind.UNKNOWN_STATUS),
    "a redirect": (httpx.Response(302), FailureKind.NOT_SENDABLE),
    "HTTP 303": (httpx.Response(303), FailureKind.NOT_CLICKPOST),
    "HTTP 404": (page(404), FailureKind.NOT_CLICKPOST),
}


def own(repeat: Idempotency) -> Post[CreatedOrder]:
    return Post(
        "/v9/own/",
        returns=CreatedOrder,
        extract=order_of,
        accepts={200, 202, 102, 323},
        idempotency=repeat,
    )


@pytest.mark.parametrize("repeat", Idempotency)
@pytest.mark.parametrize("what", WHAT_HAPPENS)
@virtual_time
async def test_call_is_resent_as_the_retry_table_says(what: str, repeat: Idempotency) -> None:
    line, failure = WHAT_HAPPENS[what]
    step = TABLE[failure][list(Idempotency).index(repeat)]
    play = Play([line, placed()])
    async with playing(play) as clickpost:
        if step in (RAISE, LOOK_UP, ON_REQUEST):
            with pytest.raises(ClickPostError) as caught:
                await clickpost.post(own(repeat), {})
            error = caught.value
            assert (len(play.times), error.attempts) == (1, 1)
            # What See Other points to may be the result of what acts; what reads is redirected.
            is_redirect = what == "HTTP 303" and repeat is Idempotency.SAFE
            assert error.kind is (FailureKind.NOT_SENDABLE if is_redirect else failure)
        else:
            result = await clickpost.post(own(repeat), {})
            assert (len(play.times), result.waybill, result.response.attempts) == (2, "W-1", 2)
            (pause,) = play.pauses
            low, high = LONG if step is SETTLE else SHORT
            assert low <= pause <= high


@pytest.mark.parametrize("repeat", Idempotency)
@pytest.mark.parametrize(("header", "low"), [({"retry-after": "7"}, 7.0), ({}, 1.0)])
@virtual_time
async def test_throttled_call_waits_for_its_retry_after(
    repeat: Idempotency, header: dict[str, str], low: float
) -> None:
    play = Play([httpx.Response(429, headers=header), placed()])
    async with playing(play) as clickpost:
        result = await clickpost.post(own(repeat), {})

    assert result.response.attempts == 2
    assert low <= play.pauses[0] <= low + 0.5


@virtual_time
async def test_429_pauses_calls_that_have_not_been_sent_yet() -> None:
    play = Play([httpx.Response(429, headers={"retry-after": "7"}), placed()])
    async with playing(play, max_concurrency=2) as clickpost:
        orders = await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(6))
        )
        stats = clickpost.stats()

    assert [time >= 7 for time in play.times] == [False, *[True] * 6]
    assert (len(orders), stats.rate_limited, stats.retries) == (6, 1, 1)


@pytest.mark.parametrize(
    ("repeat", "asked"), [(Idempotency.SAFE, 45), (Idempotency.BY_REFERENCE, 400)]
)
@pytest.mark.parametrize(
    "body", [b"busy", *(api_response(code).content for code in (503, 500, 322, 329))]
)
@virtual_time
async def test_retry_after_of_a_503_is_waited_for(
    body: bytes, repeat: Idempotency, asked: int
) -> None:
    busy = httpx.Response(503, headers={"retry-after": str(asked)}, content=body)
    play = Play([busy, placed()])
    async with playing(play) as clickpost:
        await clickpost.post(own(repeat), {})

    assert play.pauses == [asked]


@virtual_time
async def test_short_retry_after_does_not_shorten_the_settle_delay() -> None:
    play = Play([httpx.Response(503, headers={"retry-after": "5"}, text="busy"), placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(india_order("R-1"))

    assert 30 <= play.pauses[0] <= 60


@virtual_time
async def test_settle_delay_grows_to_ten_minutes_and_never_below_the_policy() -> None:
    for settling, delays in ((300, (300, 600, 600, 600)), (1000, (1000,) * 4)):
        play = Play([*[httpx.ReadError("")] * 4, placed()])
        retry = RetryPolicy(attempts=5, settle_delay=settling, max_total_delay=100_000)
        async with playing(play, retry=retry) as clickpost:
            await clickpost.orders.create(india_order("R-1"))

        for pause, low in zip(play.pauses, delays, strict=True):
            assert low <= pause <= 2 * low


@virtual_time
async def test_calls_that_were_throttled_without_a_retry_after_spread_out_more_each_time() -> None:
    random.seed(1)
    third_pauses: list[float] = []
    for number in range(30):
        play = Play([httpx.Response(429)] * 3 + [placed()])
        async with playing(play) as clickpost:
            await clickpost.orders.create(india_order(f"R-{number}"))
        third_pauses.append(play.pauses[2])

    # The limiter holds them for a second; beyond that they are drawn from 0.5 s * 2 ** 2 * 2.
    assert all(1 <= pause <= 4 for pause in third_pauses)
    assert max(third_pauses) > 3


@pytest.mark.parametrize("line", [page(200), RuntimeError("?")])
@virtual_time
async def test_failure_that_one_retry_can_cure_is_retried_once(line: Line) -> None:
    play = Play([line])
    async with playing(play) as clickpost:
        with pytest.raises(ClickPostError):
            await clickpost.post(own(Idempotency.SAFE), {})

    assert len(play.times) == 2


@virtual_time
async def test_settling_takes_twice_as_long_each_time() -> None:
    play = Play([httpx.ReadError(""), api_response(322), page(504), placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(india_order("R-1"))

    for pause, low in zip(play.pauses, (30, 60, 120), strict=True):
        assert low <= pause <= 2 * low


@virtual_time
async def test_same_bytes_are_sent_again() -> None:
    play = Play([httpx.ReadError(""), api_response(322), placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(india_order("R-1"))

    bodies = {request.content for request in play.requests}
    assert (len(play.requests), len(bodies)) == (3, 1)


# --- orders that are worked on ----------------------------------------------------------------


@virtual_time
async def test_pending_order_is_polled_with_growing_intervals() -> None:
    random.seed(1)
    play = Play([queued(202), *[queued(102)] * 3, placed()])
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.pending, order.response.attempts) == ("W-1", False, 5)
    assert 24 <= play.pauses[0] <= 36
    assert play.pauses[-1] > 2 * play.pauses[0]
    assert sum(play.pauses) <= 600


@virtual_time
async def test_order_that_stays_pending_is_returned_as_such() -> None:
    play = Play([queued(202), queued(102)])
    async with playing(play, retry=RetryPolicy(poll_timeout=100)) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.pending, order.waybill, order.order_id) == (True, None, 1)
    assert 1 < len(play.times) < 6
    assert sum(play.pauses) <= 100


@virtual_time
async def test_polling_is_not_a_failure_and_uses_no_attempt() -> None:
    play = Play([httpx.ReadError(""), *[queued(102)] * 3, api_response(322), placed()])
    async with playing(play, retry=RetryPolicy(attempts=3)) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.attempts) == ("W-1", 6)


@virtual_time
async def test_only_a_create_is_polled() -> None:
    for repeat in (FREELY, SETTLING, NEVER):
        play = Play([queued(202), placed()])
        async with playing(play) as clickpost:
            result = await clickpost.post(own(repeat), {})
        assert (result.pending, len(play.times)) == (True, 1)


@virtual_time
async def test_known_reference_is_a_success_and_sent_once() -> None:
    play = Play([placed(status=323)])
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.already_placed, len(play.times)) == ("W-1", True, 1)


@virtual_time
async def test_lost_response_is_recovered_by_reference_number() -> None:
    play = Play([httpx.ReadTimeout(""), placed("W-7", status=323)])
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.already_placed, order.response.attempts) == ("W-7", True, 2)


@pytest.mark.parametrize("repeat", Idempotency)
@virtual_time
async def test_call_that_is_cancelled_in_a_later_attempt_ends_as_cancelled(
    repeat: Idempotency,
) -> None:
    play = Play([httpx.ConnectError(""), never_responds, placed()])
    async with playing(play) as clickpost:
        task = asyncio.create_task(clickpost.post(own(repeat), {}))
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(1000)

    assert task.cancelled()
    assert len(play.times) == 2


# --- how often, how long ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        httpx.ConnectError(""),
        httpx.ReadError(""),
        api_response(322),
        httpx.Response(429),
        page(503),
    ],
)
@virtual_time
async def test_resend_never_means_never(line: Line) -> None:
    play = Play([line, placed()])
    async with playing(play, retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (len(play.times), caught.value.attempts) == (1, 1)


@virtual_time
async def test_never_does_not_poll_either() -> None:
    play = Play([queued(), placed()])
    async with playing(play, retry=RetryPolicy.never()) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.pending, len(play.times)) == (True, 1)


@pytest.mark.parametrize("attempts", [1, 2, 5])
@virtual_time
async def test_attempts_count_the_first_one_too(attempts: int) -> None:
    play = Play([httpx.ConnectError("")])
    async with playing(play, retry=RetryPolicy(attempts=attempts)) as clickpost:
        with pytest.raises(NotSentError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (len(play.times), caught.value.attempts) == (attempts, attempts)
    assert ("after" in str(caught.value)) == (attempts > 1)


@virtual_time
async def test_short_pauses_double_up_to_the_longest() -> None:
    random.seed(7)
    play = Play([httpx.ConnectError("")])
    retry = RetryPolicy(attempts=60, backoff=1, max_backoff=8)
    async with playing(play, retry=retry) as clickpost:
        with pytest.raises(NotSentError):
            await unguarded(clickpost).orders.create(india_order("R-1"))

    ceilings = [min(8, 2**number) for number in range(59)]
    assert all(0 <= pause <= most for pause, most in zip(play.pauses, ceilings, strict=True))
    # Drawn at random below the ceiling, so that those who failed together don't return together.
    assert max(play.pauses) > 6
    assert min(play.pauses[5:]) < 2


@virtual_time
async def test_max_total_delay_bounds_the_pauses_together() -> None:
    play = Play([httpx.ConnectError("")])
    retry = RetryPolicy(attempts=1000, backoff=30, max_backoff=30, max_total_delay=100)
    async with playing(play, retry=retry) as clickpost:
        with pytest.raises(NotSentError):
            await unguarded(clickpost).orders.create(india_order("R-1"))

    assert 70 <= sum(play.pauses) <= 100


@virtual_time
async def test_max_total_delay_excludes_waiting_for_the_rate() -> None:
    play = Play([placed(), httpx.ConnectError(""), placed()])
    async with playing(
        play, rate=Rate(1, per=1000), retry=RetryPolicy(max_total_delay=1)
    ) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
        order = await clickpost.orders.create(india_order("R-2"))

    assert (order.response.attempts, play.times) == (2, pytest.approx([0, 1000, 2000]))


@virtual_time
async def test_every_attempt_waits_for_its_turn() -> None:
    play = Play([httpx.ConnectError("")])
    async with playing(play, rate=Rate(1, per=10)) as clickpost:
        with pytest.raises(NotSentError):
            await clickpost.orders.create(india_order("R-1"))

    assert play.pauses == pytest.approx([10, 10, 10])


# --- the truth about the whole call -----------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "kind"),
    [
        (httpx.ConnectError(""), NoReplyError),
        (httpx.Response(429), NoReplyError),
        (httpx.Response(301), NoReplyError),
        (api_response(301, "wrong key"), CredentialsError),
        (httpx.Response(401), CredentialsError),
        (api_response(322), BusyCourierError),
        (api_response(303, "waybill registered"), InvalidRequestError),
    ],
)
@virtual_time
async def test_order_lost_once_stays_unknown(later: Line, kind: type[ClickPostError]) -> None:
    play = Play([httpx.ReadError(""), later])
    async with playing(play) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (type(caught.value), caught.value.outcome) == (kind, Outcome.UNKNOWN)
    assert caught.value.attempts == len(play.times)
    assert "look the order up" in caught.value.advice


@pytest.mark.parametrize(
    "lines",
    [
        [httpx.ReadError(""), api_response(307, "order type")],
        [api_response(303, "waybill registered")],
    ],
)
@virtual_time
async def test_refusal_of_the_order_itself_settles_what_was_lost(lines: list[Line]) -> None:
    async with playing(lines) as clickpost:
        with pytest.raises(InvalidRequestError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (caught.value.outcome, caught.value.attempts) == (Outcome.REJECTED, len(lines))


@pytest.mark.parametrize(
    "later", [httpx.ConnectError(""), httpx.Response(429), httpx.Response(301), api_response(301)]
)
@virtual_time
async def test_order_that_was_pending_is_not_called_unsent(later: Line) -> None:
    async with playing([queued(), later]) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert caught.value.outcome is Outcome.UNKNOWN
    assert not isinstance(caught.value, NotSentError)


# --- a retrier for each call ------------------------------------------------------------------

MANY = 200


def failing_twice() -> Callable[[str], int]:
    failures: dict[str, int] = {}

    def count(reference: str) -> int:
        failures[reference] = failures.get(reference, 0) + 1
        return failures[reference]

    return count


@virtual_time
async def test_calls_that_fail_together_each_get_their_own_error() -> None:
    count = failing_twice()

    async def respond(request: httpx.Request) -> httpx.Response:
        import json

        reference = json.loads(request.content)["shipment_details"]["reference_number"]
        await anyio.sleep(0.01)
        if count(reference) <= 2:
            raise httpx.ConnectError("")
        return placed(f"W-{reference}", reference)

    listener = Listener()
    async with playing([respond], observers=[listener]) as clickpost:
        orders = await asyncio.gather(
            *(
                unguarded(clickpost).orders.create(india_order(f"R-{number}"))
                for number in range(MANY)
            )
        )
        stats = clickpost.stats()

    assert [order.waybill for order in orders] == [f"W-R-{number}" for number in range(MANY)]
    assert {order.response.attempts for order in orders} == {3}
    assert (stats.calls, stats.attempts, stats.retries) == (MANY, 3 * MANY, 2 * MANY)


@virtual_time
async def test_one_retrier_for_all_calls_would_mix_them_up() -> None:
    # The control: what the test above protects from does happen.
    count = failing_twice()

    async def pause(state: Any) -> float:
        await anyio.sleep(0.01)
        return 0.01

    shared = AsyncRetrying(
        sleep=anyio.sleep,
        wait=pause,
        retry=retry_if_exception_type(httpx.ConnectError),
        stop=stop_after_attempt(4 * MANY),
    )

    async def call(reference: str) -> str:
        await anyio.sleep(0.01)
        if count(reference) <= 2:
            raise httpx.ConnectError("")
        return reference

    expected = [f"R-{number}" for number in range(MANY)]
    found = await asyncio.gather(
        *(shared(call, reference) for reference in expected), return_exceptions=True
    )
    assert found != expected
