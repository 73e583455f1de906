"""Chapter P: responses that break the documented protocol.

Whatever came back, the order was placed: it may be called unknown, never rejected and never done
without its waybill, and asking again must not buy a second label.
"""

import json
import random
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async import (
    ClickPost,
    ClickPostError,
    CourierError,
    NotSentError,
    Outcome,
    RetryPolicy,
    UnreadableReplyError,
    bulk,
)
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import run_virtual, virtual_time
from tests.faults.corrupting_transport import (
    FOREVER,
    Spoil,
    Spoiling,
    beside,
    instead,
    once_and_twice,
    outcome_of,
    raw,
    stays_unknown,
    survives,
    variants,
    with_json,
    with_meta,
    with_result,
)
from tests.helpers.http_server import PLACED, Server, http, serving
from tests.helpers.scripted_transport import Play, api_response, playing
from tests.helpers.server_behaviours import responds_with
from tests.sandbox.samples import india_order

# --- P01 ----------------------------------------------------------------------------------------

PAGE = b"<!doctype html><title>Log in</title><p>Wilhelmina Canary, please log in</p>"
PAGES = {
    "a login page": instead(PAGE, content_type="text/html"),
    "a page in JSON's name": instead(PAGE, content_type="application/json"),
    "a maintenance page": instead(b"<h1>Back at noon</h1>" * 5_000, content_type="text/html"),
    "plain words": instead(b"OK", content_type="text/plain"),
}


@pytest.mark.fault("P01")
@variants(PAGES)
@once_and_twice
@virtual_time
async def test_p01_html_page_as_response_loses_no_order(spoil: Spoil, times: int) -> None:
    await survives(spoil, times)


@pytest.mark.fault("P01")
@variants(PAGES)
@virtual_time
async def test_p01_html_page_is_not_a_rejection_and_not_quoted(spoil: Spoil) -> None:
    error = await stays_unknown(spoil)

    assert type(error) is UnreadableReplyError
    assert error.message == "cannot interpret the response (HTTP 200, no meta.status)"


@pytest.mark.fault("P01")
@variants(PAGES)
@virtual_time
async def test_p01_html_page_as_response_to_a_read_is_unreadable(spoil: Spoil) -> None:
    transport = Spoiling(spoil, FOREVER)
    async with transport.client() as clickpost:
        with pytest.raises(UnreadableReplyError):
            await clickpost.labels.fetch("W-1", courier_partner=4)

    assert len(transport.requests) == 2  # asking again once can do no harm


