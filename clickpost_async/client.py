"""The public client. Connections are opened by the first call, not by the constructor."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from importlib import import_module
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeVar

import attrs
from attrs import frozen

from clickpost_async._codec.converter import prepare
from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post, Query
from clickpost_async._core.attempt import AttemptSender
from clickpost_async._core.auth import Authenticator, KeySource, resolve_credentials
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
from clickpost_async._util.arguments import check_instance, check_number, got
from clickpost_async._util.stderr_logging import log_to_stderr_if_enabled
from clickpost_async.endpoints._namespace import LazyNamespace, Namespace, bound_to
from clickpost_async.events import Observer
from clickpost_async.limits import AdaptiveLimiter, Limiter, TokenBucket
from clickpost_async.settings import (
    BodyStyle,
    Hosts,
    Priority,
    Rate,
    Timeouts,
    resolve_hosts,
    resolve_rate,
)
from clickpost_async.structures._base import ResponseModel

if TYPE_CHECKING:
    import httpx

    from clickpost_async.endpoints.account import Account
    from clickpost_async.endpoints.couriers import Couriers
    from clickpost_async.endpoints.delivery import Delivery
    from clickpost_async.endpoints.labels import Labels
    from clickpost_async.endpoints.ndr import Ndr
    from clickpost_async.endpoints.orders import Orders
    from clickpost_async.endpoints.pickups import Pickups
    from clickpost_async.endpoints.reports import Reports
    from clickpost_async.endpoints.returns import Returns
    from clickpost_async.endpoints.serviceability import Serviceability
    from clickpost_async.endpoints.tracking import Tracking

R = TypeVar("R", bound=ResponseModel)

# Needed by the first call, by the first retry, or for the message about a mistake.
_LOADED_LATE = ("anyio._backends._asyncio", "difflib", "email.utils", "hashlib", "tenacity")

# The cheapest request there is; a 404 proves as well that ClickPost responds.
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
    """Counts of a client and its `with_options` copies so far, and its load now; for probes.

    Attributes:
        calls: Calls made by the user.
        attempts: Requests sent for them, those of look-ups included.
        retries: Waits before another attempt.
        reconciliations: Look-ups of orders whose outcome was unknown.
        rate_limited: HTTP 429 responses.
        in_flight: Calls in flight on this event loop.
        queued: Calls on this event loop that wait for one of `max_concurrency` slots.
        connections: Open connections on this event loop; 0 where the transport does not report it.

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

    Connections are opened by the first call; `aclose()`, or leaving `async with`, closes them.

    Args:
        username: The username of your account; `None` reads `CLICKPOST_USERNAME`.
        api_key: The API key from ClickPost's dashboard, or a callable, sync or async, that returns
            it and is called before every attempt, for keys that rotate; `None` reads
            `CLICKPOST_API_KEY` or `CLICKPOST_KEY`.
        base_url: One base URL for every group of endpoints, such as a sandbox's. Without it and
            `hosts`, `CLICKPOST_BASE_URL` is read; without that, ClickPost's own hosts are called.
        hosts: The base URLs one by one.
        rate: The rate limit agreed with ClickPost, which publishes none: calls a second, text such
            as `"600/60s"`, or a `Rate`; `None` reads `CLICKPOST_RATE`. Without a rate it is learned
            from 429 responses.
        limiter: A rate limiter instead of a rate, such as one shared by many processes: an object
            with the coroutines `acquire(priority)` and `pause(seconds)`.
        retry: When a failed call is sent again; `None` is `RetryPolicy()`.
        timeouts: How long an attempt may take; `None` is `Timeouts()`.
        max_concurrency: How many calls, and so connections, may be in flight together on an event
            loop; others queue.
        body_style: How JSON bodies are written; `RAW_BODY` is for some gateways.
        transport: What sends the requests: `"httptools"`, with the extra `fast`, or any
            asynchronous transport object of httpx or httpx2; `None` is the default, on httpcore.
        observers: Functions that are called with every event of every call.

    Raises:
        TypeError: A parameter has the wrong type.
        ValueError: A parameter is missing or invalid; the message shows a valid value, and never
            the key.
        ImportError: The library of the transport is not installed.

    """

    # A program that creates orders loads nothing for reports or returns.

    orders: "LazyNamespace[Orders]" = LazyNamespace()
    """Create, find, edit and cancel orders, and list those updated."""

    tracking: "LazyNamespace[Tracking]" = LazyNamespace()
    """Register parcels for tracking, and track them."""

    ndr: "LazyNamespace[Ndr]" = LazyNamespace()
    """Failed deliveries: customers' feedback, and actions for the courier."""

    pickups: "LazyNamespace[Pickups]" = LazyNamespace()
    """Book pickups."""

    labels: "LazyNamespace[Labels]" = LazyNamespace()
    """Fetch labels, and download them."""

    couriers: "LazyNamespace[Couriers]" = LazyNamespace()
    """Courier accounts, recommendations and pincodes."""

    serviceability: "LazyNamespace[Serviceability]" = LazyNamespace()
    """Which pincodes are served, by which accounts, and what that costs."""

    delivery: "LazyNamespace[Delivery]" = LazyNamespace()
    """How many days a delivery takes."""

    account: "LazyNamespace[Account]" = LazyNamespace()
    """The account's audit log, and tokens."""

    reports: "LazyNamespace[Reports]" = LazyNamespace()
    """Request reports, and wait for them."""

    returns: "LazyNamespace[Returns]" = LazyNamespace()
    """Return requests of customers."""

    def __init__(
        self,
        username: str | None = None,
        api_key: str | KeySource | None = None,
        *,
        base_url: str | None = None,
        hosts: Hosts | None = None,
        rate: Rate | float | str | None = None,
        limiter: Limiter | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        max_concurrency: int = 100,
        body_style: BodyStyle = BodyStyle.PLAIN,
        transport: "httpx.AsyncBaseTransport | Literal['httptools'] | None" = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        try:
            credentials = resolve_credentials(username, api_key)
            hosts = resolve_hosts(base_url, hosts)
        except (TypeError, ValueError) as error:
            raise error.with_traceback(None) from None
        finally:
            # Error trackers export the variables of frames that fail, here or below.
            del username, api_key, base_url
        # Slow imports happen now, not during a call, when file descriptors may be exhausted.
        from clickpost_async._download.downloader import Downloader

        prepare()
        for name in _LOADED_LATE:
            import_module(name)
        log_to_stderr_if_enabled()
        limiter = _limiter(rate, limiter)
        retry = RetryPolicy() if retry is None else retry
        timeouts = Timeouts() if timeouts is None else timeouts
        _check_options(retry=retry, timeouts=timeouts)
        check_number("max_concurrency", max_concurrency, unit="calls", minimum=1, whole=True)
        check_instance("body_style", body_style, BodyStyle, "BodyStyle.PLAIN or BodyStyle.RAW_BODY")
        observers = _observers(observers)
        self._is_copy = False
        self._grace = timeouts.shutdown
        self._identity = f"{credentials.username} at {hosts.main}"
        self._address = BaseURL.parse(hosts.main).address
        self._transport = adapter_for(transport)
        self._runtime = ClientRuntime(
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
            limiter=limiter,
            max_concurrency=max_concurrency,
            body_style=body_style,
            observers=observers,
            health=server_health(hosts),
            accounts=accounts(credentials.username, hosts),
        )
        self._connect_namespaces(CallOptions(retry=retry))

    def _connect_namespaces(self, options: CallOptions) -> None:
        self._options = options
        self._caller = EndpointCaller(self._runtime, options)
        for name, value in vars(self).items():
            if isinstance(value, Namespace):
                setattr(self, name, bound_to(self._caller, value))

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

        It keeps the attributes of a subclass. Its `aclose()`, and the end of its `async with`
        block, close nothing: the client that it was made from stays open.

        Args:
            timeouts: How long an attempt of the copy's calls may take.
            retry: When the copy's calls are sent again.
            deadline: Seconds for a whole call: queue, rate limit, attempts and waits; with 0 or
                less the deadline has passed and nothing is sent.
            priority: `Priority.BULK` yields to `NORMAL` where calls queue.
            before_create: `await before_create(reference_number, attempt)` is called right before
                each attempt to create an order is sent, to keep a record of your own; if it
                raises, the order is not sent.
            in_doubt: Whether an order may have been sent before, by a process that crashed before
                recording the result: it is looked up before it is sent.
            observer: A function that is called with the events of the copy's calls, after the
                observers of the client.

        Raises:
            TypeError: A parameter has the wrong type.
            ValueError: The deadline is not a number.

        """
        _check_options(retry=retry, timeouts=timeouts, priority=priority)
        if in_doubt is not None:
            check_instance("in_doubt", in_doubt, bool, "True or False")
        if before_create is not None and not callable(before_create):
            raise TypeError(f"before_create must be a coroutine function; {got(before_create)}")
        if observer is not None:
            _check_observer("observer", observer)
        copy = object.__new__(type(self))
        for name, value in _attributes(self):
            object.__setattr__(copy, name, value)
        copy._is_copy = True
        if timeouts is not None:
            copy._grace = timeouts.shutdown
            copy._runtime = self._runtime.with_timeouts(timeouts)
        if observer is not None:
            copy._runtime = copy._runtime.with_observer(observer)
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
        """The username and the main base URL; never the key."""
        return self._identity

    @property
    def address(self) -> str:
        """Host and port of the server that orders are created at."""
        return self._address

    @property
    def retry(self) -> RetryPolicy:
        """The retry policy of this client or copy."""
        return self._options.retry

    async def get(self, endpoint: Get[R], query: Query | None = None) -> R:
        """Send a GET request to an endpoint that you declared.

        Args:
            endpoint: The endpoint.
            query: The query parameters; those that are `None` are not sent.

        Returns:
            The response, as the type that the endpoint returns.

        Raises:
            ClickPostError: The call failed.

        """
        check_instance("endpoint", endpoint, Get, "an endpoint, such as Get('/v1/x/', …)")
        return await self._caller.get(endpoint, query or {})

    async def post(self, endpoint: Post[R], body: object, query: Query | None = None) -> R:
        """Send a POST request to an endpoint that you declared.

        Args:
            endpoint: The endpoint.
            body: The body: a structure or a mapping.
            query: The query parameters; those that are `None` are not sent.

        Returns:
            The response, as the type that the endpoint returns.

        Raises:
            ClickPostError: The call failed.

        """
        check_instance("endpoint", endpoint, Post, "an endpoint, such as Post('/v1/x/', …)")
        return await self._caller.post(endpoint, body, query)

    async def health(self) -> ResponseModel:
        """Make a cheap call to ClickPost, for a readiness probe.

        Raises:
            ClickPostError: The call failed.

        """
        return await self._caller.get(_HEALTH, {"pincode": "110001"})

    def stats(self) -> Stats:
        """Return the counts so far, and the load on this event loop."""
        counts = self._runtime.counts
        here = self._runtime.loop_states.get()
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

        A copy made by `with_options` closes nothing. Attempts in flight have `Timeouts.shutdown`
        seconds to end. Nothing more is sent: calls that wait raise an error with their outcome.
        """
        if not (self._is_copy or self._runtime.counts.closed):
            try:
                await self._runtime.close(self._grace)
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

    def __reduce__(self) -> NoReturn:
        message = (
            "a client is neither pickled nor copied: make one in each process, or call"
            " with_options() for a light copy"
        )
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_concurrency={self._runtime.max_concurrency})"


