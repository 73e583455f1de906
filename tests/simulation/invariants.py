"""The invariants: what the client promises, a sentence for each case, and whether it was kept.

The simulator judges by this page and by nothing else. A sentence is here because a page of the
documentation, or a docstring, says it.
"""

from collections.abc import Iterator

from tests.simulation.history import Call, History, Key, Row, Run, Sending, Violation

INVARIANTS = {
    "settle": (
        "A create that may have been processed is not sent again within the settle delay, by"
        " what remembers it: the process, the journal, the fleet's ledger."
    ),
    "hold": "With Resend.NEVER, a create that may have been processed is never sent again.",
    "double": (
        "A reference number has one label at most, unless the register is racy and the second"
        " sending came after the settle delay, or from a process that remembered nothing."
    ),
    "own": "The waybill of an order that is placed was bought under its own reference number.",
    "contradiction": (
        "Two rows of one run with one reference number and different contents do not both end as"
        " placed, unless one says that it differs from what was placed: its customer has no parcel."
    ),
    "rejected": (
        "An order is rejected only if ClickPost or its courier refused it, or if it contradicts"
        " another one under its reference number."
    ),
    "journal": "A reference number whose label was bought is not rejected in the journal.",
    "lost": (
        "A label that was bought before a run is in that run's outcomes, if its input has the"
        " order and nothing disturbs it."
    ),
    "placed": "An order that a journal has as placed stays placed, however its row has changed.",
    "unsent": "Of what is reported as not sent, no label was bought.",
    "looked-up": "An order is reported as unknown only after a look-up, where there was time.",
    "reported": (
        "A run that comes to its end reports one outcome for every row, and one that resolves a"
        " journal one for every order that was in doubt and of no other, and sends no other."
    ),
    "file": (
        "Of rows of one file that have one reference number and different contents, none is sent."
    ),
    "intent": "Before the first byte of an order leaves, its journal says so, durably.",
    "closed": "no call is sent after the client was closed.",
    "rate": (
        "In any stretch of w seconds at most burst + rate * w calls leave, and three more where"
        " processes share a rate and Redis responds late or forgets."
    ),
    "hang": "Every run ends within its bound.",
    "left-behind": "When a process has closed its clients, no task and no response is left.",
    "failed": "A run ends by an outcome for each order, not by an exception.",
}

# What lies between writing down that an order is about to leave, and its leaving.
_LATENCY = 0.1


def judge(history: History, refused: dict[tuple[Key, str], int | None]) -> list[Violation]:
    """Return every violation of an invariant; `refused` is what the courier refuses by itself."""
    found = list(history.violations)
    for invariant, what in (
        *_settle(history),
        *_double(history),
        *_outcomes_of_calls(history, refused),
        *_outcomes_of_runs(history, refused),
        *_rate(history),
    ):
        assert invariant in INVARIANTS
        found.append(Violation(invariant=invariant, what=what))
    return found


Found = Iterator[tuple[str, str]]


# --- sendings -------------------------------------------------------------------------------------


def _pairs(history: History) -> Iterator[tuple[Sending, Sending]]:
    """Go through every sending and each before it of which a process or a store remembers both."""
    for number, after in enumerate(history.sendings):
        for before in history.sendings[:number]:
            if before.key == after.key and set(before.scopes) & set(after.scopes):
                yield before, after


def _is_open(before: Sending, after: Sending) -> bool:
    """Tell whether it was in doubt when the other one left."""
    responded = before.responded_at is not None and before.responded_at <= after.left
    return not (before.turned_away or responded)


def _too_early(before: Sending, after: Sending) -> bool:
    delay = min(before.settle_delay, after.settle_delay)
    return after.left - before.left < delay - _LATENCY


def _settle(history: History) -> Found:
    for before, after in _pairs(history):
        if not _is_open(before, after):
            continue
        apart = after.left - before.left
        what = f"{after.contents} #{after.number} left {apart:.3f} s after #{before.number}"
        if not after.may_resend:
            yield "hold", what
        elif _too_early(before, after):
            yield "settle", f"{what}; the settle delay is {after.settle_delay:g} s"


