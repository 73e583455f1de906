"""What the calls of a client share: connections, limits, counts, and what protects the server."""

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
from clickpost_async.errors import NotSentError
from clickpost_async.events import Observer
from clickpost_async.limits import Limiter
from clickpost_async.settings import BodyStyle, Host, Hosts, Priority, Timeouts

if TYPE_CHECKING:
    from clickpost_async._download.downloader import Downloader

BeforeCreate = Callable[[str, int], Awaitable[None]]


def _check_deadline(_: object, __: object, deadline: float | None) -> None:
    is_number = isinstance(deadline, int | float) and not isinstance(deadline, bool)
    if deadline is not None and (not is_number or math.isnan(deadline)):
        message = (
            "deadline: a number of seconds is needed; one that is over, 0 or less, sends nothing"
        )
        raise ValueError(message)


@frozen(kw_only=True)
class CallOptions:
    """What `with_options` changes."""

    retry: RetryPolicy
    deadline: float | None = field(default=None, validator=_check_deadline)
    priority: Priority = Priority.NORMAL
    before_create: BeforeCreate | None = None
    in_doubt: bool = False


@define(kw_only=True)
class Counters:
    """What a client and its light copies have done so far, and whether they are closed."""

    started: int = 0
    reconciliations: int = 0
    attempts: int = 0
    retries: int = 0
    rate_limited: int = 0
    closed: bool = False

    @property
    def calls(self) -> int:
        """How many calls were made by users; those that look for a lost order are ours."""
        return self.started - self.reconciliations


@frozen
class ServerHealth:
    """What keeps calls from drowning a server that is sick already."""

    breaker: CircuitBreaker = field(factory=CircuitBreaker)
    budget: RetryBudget = field(factory=RetryBudget)


def server_health(hosts: Hosts) -> Mapping[Host, ServerHealth]:
    """Make a guard for every server that there is behind the groups of endpoints."""
    made = {hosts.base(host): ServerHealth() for host in Host}
    return {host: made[hosts.base(host)] for host in Host}


def accounts(username: str, hosts: Hosts) -> Mapping[Host, str]:
    """Name whose orders they are, for every group of endpoints: the account and the base URL."""
    return {host: f"{username} at {hosts.base(host)}" for host in Host}


class LoopState:
    """What the calls on one event loop share."""

    __slots__ = ("__weakref__", "_closing", "_quiet", "_under_way", "semaphore")

    def __init__(self, max_concurrency: int) -> None:
        self.semaphore = PrioritySemaphore(max_concurrency)
        self._closing = anyio.Event()
        self._under_way = 0
        self._quiet: anyio.Event | None = None

    async def sleep_until_closed(self, seconds: float) -> None:
        """Sleep, but no longer than the client is open."""
        with anyio.move_on_after(seconds):
            await self._closing.wait()

    def attempt_started(self) -> None:
        """Note that an attempt is on its way."""
        self._under_way += 1

    def attempt_finished(self) -> None:
        """Note that an attempt is back, or given up."""
        self._under_way -= 1
        if self._quiet is not None and not self._under_way:
            self._quiet.set()

    async def close(self, grace: float) -> None:
        """Wake those that rest, and wait so long for those that are on their way."""
        self._closing.set()
        if self._under_way:
            self._quiet = anyio.Event()
            with anyio.move_on_after(grace):
                await self._quiet.wait()


@frozen(kw_only=True)
class ClientRuntime:
    """What all calls of a client, and of its light copies, share."""

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
        """Return how many seconds of a pause are left that ClickPost has asked for.

        A limiter that many processes share may know of one that another process was asked for.
        """
        held: float = getattr(self.limiter, "held", 0.0)
        return max(self.throttle.left, held)

    def try_take(self) -> bool:
        """Take a turn of the limiter's if that needs no waiting and it can tell."""
        try_take = getattr(self.limiter, "try_take", None)
        return try_take is not None and try_take() is True

    def with_observer(self, observer: Observer) -> "ClientRuntime":
        """Return a copy that one more observer hears of, and that shares everything else."""
        return attrs.evolve(self, observers=(*self.observers, observer))

    def refuse_if_closed(self, label: str) -> None:
        """Raise a clear error where a client is used after it was closed."""
        if self.counts.closed:
            message = "the client is closed; make a new one"
            raise NotSentError(message, endpoint=label, transient=False)

    async def close(self, grace: float) -> None:
        """Let nothing more leave; calls that are on their way have so many seconds to come back."""
        self.counts.closed = True
        here = self.loop_states.get()
        if here is not None:
            await here.close(grace)
