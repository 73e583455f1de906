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
from clickpost_async._util.arguments import check_number
from clickpost_async.limits._fallback_share import FallbackShare
from clickpost_async.limits._outage_log import OutageLog
from clickpost_async.limits._process_count import HEARTBEAT, ProcessCount
from clickpost_async.settings import Priority, Rate

_log = logging.getLogger("clickpost_async")

# How many seconds a response is waited for.
_TIMEOUT = 0.05
# How often the wait is repeated, since an event loop that was blocked has not waited that long.
_GRACES = 3
# At most so many seconds' worth of slots are requested at once: unused ones are lost.
_LEASE = 0.02
_MAX_LEASE = 100
# How old a response may be, in seconds, as it contains the pauses of other processes.
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
    """The rate: how far slots are apart, the burst after an idle time, how late a slot can be used.

    All are in seconds.
    """

    interval: float
    slack: float
    lapse: float


@frozen(kw_only=True)
class SlotRequest:
    """Requests a number of slots, or a pause of `hold` seconds; returns unused slots."""

    count_wanted: int = 0
    slack: float = 0.0
    hold: float = 0.0
    generation: str = ""
    first: float = 0.0
    count: int = 0


@frozen(kw_only=True)
class SlotGrant:
    """How many of the unused slots can be kept, and when the first of the others is.

    Times are by the clock of the store.
    """

    generation: str
    now: float
    kept: int
    first: float
    held: float


class RateStore(Protocol):
    """Stores the rate that all processes share, and grants slots of it."""

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
    """Slots of this event loop: the next is `due` by its clock, `first` by the store's."""

    generation: str = ""
    first: float = 0.0
    due: float = -math.inf
    count: int = 0
    granted_at: float = -math.inf
    pauses: int = 0
    # How many it was, and when the last of them was due.
    size: int = 1
    end: float = -math.inf


@define
class _LoopState:
    """The state of one event loop."""

    store: RateStore
    semaphore: PrioritySemaphore = field(factory=lambda: PrioritySemaphore(1))
    lease: SlotLease = field(factory=SlotLease)
    # A slot that was just confirmed can be used until then.
    granted_until: float = -math.inf
    # The waiting calls have waited for slots, not only for responses.
    paced: bool = False
    request: "asyncio.Task[None] | None" = None
    next_heartbeat: asyncio.TimerHandle | None = None
    heartbeat: "asyncio.Task[None] | None" = None