def _attributes(client: ClickPost) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a client, those of a subclass included, except cached properties."""
    state: Any = object.__getstate__(client)
    bases = type(client).__mro__
    # The state of a class with `__slots__` is a pair: the instance dictionary and the slots.
    for part in state if isinstance(state, tuple) else (state,):
        for name, value in (part or {}).items():
            if not any(isinstance(vars(base).get(name), cached_property) for base in bases):
                yield name, value


def _limiter(rate: Rate | float | str | None, limiter: Limiter | None) -> Limiter:
    if limiter is None:
        found = resolve_rate(rate)
        if found is None:
            return AdaptiveLimiter()
        return TokenBucket(found.calls, found.burst, per=found.per)
    if rate is not None:
        message = "pass rate or limiter, not both: a limiter brings its own rate"
        raise ValueError(message)
    if isinstance(limiter, type) or not all(
        callable(getattr(limiter, name, None)) for name in ("acquire", "pause")
    ):
        raise TypeError(
            "limiter must be an object with the coroutines acquire and pause, such as"
            f" limits.TokenBucket(10); for a rate pass rate=10; {got(limiter)}"
        )
    return limiter


def _observers(observers: Iterable[Observer]) -> tuple[Observer, ...]:
    if callable(observers) or not isinstance(observers, Iterable):
        raise TypeError(
            "observers must be a list of functions that take an event, such as [print];"
            f" {got(observers)}"
        )
    for position, observer in enumerate(given := tuple(observers)):
        _check_observer(f"observers[{position}]", observer)
    return given


def _check_observer(name: str, observer: object) -> None:
    if not callable(observer) or isinstance(observer, type):
        raise TypeError(f"{name} must be a function that takes an event; {got(observer)}")
    if iscoroutinefunction(observer):
        raise TypeError(f"{name} must be a plain function: an async one would not be awaited")


def _check_options(
    *, retry: object = None, timeouts: object = None, priority: object = None
) -> None:
    if retry is not None:
        check_instance(
            "retry", retry, RetryPolicy, "a RetryPolicy, such as RetryPolicy(attempts=3)"
        )
    if timeouts is not None:
        check_instance("timeouts", timeouts, Timeouts, "a Timeouts, such as Timeouts(read=30)")
    if priority is not None:
        check_instance("priority", priority, Priority, "Priority.NORMAL or Priority.BULK")


__all__ = ["ClickPost", "KeySource", "Stats"]
