"""Each protection of the code, with a switch that only tests have: off, its harm must be found.

A switch replaces one function by one that does not protect. It names the invariants that its harm
violates, so that another violation of the same seed is not taken for it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any
from unittest import mock

from attrs import frozen

from clickpost_async.bulk import Pending, Placed
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    FailureKind,
    InvalidRequestError,
)

if TYPE_CHECKING:
    from tests.simulation.disk import Disk

_PACKAGE = "clickpost_async"
_SINGLE_FLIGHT = "_concurrency.single_flight:SingleFlight"
_CALL = "_core.call:Call"
_KEEPER = "bulk.recovery:JournaledCreator"
_LEDGER = "fleet.ledger:OpenLedger"

Switch = Callable[[ExitStack, "Disk"], None]


@frozen(kw_only=True)
class Protection:
    """What keeps an invariant, and how it is switched off; `scenario`: where harm is looked for."""

    name: str
    invariants: frozenset[str]
    off: Switch
    scenario: str | None = None


def _replaced(target: str, name: str, by: object) -> Switch:
    """Replace what is found there; it is looked for when the switch is used, not before."""

    def off(stack: ExitStack, disk: "Disk") -> None:
        stack.enter_context(mock.patch.object(resolve_name(f"{_PACKAGE}.{target}"), name, by))

    return off


def _first_of(*names: tuple[str, str], by: object) -> Switch:
    """Replace the first of them that there is, whichever way the code is arranged."""

    def off(stack: ExitStack, disk: "Disk") -> None:
        for target, name in names:
            try:
                found = resolve_name(f"{_PACKAGE}.{target}")
            except (ImportError, AttributeError):
                continue
            if hasattr(found, name):
                stack.enter_context(mock.patch.object(found, name, by))
                return
        message = f"none of {names} exists any more"
        raise AttributeError(message)

    return off


def _all(*switches: Switch) -> Switch:
    def off(stack: ExitStack, disk: "Disk") -> None:
        for switch in switches:
            switch(stack, disk)

    return off


# --- the switches ---------------------------------------------------------------------------------


def _begins_at_once(self: Any, key: Any, create: Any) -> None:
    return None


def _only_remembers(self: Any, key: Any, create: Any, doubt: Any) -> None:
    self._doubts.pop(key, None)
    if doubt is not None:
        self._remember(key, doubt)


async def _finds_nothing(self: Any, error: object) -> None:
    return None


async def _announces_nothing(self: Any, market: str, reference: str, attempt: int) -> None:
    return None


def _doubts_are_forgotten(stack: ExitStack, disk: "Disk") -> None:
    keeper = resolve_name(f"{_PACKAGE}.{_KEEPER}")
    admit = keeper.admit

    async def admits_as_new(self: Any, turn: Any, *order: Any) -> Any:
        known = await admit(self, turn, *order)
        turn.in_doubt = False
        turn.last_outcome = None
        for name in ("look_up_only",):
            if hasattr(turn, name):
                setattr(turn, name, False)
        return known

    stack.enter_context(mock.patch.object(keeper, "admit", admits_as_new))


def _digests_are_equal(stack: ExitStack, disk: "Disk") -> None:
    kept = resolve_name(f"{_PACKAGE}.bulk.recovery:PreparedPayload")
    init = kept.__init__

    def init_without_digest(self: Any, *given: object) -> None:
        init(self, *given)
        self.digest = bytes(32)

    stack.enter_context(mock.patch.object(kept, "__init__", init_without_digest))


def _placed_or_pending(order: Any, facts: dict[str, Any], *, sent_before: bool) -> Any:
    facts["attempts"] = order.response.attempts
    if order.pending:
        return Pending(order=order, **facts)
    return Placed(order=order, recovered=sent_before, **facts)


async def _leaves_at_once(self: Any, priority: Any = None) -> None:
    return None


def _asynchronous(stack: ExitStack, disk: "Disk") -> None:
    disk.asynchronous = True


def _believed(concerns: Callable[[ClickPostError], bool]) -> Switch:
    """Take a gateway's page for ClickPost's refusal of the order."""

    def off(stack: ExitStack, disk: "Disk") -> None:
        decode = resolve_name(f"{_PACKAGE}._codec.response")
        by_http_status = decode._raise_by_http_status

        def refuses(*arguments: Any) -> Any:
            try:
                by_http_status(*arguments)
            except ClickPostError as error:
                if concerns(error):
                    raise InvalidRequestError(error.message) from None
                raise

        stack.enter_context(mock.patch.object(decode, "_raise_by_http_status", refuses))

    return off


async def _claims_everything(self: Any, key: Any, digest: str, **_: Any) -> Any:
    return resolve_name(f"{_PACKAGE}.fleet.ledger:Granted")(None)


def _nothing_was_registered(stack: ExitStack, disk: "Disk") -> None:
    ledger = resolve_name(f"{_PACKAGE}.{_LEDGER}")
    claim = ledger.claim

    async def claims_as_new(self: Any, key: Any, digest: str, **_: Any) -> Any:
        return await claim(self, key, digest, registered=False)

    stack.enter_context(mock.patch.object(ledger, "claim", claims_as_new))


def _generations_are_equal(stack: ExitStack, disk: "Disk") -> None:
    ledger = resolve_name(f"{_PACKAGE}.fleet.ledger")
    script = ledger._SCRIPT.replace("known.generation ~= GENERATION", "false")
    assert script != ledger._SCRIPT
    stack.enter_context(mock.patch.object(ledger, "_SCRIPT", script))


async def _checks_nothing(redis: Any) -> None:
    return None


def _is_alone(self: Any, count: int, *, is_prompt: bool) -> None:
    self._fallback.interval = self._spec.interval


async def _marks_nothing(self: Any, key: Any) -> None:
    return None


class _Impatient:
    """The asyncio of a worker that waits for other workers, and for no settle delay."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(seconds: float) -> None:
        busy = resolve_name(f"{_PACKAGE}.fleet.worker:_BUSY")
        await asyncio.sleep(seconds if seconds == busy else 0)


