"""Each protection of the code, with a switch that only tests have: off, its harm must be found.

A switch replaces one function by one that does not protect. It says which laws its harm breaks, so
that another violation of the same seed is not taken for it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any
from unittest import mock

from attrs import frozen

from clickpost_async.bulk import Pending, Placed, Rejected
from clickpost_async.errors import CredentialsError

if TYPE_CHECKING:
    from tests.simulation.disk import Disk

_PACKAGE = "clickpost_async"
_FLIGHTS = "_transport.single_flight:SingleFlight"
_CALL = "_transport.call:Call"
_JOURNAL = "bulk.journal:Journal"
_KEEPER = "bulk.keeping:Keeper"
_LEDGER = "fleet.ledger:OpenLedger"

Switch = Callable[[ExitStack, "Disk"], None]


@frozen(kw_only=True)
class Protection:
    """What keeps a law, and how it is switched off."""

    name: str
    laws: frozenset[str]
    off: Switch


def _replaced(target: str, name: str, by: object) -> Switch:
    """Replace what is found there; it is looked for when the switch is used, not before."""

    def off(stack: ExitStack, disk: "Disk") -> None:
        stack.enter_context(mock.patch.object(resolve_name(f"{_PACKAGE}.{target}"), name, by))

    return off


def _all(*switches: Switch) -> Switch:
    def off(stack: ExitStack, disk: "Disk") -> None:
        for switch in switches:
            switch(stack, disk)

    return off


# --- the switches ---------------------------------------------------------------------------------


async def _finds_nothing(self: Any, error: object) -> None:
    return None


async def _announces_nothing(self: Any, market: str, reference: str, attempt: int) -> None:
    return None


def _doubts_are_forgotten(stack: ExitStack, disk: "Disk") -> None:
    keeper = resolve_name(f"{_PACKAGE}.{_KEEPER}")
    admit = keeper.admit

    async def admits_as_new(self: Any, turn: Any, order: Any) -> Any:
        known = await admit(self, turn, order)
        turn.in_doubt = turn.look_up_only = False
        turn.known = None
        return known

    stack.enter_context(mock.patch.object(keeper, "admit", admits_as_new))


def _digest_always_matches(stack: ExitStack, disk: "Disk") -> None:
    decide = resolve_name(f"{_PACKAGE}.bulk.decisions:decide")

    def takes_all_contents_for_the_same(state: Any, *, matches: bool, **known: bool) -> Any:
        return decide(state, matches=True, **known)

    for module in ("bulk.run", "bulk.store", "bulk.journal"):
        target = resolve_name(f"{_PACKAGE}.{module}")
        if hasattr(target, "decide"):
            off = mock.patch.object(target, "decide", takes_all_contents_for_the_same)
            stack.enter_context(off)


def _created(answer: Any, facts: dict[str, Any], *, sent_before: bool) -> Any:
    facts["attempts"] = answer.reply.attempts
    if answer.pending:
        return Pending(order=answer, **facts)
    return Placed(order=answer, found_again=sent_before, **facts)


async def _leaves_at_once(self: Any, priority: Any = None) -> None:
    return None


def _asynchronous(stack: ExitStack, disk: "Disk") -> None:
    disk.asynchronous = True


def _key_is_refused(stack: ExitStack, disk: "Disk") -> None:
    """Take a gateway's 403 for ClickPost's word on the order."""
    run = resolve_name(f"{_PACKAGE}.bulk.run:Run")
    failed = run._failed

    def rejects(self: Any, error: Any, given: Any, facts: Any) -> Any:
        if isinstance(error, CredentialsError) and error.status is None:
            return Rejected(reasons=(str(error),), error=error, **facts)
        return failed(self, error, given, facts)

    stack.enter_context(mock.patch.object(run, "_failed", rejects))


async def _claims_everything(self: Any, key: Any, digest: str, *, registered: bool) -> Any:
    return resolve_name(f"{_PACKAGE}.fleet.ledger:Yours")(None)


async def _marks_nothing(self: Any, key: Any) -> None:
    return None


def _laws(*names: str) -> frozenset[str]:
    return frozenset(names)


PROTECTIONS: dict[str, Protection] = {
    one.name: one
    for one in (
        Protection(
            name="single flight",
            laws=_laws("settle", "double", "hold"),
            off=_replaced(_FLIGHTS, "begin", lambda self, key, create: None),
        ),
        Protection(
            name="doubt of the process",
            laws=_laws("settle", "double", "hold", "looked-up"),
            off=_replaced(_FLIGHTS, "doubt_about", lambda self, key: None),
        ),
        Protection(
            name="look-up before a resend",
            laws=_laws("looked-up"),
            off=_replaced(_CALL, "_found_after", _finds_nothing),
        ),
        Protection(
            name="settle delay",
            laws=_laws("settle", "double"),
            off=_replaced("_transport.retry:Course", "_settling", lambda self: 0.0),
        ),
        Protection(
            name="Resend.NEVER",
            laws=_laws("hold"),
            off=_replaced(_CALL, "_holds_back", False),
        ),
        Protection(
            name="intent in the journal before the first byte",
            laws=_laws("intent"),
            off=_replaced(_KEEPER, "_announce", _announces_nothing),
        ),
        Protection(
            name="doubt on resume",
            laws=_laws("settle", "double", "hold"),
            off=_doubts_are_forgotten,
        ),
        Protection(
            name="settle delay on resume",
            laws=_laws("settle", "double"),
            off=_replaced("bulk.moment:Moment", "left_of", lambda self, *_: 0.0),
        ),
        Protection(
            name="digest of the contents",
            laws=_laws("contradiction"),
            off=_digest_always_matches,
        ),
        Protection(
            name="own reference in a response",
            laws=_laws("own"),
            off=_all(
                _replaced("bulk.run", "_created", _created),
                _replaced("_transport.call", "names_another_order", lambda *_: False),
            ),
        ),
        Protection(
            name="a waybill in a response",
            laws=_laws("own"),
            off=_replaced("structures:CreatedOrder", "incomplete", False),
        ),
        Protection(
            name="a gateway's 403 decides nothing", laws=_laws("rejected"), off=_key_is_refused
        ),
        Protection(
            name="rate limiter",
            laws=_laws("rate"),
            off=_replaced("limits.bucket:TokenBucket", "take", _leaves_at_once),
        ),
        Protection(
            name="nothing leaves a closed client",
            laws=_laws("closed"),
            off=_replaced(
                "_transport.exchange:Exchange", "refuse_if_closed", lambda self, label: None
            ),
        ),
        Protection(name="a journal that is synced", laws=_laws("intent"), off=_asynchronous),
        Protection(
            name="the ledger's claim",
            laws=_laws("settle", "double"),
            off=_all(
                _replaced(_LEDGER, "claim", _claims_everything),
                _replaced(_LEDGER, "sending", _marks_nothing),
            ),
        ),
        Protection(
            name="the ledger's mark of what was sent",
            laws=_laws("settle", "double"),
            off=_replaced(_LEDGER, "sending", _marks_nothing),
        ),
    )
}


@contextmanager
def switched_off(name: str, disk: "Disk") -> Iterator[None]:
    """Switch a protection off."""
    with ExitStack() as stack:
        PROTECTIONS[name].off(stack, disk)
        yield
