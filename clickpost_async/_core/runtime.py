"""State shared by all calls of a client: connections, limits, counters, server health."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
import attrs
from attrs import Factory, define, field, frozen

from clickpost_async._concurrency.circuit_breaker import CircuitBreaker
from clickpost_async._concurrency.per_loop import PerLoop
from clickpost_async._concurrency.priority_semaphore import PrioritySemaphore
from clickpost_async._concurrency.retry_budget import RetryBudget
from clickpost_async._concurrency.single_flight import PROCESS_WIDE, SingleFlight
from clickpost_async._core.attempt import AttemptSender
from clickpost_async._core.retry import RetryPolicy
from clickpost_async._core.throttle import RateLimitPause
from clickpost_async.errors import FailureKind, NotSentError
from clickpost_async.events import Observer
from clickpost_async.limits import Limiter
from clickpost_async.settings import BodyStyle, Host, Hosts, Priority, Timeouts

if TYPE_CHECKING:
    from clickpost_async._download.downloader import Downloader

BeforeCreate = Callable[[str, int], Awaitable[None]]


def _check_deadline(_: object, __: object, deadline: float | None) -> None:
    is_number = isinstance(deadline, int | float) and not isinstance(deadline, bool)
    if deadline is not None and (not is_number or math.isnan(deadline)):
        message = "deadline must be a number of seconds; with 0 or less nothing is sent"
        raise ValueError(message)


@frozen(kw_only=True)
class CallOptions:
    """The options that `with_options` changes."""

    retry: RetryPolicy
    deadline: float | None = field(default=None, validator=_check_deadline)
    priority: Priority = Priority.NORMAL
    before_create: BeforeCreate | None = None
    in_doubt: bool = False


@define(kw_only=True)
class Counters:
    """What a client and its copies have done so far, and whether they are closed."""

    started: int = 0
    reconciliations: int = 0
    attempts: int = 0
    retries: int = 0
    rate_limited: int = 0
    closed: bool = False

    @property
    def calls(self) -> int:
        """How many calls users have made; look-ups are the client's own."""
        return self.started - self.reconciliations


@frozen
class ServerHealth:
    """The circuit breaker and retry budget of a server."""

    breaker: CircuitBreaker = field(factory=CircuitBreaker)
    budget: RetryBudget = field(factory=RetryBudget)


def server_health(hosts: Hosts) -> Mapping[Host, ServerHealth]:
    """Return the health of the server behind each group of endpoints; one object per server."""
    by_url = {hosts.base(host): ServerHealth() for host in Host}
    return {host: by_url[hosts.base(host)] for host in Host}


def accounts(username: str, hosts: Hosts) -> Mapping[Host, str]:
    """Return the account and base URL of each group of endpoints: whose orders they are."""
    return {host: f"{username} at {hosts.base(host)}" for host in Host}


class LoopState:
    """State shared by the calls on one event loop."""

    __slots__ = ("__weakref__", "_attempts", "_closing", "_idle", "semaphore")

    def __init__(self, max_concurrency: int) -> None:
        self.semaphore = PrioritySemaphore(max_concurrency)
        self._closing = anyio.Event()
        self._attempts = 0
        self._idle: anyio.Event | None = None

    async def sleep_until_closed(self, seconds: float) -> None:
        """Sleep until so many seconds have passed, or the client is closed."""
        with anyio.move_on_after(seconds):
            await self._closing.wait()

    def attempt_started(self) -> None:
        """Count one more attempt in progress."""
        self._attempts += 1

    def attempt_finished(self) -> None:
        """Count one attempt less, and wake `close` after the last."""
        self._attempts -= 1
        if self._idle is not None and not self._attempts:
            self._idle.set()

    async def close(self, grace: float) -> None:
        """Wake the calls that back off, and wait `grace` seconds for attempts in progress."""
        self._closing.set()
        if self._attempts:
            self._idle = anyio.Event()
            with anyio.move_on_after(grace):
                await self._idle.wait()


@frozen(kw_only=True)
class ClientRuntime:
    """State shared by all calls of a client and of its copies."""

    sender: AttemptSender
    downloader: "Downloader"
    limiter: Limiter
    max_concurrency: int
    body_style: BodyStyle
    observers: Sequence[Observer]
    health: Mapping[Host, ServerHealth]
    accounts: Mapping[Host, str]
    single_flight: SingleFlight = PROCESS_WIDE
    throttle: RateLimitPause = field(factory=RateLimitPause)
    counts: Counters = field(factory=Counters)
    loop_states: PerLoop[LoopState] = field(
        default=Factory(
            lambda self: PerLoop(lambda: LoopState(self.max_concurrency)), takes_self=True
        ),
        repr=False,
    )

    def with_timeouts(self, timeouts: Timeouts) -> "ClientRuntime":
        """Return a copy with other timeouts that shares everything else."""
        return attrs.evolve(self, sender=self.sender.with_timeouts(timeouts))

    @property
    def pause_left(self) -> float:
        """Seconds left of a pause that ClickPost has asked for.

        A limiter that many processes share may be paused because another process got a 429.
        """
        held: float = getattr(self.limiter, "held", 0.0)
        return max(self.throttle.left, held)

    def try_take(self) -> bool:
        """Take a permit of the limiter if there is one now; `False` too if it has no `try_take`."""
        try_take = getattr(self.limiter, "try_take", None)
        return try_take is not None and try_take() is True

    def with_observer(self, observer: Observer) -> "ClientRuntime":
        """Return a copy with one more observer that shares everything else."""
        return attrs.evolve(self, observers=(*self.observers, observer))

    def refuse_if_closed(self, label: str) -> None:
        """Raise if the client was closed."""
        if self.counts.closed:
            error = NotSentError(
                "the client is closed; make a new one",
                endpoint=label,
                transient=False,
                kind=FailureKind.CLIENT_CLOSED,
            )
            error.attempts = 0
            raise error

    async def close(self, grace: float) -> None:
        """Send nothing more; attempts in progress have `grace` seconds to end."""
        self.counts.closed = True
        loop_state = self.loop_states.get()
        if loop_state is not None:
            await loop_state.close(grace)
