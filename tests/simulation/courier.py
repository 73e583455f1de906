"""ClickPost and its couriers: their responses, bookings, and when an order is recorded."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from tests.simulation.history import History, Key, Label

if TYPE_CHECKING:
    from tests.simulation.world import World

# A courier's refusals, and ClickPost's own.
_REFUSALS = (319, 302, 307, 310)

Respond = Callable[[int, bytes], None]
"""Takes an HTTP status and a body."""


@frozen(kw_only=True)
class Habits:
    """How ClickPost and its couriers behave in one play.

    `racy`: a create is looked for in the register when it comes, and registered when the courier
    has booked it; else the reference number is taken at once, atomically. A look-up sees an order
    `lag` seconds after it was booked at the latest.
    """

    racy: bool
    seconds: tuple[float, float]
    lag: float
    asynchronous: float
    pending_code: int
    refused: float
    busy: float

    @classmethod
    def draw(cls, world: "World", settle_delay: float) -> "Habits":
        """Draw them: most couriers are quick or slow, a few slower than the settle delay."""
        dice = world.random
        speeds = [
            (0.01, 0.3),
            (0.1, 0.9 * settle_delay),
            (0.3 * settle_delay, 0.95 * settle_delay),
            (0.5 * settle_delay, 3 * settle_delay),
        ]
        return cls(
            racy=world.chance(0.7),
            seconds=dice.choices(speeds, [3, 3, 3, 1])[0],
            lag=dice.choice([0.0, 0.0, 1.0, 0.5 * settle_delay]),
            asynchronous=dice.choice([0.0, 0.0, 0.3, 1.0]),
            pending_code=dice.choice([202, 102]),
            refused=dice.choice([0.0, 0.0, 0.1, 0.3]),
            busy=dice.choice([0.0, 0.0, 0.0, 0.2]),
        )


@define
class _Entry:
    """An order in ClickPost's register."""

    waybill: str | None
    known_at: float
    visible_at: float


@define
class Courier:
    """ClickPost with a courier behind it."""

    world: "World"
    habits: Habits
    history: History
    _register: dict[Key, _Entry] = field(factory=dict)
    _refused: dict[tuple[Key, str], int | None] = field(factory=dict)
    # Atomic: who is being booked, and who waits for that.
    _booking: dict[Key, list[Callable[[], None]]] = field(factory=dict)

    def refusal_of(self, key: Key, contents: str) -> int | None:
        """Return the code with which such an order is always refused, if it is."""
        what = (key, contents)
        if what not in self._refused:
            refused = self.world.chance(self.habits.refused)
            self._refused[what] = self.world.random.choice(_REFUSALS) if refused else None
        return self._refused[what]

    # --- calls ------------------------------------------------------------------------------------

    def create(self, key: Key, contents: str, sending: int, respond: Respond) -> None:
        """Take an order."""
        entry = self._register.get(key)
        if entry is not None and entry.known_at <= self.world.now:
            self._respond_known(key, entry, 323, respond)
            return
        if not self.habits.racy and key in self._booking:
            self._booking[key].append(lambda: self.create(key, contents, sending, respond))
            return
        if (code := self.refusal_of(key, contents)) is not None:
            seconds = self._seconds() if code == _REFUSALS[0] else 0.01
            self._say(seconds, respond, code, {}, "refused")
            return
        if self.habits.busy and self.world.chance(self.habits.busy):
            # Half of them have booked the order all the same.
            if self.world.chance(0.5):
                self._say(self._seconds(), respond, 322, {}, "Courier partner server error")
                return
            respond = self._busy(respond)
        if not self.habits.racy:
            self._booking.setdefault(key, [])
        if self.habits.asynchronous and self.world.chance(self.habits.asynchronous):
            self._record(key, contents, sending, respond)
        else:
            self.world.at(self._seconds(), self._book, key, contents, sending, respond)

    def look_up(self, key: Key, respond: Respond) -> None:
        """Look for an order by its reference number."""
        entry = self._register.get(key)
        if entry is None or entry.visible_at > self.world.now:
            self._say(0.005, respond, 321, {}, "no such order")
        else:
            self._respond_known(key, entry, 200, respond)

    # --- what becomes of an order -----------------------------------------------------------------

    def _seconds(self) -> float:
        return self.world.delay(*self.habits.seconds)

    def _busy(self, respond: Respond) -> Respond:
        def busy(status: int, body: bytes) -> None:
            del status, body
            self._say(0.0, respond, 322, {}, "Courier partner server error")

        return busy

    def _record(self, key: Key, contents: str, sending: int, respond: Respond) -> None:
        lag = self.world.delay(0.0, 0.5)

        def recorded() -> None:
            now = self.world.now
            self._register.setdefault(key, _Entry(None, now, now + self.habits.lag))
            self._say(0.0, respond, self.habits.pending_code, {"waybill": None}, "queued", key=key)
            self._release(key)
            self.world.at(self._seconds(), self._book, key, contents, sending, None)

        self.world.at(lag, recorded)

    def _book(self, key: Key, contents: str, sending: int, respond: Respond | None) -> None:
        now = self.world.now
        waybill = f"W{len(self.history.labels) + 1}-{key[1]}"
        label = Label(key=key, contents=contents, waybill=waybill, bought=now, sending=sending)
        self.history.labels.append(label)
        self.world.note("courier", f"books {waybill} for {contents} (sending {sending})")
        lag = self.world.delay(0.0, 0.3) if self.habits.racy and respond is not None else 0.0
        entry = self._register.get(key)
        if entry is None:
            visible = now + lag + self.world.delay(0.0, self.habits.lag)
            self._register[key] = _Entry(waybill, now + lag, visible)
        elif entry.waybill is None:
            entry.waybill = waybill
        self._release(key)
        if respond is not None:
            self._say(lag, respond, 200, {"waybill": waybill}, "SUCCESS", key=key)

    def _release(self, key: Key) -> None:
        for goes_on in self._booking.pop(key, []):
            self.world.at(0.0, goes_on)

    # --- responses --------------------------------------------------------------------------------

    def _respond_known(self, key: Key, entry: _Entry, code: int, respond: Respond) -> None:
        if entry.waybill is None:
            code = self.habits.pending_code
        self._say(0.005, respond, code, {"waybill": entry.waybill}, "known", key=key)

    def _say(
        self,
        seconds: float,
        respond: Respond,
        code: int,
        result: dict[str, Any],
        message: str,
        *,
        key: Key | None = None,
    ) -> None:
        self.world.at(seconds, respond, 200, body(code, message, result, key))


def body(code: int, message: str, result: dict[str, Any], key: Key | None = None) -> bytes:
    """Write a response as ClickPost does."""
    # It is true for a queued order and false for a known one: it must not be relied on.
    meta = {"status": code, "message": message, "success": code in (200, 202)}
    if key is not None:
        result = {**result, "reference_number": key[1], "courier_partner_id": 4}
    return json.dumps({"meta": meta, "result": result or None, "order_id": 7}).encode()
