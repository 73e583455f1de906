"""Webhooks over a real loopback socket: contents, retries, order."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from clickpost_async import webhooks
from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import at_midnight, client, placed, raw_client

TOKEN = "not-a-real-token"


class Receiver:
    """Takes webhooks; the first responses have the given statuses, all others 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.payloads: list[Any] = []
        self.came = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.paths.append(self.path)
                receiver.headers.append({k.lower(): v for k, v in self.headers.items()})
                receiver.payloads.append(json.loads(body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.came.release()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def codes(self) -> Sequence[int]:
        return [payload["clickpost_status_code"] for payload in self.payloads]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.thread.join()
    receiver.server.server_close()


@pytest.mark.asyncio
async def test_token_is_pushed_in_the_url_where_a_parameter_is_named(receiver: Receiver) -> None:
    sandbox = at_midnight()
    sandbox.webhooks_to(f"{receiver.url}?shop=7", token=TOKEN, parameter="secret")
    await parcel(sandbox)

    [delivery] = await sandbox.push_webhooks()

    assert receiver.paths == [f"/hook?shop=7&secret={TOKEN}"]
    assert "webhook_key" not in receiver.headers[0]
    # Nothing that is shown has it.
    assert delivery.url == f"{receiver.url}?shop=7"
    assert list(sandbox.webhooks.urls) == [f"{receiver.url}?shop=7"]


async def parcel(sandbox: Sandbox, waybill: str = "W1") -> None:
    async with client(sandbox) as http:
        await placed(http, waybill)


@pytest.mark.asyncio
async def test_every_scan_is_pushed_in_the_documented_form(receiver: Receiver) -> None:
    sandbox = at_midnight()
    sandbox.webhooks_to(receiver.url, token=TOKEN)
    await parcel(sandbox)
    sandbox.fail_delivery("W1", ndr_code=12)
    deliveries = await sandbox.push_webhooks()

    scan = {
        "status": "Pending",
        "remark": "Open delivery wanted",
        "location": "Pune_Hub",
        "clickpost_city": "Pune",
        "timestamp": "2026-03-02T05:30:00Z",
        "clickpost_status_code": 9,
        "clickpost_status_description": "FailedDelivery",
    }
    assert receiver.codes() == [1, 4, 5, 6, 9]
    assert receiver.payloads[-1] == {
        "waybill": "W1",
        "cp_id": 4,
        "account_code": "lotus-surface",
        **scan,
        "additional": {
            "latest_status": {
                **scan,
                "reference_number": "REF-W1",
                "clickpost_status_bucket": 5,
                "clickpost_status_bucket_description": "Failed delivery",
            },
            "is_rvp": False,
            "courier_partner_edd": None,
            "order_id": "LOTUS-77",
            "ndr_status_code": 12,
            "ndr_status_description": "Open delivery wanted",
            "npr_status_code": None,
            "npr_status_description": None,
            "account_code": "lotus-surface",
            "destination_hub_inscan_ts": None,
        },
    }
    # Those of one batch all have the same newest status.
    latest = [payload["additional"]["latest_status"] for payload in receiver.payloads]
    assert latest == [latest[-1]] * 5
    assert {headers["webhook_key"] for headers in receiver.headers} == {TOKEN}
    assert all(delivery.delivered for delivery in deliveries)
    assert TOKEN not in repr(deliveries) + repr(sandbox.webhooks)
    assert await sandbox.push_webhooks() == []


@pytest.mark.asyncio
async def test_token_that_is_not_ascii_is_pushed_and_recognised(receiver: Receiver) -> None:
    token = "\u20ac-not-a-secret"
    sandbox = at_midnight()
    sandbox.webhooks_to(receiver.url, token=token)
    await parcel(sandbox)
    (delivery,) = await sandbox.push_webhooks()

    assert delivery.delivered
    body = json.dumps(receiver.payloads[0]).encode()
    assert webhooks.parse(body, receiver.headers[0], token=token).waybill == "W1"


@pytest.mark.asyncio
async def test_selected_events_only_are_pushed_with_their_number(receiver: Receiver) -> None:
    sandbox = at_midnight()
    sandbox.webhooks_to(receiver.url, token=TOKEN, header="Authorization", events={3, 5})
    await parcel(sandbox)
    sandbox.advance("W1", steps=9)
    await sandbox.push_webhooks()

    events = [payload["additional"]["notification_event_id"] for payload in receiver.payloads]
    assert (receiver.codes(), events) == ([6, 8], [3, 5])
    assert {headers["authorization"] for headers in receiver.headers} == {TOKEN}


@pytest.mark.asyncio
async def test_returns_are_pushed_the_approved_one_wrapped(receiver: Receiver) -> None:
    sandbox = at_midnight()
    await parcel(sandbox)
    sandbox.webhooks_to(receiver.url, events={11, 22})
    reference = sandbox.request_return("W1")
    sandbox.approve_return(reference)
    await sandbox.push_webhooks()

    requested, approved = receiver.payloads
    approved_payload = approved["payload"]
    assert [payload["waybill"] for payload in (requested, approved_payload)] == ["", ""]
    assert [payload["cp_id"] for payload in (requested, approved_payload)] == [-1, -1]
    assert [payload["clickpost_status_code"] for payload in (requested, approved_payload)] == [
        101,
        102,
    ]
    assert [payload["notification_event"] for payload in (requested, approved_payload)] == [11, 22]
    assert requested["timestamp"] == "2026-03-02T00:00:00Z"
    assert requested["return_reference_number"] == reference
    assert approved_payload["clickpost_status_bucket_description"] == 8
    assert set(approved) == {"payload", "internal"}
    assert "webhook_key" not in receiver.headers[0]


@pytest.mark.asyncio
async def test_webhook_without_a_200_is_redelivered_up_to_a_limit(receiver: Receiver) -> None:
    sandbox = at_midnight()
    sandbox.webhooks_to(receiver.url, attempts=3)
    receiver.statuses = [500, 202, 200, 503, 503, 503]
    await parcel(sandbox)
    sandbox.advance("W1")
    deliveries = await sandbox.push_webhooks()

    assert receiver.codes() == [1, 1, 1, 4, 4, 4]
    assert [(one.delivered, one.attempts, one.http_status) for one in deliveries] == [
        (True, 3, 200),
        (False, 3, 503),
    ]


@pytest.mark.asyncio
async def test_webhooks_may_come_twice_and_the_newest_first(receiver: Receiver) -> None:
    sandbox = at_midnight()
    sandbox.webhooks_to(receiver.url, duplicates=1, out_of_order=True)
    await parcel(sandbox)
    sandbox.advance("W1", steps=2)
    await sandbox.push_webhooks()

    assert receiver.codes() == [5, 4, 1, 5, 4, 1]


@pytest.mark.asyncio
async def test_delivery_reports_an_unreachable_receiver(receiver: Receiver) -> None:
    receiver.server.server_close()
    sandbox = at_midnight()
    sandbox.webhooks_to(receiver.url, attempts=2)
    await parcel(sandbox)

    (delivery,) = await sandbox.push_webhooks()

    assert (delivery.delivered, delivery.http_status, delivery.attempts) == (False, None, 2)


@pytest.mark.asyncio
@pytest.mark.parametrize("scan_every", [None, 0.05])
async def test_sandbox_on_a_port_pushes_by_itself(
    receiver: Receiver, scan_every: float | None
) -> None:
    sandbox = Sandbox(scan_every=scan_every)
    sandbox.webhooks_to(receiver.url)
    async with sandbox, raw_client(sandbox.base_url) as http:
        await placed(http, "W1")
        if scan_every is None:
            sandbox.advance("W1", steps=4)
        for _ in range(5):
            assert await asyncio.to_thread(receiver.came.acquire, timeout=10)

    assert receiver.codes() == [1, 4, 5, 6, 8]


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://localhost.example/",
        "nonsense",
    ],
)
def test_webhooks_go_to_this_machine_only(url: str) -> None:
    with pytest.raises(ValueError, match="this machine only"):
        Sandbox().webhooks_to(url)


def test_webhook_is_pushed_at_least_once() -> None:
    wrongs: tuple[dict[str, Any], ...] = ({"attempts": 0}, {"duplicates": -1})
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"'(attempts|duplicates)' must be >="):
            Sandbox().webhooks_to("http://[::1]:9000/", **wrong)
