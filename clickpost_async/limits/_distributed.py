"""One rate for many processes: slots that a shared store grants, a few at a time."""

import asyncio
import logging
import math
import os
import uuid
from abc import ABC, abstractmethod
from typing import Protocol

from attrs import define, field, frozen

from clickpost_async._concurrency.per_loop import PerLoop
from clickpost_async._concurrency.priority_semaphore import PrioritySemaphore
from clickpost_async.limits._alone import FallbackShare
from clickpost_async.limits._outage_log import OutageLog
from clickpost_async.limits._process_count import HEARTBEAT, ProcessCount
from clickpost_async.settings import Priority, Rate

_log = logging.getLogger("clickpost_async")

# How many seconds a response is waited for.
_PATIENCE = 0.05
# How often the wait is repeated, since an event loop that was blocked has not waited that long.
_GRACES = 3
# At most so many seconds' worth of slots are requested at once: unused ones are lost.
_LEASE = 0.02
_LARGEST_LEASE = 100
# How old a response may be, in seconds: it tells of the pauses that other processes have set.
_FRESH = 0.1
# How late a slot can be used, since timers are late: an interval, within these bounds in seconds.
_LAPSE = (0.01, 0.1)
# Event loops fire timers a nanosecond early: a shorter sleep ends at once.
_LEAST_SLEEP = 1e-8
# Seconds' worth of unused slots that waiting calls may make up for, as in a local token bucket.
_CATCH_UP = 0.005
# Seconds between the heartbeats of a process that has lost the shared limiter.
_LOST_HEARTBEAT = 0.25
# A heartbeat is worth waiting for much longer than a slot is.
_HEARTBEAT_TIMEOUT = 5.0
# Where a heartbeat takes longer, those of other processes may not arrive.
_PROMPT = 1.0


@frozen(kw_only=True)
class RateSpec:
    """How far slots are apart, what a pause saves up, and how late one can be used: in seconds."""

    interval: float
    slack: float
    lapse: float


@frozen(kw_only=True)
class SlotRequest:
    """How many slots are wanted, for how long all are to hold, and the slots that were not used."""

    count_wanted: int = 0
    slack: float = 0.0
    hold: float = 0.0
    generation: str = ""
    first: float = 0.0
    count: int = 0


@frozen(kw_only=True)
class SlotGrant:
    """How many of the old slots can be kept, and when the first of the others is.

    Times are by the clock of the store.
    """

    generation: str
    now: float
    kept: int
    first: float
    held: float


class RateStore(Protocol):
    """The place that all can ask."""

    async def request_slots(self, request: SlotRequest) -> SlotGrant:
        """Request slots, or a pause of all processes."""
        ...

    async def send_heartbeat(self, process: str, calls: int) -> int:
        """Count a process as alive, and return how many are.

        Books `calls` that the process is about to send without a slot.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...

    def abandon(self) -> None:
        """Close the sockets of an event loop that is closed."""
        ...


@define
class SlotLease:
    """Slots an interval apart that are this event loop's, by its own clock and by the other."""

    generation: str = ""
    first: float = 0.0
    due: float = -math.inf
    count: int = 0
    granted_at: float = -math.inf
    holds: int = 0
    # How many it was, and when the last of them was due.
    size: int = 1
    end: float = -math.inf


@define
class _LoopState:
    """What belongs to one event loop."""

    store: RateStore
    semaphore: PrioritySemaphore = field(factory=lambda: PrioritySemaphore(1))
    lease: SlotLease = field(factory=SlotLease)
    # A slot that was just confirmed can be used until then.
    granted_until: float = -math.inf
    # The waiting calls have waited for slots, not only for responses.
    paced: bool = False
    asking: "asyncio.Task[None] | None" = None
    next_heartbeat: asyncio.TimerHandle | None = None
    heartbeat: "asyncio.Task[None] | None" = None


