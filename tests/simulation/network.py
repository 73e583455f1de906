"""The network between a client and ClickPost: its faults, and how often they occur."""

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, field, frozen

from tests.simulation.courier import Courier, body
from tests.simulation.history import History, Key

if TYPE_CHECKING:
    from tests.simulation.world import World

FAULTS = (
    "refused",
    "connect_timeout",
    "lost_request",
    "lost_response",
    "cut",
    "stale",
    "foreign",
    "duplicated",
    "page",
    "throttled",
    "odd_waybill",
    "server_error",
    "slow",
)
_PAGES = (200, 303, 403, 404, 502, 503)
# Pages of a gateway that has passed nothing on.
_TURNED_AWAY = frozenset({403, 404})
_RETRY_AFTER = ("0", "-1", "soon", "1e9", "3", "", "Mon, 02 Mar 2026 00:00:30 GMT", None)
_ODD_WAYBILLS: tuple[Any, ...] = ("None", "null", "0", 1.5e20, " ", "W\x00")
# ClickPost's codes that leave no doubt about an order.
_DECISIVE = frozenset({200, 202, 102, 323, 319, 302, 307, 310})
_WAYBILL_EXPECTED = frozenset({200, 323})


@frozen(kw_only=True)
class Weather:
    """What goes wrong in one play, and how often; and when the host is dead."""

    faults: Mapping[str, float]
    dead: tuple[tuple[float, float], ...] = ()
    # A dead host refuses connections, or says nothing.
    silent: bool = False

    @classmethod
    def draw(cls, world: "World") -> "Weather":
        """Draw a few faults: with all of them at once, each would hide the others."""
        dice = world.random
        kinds = dice.sample(FAULTS, dice.choice([0, 1, 1, 2, 2, 3, 5]))
        return cls(faults={kind: dice.choice([0.1, 0.3, 0.6]) for kind in kinds})

    def is_dead(self, now: float) -> bool:
        """Return whether no server can be reached."""
        return any(begin <= now < end for begin, end in self.dead)


CALM = Weather(faults={})


@frozen(kw_only=True)
class Reply:
    """A response as it comes in; one that is cut breaks off in the middle of its body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = Factory(dict)
    cut: bool = False

    @property
    def has_reference(self) -> bool:
        """Tell whether it says whose it is."""
        return b'"reference_number"' in self.body

    def leaves_no_doubt(self, key: Key) -> bool:
        """Tell whether this is ClickPost's own word on that order."""
        code = _code(self.body)
        if self.cut or self.status != 200 or code not in _DECISIVE:
            return False
        if code in _WAYBILL_EXPECTED and b'"waybill": "W' not in self.body:
            return False
        own = f'"reference_number": "{key[1]}"'.encode() in self.body
        return own or b'"result": null' in self.body


@frozen(kw_only=True)
class Gateway:
    """What something before ClickPost says in its place, and whether it has passed the call on."""

    reply: Reply
    turns_away: bool
    passes_on: bool


@define
class Network:
    """All calls to ClickPost go through it."""

    world: "World"
    courier: Courier
    history: History
    weather: Weather = CALM
    # Earlier responses, for a cache that mixes responses up.
    _responses: list[tuple[Key, bytes]] = field(factory=list)
    _last: dict[str, bytes] = field(factory=dict)

    def draw_fault(self) -> str | None:
        """Draw what happens to a call; one thing at most."""
        for kind, share in self.weather.faults.items():
            if self.world.chance(share):
                return kind
        return None

    def at_the_gateway(self, fault: str | None) -> Gateway | None:
        """Draw what a gateway says, if it is one that speaks."""
        dice = self.world.random
        if fault == "throttled":
            after = dice.choice(_RETRY_AFTER)
            headers = {} if after is None else {"retry-after": after}
            reply = Reply(status=429, body=b"slow down", headers=headers)
            return Gateway(reply=reply, turns_away=True, passes_on=False)
        if fault != "page":
            return None
        status = dice.choice(_PAGES)
        reply = Reply(status=status, body=f"<html><title>{status}</title></html>".encode())
        turns_away = status in _TURNED_AWAY
        passes_on = not turns_away and self.world.chance(0.5)
        return Gateway(reply=reply, turns_away=turns_away, passes_on=passes_on)

    def spoiled(self, fault: str | None, process: str, key: Key, reply: Reply) -> Reply:
        """Return what comes back instead of a response."""
        dice = self.world.random
        last = self._last.get(process)
        others = [text for other, text in self._responses if other != key]
        # A response without a reference number identifies no order.
        if reply.has_reference:
            self._last[process] = reply.body
        if b'"waybill": "' in reply.body:
            self._responses.append((key, reply.body))
        text = reply.body
        match fault:
            case "cut":
                return Reply(body=text, cut=True)
            case "stale" if others:
                text = dice.choice(others)
            case "foreign":
                number = dice.randrange(100)
                waybill = {"waybill": f"WOLD{number}"}
                text = body(200, "SUCCESS", waybill, (key[0], f"OLD-{number}"))
            case "duplicated" if last is not None:
                text = last
            case "odd_waybill":
                text = body(200, "SUCCESS", {"waybill": dice.choice(_ODD_WAYBILLS)}, key)
            case "server_error":
                return Reply(status=dice.choice([200, 500]), body=body(500, "internal", {}))
        return Reply(status=reply.status, body=text)


def _code(text: bytes) -> int | None:
    with contextlib.suppress(ValueError, IndexError):
        return int(text.split(b'"status": ', 1)[1].split(b",", 1)[0])
    return None
