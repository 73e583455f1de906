"""Webhooks: their payloads for scans and returns, and their delivery with retries."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
from attrs import define, field, frozen
from attrs.validators import ge

from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.store.records import Parcel, Scan, scan_values
from clickpost_async.sandbox.world.tracking_codes import NDR, ShipmentKind
from clickpost_async.settings import is_loopback

_TIMEOUT = 5
# The number of deliveries that are kept, to be shown and resent.
_KEPT = 200


@frozen
class Hook:
    """Where webhooks are sent; the options are those of `Sandbox.webhooks_to`."""

    url: str = field(validator=lambda _, __, url: _check_loopback(url))
    token: str | None = field(repr=False)
    header: str
    parameter: str | None
    events: Collection[int] | None
    attempts: int = field(validator=ge(1))
    duplicates: int = field(validator=ge(0))
    out_of_order: bool

    def request(self, http: httpx.AsyncClient, payload: JSON) -> httpx.Request:
        """Return the request, with the token as the dashboard's form would send it."""
        secret = (self.token or "").encode()
        headers = [(self.header.encode(), secret)] if secret and not self.parameter else []
        url = httpx.URL(self.url)
        if secret and self.parameter:
            url = url.copy_merge_params({self.parameter: self.token})
        return http.build_request("POST", url, json=payload, headers=headers)


@frozen(kw_only=True)
class WebhookDelivery:
    """The delivery of a webhook; `http_status` is that of the last response, None without one."""

    id: int
    url: str
    payload: JSON = field(repr=False)
    http_status: int | None
    attempts: int

    @property
    def about(self) -> str:
        """The waybill of the parcel, or the reference number of the return."""
        return str(self._event.get("waybill") or self._event.get("return_reference_number") or "")

    @property
    def description(self) -> str:
        """The description of its status."""
        return str(self._event.get("clickpost_status_description"))

    @property
    def _event(self) -> JSON:
        event = self.payload.get("payload", self.payload)
        return event if isinstance(event, Mapping) else {}

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted it."""
        return self.http_status == HTTPStatus.OK


# Called when a webhook is sent; the payloads of selected-event webhooks have one more field.
Payload = Callable[[Hook], JSON]


@define
class Webhooks:
    """The queue of webhooks, and their delivery."""

    _hooks: list[Hook] = field(factory=list, init=False)
    _queue: deque[tuple[Hook, Payload]] = field(factory=deque, init=False)
    _wake: Callable[[], object] | None = field(default=None, init=False)
    _sent: deque[tuple[Hook, WebhookDelivery]] = field(
        factory=lambda: deque(maxlen=_KEPT), init=False
    )
    count: int = field(default=0, init=False)

    @property
    def urls(self) -> Sequence[str]:
        """The URLs that webhooks are sent to."""
        return [hook.url for hook in self._hooks]

    def deliveries(self) -> Sequence[WebhookDelivery]:
        """Return the latest deliveries, the newest first."""
        return [delivery for _, delivery in reversed(self._sent.copy())]

    def push_again(self, number: int) -> None:
        """Queue a webhook once more, unchanged; raises LookupError."""
        sent = {delivery.id: (hook, delivery) for hook, delivery in self._sent.copy()}
        if number not in sent:
            raise LookupError(f"no webhook {number}")
        hook, delivery = sent[number]
        self._queue.append((hook, lambda _: delivery.payload))
        self._notify()

    def clear(self) -> None:
        """Delete sent and queued webhooks; the URLs stay."""
        self._queue.clear()
        self._sent.clear()

    def send_to(self, hook: Hook) -> None:
        """Send webhooks to this URL from now on."""
        self._hooks.append(hook)

    def queue(self, event: int | None, payload: Payload) -> None:
        """Queue a webhook to every URL that gets this event."""
        for hook in self._hooks:
            if hook.events is None or event in hook.events:
                self._queue.append((hook, payload))
        self._notify()

    async def push(self) -> Sequence[WebhookDelivery]:
        """Send every queued webhook, and return the deliveries."""
        # Other threads may queue webhooks meanwhile: those are sent by the next call.
        queued = [self._queue.popleft() for _ in range(len(self._queue))]
        if not queued:
            return []
        deliveries = []
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT) as http:
            for hook in self._hooks:
                batch = [payload(to) for to, payload in queued if to is hook]
                if hook.out_of_order:
                    batch.reverse()
                for payload in batch * (1 + hook.duplicates):
                    self.count += 1
                    delivery = await _deliver(http, hook, payload, self.count)
                    deliveries.append(delivery)
                    self._sent.append((hook, delivery))
        return deliveries

    async def keep_pushing(self, catch_up: Callable[[], None], every: float | None) -> None:
        """Send webhooks as they are queued, until cancelled; `catch_up` on scans at intervals."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(news.set)
        try:
            while True:
                catch_up()
                await self.push()
                with suppress(TimeoutError):
                    async with asyncio.timeout(every):
                        await news.wait()
                news.clear()
        finally:
            self._wake = None

    def _notify(self) -> None:
        if self._queue and self._wake is not None:
            self._wake()


def tracking_payload(parcel: Parcel, scan: Scan, latest: Scan, event: int | None) -> JSON:
    """Return the payload for a scan: the scan itself, and in `additional` the newest one."""
    return render(
        "tracking.webhook",
        parcel=parcel,
        scan=scan,
        event=event,
        status=render("tracking.webhook_status", **scan_values(parcel, scan)),
        latest=render("tracking.webhook_latest_status", **scan_values(parcel, latest)),
        is_rvp=parcel.kind is ShipmentKind.RVP,
        ndr_description=None if scan.ndr_code is None else NDR.get(scan.ndr_code),
    )


async def _deliver(
    http: httpx.AsyncClient, hook: Hook, payload: JSON, number: int
) -> WebhookDelivery:
    http_status: int | None = None
    attempts = 0
    while attempts < hook.attempts and http_status != HTTPStatus.OK:
        attempts += 1
        try:
            response = await http.send(hook.request(http, payload))
            http_status = response.status_code
        except httpx.HTTPError:
            http_status = None
    return WebhookDelivery(
        id=number, url=hook.url, payload=payload, http_status=http_status, attempts=attempts
    )


def _check_loopback(url: str) -> None:
    with suppress(ValueError, httpx.InvalidURL):
        httpx.URL(url)
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for one that is none
        if parts.scheme in ("http", "https") and is_loopback(parts.hostname or ""):
            return
    raise ValueError("webhooks are pushed to this machine only, like http://127.0.0.1:9000/")