def _double(history: History) -> Found:
    bought = {label.sending: label for label in history.labels}
    for before, after in _pairs(history):
        if before.number not in bought or after.number not in bought:
            continue
        if not history.racy or not after.may_resend or _too_early(before, after):
            one, other = bought[before.number].waybill, bought[after.number].waybill
            yield "double", f"{after.key[1]} has labels {one} and {other}"


# --- outcomes -------------------------------------------------------------------------------------


def _outcomes_of_calls(history: History, refused: dict[tuple[Key, str], int | None]) -> Found:
    for call in history.calls:
        who = f"create of {call.contents} in {call.process}"
        match call.became:
            case "placed" if not _is_own(history, call.key, call.waybill):
                yield "own", f"{who}: {call.waybill} is not its waybill"
            case "rejected" if not refused.get((call.key, call.contents)):
                if not _has_rival(history, call):
                    yield "rejected", f"{who}: {call.reason}"
            case "not sent" if not call.local and (waybill := _bought_by(history, call)):
                yield "unsent", f"{who}: {waybill} was bought; {call.reason}"
            case "unknown" if not _was_looked_up(history, call):
                yield "looked-up", f"{who}: {call.reason}"


def _is_own(history: History, key: Key, waybill: str | None) -> bool:
    return any(label.waybill == waybill for label in history.labels_of(key))


def _has_rival(history: History, call: Call) -> bool:
    return any(other.key == call.key and other.contents != call.contents for other in history.calls)


def _bought_by(history: History, call: Call) -> str | None:
    """Return the waybill that a call has bought, if no other one could have."""
    ended = call.ended or 0.0
    for other in history.calls:
        together = other.began <= ended and call.began <= (other.ended or ended)
        if other is not call and other.key == call.key and together:
            return None
    bought = {label.sending: label.waybill for label in history.labels}
    for sending in history.sendings:
        own = sending.key == call.key and sending.process == call.process
        if own and call.began <= sending.left <= ended and sending.number in bought:
            return bought[sending.number]
    return None


# Kinds of failure after which a call need not have looked its order up: it had no time, no budget
# or no place for that, or it looked once and got a page of the gateway.
_NOT_LOOKED_UP = frozenset(
    {
        "CIRCUIT_OPEN",
        "DEADLINE",
        "LOCAL_RESOURCES",
        "NOT_CLICKPOST",
        "RATE_LIMIT_PAUSED",
        "RETRY_BUDGET_SPENT",
        "UNEXPECTED",
        "UNEXPECTED_NOT_SENT",
    }
)


def _was_looked_up(history: History, call: Call) -> bool:
    if call.attempts < 2 or call.deadline is not None or call.client_closed:
        return True
    if call.kind in _NOT_LOOKED_UP:
        return True
    sendings = [s for s in history.sendings if s.key == call.key and s.process == call.process]
    # One that ClickPost has recorded is asked for by sending it again.
    if not sendings or any(sending.responded_at is not None for sending in sendings):
        return True
    own = [sending.left for sending in sendings]
    return any(
        look_up.key == call.key and look_up.process == call.process and look_up.left >= min(own)
        for look_up in history.look_ups
    )


def _outcomes_of_runs(history: History, refused: dict[tuple[Key, str], int | None]) -> Found:
    for run in history.runs:
        for row in run.rows:
            yield from _outcome_of_row(history, run, row, refused)
        yield from _contradictions(run)
        for key, state in run.after.items():
            if state == "rejected" and (
                labels := _labels_of_scope(history, run, key, by=run.ended)
            ):
                yield "journal", f"{key[1]} is rejected there, and has {', '.join(labels)}"
        yield from (
            ("reported", f"row {row} of {run.process} has two") for row in run.reported_twice
        )
        if run.complete and not run.failed:
            for row in run.rows:
                if not row.became:
                    yield "reported", f"row {row.position} of {run.process} has none"
        if run.resolves:
            yield from _resolved(history, run)


