"""The control API rejects any malformed input, and the page and ClickPost's API go on."""

import json
import math

import httpx
import pytest

from clickpost_async.sandbox import Fault, Sandbox
from clickpost_async.sandbox.page.view import View, render
from tests.sandbox.samples import INDIA, at_midnight, client, india_order, placed

NUMBERS = [
    *("1e18", "253402300800", "1e11", "1e308", "1e-320", "-1", "0", "1.5"),
    *("2147483648", "9223372036854775808", "1" + "0" * 400, "1" + "0" * 5000),
    *("NaN", "Infinity", "-Infinity", "1e400", '"5"', "true", "null", "[]", "{}"),
]
TEXTS = [
    *('""', r'"\ud800"', r'"\udfff x"', r'"\u0000"', r'"a\nb"', r'"\u20ac"', '"<script>"'),
    *(f'"{"x" * 100_000}"', "5", "true", "null", "[]", "{}"),
]
URLS = [
    *(r'"http://127.0.0.1:9/\ud800"', r'"http://127.0.0.1:9/\n"', '"http://127.0.0.1:99999/"'),
    *('"http://[::1"', '"http://127.0.0.1:0/"', '"http://user:word@127.0.0.1:9/"'),
]
WAYBILL = "W%2F1"
COMMANDS = [
    ("/clock", '{"seconds": %s}', NUMBERS),
    (f"/parcels/{WAYBILL}/advance", '{"steps": %s}', NUMBERS),
    (f"/parcels/{WAYBILL}/fail", '{"ndr_code": %s}', NUMBERS),
    (f"/parcels/{WAYBILL}/return", '{"reason": %s}', TEXTS),
    ("/faults", '{"latency": %s}', NUMBERS),
    ("/faults", '{"too_many": %s}', NUMBERS),
    ("/faults", "{%s: 0}", [text for text in TEXTS if text.startswith('"')]),
    ("/faults/next", '{"fault": "oops", "times": %s}', NUMBERS),
    ("/faults/next", '{"fault": %s}', TEXTS),
    ("/faults/next", '{"fault": "oops", "reference_number": %s}', TEXTS),
    ("/webhooks", '{"url": %s}', [*TEXTS, *URLS]),
    ("/webhooks", '{"url": "http://127.0.0.1:9/", "token": %s}', TEXTS),
    ("/webhooks/%s/push", "", ["9" * 30, "9" * 5000, "-1", "1e3", "%C2%B2"]),
    ("/parcels/%s/advance", "", ["%00", "%FF", "x" * 5000]),
    ("/returns/%s/approve", "", ["%F0", "x" * 5000]),
    ("/clock", "%s", ["{", "[1]", '"x"', "null", "[" * 100_000, '{"seconds": 1']),
]


def control_client(sandbox: Sandbox) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=sandbox, raise_app_exceptions=False)
    return httpx.AsyncClient(base_url="http://127.0.0.1/control", transport=transport)


async def sandbox_with_a_parcel() -> Sandbox:
    sandbox = at_midnight(scan_every=3600)
    async with client(sandbox) as http:
        await placed(http, "W/1", reference="PEN-1")
    return sandbox


async def see_that_all_goes_on(sandbox: Sandbox) -> None:
    looks = [
        View(),
        View(search="PEN", tab="webhooks"),
        *(View(shown=shown) for shown in ("order/PEN-1", "parcel/W/1", "request/1")),
    ]
    for look in looks:
        news = render(sandbox, look)
        assert json.dumps(news, ensure_ascii=False).encode()
    async with control_client(sandbox) as http:
        paths = ("state", "orders", f"parcels/{WAYBILL}", "requests", "ledger", "webhooks")
        for path in (*paths, "samples"):
            assert (await http.get(f"/{path}")).status_code == 200, path
    sandbox.faults.clear()
    async with client(sandbox) as http:
        assert (await http.post(INDIA, json=india_order("PEN-2"))).json()["meta"]["status"] == 200
    for delivery in await sandbox.push_webhooks():
        assert not delivery.delivered  # no server is at that address


@pytest.mark.parametrize(
    ("path", "body", "value"),
    [
        pytest.param(path, body, value, id=f"{path} {body} {value[:20]} {len(value)}")
        for path, body, values in COMMANDS
        for value in values
    ],
)
@pytest.mark.asyncio
async def test_malformed_input_gets_an_error_response(path: str, body: str, value: str) -> None:
    sandbox = await sandbox_with_a_parcel()
    async with control_client(sandbox) as http:
        if "%s" in path:
            path = path.replace("%s", value)
        content = (body % value if "%s" in body else body).encode()
        response = await http.post(path, content=content)

    if response.status_code != 200:
        assert response.status_code in (400, 404)
        if response.headers["content-type"] == "application/json":
            assert 0 < len(response.json()["error"]) < 6000
    await see_that_all_goes_on(sandbox)


@pytest.mark.parametrize("seconds", [1e18, 253402300800, -1, "5", True, None])
@pytest.mark.asyncio
async def test_clock_refuses_what_is_no_time_to_pass(seconds: object) -> None:
    sandbox = at_midnight()
    before = sandbox.now()
    async with control_client(sandbox) as http:
        response = await http.post("/clock", json={"seconds": seconds})

    assert response.status_code == 400
    assert "seconds" in response.json()["error"] or "forward" in response.json()["error"]
    assert sandbox.now() == before


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -0.5, 1e18])
def test_clock_refuses_invalid_times_from_python_too(seconds: float) -> None:
    sandbox = at_midnight()
    before = sandbox.now()
    with pytest.raises(ValueError, match="clock"):
        sandbox.tick(seconds)
    assert sandbox.now() == before


@pytest.mark.asyncio
async def test_many_long_times_end_the_clock_and_not_the_page() -> None:
    sandbox = await sandbox_with_a_parcel()
    async with control_client(sandbox) as http:
        responses = [await http.post("/clock", json={"seconds": 1e11}) for _ in range(4)]

    assert [response.status_code for response in responses] == [200, 200, 400, 400]
    await see_that_all_goes_on(sandbox)


@pytest.mark.asyncio
async def test_one_invalid_probability_changes_none() -> None:
    sandbox = Sandbox()
    async with control_client(sandbox) as http:
        response = await http.post("/faults", json={"too_many": 0.5, "busy": 2})

    assert response.status_code == 400
    assert sandbox.faults.too_many == 0


@pytest.mark.parametrize("times", [0, -1, 10**400])
def test_scripted_fault_happens_a_sensible_number_of_times(times: int) -> None:
    with pytest.raises(ValueError, match="times: must be from 1 to 1,000,000"):
        Sandbox().faults.next(Fault.OOPS, times=times)


@pytest.mark.parametrize("limit", ["0", "1001", "9" * 5000, "-1", "1e2", "\u0663", ""])
@pytest.mark.asyncio
async def test_limit_is_a_number_of_rows(limit: str) -> None:
    async with control_client(Sandbox()) as http:
        response = await http.get("/orders", params={"limit": limit})

    assert response.status_code == 400
    assert response.json()["error"] in (
        "limit: must be from 1 to 1000",
        "limit: expected an integer, got a string",
    )


def test_request_of_any_number_is_looked_up_on_the_page() -> None:
    news = render(Sandbox(), View(shown=f"request/{'9' * 5000}"))

    assert "no longer stored" in news
