"""What the calls of a client share: connections, limits, counts, and what protects the server."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
import attrs
from attrs import Factory, define, field, frozen

from clickpost_async._concurrency.circuit_breaker import Breaker
from clickpost_async._concurrency.per_loop import PerLoop
from clickpost_async._concurrency.priority_semaphore import Gate
from clickpost_async._concurrency.retry_budget import RetryBudget
from clickpost_async._concurrency.single_flight import PROCESS_WIDE, SingleFlight
from clickpost_async._core.attempt import Sender
from clickpost_async._core.retry import RetryPolicy
from clickpost_async._core.throttle import Throttle
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
class Options:
    """What `with_options` changes."""

    retry: RetryPolicy
    deadline: float | None = field(default=None, validator=_check_deadline)
    priority: Priority = Priority.NORMAL
    before_create: BeforeCreate | None = None
    in_doubt: bool = False


@define(kw_only=True)
class Counts:
    """What a client and its light copies have done so far, and whether they are closed."""

    begun: int = 0
    look_ups: int = 0
    attempts: int = 0
    repeats: int = 0
    throttled: int = 0
    closed: bool = False

    @property
    def calls(self) -> int:
        """How many calls were made by users; those that look for a lost order are ours."""
        return self.begun - self.look_ups


@frozen
class Guard:
    """What keeps calls from drowning a server that is sick already."""

    breaker: Breaker = field(factory=Breaker)
    budget: RetryBudget = field(factory=RetryBudget)


def guards(hosts: Hosts) -> Mapping[Host, Guard]:
    """Make a guard for every server that there is behind the groups of endpoints."""
    made = {hosts.base(host): Guard() for host in Host}
    return {host: made[hosts.base(host)] for host in Host}


def accounts(username: str, hosts: Hosts) -> Mapping[Host, str]:
    """Name whose orders they are, for every group of endpoints: the account and the base URL."""
    return {host: f"{username} at {hosts.base(host)}" for host in Host}


class Here:
    """What the calls on one event loop share."""

    __slots__ = ("__weakref__", "_closing", "_quiet", "_under_way", "gate")

    def __init__(self, at_once: int) -> None:
        self.gate = Gate(at_once)
        self._closing = anyio.Event()
        self._under_way = 0
        self._quiet: anyio.Event | None = None

    async def rest(self, seconds: float) -> None:
        """Sleep, but no longer than the client is open."""
        with anyio.move_on_after(seconds):
            await self._closing.wait()

    def leaves(self) -> None:
        """Note that an attempt is on its way."""
        self._under_way += 1

    def returns(self) -> None:
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
class Exchange:
    """What all calls of a client, and of its light copies, share."""

    sender: Sender
    downloader: "Downloader"
    limiter: Limiter
    at_once: int
    body_style: BodyStyle
    observers: Sequence[Observer]
    guards: Mapping[Host, Guard]
    accounts: Mapping[Host, str]
    single_flight: SingleFlight = PROCESS_WIDE
    throttle: Throttle = field(factory=Throttle)
    counts: Counts = field(factory=Counts)
    places: PerLoop[Here] = field(
        default=Factory(lambda self: PerLoop(lambda: Here(self.at_once)), takes_self=True),
        repr=False,
    )

    def with_timeouts(self, timeouts: Timeouts) -> "Exchange":
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

    def with_observer(self, observer: Observer) -> "Exchange":
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
        here = self.places.seen()
        if here is not None:
            await here.close(grace)
