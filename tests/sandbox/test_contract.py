"""Every operation: its path, its credentials, and the shape of its response."""

import json
from collections.abc import Iterator
from copy import copy
from typing import Any

import pytest
from attrs import evolve

from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox import Fault, Sandbox
from clickpost_async.sandbox.operation import OPERATIONS
from tests.sandbox import rows_of_orders, rows_of_parcels, rows_of_pincodes, rows_of_services
from tests.sandbox.row import Row
from tests.sandbox.rows_of_services import REPORTS
from tests.sandbox.samples import (
    at_midnight,
    b2b_placed,
    client,
    placed,
    registered,
    status_of,
)

STRANGERS_KEY = "not-the-sandbox-key"
ROWS = [
    *rows_of_orders.ROWS,
    *rows_of_parcels.ROWS,
    *rows_of_pincodes.ROWS,
    *rows_of_services.ROWS,
]

rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "null" if value is None else type(value).__name__


async def furnished() -> Sandbox:
    """Return a sandbox in which every operation has a result."""
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        await placed(http, "FAILED-1")
        await placed(http, "DONE-1")
        await b2b_placed(http, "B2B-DONE")
        await registered(http, "DHL-1", courier_partner=145, account_code="dune-air")
        sandbox.fail_delivery("FAILED-1")
        sandbox.advance("DONE-1", 9)
        sandbox.leave_feedback("FAILED-1", comment="I was at work")
        sandbox.request_return("W1")
        body = next(row.body for row in ROWS if row.name == "reports.request")
        await http.post(REPORTS, json=body)
    return sandbox


@rows
@pytest.mark.asyncio
async def test_response_has_the_documented_shape(row: Row) -> None:
    async with client(await furnished(), credentials={}) as http:
        reply = await row.call(http)

    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert shape(reply.json()) == row.response


@rows
@pytest.mark.asyncio
async def test_wrong_credentials_are_refused_as_documented(row: Row) -> None:
    expected: tuple[int, int | None] = (
        {"returns.poll": 301, "tracking.set_whatsapp": 400}.get(row.name, 200),
        301,
    )
    if row.auth == "none":
        row, expected = evolve(row, body={**row.body, "password": "wrong"}), (400, None)
    elif row.auth == "body":
        status = 500 if row.name == "tracking.register_v2" else 301
        row, expected = evolve(row, body={**row.body, "key": STRANGERS_KEY}), (200, status)
    async with client(await furnished(), credentials={}) as http:
        reply = await row.call(http, key=STRANGERS_KEY)

    body = reply.json()
    assert (reply.status_code, body.get("meta", {}).get("status")) == expected
    assert set(body) <= {"meta"}


@rows
@pytest.mark.asyncio
async def test_another_enterprise_is_refused_where_the_name_counts(row: Row) -> None:
    name = "user_name" if row.auth == "user_name" else "username"
    async with client(await furnished(), credentials={}) as http:
        reply = await row.call(http, **{name: "another"})

    status = reply.json().get("meta", {"status": 200})
    refused = row.auth in ("username", "user_name")
    assert (status.get("meta", status)["status"] == 301) is refused


@rows
@pytest.mark.asyncio
async def test_path_is_exact_to_the_slash(row: Row) -> None:
    other = row.path.rstrip("/") if row.path.endswith("/") else f"{row.path}/"
    async with client(await furnished(), credentials={}) as http:
        reply = await row.call(http, other)

    # Django appends a missing slash, and takes none away.
    assert reply.status_code == (301 if row.path.endswith("/") else 404)


@pytest.mark.parametrize(
    ("name", "http_status"),
    [("delivery.predict", 200), ("delivery.predict_world", 500), ("reports.status", 500)],
)
@pytest.mark.asyncio
async def test_internal_error_has_the_http_status_of_its_operation(
    name: str, http_status: int
) -> None:
    [row] = [row for row in ROWS if row.name == name]
    sandbox = Sandbox()
    sandbox.faults.next(Fault.OOPS)
    async with client(sandbox, credentials={}) as http:
        reply = await row.call(http)

    assert (reply.status_code, status_of(reply)) == (http_status, 500)
    assert sandbox.requests()[0].code == 500


JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    1.5,
    "",
    "W1",
    [],
    {},
    [None],
    {"a": []},
    "\ud800",
)


def junked(body: Any) -> Iterator[Any]:
    """Yield a body with one part after another replaced by junk, the body itself too."""
    yield from JUNK
    parts = enumerate(body) if isinstance(body, list) else body.items()
    for name, part in parts:
        changed = junked(part) if isinstance(part, dict | list) else JUNK
        for junk in changed:
            copied = copy(body)
            copied[name] = junk
            yield copied


@pytest.mark.parametrize("row", [row for row in ROWS if row.body], ids=lambda row: row.name)
@pytest.mark.asyncio
async def test_junk_gets_a_response(row: Row) -> None:
    async with client(await furnished(), credentials={}) as http:
        for body in junked(row.body):
            reply = await http.request(
                row.method, row.path, params=row.credentials, content=json.dumps(body)
            )
            assert reply.status_code in (200, 400)
            assert isinstance(reply.json(), dict)


@pytest.mark.parametrize("row", [row for row in ROWS if row.query], ids=lambda row: row.name)
@pytest.mark.asyncio
async def test_query_of_junk_gets_a_response(row: Row) -> None:
    async with client(await furnished(), credentials={}) as http:
        for name in row.query:
            for junk in ("", "-1", "9" * 30, "None", "%00", "\N{SNOWMAN}", "W1,,", "' OR 1"):
                query = {**row.query, **row.credentials, name: junk}
                reply = await http.get(row.path, params=query)
                assert reply.status_code in (200, 400)
                assert reply.json()["meta"]


@rows
@pytest.mark.asyncio
async def test_another_method_is_not_allowed(row: Row) -> None:
    async with client(await furnished()) as http:
        reply = await http.put(row.path)

    assert reply.status_code == 405
    assert reply.json() == {"detail": 'Method "PUT" not allowed.'}
    assert row.method in reply.headers["allow"].split(", ")


def test_every_operation_is_in_the_table_above() -> None:
    assert {(row.name, row.method, row.path) for row in ROWS} == {
        (name, operation.endpoint.method, operation.endpoint.path)
        for name, operation in OPERATIONS.items()
    }


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_endpoint_of_the_client_is_played(name: str) -> None:
    endpoint = CATALOG[name]
    endpoints = [operation.endpoint for operation in OPERATIONS.values()]
    played = {(endpoint.method, endpoint.path) for endpoint in endpoints}

    assert (endpoint.method, endpoint.path) in played