class DistributedLimiter(ABC):
    """Lets calls leave in slots of a `RateStore`, and in a share of the rate while it is away.

    The share follows from the number of processes that the store has counted, and from
    `process_count` if that is more. A process that does not know the number waits for the store.
    """

    def __init__(self, rate: Rate, process_count: int | None, name: str) -> None:
        interval = 1 / rate.per_second
        burst = max(1.0, rate.per_second) if rate.burst is None else rate.burst
        lapse = min(max(interval, _LAPSE[0]), _LAPSE[1])
        self._spec = RateSpec(interval=interval, slack=(burst - 1) * interval, lapse=lapse)
        self._most = min(max(1, math.floor(_LEASE / interval)), _LARGEST_LEASE)
        self._name = name
        self._processes = ProcessCount(process_count or 0)
        # A child of a fork is a process of its own.
        self._process = uuid.uuid4().hex
        share = interval * process_count if process_count else None
        self._alone = FallbackShare(share, lambda: _running().time())
        # When the next slot of all processes was due, by the last response.
        self._line: float | None = None
        self._generation = ""
        self._outages = OutageLog(name)
        self._here = PerLoop(lambda: _LoopState(self._open()), lambda here: here.store.abandon())

    @abstractmethod
    def _open(self) -> RateStore:
        """Make what this event loop asks."""

    async def acquire(self, priority: Priority = Priority.NORMAL) -> None:
        """Return when one call may leave."""
        _running()
        here = self._here.get_or_create()
        if here.next_heartbeat is None:
            self._beat(here)
        if not here.semaphore.in_use:
            here.paced = False
            if self._wait(here) == 0:
                return
        async with here.semaphore.slot(priority) as place:
            while (wait := self._wait(here)) != 0:
                if wait is None:
                    await self._request_slots(here)
                else:
                    here.paced = True
                    await asyncio.sleep(max(wait, _LEAST_SLEEP))
                    await place.yield_to_higher()

    async def pause(self, seconds: float) -> None:
        """Pause the calls of all processes, then go on without a burst; the later end counts."""
        if not (math.isfinite(seconds) and seconds >= 0):
            message = "seconds: a finite number, 0 or more, is needed"
            raise ValueError(message)
        _running()
        self._alone.hold(self._alone.now() + seconds)
        # While the store is lost, the next request carries it.
        if not self._alone.lost:
            here = self._here.get_or_create()
            await self._send(here, SlotRequest(hold=seconds))

    @property
    def held(self) -> float:
        """Return how many seconds of a hold are left, whichever process asked for it."""
        alone = self._alone
        return max(0.0, alone.held_until - alone.now())

    async def aclose(self) -> None:
        """Close what this event loop has opened, and what closed ones have left open."""
        self._here.sweep()
        if here := self._here.get():
            if here.next_heartbeat:
                here.next_heartbeat.cancel()
                here.next_heartbeat = None
            if here.heartbeat:
                here.heartbeat.cancel()
                await asyncio.wait({here.heartbeat})
            if here.asking:
                await asyncio.wait({here.asking})
            await here.store.aclose()

    # --- how many processes there are -------------------------------------------------------------

    def _beat(self, here: _LoopState) -> None:
        """Send a heartbeat now and every few seconds, until the loop or this is closed."""
        loop = _running()
        interval = _LOST_HEARTBEAT if self._alone.lost else HEARTBEAT
        here.next_heartbeat = loop.call_later(interval, self._beat, here)
        if here.heartbeat is None:
            here.heartbeat = asyncio.ensure_future(self._send_heartbeat(here))

    async def _send_heartbeat(self, here: _LoopState) -> None:
        process = f"{self._process}:{os.getpid()}"
        began = _running().time()
        try:
            async with asyncio.timeout(_HEARTBEAT_TIMEOUT):
                calls = self._alone.book_ahead(_LOST_HEARTBEAT)
                count = await here.store.send_heartbeat(process, calls)
        except Exception as error:  # noqa: BLE001 - whether Redis responds is seen where slots are asked for
            _log.debug("%s: a heartbeat failed: %s", self._name, type(error).__name__)
        else:
            self._learn(count, is_prompt=_running().time() - began <= _PROMPT)
        finally:
            here.heartbeat = None

    def _learn(self, count: int, *, is_prompt: bool) -> None:
        """Set the share of this process, if the number of processes is known."""
        alone = self._alone
        number = self._processes.add(count, alone.now(), is_prompt=is_prompt)
        if number is None:
            return
        was_unknown = alone.interval is None
        alone.interval = self._spec.interval * number
        if was_unknown:
            alone.begin_after(self._fallback_start)

    # --- slots ------------------------------------------------------------------------------------

    def _wait(self, here: _LoopState) -> float | None:
        """Return how long to wait, 0 if one has just been let go, nothing if one has to ask."""
        alone = self._alone
        now = alone.now()
        if alone.lost and now >= alone.ask_at:
            return None
        if mine := alone.delay():
            return min(mine, alone.ask_at - now) if alone.lost else mine
        if not alone.lost and (wait := self._slot(here, now)) != 0:
            return wait
        if alone.keeps_share():
            alone.spend()
        return 0

    def _slot(self, here: _LoopState, now: float) -> float | None:
        if now < here.granted_until:
            here.granted_until = -math.inf
            return 0
        lease = here.lease
        if lease.count and now < lease.due:
            return lease.due - now
        lapsed = now > min(
            lease.granted_at + _FRESH, max(lease.due, lease.granted_at) + self._spec.lapse
        )
        if not lease.count or lapsed or lease.holds != self._alone.holds:
            return None
        self._use(lease)
        return 0

    def _use(self, lease: SlotLease) -> None:
        lease.count -= 1
        lease.first += self._spec.interval
        lease.due += self._spec.interval

    async def _request_slots(self, here: _LoopState) -> None:
        # A task of its own: if this call is cancelled, the next one uses the response.
        if here.asking is None:
            here.asking = asyncio.ensure_future(self._apply_grant(here))
        await asyncio.wait({here.asking})

    async def _apply_grant(self, here: _LoopState) -> None:
        try:
            await self._lease(here)
        finally:
            here.asking = None

    async def _lease(self, here: _LoopState) -> None:
        alone, old = self._alone, here.lease
        now = alone.now()
        want = self._slots_wanted(here, now)
        request = SlotRequest(
            count_wanted=want,
            # After an outage it is not known how much of the burst is left.
            slack=0 if alone.keeps_share() else self._slack_of(here),
            hold=max(0.0, alone.held_until - now),
            generation=old.generation,
            first=old.first,
            count=old.count,
        )
        grant = await self._send(here, request)
        if grant is None:
            return
        now = alone.now()
        if grant.kept:
            old.granted_at, old.holds = now, alone.holds
            if grant.kept == want:
                return
            # The last slot is due: it is used now, and the others were just granted.
            here.granted_until = now + self._spec.lapse
        size = want - grant.kept
        due = now + grant.first - grant.now
        here.lease = SlotLease(
            generation=grant.generation,
            first=grant.first,
            due=due,
            count=size,
            granted_at=now,
            holds=alone.holds,
            size=size,
            end=max(now, due + size * self._spec.interval),
        )
        self._line = due + size * self._spec.interval

    def _slack_of(self, here: _LoopState) -> float:
        return min(self._spec.slack, _CATCH_UP) if here.paced else self._spec.slack

    def _slots_wanted(self, here: _LoopState, now: float) -> int:
        lease = here.lease
        waiting = here.semaphore.waiting + 1
        if self._alone.keeps_share():
            return max(1, lease.count)
        if lease.count > 1:
            # They are to be confirmed first.
            return lease.count
        if lease.count and here.semaphore.waiting:
            # One is to be confirmed; the others are for the calls that wait.
            return 1 + min(self._most, here.semaphore.waiting)
        # A single task that calls again and again needs as many slots as many that wait.
        busy = lease.size * 2 if now <= lease.end else 1
        return min(self._most, max(waiting, busy))

    async def _send(self, here: _LoopState, request: SlotRequest) -> SlotGrant | None:
        """Send a request, wait for the response until the timeout, and note whether it came."""
        sent = asyncio.ensure_future(here.store.request_slots(request))
        sent.add_done_callback(_inspect_task)
        try:
            await _shielded(sent)
        finally:
            sent.cancel()
        alone = self._alone
        alone.now()
        error: object = f"no response within {_PATIENCE * 1000:.0f} ms"
        if sent.done() and not sent.cancelled():
            failure = sent.exception()
            if failure is None:
                grant = sent.result()
                alone.hold(alone.now() + grant.held - grant.now)
                self._record_success(grant.generation)
                return grant
            error = f"{type(failure).__name__}: {failure}"
        if self._record_failure(error) and here.next_heartbeat is not None:
            # The share is booked before it is used, as Redis may respond to others in time.
            here.next_heartbeat.cancel()
            self._beat(here)
        return None

    def _record_success(self, generation: str) -> None:
        alone = self._alone
        if alone.find():
            self._outages.end()
        elif self._generation not in ("", generation):
            # It has lost the slots that it granted before, and this process may have slots of them.
            alone.begin_after(self._fallback_start)
            alone.keep_share()
        self._generation = generation

    def _record_failure(self, error: object) -> bool:
        """Fall back to the share of this process; return whether that is new."""
        alone = self._alone
        now = alone.now()
        is_new = alone.lose()
        if is_new:
            alone.begin_after(self._fallback_start)
            self._outages.begin(now)
        self._outages.failed(now, error, self._effect_of_outage)
        return is_new

    @property
    def _effect_of_outage(self) -> str:
        interval = self._alone.interval
        if interval is None:
            return "no call leaves until it responds: the number of processes is not known yet"
        share = self._spec.interval / interval
        return f"falling back to {share:.0%} of the rate, the share of this process"

    @property
    def _fallback_start(self) -> float:
        """Return when the own share may begin, as far as is known of slots that were granted."""
        alone = self._alone
        share = self._spec.interval if alone.interval is None else alone.interval
        if self._line is None:
            # All may begin at once.
            return alone.now() - self._spec.slack + share
        # Each of the others may have been granted some after the last that was granted here.
        return self._line + share * self._most


def _inspect_task(sent: "asyncio.Future[SlotGrant]") -> None:
    # An error of a request that was cancelled is of no use.
    if not sent.cancelled():
        sent.exception()


async def _shielded(sent: "asyncio.Future[SlotGrant]") -> None:
    loop = _running()
    for _ in range(_GRACES):
        began = loop.time()
        done, _pending = await asyncio.wait({sent}, timeout=_PATIENCE)
        if done or loop.time() - began < _PATIENCE * 1.5:
            return


def _running() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        message = "a limit that processes share works on asyncio only; on trio use TokenBucket"
        raise RuntimeError(message) from None
