"""Fault injection: what the client sees, and what was booked."""

import asyncio

import httpx
import pytest

from clickpost_async.sandbox import Fault, Faults, Sandbox
from tests.sandbox.samples import INDIA, client, india_order, raw_client, status_of

CUT = (Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.HALF_RESPONSE)


async def outcome(sandbox: Sandbox, reference: str) -> str:
    async with raw_client(sandbox.base_url) as http:
        try:
            reply = await http.post(INDIA, json=india_order(reference))
        except httpx.TransportError as error:
            return type(error).__name__
        kind = reply.headers["content-type"].partition(";")[0]
        return f"{reply.status_code} {kind} {reply.headers.get('retry-after', '')}".strip()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "seen", "booked"),
    [
        (None, "200 application/json", True),
        (Fault.TOO_MANY, "429 application/json 1", False),
        (Fault.BUSY, "503 text/html 1", False),
        (Fault.SERVER_ERROR, "500 text/html", False),
        (Fault.HTML, "200 text/html", False),
        (Fault.DROP_BEFORE, "RemoteProtocolError", False),
        (Fault.DROP_AFTER, "RemoteProtocolError", True),
        (Fault.HALF_RESPONSE, "RemoteProtocolError", True),
        (Fault.GATEWAY, "504 text/html", True),
        (Fault.OOPS, "200 application/json", True),
    ],
)
async def test_each_fault_over_http_and_what_it_books(
    fault: Fault | None, seen: str, booked: bool
) -> None:
    sandbox = Sandbox()
    if fault:
        sandbox.faults.next(fault)
    async with sandbox:
        assert await outcome(sandbox, "PEN-1") == seen
        assert ("PEN-1" in sandbox.ledger()) is booked
        assert await outcome(sandbox, "PEN-1") == "200 application/json"

    assert len(sandbox.ledger()["PEN-1"]) == 1
    assert [call.fault for call in sandbox.requests()] == [fault, None]
    assert [call.status for call in sandbox.requests()][1] == (323 if booked else 200)


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", CUT[:2])
async def test_dropped_connection_can_be_a_reset(fault: Fault) -> None:
    sandbox = Sandbox(faults=Faults(reset=True))
    sandbox.faults.next(fault)
    async with sandbox:
        assert await outcome(sandbox, "PEN-1") == "ReadError"


@pytest.mark.asyncio
async def test_dropped_connection_leaves_the_others_alone() -> None:
    sandbox = Sandbox(courier_seconds=0.05)
    sandbox.faults.next(Fault.DROP_AFTER, reference_number="PEN-7")
    async with sandbox:
        seen = await asyncio.gather(*(outcome(sandbox, f"PEN-{n}") for n in range(10)))

    assert seen.count("200 application/json") == 9
    assert seen[7] == "RemoteProtocolError"


@pytest.mark.asyncio
async def test_hanging_call_is_booked_and_dropped_when_the_client_disconnects() -> None:
    sandbox = Sandbox()
    sandbox.faults.next(Fault.HANG)
    async with sandbox, raw_client(sandbox.base_url) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(INDIA, json=india_order("PEN-1"), timeout=0.5)
        assert status_of(await http.post(INDIA, json=india_order("PEN-1"))) == 323

    assert len(sandbox.ledger()["PEN-1"]) == 1
    assert sandbox.traffic.in_flight == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", CUT)
async def test_without_a_socket_a_drop_is_raised_out_of_the_application(fault: Fault) -> None:
    sandbox = Sandbox()
    sandbox.faults.next(fault)
    async with client(sandbox) as http:
        with pytest.raises(ConnectionResetError, match="on purpose"):
            await http.post(INDIA, json=india_order("PEN-1"))

    assert ("PEN-1" in sandbox.ledger()) is fault.books


@pytest.mark.asyncio
async def test_latency_precedes_every_response(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("anyio.sleep", sleep)
    async with client(Sandbox(faults=Faults(latency=30), courier_seconds=60)) as http:
        reply = await http.post(INDIA, json=india_order("PEN-1"))

    assert status_of(reply) == 200
    assert slept == [30, 60]


def test_script_is_played_in_order_and_then_ends() -> None:
    faults = Faults()
    faults.next("busy", times=2)
    faults.next("html", reference_number="B")
    faults.next("oops", reference_number="A")

    drawn = [faults.draw(reference) for reference in ("A", "A", "A", "A", "B", "B")]
    assert drawn == ["busy", "busy", "oops", None, "html", None]


def test_script_refuses_unknown_commands() -> None:
    with pytest.raises(ValueError, match="earthquake"):
        Faults().next("earthquake")
    with pytest.raises(ValueError, match="times: must be from 1 to 1,000,000"):
        Faults().next("html", times=0)
    with pytest.raises(ValueError, match="html"):
        Faults(html=1.5)


def test_chance_depends_on_the_seed_and_the_reference_not_on_the_order_of_arrival() -> None:
    references = [f"PEN-{n}" for n in range(200)]

    def drawn(seed: int, arriving: list[str]) -> dict[str, Fault | None]:
        faults = Faults(drop_after=0.3, html=0.1, seed=seed)
        return {reference: faults.draw(reference) for reference in arriving}

    first = drawn(1, references)
    assert first == drawn(1, references[::-1])
    assert first != drawn(2, references)
    assert set(first.values()) == {Fault.DROP_AFTER, Fault.HTML, None}


def test_certain_and_impossible_faults_are_just_that() -> None:
    assert {Faults(gateway=1).draw(str(n)) for n in range(50)} == {Fault.GATEWAY}
    assert {Faults().draw(str(n)) for n in range(50)} == {None}


@pytest.mark.asyncio
async def test_courier_that_is_down_refuses_creates_and_nothing_else() -> None:
    sandbox = Sandbox()
    sandbox.faults.courier_down = 1.0
    sandbox.faults.next(Fault.COURIER_DOWN)
    async with client(sandbox) as http:
        found = await http.get(INDIA, params={"reference_number": "PEN-1"})
        refused = [await http.post(INDIA, json=india_order("PEN-1")) for _ in range(2)]
        sandbox.faults.courier_down = 0.0
        placed = await http.post(INDIA, json=india_order("PEN-1"))

    assert [status_of(reply) for reply in (found, *refused, placed)] == [321, 322, 322, 200]
    assert [len(bought) for bought in sandbox.ledger().values()] == [1]