@pytest.mark.fault("P01", control=True)
@virtual_time
async def test_p01_control_without_look_up_and_resend_the_order_is_lost() -> None:
    transport = Spoiling(PAGES["a login page"])
    async with transport.client(retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(UnreadableReplyError):
            await clickpost.orders.create(india_order("R-1"))

    assert list(transport.sandbox.ledger()) == ["R-1"]  # bought, and its waybill is lost


# --- P02 ----------------------------------------------------------------------------------------

NOTHINGS = {
    repr(body): instead(body, content_type="application/json")
    for body in (b"", b" \n", b"null", b"[]", b"{}", b'"ok"', b"200", b"true", b"[{}]")
}


@pytest.mark.fault("P02")
@variants(NOTHINGS)
@once_and_twice
@virtual_time
async def test_p02_empty_response_loses_no_order(spoil: Spoil, times: int) -> None:
    await survives(spoil, times)


@pytest.mark.fault("P02")
@variants(NOTHINGS)
@virtual_time
async def test_p02_empty_response_is_not_a_rejection(spoil: Spoil) -> None:
    assert type(await stays_unknown(spoil)) is UnreadableReplyError


# --- P03 ----------------------------------------------------------------------------------------

NO_STATUS: dict[str, Spoil] = {
    "no meta": with_json(lambda response: beside(response, meta=...)),
    **{
        f"meta {meta!r}": with_json(lambda response, meta=meta: beside(response, meta=meta))
        for meta in (None, "SUCCESS", 200, [], [{"status": 200}], {}, {"status_code": 200})
    },
    **{
        f"status {status!r}"[:40]: with_meta(status=status)
        for status in (
            *(..., None, True, False, 200.0, 2e2, -200, 10**400, 10_000),
            *(
                "",
                " 200",
                "200 ",
                "+200",
                "2e2",
                "0xc8",
                "２００",
                "OK",
                "00200",
                [200],
                {"a": 200},
            ),
        )
    },
}


@pytest.mark.fault("P03")
@variants(NO_STATUS)
@once_and_twice
@virtual_time
async def test_p03_unknown_status_loses_no_order(spoil: Spoil, times: int) -> None:
    await survives(spoil, times)


@pytest.mark.fault("P03")
@variants(NO_STATUS)
@virtual_time
async def test_p03_unknown_status_is_not_a_rejection(spoil: Spoil) -> None:
    assert type(await stays_unknown(spoil)) is UnreadableReplyError


@pytest.mark.fault("P03")
@variants({"a number": with_meta(status=200), "digits": with_meta(status="200")})
@virtual_time
async def test_p03_status_may_be_a_number_or_digits(spoil: Spoil) -> None:
    assert (await survives(spoil, FOREVER)).response.attempts == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@pytest.mark.fault("P03")
@given(JSON | st.integers(100, 700).map(str) | st.integers(100, 700))
def test_p03_only_the_four_success_codes_make_an_order_placed(status: Any) -> None:
    transport = Spoiling(with_meta(status=status), FOREVER)

    async def ended() -> CreatedOrder | ClickPostError:
        async with transport.client(retry=RetryPolicy.never()) as clickpost:
            return await outcome_of(clickpost, "R-1")

    order = run_virtual(ended)

    if str(status) in ("200", "202", "102", "323") and not isinstance(status, float):
        assert isinstance(order, CreatedOrder)
        assert (order.waybill,) == transport.sandbox.ledger()["R-1"]
    else:
        assert isinstance(order, ClickPostError)
        assert order.outcome is Outcome.UNKNOWN or order.status is not None


# --- P04 ----------------------------------------------------------------------------------------


@pytest.mark.fault("P04")
@virtual_time
async def test_p04_status_decides_whatever_the_success_flag() -> None:
    def create_response(status: int, waybill: str | None, *, success: bool) -> httpx.Response:
        meta = {"status": status, "message": "words", "success": success}
        return httpx.Response(200, json={"meta": meta, "result": {"waybill": waybill}})

    async def ended(response: httpx.Response) -> Any:
        async with playing([response], retry=RetryPolicy.never()) as clickpost:
            order = await outcome_of(clickpost, "R-1")
        if isinstance(order, ClickPostError):
            return type(order), order.outcome
        return order.waybill, order.pending, order.already_placed

    assert await ended(create_response(200, "W-1", success=False)) == ("W-1", False, False)
    assert await ended(create_response(202, None, success=True)) == (None, True, False)
    assert await ended(create_response(323, "W-1", success=False)) == ("W-1", False, True)
    assert await ended(create_response(319, None, success=True)) == (CourierError, Outcome.REJECTED)


@pytest.mark.fault("P04")
@pytest.mark.parametrize("success", [True, False, None, "false", 0])
@virtual_time
async def test_p04_success_flag_loses_or_duplicates_no_order(success: Any) -> None:
    order = await survives(with_meta(success=success), FOREVER)

    assert order.response.attempts == 1


@pytest.mark.fault("P04", control=True)
@virtual_time
async def test_p04_control_success_flag_alone_reports_an_order_without_a_waybill() -> None:
    transport = httpx.MockTransport(Play([api_response(202, "queued", result={"waybill": None})]))
    async with httpx.AsyncClient(transport=transport) as plain:
        response = (await plain.post("https://acme.example/v3/create-order/")).json()

    assert response["meta"]["success"] is True
    assert response["result"]["waybill"] is None


# --- P05 ----------------------------------------------------------------------------------------

NO_WAYBILL: dict[str, Spoil] = {
    "no result": with_json(lambda response: beside(response, result=...)),
    **{
        f"result {result!r}": with_json(
            lambda response, result=result: beside(response, result=result)
        )
        for result in (None, [], {}, [{"waybill": "W-8"}, {"waybill": "W-9"}], "W-9", 5, True)
    },
    **{
        f"waybill {waybill!r}"[:30]: with_result(waybill=waybill)
        for waybill in (..., None, "", " \t", [], {}, ["W-9"], True, "9" * 5_000)
    },
}


@pytest.mark.fault("P05")
@variants(NO_WAYBILL)
@once_and_twice
@virtual_time
async def test_p05_success_without_a_waybill_loses_no_order(spoil: Spoil, times: int) -> None:
    await survives(spoil, times)


@pytest.mark.fault("P05")
@variants(NO_WAYBILL)
@virtual_time
async def test_p05_success_without_a_waybill_is_neither_done_nor_refused(spoil: Spoil) -> None:
    assert type(await stays_unknown(spoil)) is UnreadableReplyError


@pytest.mark.fault("P05")
@virtual_time
async def test_p05_waybill_written_as_a_number_is_that_waybill() -> None:
    transport = Spoiling(instead(json.dumps(numbered(98765432101)).encode()), FOREVER)
    async with transport.client() as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, len(transport.requests)) == ("98765432101", 1)


