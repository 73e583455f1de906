"""The history that is judged: orders sent, labels bought, calls made, runs completed."""

from typing import Any

from attrs import define, field

Key = tuple[str, str]
"""The market (`india`, `world`) and the reference number."""


@define(kw_only=True)
class Sending:
    """A create that has left a process, or may have."""

    number: int
    process: str
    # Who remembers it: a process, a journal, or a fleet's ledger.
    scopes: tuple[str, ...]
    key: Key
    contents: str
    left: float
    settle_delay: float
    may_resend: bool
    # When ClickPost's own word about it was in the client's hands, if that left no doubt.
    responded_at: float | None = None
    # It did not come to ClickPost, and the client could know that.
    turned_away: bool = False


@define(kw_only=True)
class LookUp:
    """A question for an order that has left a process."""

    process: str
    key: Key
    left: float


@define(kw_only=True)
class Label:
    """A label in the courier's ledger."""

    key: Key
    contents: str
    waybill: str
    bought: float
    sending: int


@define(kw_only=True)
class Call:
    """One call of `orders.create` by an application, and what it came to."""

    process: str
    key: Key
    contents: str
    began: float
    attempts: int
    deadline: float | None
    ended: float | None = None
    # placed, pending, rejected, unknown, not sent, cancelled
    became: str = "under way"
    waybill: str | None = None
    already_placed: bool = False
    reason: str = ""
    kind: str = ""
    # Refused here, before anything was sent, because of what it says.
    local: bool = False
    client_closed: bool = False


@define(kw_only=True)
class Row:
    """One order of a run's input, and its outcome."""

    position: int
    key: Key
    contents: str
    became: str = ""
    waybill: str | None = None
    already_placed: bool = False
    recorded: bool = False
    # The row says itself that it is not what was placed.
    differs: bool = False
    reason: str = ""
    # Pending, because nothing of it was sent.
    unsent: bool = False
    # The file's reader has found a problem in it.
    unreadable: bool = False


@define(kw_only=True)
class Run:
    """A bulk run: its input, and its outcomes."""

    process: str
    scope: str
    journal: bool
    began: float
    rows: list[Row] = field(factory=list)
    reported_twice: list[int] = field(factory=list)
    ended: float | None = None
    complete: bool = False
    stopped: bool = False
    halted: bool = False
    failed: str = ""
    # Nothing disturbs it any more.
    calm: bool = False
    # It has no input, and settles what its journal has in doubt.
    resolves: bool = False
    # Its file was written while it was read, so that a row may have been torn.
    torn: bool = False
    # Orders that its file has with several contents.
    ambiguous: frozenset[Key] = frozenset()
    # The state of its journal when it began, and when it ended.
    before: dict[Key, str] = field(factory=dict)
    after: dict[Key, str] = field(factory=dict)


@define(kw_only=True)
class Violation:
    """An invariant that was violated."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


@define
class History:
    """All of it; `racy`: the register looks for a create when it comes, and not atomically."""

    racy: bool = True
    sendings: list[Sending] = field(factory=list)
    look_ups: list[LookUp] = field(factory=list)
    labels: list[Label] = field(factory=list)
    calls: list[Call] = field(factory=list)
    runs: list[Run] = field(factory=list)
    # When each attempt was given to its transport, by the limiter that let it go.
    departures: dict[str, list[float]] = field(factory=dict)
    rates: dict[str, tuple[float, float]] = field(factory=dict)
    # So many calls more than its rate allows may leave by a limiter.
    excess: dict[str, float] = field(factory=dict)
    # Found where they happened, not in the judge's reading.
    violations: list[Violation] = field(factory=list)

    def blame(self, invariant: str, what: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(invariant=invariant, what=what))

    def labels_of(self, key: Key, contents: str | None = None) -> list[Label]:
        """Return the labels that were bought for an order."""
        return [
            label
            for label in self.labels
            if label.key == key and contents in (None, label.contents)
        ]

    def facts(self) -> dict[str, Any]:
        """Count what has happened."""
        return {
            "sendings": len(self.sendings),
            "look_ups": len(self.look_ups),
            "labels": len(self.labels),
            "calls": len(self.calls),
            "rows": sum(len(run.rows) for run in self.runs),
        }