def _invariants(*names: str) -> frozenset[str]:
    return frozenset(names)


PROTECTIONS: dict[str, Protection] = {
    one.name: one
    for one in (
        Protection(
            name="single flight",
            invariants=_invariants("settle", "double", "hold"),
            off=_all(
                _replaced(_SINGLE_FLIGHT, "begin", _begins_at_once),
                _replaced(_SINGLE_FLIGHT, "finish", _only_remembers),
            ),
        ),
        Protection(
            name="doubt of the process",
            invariants=_invariants("settle", "double", "hold"),
            off=_replaced(_SINGLE_FLIGHT, "doubt_about", lambda self, key: None),
        ),
        Protection(
            name="look-up before a resend",
            invariants=_invariants("looked-up"),
            off=_replaced(_CALL, "_look_up", _finds_nothing),
        ),
        Protection(
            name="settle delay",
            invariants=_invariants("settle", "double"),
            off=_replaced("_core.retry:Backoff", "_settle_pause", lambda self, state: 0.0),
        ),
        Protection(
            name="Resend.NEVER",
            invariants=_invariants("hold"),
            off=_replaced(_CALL, "is_resend_forbidden", False),
        ),
        Protection(
            name="intent in the journal before the first byte",
            invariants=_invariants("intent"),
            off=_replaced(_KEEPER, "_announce", _announces_nothing),
        ),
        Protection(
            name="doubt on resume",
            invariants=_invariants("settle", "double", "hold"),
            off=_doubts_are_forgotten,
        ),
        Protection(
            name="settle delay on resume",
            invariants=_invariants("settle", "double"),
            off=_first_of(
                ("bulk.journal:Journal", "left_to_settle"),
                ("bulk.timestamp:Timestamp", "left_of"),
                by=lambda self, *_: 0.0,
            ),
        ),
        Protection(
            name="digest of the contents",
            invariants=_invariants("contradiction"),
            off=_digests_are_equal,
        ),
        Protection(
            name="own reference in a response",
            invariants=_invariants("own"),
            off=_all(
                _first_of(
                    ("bulk.run", "_answered"),
                    ("bulk.run", "_created_outcome"),
                    by=_placed_or_pending,
                ),
                _replaced("_core.outcome", "names_another_order", lambda *_: False),
            ),
        ),
        Protection(
            name="a waybill in a response",
            invariants=_invariants("own"),
            off=_replaced("structures:CreatedOrder", "incomplete", False),
        ),
        Protection(
            name="a gateway's 403 decides nothing",
            invariants=_invariants("rejected"),
            off=_believed(lambda error: isinstance(error, CredentialsError)),
        ),
        Protection(
            name="a gateway's page decides nothing",
            invariants=_invariants("rejected"),
            off=_believed(lambda error: error.kind is FailureKind.NOT_CLICKPOST),
        ),
        Protection(
            name="rate limiter",
            invariants=_invariants("rate"),
            off=_replaced("limits.token_bucket:TokenBucket", "acquire", _leaves_at_once),
        ),
        Protection(
            name="nothing leaves a closed client",
            invariants=_invariants("closed"),
            off=_replaced(
                "_core.runtime:ClientRuntime", "refuse_if_closed", lambda self, label: None
            ),
        ),
        Protection(
            name="a journal that is synced", invariants=_invariants("intent"), off=_asynchronous
        ),
        Protection(
            name="the ledger's claim",
            invariants=_invariants("settle", "double"),
            off=_all(
                _replaced(_LEDGER, "claim", _claims_everything),
                _replaced(_LEDGER, "sending", _marks_nothing),
            ),
            scenario="fleet",
        ),
        Protection(
            name="the ledger's mark of what was sent",
            invariants=_invariants("settle", "double"),
            off=_replaced(_LEDGER, "sending", _marks_nothing),
            scenario="fleet",
        ),
        Protection(
            name="settle delay of a worker",
            invariants=_invariants("settle", "double"),
            off=_replaced("fleet.worker", "asyncio", _Impatient()),
            scenario="fleet",
        ),
        Protection(
            name="doubt of what bulk.resolve settles",
            invariants=_invariants("settle", "double", "hold"),
            off=_doubts_are_forgotten,
            scenario="resolved runs",
        ),
        Protection(
            name="a file's orders under one number are refused",
            invariants=_invariants("file"),
            off=_replaced("files.references:ReferenceIndex", "find", lambda self, *row: None),
            scenario="order files",
        ),
        Protection(
            name="a Redis that evicts is refused",
            invariants=_invariants("settle", "double"),
            off=_replaced("fleet.server_check", "_check_eviction", _checks_nothing),
            scenario="evicting redis",
        ),
        Protection(
            name="a record that is gone is in doubt",
            invariants=_invariants("settle", "double", "hold"),
            off=_nothing_was_registered,
            scenario="evicting redis",
        ),
        Protection(
            name="a record from before a failover is in doubt",
            invariants=_invariants("settle", "double", "hold"),
            off=_generations_are_equal,
            scenario="failing redis",
        ),
        Protection(
            name="share of the processes that were alive last",
            invariants=_invariants("rate"),
            off=_replaced("limits._distributed:DistributedLimiter", "_learn", _is_alone),
            scenario="shared rate",
        ),
        Protection(
            name="share that is booked at Redis",
            invariants=_invariants("rate"),
            off=_replaced(
                "limits._fallback_share:FallbackShare", "book_ahead", lambda self, seconds: 0
            ),
            scenario="shared rate",
        ),
    )
}


@contextmanager
def switched_off(name: str, disk: "Disk") -> Iterator[None]:
    """Switch a protection off."""
    with ExitStack() as stack:
        PROTECTIONS[name].off(stack, disk)
        yield