def numbered(waybill: int) -> Mapping[str, Any]:
    return {"meta": {"status": 200, "message": "SUCCESS"}, "result": {"waybill": waybill}}


# --- P10 ----------------------------------------------------------------------------------------

REDIRECTS = [301, 302, 307, 308]
ELSEWHERE = {
    "another host": "https://evil.example/api/v3/create-order/",
    "plain http": "http://acme.example/api/v3/create-order/",
    "no scheme": "//evil.example/api/v3/create-order/",
    "itself": "https://acme.example/api/v3/create-order/",
    "without its slash": "/api/v3/create-order",
    "no place at all": "",
    "a script": "javascript:alert(1)",
}


def moving(http_status: int, location: str) -> Play:
    return Play([httpx.Response(http_status, headers={"location": location} if location else {})])


@pytest.mark.fault("P10")
@pytest.mark.parametrize("location", ELSEWHERE.values(), ids=list(ELSEWHERE))
@pytest.mark.parametrize("http_status", REDIRECTS)
@virtual_time
async def test_p10_redirect_is_followed_nowhere_and_nothing_was_processed(
    http_status: int, location: str
) -> None:
    play = moving(http_status, location)
    async with playing(play, base_url="https://acme.example/api") as clickpost:
        with pytest.raises(NotSentError, match="check the base URL") as caught:
            await clickpost.orders.create(india_order("R-1"))
        with pytest.raises(NotSentError):
            await clickpost.labels.fetch("W-1", courier_partner=4)

    assert [request.url.host for request in play.requests] == ["acme.example"] * 2
    assert (caught.value.outcome, caught.value.transient) == (Outcome.NOT_SENT, False)
    assert caught.value.reference_number == "R-1"


