"""The front door: wires the floors together, opens nothing before the first call."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import attrs
from attrs import frozen

from clickpost_async._codec.converter import prepare
from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post, Query
from clickpost_async._core.attempt import AttemptSender
from clickpost_async._core.auth import Authenticator
from clickpost_async._core.caller import EndpointCaller
from clickpost_async._core.retry import RetryPolicy
from clickpost_async._core.runtime import (
    BeforeCreate,
    CallOptions,
    ClientRuntime,
    accounts,
    server_health,
)
from clickpost_async._http.adapter import BaseURL
from clickpost_async._http.select import adapter_for, fetcher_of
from clickpost_async.endpoints._namespace import LazyNamespace, Namespace, bound_to
from clickpost_async.events import Observer
from clickpost_async.limits import AdaptiveLimiter, Limiter, TokenBucket
from clickpost_async.settings import (
    BodyStyle,
    Credentials,
    Hosts,
    KeySource,
    Priority,
    Rate,
    Timeouts,
)
from clickpost_async.structures._base import ResponseModel

if TYPE_CHECKING:
    import httpx

    from clickpost_async.endpoints.account import Account
    from clickpost_async.endpoints.couriers import Couriers
    from clickpost_async.endpoints.labels import Labels
    from clickpost_async.endpoints.ndr import Ndr
    from clickpost_async.endpoints.orders import Orders
    from clickpost_async.endpoints.pickups import Pickups
    from clickpost_async.endpoints.reports import Reports
    from clickpost_async.endpoints.returns import Returns
    from clickpost_async.endpoints.tracking import Tracking

R = TypeVar("R", bound=ResponseModel)

# What the first call needs, or another after one has failed.
_LOADED_LATE = ("anyio._backends._asyncio", "email.utils", "tenacity")

# The cheapest question there is, and 404 is as good an answer to it as any.
_HEALTH = Get(
    "/v2/pincode_details/",
    name="health",
    returns=ResponseModel,
    accepts={200, 404},
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)


@frozen(kw_only=True)
class Stats:
    """What a client and its light copies have done so far, and what they are doing; for probes.

    `calls` were made by you; `attempts` left for them, with those of `look_ups` that found out
    what became of an order. `repeats` are pauses before a call was sent again, `throttled` answers
    were HTTP 429. On this event loop `in_flight` calls are under way, `waiting` ones wait for a
    place among them, and `connections` are open: 0 where the transport does not say, as those
    of httpx and httpx2.
    """

    calls: int
    attempts: int
    retries: int
    reconciliations: int
    rate_limited: int
    in_flight: int
    queued: int
    connections: int


class ClickPost:
    """A client for ClickPost's API; any number of tasks may share one.

    `rate` is the limit that was agreed with ClickPost, which publishes none; without it the limit
    is learned from the 429 answers. `limiter` replaces it by one of your own, such as one that is
    shared by many processes. `max_concurrency` bounds how many calls, and so connections, are
    under way together. `transport` is `"httptools"`, with the extra `fast`, or any transport object
    of httpx or httpx2; but for those, connections are kept per event loop.

    `hosts` say where ClickPost is; without them `CLICKPOST_BASE_URL` does, and where that is not
    set, ClickPost's own addresses are called.

    Nothing is opened before the first call; `aclose()` or leaving `async with` closes.
    """

    # A program that creates orders loads nothing for reports or returns.

    orders: "LazyNamespace[Orders]" = LazyNamespace()
    """Create, find, edit and cancel orders, and see what became of them."""

    tracking: "LazyNamespace[Tracking]" = LazyNamespace()
    """Have parcels tracked that were not created here, and ask where they are."""

    ndr: "LazyNamespace[Ndr]" = LazyNamespace()
    """Failed deliveries: what customers say, and what is to be done."""

    pickups: "LazyNamespace[Pickups]" = LazyNamespace()
    """Have couriers come and fetch."""

    labels: "LazyNamespace[Labels]" = LazyNamespace()
    """Fetch labels, and download them."""

    couriers: "LazyNamespace[Couriers]" = LazyNamespace()
    """Which couriers there are, and which to choose."""

    account: "LazyNamespace[Account]" = LazyNamespace()
    """What was done in the account, and tokens for it."""

    reports: "LazyNamespace[Reports]" = LazyNamespace()
    """Order reports, and wait for them."""

    returns: "LazyNamespace[Returns]" = LazyNamespace()
    """What customers want to return."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        rate: Rate | None = None,
        limiter: Limiter | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        max_concurrency: int = 100,
        hosts: Hosts | None = None,
        body_style: BodyStyle = BodyStyle.PLAIN,
        transport: "httpx.AsyncBaseTransport | Literal['httptools'] | None" = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        # What takes long to import is loaded now, not in the middle of a call, when there may be no
        # file descriptor left for it.
        from clickpost_async._download.downloader import Downloader

        prepare()
        for name in _LOADED_LATE:
            import_module(name)
        if rate is not None and limiter is not None:
            message = "give rate or limiter, not both: a limiter brings its own rate"
            raise ValueError(message)
        if max_concurrency < 1:
            message = "max_concurrency: at least 1 is needed"
            raise ValueError(message)
        hosts = Hosts.from_env() if hosts is None else hosts
        timeouts = Timeouts() if timeouts is None else timeouts
        self._is_copy = False
        self._grace = timeouts.shutdown
        self._identity = f"{credentials.username} at {hosts.main}"
        self._address = BaseURL.parse(hosts.main).address
        self._transport = adapter_for(transport)
        self._exchange = ClientRuntime(
            sender=AttemptSender(
                self._transport,
                Authenticator(credentials),
                hosts,
                timeouts,
            ),
            downloader=Downloader(
                hosts=hosts.files,
                loopback=hosts.local,
                plain_http=hosts.plain_http,
                through=fetcher_of(self._transport),
            ),
            limiter=limiter or _limiter(rate),
            max_concurrency=max_concurrency,
            body_style=body_style,
            observers=tuple(observers),
            health=server_health(hosts),
            accounts=accounts(credentials.username, hosts),
        )
        self._connect_namespaces(CallOptions(retry=RetryPolicy() if retry is None else retry))

    def _connect_namespaces(self, options: CallOptions) -> None:
        self._options = options
        self._caller = EndpointCaller(self._exchange, options)
        for name, value in vars(self).items():
            if isinstance(value, Namespace):
                setattr(self, name, bound_to(self._caller, value))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **settings: Any) -> Self:
        """Make a client from the environment.

        Reads `CLICKPOST_USERNAME`, `CLICKPOST_API_KEY` (or `CLICKPOST_KEY`), and if they are there
        `CLICKPOST_BASE_URL` and `CLICKPOST_RATE` (as `10/1s`). `settings` go before both.
        """
        found = os.environ if environ is None else environ
        if settings.get("hosts") is None:
            settings["hosts"] = Hosts.from_env(found)
        if (rate := found.get("CLICKPOST_RATE")) and settings.get("limiter") is None:
            settings.setdefault("rate", Rate.parse(rate))
        return cls(Credentials.from_env(found), **settings)

    def with_options(
        self,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        deadline: float | None = None,
        priority: Priority | None = None,
        before_create: BeforeCreate | None = None,
        in_doubt: bool | None = None,
        observer: Observer | None = None,
    ) -> Self:
        """Return a light copy that shares connections, limiter and counts.

        It keeps the attributes of a subclass, as they are, and closes nothing: its `aclose()`, and
        leaving it by `async with`, leave the client that it was made from open.

        `deadline` bounds a whole call in seconds: queue, turn, attempts and pauses; one that is
        over, 0 or less, sends nothing. `priority` is who goes first where calls queue up.
        `observer` is called with the events of the copy's calls, after those of the client.

        For those who keep a ledger of their own: `before_create(reference_number, attempt)` is
        awaited right before the first byte of each sending of an order, when its turn has come;
        what it raises keeps the order from being sent. With `in_doubt` an order may have been sent
        before by somebody who did not live to tell: it is looked up before it is sent.
        """
        copy = object.__new__(type(self))
        for name, value in _attributes(self):
            object.__setattr__(copy, name, value)
        copy._is_copy = True
        if timeouts is not None:
            copy._grace = timeouts.shutdown
            copy._exchange = self._exchange.with_timeouts(timeouts)
        if observer is not None:
            copy._exchange = copy._exchange.with_observer(observer)
        changes: dict[str, Any] = {
            "retry": retry,
            "deadline": deadline,
            "priority": priority,
            "before_create": before_create,
            "in_doubt": in_doubt,
        }
        named = {name: value for name, value in changes.items() if value is not None}
        copy._connect_namespaces(attrs.evolve(self._options, **named))
        return copy

    @property
    def account_label(self) -> str:
        """Whose calls these are and where they go; never the key."""
        return self._identity

    @property
    def address(self) -> str:
        """Host and port of the server that orders are created at."""
        return self._address

    @property
    def retry(self) -> RetryPolicy:
        """How calls are repeated."""
        return self._options.retry

    async def get(self, endpoint: Get[R], query: Query | None = None) -> R:
        """Ask an endpoint of your own declaration; `query` leaves out what is `None`."""
        return await self._caller.get(endpoint, query or {})

    async def post(self, endpoint: Post[R], body: object) -> R:
        """Send a body to an endpoint of your own declaration."""
        return await self._caller.post(endpoint, body)

    async def health(self) -> ResponseModel:
        """Ask ClickPost something cheap; raises what any call would."""
        return await self._caller.get(_HEALTH, {"pincode": "110001"})

    def stats(self) -> Stats:
        """Tell what the client has done so far, and what it is doing on this event loop."""
        counts = self._exchange.counts
        here = self._exchange.loop_states.get()
        return Stats(
            calls=counts.calls,
            attempts=counts.attempts,
            retries=counts.retries,
            reconciliations=counts.reconciliations,
            rate_limited=counts.rate_limited,
            in_flight=here.semaphore.in_use if here else 0,
            queued=here.semaphore.waiting if here else 0,
            connections=self._transport.connections,
        )

    async def aclose(self) -> None:
        """Close the client for good; may be called again, and from any task.

        A light copy that `with_options` has made closes nothing.

        Calls whose sending is under way have `Timeouts.closing` seconds to end. Nothing is sent any
        more: calls that pause end at once, those that wait for their turn end when it comes, each
        with what is known of it.
        """
        if not (self._is_copy or self._exchange.counts.closed):
            try:
                await self._exchange.close(self._grace)
            finally:
                await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_concurrency={self._exchange.max_concurrency})"


def _attributes(client: ClickPost) -> Iterator[tuple[str, Any]]:
    """Return what a subclass, too, has set, but not what it has computed from the options."""
    state: Any = object.__getstate__(client)
    bases = type(client).__mro__
    # Those with `__slots__` have a second part for them.
    for part in state if isinstance(state, tuple) else (state,):
        for name, value in (part or {}).items():
            if not any(isinstance(vars(base).get(name), cached_property) for base in bases):
                yield name, value


def _limiter(rate: Rate | None) -> Limiter:
    return AdaptiveLimiter() if rate is None else TokenBucket(rate.calls, rate.burst, per=rate.per)


__all__ = ["ClickPost", "KeySource", "Stats"]