_IN_DOUBT = ("sending", "unknown", "queued")


def _resolved(history: History, run: Run) -> Found:
    in_doubt = {key for key, state in run.before.items() if state in _IN_DOUBT}
    reported = {row.key for row in run.rows}
    sent = {sending.key for sending in history.sendings if sending.process == run.process}
    for key in sorted((reported | sent) - in_doubt):
        yield "reported", f"{run.process} resolves {key[1]}, which was not in doubt"
    if run.complete and not run.failed:
        for key in sorted(in_doubt - reported):
            yield "reported", f"{run.process} says nothing of {key[1]}, which was in doubt"


def _outcome_of_row(
    history: History, run: Run, row: Row, refused: dict[tuple[Key, str], int | None]
) -> Found:
    who = f"row {row.position}, {row.contents} of {run.process}"
    same = [other for other in run.rows if other.key == row.key and other is not row]
    if row.became == "placed" and not _is_own(history, row.key, row.waybill):
        yield "own", f"{who}: {row.waybill} is not its waybill"
    was_refused = refused.get((row.key, row.contents)) or _contradicts(history, run, row)
    if row.unreadable:
        was_refused = run.torn or row.key in run.ambiguous
    if row.became == "rejected" and not was_refused:
        yield "rejected", f"{who}: {row.reason}"
    reported_elsewhere = any(
        other.became in ("placed", "unknown", "")
        or (other.became == "pending" and not other.unsent)
        for other in same
    )
    labels = _labels_of_scope(history, run, row.key, row.contents, by=run.ended)
    if row.unsent and labels and not reported_elsewhere:
        yield "unsent", f"{who}: {', '.join(labels)} was bought; {row.reason}"
    alone = all(other.contents == row.contents for other in same)
    if alone and run.before.get(row.key) == "placed" and row.became not in ("placed", ""):
        yield "placed", f"{who}: {row.became}; {row.reason}"
    if run.calm and run.complete and alone and row.became != "placed":
        for label in history.labels_of(row.key, row.contents):
            if label.bought < run.began and label.waybill in _labels_of_scope(
                history, run, row.key
            ):
                yield "lost", f"{who}: {row.became}, and {label.waybill} was bought before"


def _contradicts(history: History, run: Run, row: Row) -> bool:
    scope = [other for other in history.runs if other.scope == run.scope]
    rows = [other for each in scope for other in each.rows]
    return any(other.key == row.key and other.contents != row.contents for other in rows)


def _contradictions(run: Run) -> Found:
    placed: dict[tuple[Key, str | None], Row] = {}
    for row in run.rows:
        if row.became != "placed" or row.differs:
            continue
        first = placed.setdefault((row.key, row.waybill), row)
        if first.contents != row.contents:
            yield "contradiction", f"{first.contents} and {row.contents} both have {row.waybill}"


def _labels_of_scope(
    history: History,
    run: Run,
    key: Key,
    contents: str | None = None,
    *,
    by: float | None = None,
) -> list[str]:
    """Return the waybills that were bought by sendings which the run remembers."""
    ours = {
        sending.number
        for sending in history.sendings
        if run.scope in sending.scopes and (by is None or sending.left <= by)
    }
    labels = history.labels_of(key, contents)
    return [label.waybill for label in labels if label.sending in ours]


# --- pace -----------------------------------------------------------------------------------------


def _rate(history: History) -> Found:
    for limiter, (rate, burst) in history.rates.items():
        more = history.excess.get(limiter, 0.0) + 1e-6
        times = sorted(history.departures.get(limiter, []))
        for first, begin in enumerate(times):
            for last in range(first, len(times)):
                allowed = burst + rate * (times[last] - begin)
                if last - first + 1 > allowed + more:
                    yield "rate", f"{last - first + 1} calls in {times[last] - begin:.3f} s"
                    return