@pytest.mark.fault("P10")
@pytest.mark.parametrize("location", ELSEWHERE.values(), ids=list(ELSEWHERE))
@virtual_time
async def test_p10_see_other_is_followed_nowhere_and_leaves_the_order_unknown(
    location: str,
) -> None:
    play = moving(303, location)
    async with playing(play, base_url="https://acme.example/api") as clickpost:
        with pytest.raises(UnreadableReplyError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert [request.url.host for request in play.requests] == ["acme.example"]
    assert (caught.value.outcome, caught.value.transient) == (Outcome.UNKNOWN, False)


@pytest.mark.fault("P10")
@virtual_time
async def test_p10_bulk_run_halts_at_a_redirect_and_its_orders_stay_pending() -> None:
    play = moving(301, ELSEWHERE["another host"])
    async with (
        playing(play) as clickpost,
        bulk.create(
            clickpost, (india_order(f"R-{n}") for n in range(50)), max_concurrency=4
        ) as run,
    ):
        outcomes = [outcome async for outcome in run]

    assert isinstance(run.report.halted, NotSentError)
    assert {type(outcome) for outcome in outcomes} == {bulk.Pending}
    assert len(outcomes) == len(play.requests) <= 4
    assert run.report.total == run.report.pending == len(outcomes)


@pytest.mark.fault("P10", control=True)
@virtual_time
async def test_p10_client_that_follows_takes_the_order_to_another_host() -> None:
    play = Play(
        [httpx.Response(307, headers={"location": ELSEWHERE["another host"]}), api_response(200)]
    )
    async with httpx.AsyncClient(
        transport=httpx.MockTransport(play), follow_redirects=True
    ) as plain:
        await plain.post("https://acme.example/api/v3/create-order/", json=india_order("R-1"))

    assert play.requests[1].url.host == "evil.example"
    assert b"Meera Reader" in play.requests[1].content


# --- P11, P12, P13 ------------------------------------------------------------------------------


@pytest.mark.fault("P11")
@pytest.mark.parametrize(
    "content_type",
    [
        *("text/html", "text/plain", "application/octet-stream", "image/png", "", "nonsense;;;"),
        *("application/json; charset=utf-16", "text/html; charset=latin-1", "multipart/mixed"),
    ],
)
@virtual_time
async def test_p11_valid_json_counts_whatever_it_is_called(content_type: str) -> None:
    def called(response: httpx.Response) -> httpx.Response:
        return raw(response.content, content_type=content_type)

    assert (await survives(called, FOREVER)).response.attempts == 1


def shuffled(known: Mapping[str, Any], unknown: Mapping[str, Any], seed: int) -> dict[str, Any]:
    items = [*known.items(), *((f"new_{name}", value) for name, value in unknown.items())]
    random.Random(seed).shuffle(items)
    return dict(items)


@pytest.mark.fault("P12")
@given(
    st.tuples(*[st.dictionaries(st.text(max_size=6), JSON, max_size=4)] * 3), st.integers(0, 999)
)
def test_p12_unknown_fields_anywhere_change_nothing(
    unknown: tuple[dict[str, Any], ...], seed: int
) -> None:
    meta = {"status": 200, "message": "SUCCESS", "success": True}
    result = {"waybill": "W-1", "reference_number": "R-1", "label": None, "sort_code": "PNQ"}
    response = shuffled(
        {
            "meta": shuffled(meta, unknown[0], seed),
            "result": shuffled(result, unknown[1], seed),
            "order_id": 7,
        },
        unknown[2],
        seed,
    )

    async def place() -> CreatedOrder:
        body = json.dumps(response).encode()
        async with playing([httpx.Response(200, content=body)]) as clickpost:
            return await clickpost.orders.create(india_order("R-1"))

    order = run_virtual(place)

    assert (order.waybill, order.order_id, order.sort_code) == ("W-1", 7, "PNQ")
    assert order.response.attempts == 1
    assert order.extra == {f"new_{name}": value for name, value in unknown[1].items()}
    assert order.response.raw == response


@pytest.mark.fault("P13")
@pytest.mark.parametrize("http_status", [201, 202, 203, 206, 400, 404, 418, 500, 502, 503, 504])
@virtual_time
async def test_p13_clickpost_status_counts_under_any_http_status(http_status: int) -> None:
    def under(response: httpx.Response) -> httpx.Response:
        return raw(response.content, http_status)

    order = await survives(under, FOREVER)

    assert (order.response.attempts, order.response.http_status) == (1, http_status)


EMPTY = {
    f"HTTP {status}": instead(b"", status) for status in (201, 202, 204, 205, 206, 500, 502, 504)
}


@pytest.mark.fault("P13")
@variants(EMPTY)
@once_and_twice
@virtual_time
async def test_p13_http_status_without_a_clickpost_status_loses_no_order(
    spoil: Spoil, times: int
) -> None:
    await survives(spoil, times)


@pytest.mark.fault("P13")
@pytest.mark.asyncio
async def test_p13_interim_response_is_not_the_response() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    async with serving(responds_with(early + http(PLACED))) as server, at(server) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, len(server.heads)) == ("W-1", 1)


@pytest.mark.fault("P13")
@pytest.mark.asyncio
@pytest.mark.parametrize("first", [b"100 Continue", b"101 Switching Protocols", b"199 Soon"])
async def test_p13_interim_response_without_a_final_one_leaves_the_order_unknown(
    first: bytes,
) -> None:
    response = b"HTTP/1.1 " + first + b"\r\n\r\n"
    async with serving(responds_with(response)) as server, at(server) as clickpost:
        error = await outcome_of(clickpost, "R-1")

    assert isinstance(error, ClickPostError)
    assert (error.outcome, len(server.heads)) == (Outcome.UNKNOWN, 1)


def at(server: Server) -> ClickPost:
    return ClickPost("acme", "not-a-real-key", base_url=server.url, retry=RetryPolicy.never())


@pytest.mark.fault("P13", control=True)
@virtual_time
async def test_p13_control_http_status_first_loses_the_waybill() -> None:
    transport = Spoiling(lambda response: raw(response.content, 500))
    async with httpx.AsyncClient(transport=transport, params=credentials(transport)) as plain:
        response = await plain.post(
            "https://acme.example/api/v3/create-order/", json=india_order("R-1")
        )

    with pytest.raises(httpx.HTTPStatusError):
        response.raise_for_status()
    assert (response.json()["result"]["waybill"],) == transport.sandbox.ledger()["R-1"]


def credentials(transport: Spoiling) -> dict[str, str]:
    return {"username": transport.sandbox.username, "key": transport.sandbox.api_key}