class DistributedLimiter(ABC):
    """Sends calls in slots of a `RateStore`, or at a share of the rate while it is unreachable.

    The share follows from the number of processes that the store has counted, and from
    `process_count` if that is more. A process that does not know the number waits for the store.
    """

    def __init__(self, rate: Rate, process_count: int | None, name: str) -> None:
        interval = 1 / rate.per_second
        burst = max(1.0, rate.per_second) if rate.burst is None else rate.burst
        lapse = min(max(interval, _LAPSE[0]), _LAPSE[1])
        self._spec = RateSpec(interval=interval, slack=(burst - 1) * interval, lapse=lapse)
        self._most = min(max(1, math.floor(_LEASE / interval)), _MAX_LEASE)
        self._name = name
        self._processes = ProcessCount(process_count or 0)
        # Together with the process id, since a forked child counts separately.
        self._process = uuid.uuid4().hex
        share = interval * process_count if process_count else None
        self._fallback = FallbackShare(share, lambda: _running().time())
        # When the next slot of all processes was due, by the last response.
        self._next_due: float | None = None
        self._generation = ""
        self._outages = OutageLog(name)
        self._loop_states = PerLoop(
            lambda: _LoopState(self._open()), lambda state: state.store.abandon()
        )

    @abstractmethod
    def _open(self) -> RateStore:
        """Return a store for this event loop, with separate connections."""

    async def acquire(self, priority: Priority = Priority.NORMAL) -> None:
        """Wait until one call may be sent."""
        _running()
        state = self._loop_states.get_or_create()
        if state.next_heartbeat is None:
            self._beat(state)
        if not state.semaphore.in_use:
            state.paced = False
            if self._wait(state) == 0:
                return
        async with state.semaphore.slot(priority) as slot:
            while (wait := self._wait(state)) != 0:
                if wait is None:
                    await self._request_slots(state)
                else:
                    state.paced = True
                    await asyncio.sleep(max(wait, _LEAST_SLEEP))
                    await slot.yield_to_higher()

    async def pause(self, seconds: float) -> None:
        """Pause the calls of all processes, then resume without a burst; the later end counts."""
        check_number("seconds", seconds, unit="seconds")
        _running()
        self._fallback.pause(self._fallback.now() + seconds)
        # While the store is lost, the next request carries it.
        if not self._fallback.lost:
            state = self._loop_states.get_or_create()
            await self._send(state, SlotRequest(hold=seconds))

    @property
    def held(self) -> float:
        """Return how many seconds of a pause are left, whichever process got the 429."""
        fallback = self._fallback
        return max(0.0, fallback.paused_until - fallback.now())

    async def aclose(self) -> None:
        """Close the connections of this event loop, and of event loops that are closed."""
        self._loop_states.sweep()
        if state := self._loop_states.get():
            if state.next_heartbeat:
                state.next_heartbeat.cancel()
                state.next_heartbeat = None
            if state.heartbeat:
                state.heartbeat.cancel()
                await asyncio.wait({state.heartbeat})
            if state.request:
                await asyncio.wait({state.request})
            await state.store.aclose()

    # --- how many processes there are -------------------------------------------------------------

    def _beat(self, state: _LoopState) -> None:
        """Send a heartbeat now and every few seconds, until the loop or this is closed."""
        loop = _running()
        interval = _LOST_HEARTBEAT if self._fallback.lost else HEARTBEAT
        state.next_heartbeat = loop.call_later(interval, self._beat, state)
        if state.heartbeat is None:
            state.heartbeat = asyncio.ensure_future(self._send_heartbeat(state))

    async def _send_heartbeat(self, state: _LoopState) -> None:
        process = f"{self._process}:{os.getpid()}"
        began = _running().time()
        try:
            async with asyncio.timeout(_HEARTBEAT_TIMEOUT):
                calls = self._fallback.book_ahead(_LOST_HEARTBEAT)
                count = await state.store.send_heartbeat(process, calls)
        except Exception as error:  # noqa: BLE001 - whether Redis responds is seen where slots are asked for
            _log.debug("%s: a heartbeat failed: %s", self._name, type(error).__name__)
        else:
            self._learn(count, is_prompt=_running().time() - began <= _PROMPT)
        finally:
            state.heartbeat = None

    def _learn(self, count: int, *, is_prompt: bool) -> None:
        """Set the share of this process, if the number of processes is known."""
        fallback = self._fallback
        number = self._processes.add(count, fallback.now(), is_prompt=is_prompt)
        if number is None:
            return
        was_unknown = fallback.interval is None
        fallback.interval = self._spec.interval * number
        if was_unknown:
            fallback.begin_after(self._fallback_start)

    # --- slots ------------------------------------------------------------------------------------

    def _wait(self, state: _LoopState) -> float | None:
        """Return the seconds to wait; `None`: slots must be requested first."""
        fallback = self._fallback
        now = fallback.now()
        if fallback.lost and now >= fallback.retry_at:
            return None
        if mine := fallback.delay():
            return min(mine, fallback.retry_at - now) if fallback.lost else mine
        if not fallback.lost and (wait := self._slot(state, now)) != 0:
            return wait
        if fallback.keeps_share():
            fallback.spend()
        return 0

    def _slot(self, state: _LoopState, now: float) -> float | None:
        if now < state.granted_until:
            state.granted_until = -math.inf
            return 0
        lease = state.lease
        if lease.count and now < lease.due:
            return lease.due - now
        lapsed = now > min(
            lease.granted_at + _FRESH, max(lease.due, lease.granted_at) + self._spec.lapse
        )
        if not lease.count or lapsed or lease.pauses != self._fallback.pauses:
            return None
        self._use(lease)
        return 0

    def _use(self, lease: SlotLease) -> None:
        lease.count -= 1
        lease.first += self._spec.interval
        lease.due += self._spec.interval

    async def _request_slots(self, state: _LoopState) -> None:
        # In a separate task: if this call is cancelled, the next one uses the response.
        if state.request is None:
            state.request = asyncio.ensure_future(self._apply_grant(state))
        await asyncio.wait({state.request})

    async def _apply_grant(self, state: _LoopState) -> None:
        try:
            await self._lease(state)
        finally:
            state.request = None

    async def _lease(self, state: _LoopState) -> None:
        fallback, old = self._fallback, state.lease
        now = fallback.now()
        want = self._slots_wanted(state, now)
        request = SlotRequest(
            count_wanted=want,
            # After an outage it is not known how much of the burst is left.
            slack=0 if fallback.keeps_share() else self._slack_of(state),
            hold=max(0.0, fallback.paused_until - now),
            generation=old.generation,
            first=old.first,
            count=old.count,
        )
        grant = await self._send(state, request)
        if grant is None:
            return
        now = fallback.now()
        if grant.kept:
            old.granted_at, old.pauses = now, fallback.pauses
            if grant.kept == want:
                return
            # The last slot is due: it is used now, and the others were just granted.
            state.granted_until = now + self._spec.lapse
        size = want - grant.kept
        due = now + grant.first - grant.now
        state.lease = SlotLease(
            generation=grant.generation,
            first=grant.first,
            due=due,
            count=size,
            granted_at=now,
            pauses=fallback.pauses,
            size=size,
            end=max(now, due + size * self._spec.interval),
        )
        self._next_due = due + size * self._spec.interval

    def _slack_of(self, state: _LoopState) -> float:
        return min(self._spec.slack, _CATCH_UP) if state.paced else self._spec.slack

    def _slots_wanted(self, state: _LoopState, now: float) -> int:
        lease = state.lease
        waiting = state.semaphore.waiting + 1
        if self._fallback.keeps_share():
            return max(1, lease.count)
        if lease.count > 1:
            # They are to be confirmed first.
            return lease.count
        if lease.count and state.semaphore.waiting:
            # One is to be confirmed; the others are for the calls that wait.
            return 1 + min(self._most, state.semaphore.waiting)
        # A single task that calls again and again needs as many slots as many that wait.
        busy = lease.size * 2 if now <= lease.end else 1
        return min(self._most, max(waiting, busy))

    async def _send(self, state: _LoopState, request: SlotRequest) -> SlotGrant | None:
        """Send a request, wait for the response, and record whether it arrived in time."""
        sent = asyncio.ensure_future(state.store.request_slots(request))
        sent.add_done_callback(_inspect_task)
        try:
            await _shielded(sent)
        finally:
            sent.cancel()
        fallback = self._fallback
        fallback.now()
        error: object = f"no response within {_TIMEOUT * 1000:.0f} ms"
        if sent.done() and not sent.cancelled():
            failure = sent.exception()
            if failure is None:
                grant = sent.result()
                fallback.pause(fallback.now() + grant.held - grant.now)
                self._record_success(grant.generation)
                return grant
            error = f"{type(failure).__name__}: {failure}"
        if self._record_failure(error) and state.next_heartbeat is not None:
            # The share is booked before it is used, as Redis may respond to others in time.
            state.next_heartbeat.cancel()
            self._beat(state)
        return None

    def _record_success(self, generation: str) -> None:
        fallback = self._fallback
        if fallback.mark_found():
            self._outages.end()
        elif self._generation not in ("", generation):
            # It has lost the slots that it granted before, and this process may have slots of them.
            fallback.begin_after(self._fallback_start)
            fallback.keep_share()
        self._generation = generation

    def _record_failure(self, error: object) -> bool:
        """Fall back to the share of this process; return whether that is new."""
        fallback = self._fallback
        now = fallback.now()
        is_new = fallback.mark_lost()
        if is_new:
            fallback.begin_after(self._fallback_start)
            self._outages.begin(now)
        self._outages.failed(now, error, self._effect_of_outage)
        return is_new

    @property
    def _effect_of_outage(self) -> str:
        interval = self._fallback.interval
        if interval is None:
            return "no call is sent until it responds: the number of processes is not known yet"
        share = self._spec.interval / interval
        return f"falling back to {share:.0%} of the rate, the share of this process"

    @property
    def _fallback_start(self) -> float:
        """Return when this process's share may begin, given the slots that were granted."""
        fallback = self._fallback
        share = self._spec.interval if fallback.interval is None else fallback.interval
        if self._next_due is None:
            # All may begin at once.
            return fallback.now() - self._spec.slack + share
        # Each of the others may have been granted some after the last that was granted here.
        return self._next_due + share * self._most


def _inspect_task(sent: "asyncio.Future[SlotGrant]") -> None:
    # An error of a request that was cancelled is of no use.
    if not sent.cancelled():
        sent.exception()


async def _shielded(sent: "asyncio.Future[SlotGrant]") -> None:
    loop = _running()
    for _ in range(_GRACES):
        began = loop.time()
        done, _pending = await asyncio.wait({sent}, timeout=_TIMEOUT)
        if done or loop.time() - began < _TIMEOUT * 1.5:
            return


def _running() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        message = "a limit that processes share works on asyncio only; on trio use TokenBucket"
        raise RuntimeError(message) from None
