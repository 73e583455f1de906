"""The invariants, each violated and kept by the smallest histories there are."""

from typing import Any

import pytest

from tests.simulation.history import Call, History, Label, Row, Run, Sending
from tests.simulation.invariants import INVARIANTS, judge

KEY = ("india", "R1")


def sending(number: int, left: float, **facts: Any) -> Sending:
    given: dict[str, Any] = {
        "number": number,
        "process": "app",
        "scopes": ("app",),
        "key": KEY,
        "contents": "R1-a",
        "left": left,
        "settle_delay": 30.0,
        "may_resend": True,
    }
    return Sending(**given | facts)


def label(number: int, waybill: str, contents: str = "R1-a") -> Label:
    return Label(key=KEY, contents=contents, waybill=waybill, bought=1.0, sending=number)


def call(became: str, **facts: Any) -> Call:
    given: dict[str, Any] = {
        "process": "app",
        "key": KEY,
        "contents": "R1-a",
        "began": 0.0,
        "ended": 50.0,
        "attempts": 4,
        "deadline": None,
        "became": became,
    }
    return Call(**given | facts)


def run(*rows: Row, **facts: Any) -> Run:
    given: dict[str, Any] = {
        "process": "push",
        "scope": "journal",
        "journal": True,
        "began": 10.0,
        "ended": 20.0,
        "complete": True,
    }
    return Run(**given | facts, rows=list(rows))


def row(became: str, contents: str = "R1-a", **facts: Any) -> Row:
    return Row(position=0, key=KEY, contents=contents, became=became, **facts)


def broken(history: History, **refused: int) -> list[str]:
    known: dict[Any, int | None] = {
        (KEY, name.replace("_", "-")): refused[name] for name in refused
    }
    return [violation.invariant for violation in judge(history, known)]


@pytest.mark.parametrize(
    ("first", "left", "invariants"),
    [
        ({}, 10.0, ["settle"]),
        ({}, 30.0, []),
        ({"responded_at": 5.0}, 10.0, []),
        ({"responded_at": 15.0}, 10.0, ["settle"]),
        ({"turned_away": True}, 10.0, []),
        ({"scopes": ("another process",)}, 10.0, []),
        ({"key": ("world", "R1")}, 10.0, []),
    ],
)
def test_resend_waits_for_the_settle_delay(
    first: dict[str, Any], left: float, invariants: list[str]
) -> None:
    history = History(sendings=[sending(1, 0.0, **first), sending(2, left)])

    assert broken(history) == invariants


def test_resend_is_never_allowed_where_it_is_switched_off() -> None:
    sendings = [sending(1, 0.0), sending(2, 1000.0, may_resend=False)]

    assert broken(History(sendings=sendings)) == ["hold"]


@pytest.mark.parametrize(("left", "invariants"), [(10.0, ["settle", "double"]), (40.0, [])])
def test_second_label_is_excused_by_the_settle_delay_only(
    left: float, invariants: list[str]
) -> None:
    labels = [label(1, "W1"), label(2, "W2")]
    history = History(sendings=[sending(1, 0.0), sending(2, left)], labels=labels)

    assert broken(history) == invariants


def test_second_label_of_an_atomic_register_is_not_excused() -> None:
    labels = [label(1, "W1"), label(2, "W2")]
    history = History(sendings=[sending(1, 0.0), sending(2, 40.0)], labels=labels, racy=False)

    assert broken(history) == ["double"]


def test_waybill_belongs_to_its_reference_number() -> None:
    history = History(labels=[label(1, "W1")], calls=[call("placed", waybill="W1")])
    assert broken(history) == []

    history.calls.append(call("placed", waybill="W2"))
    assert broken(history) == ["own"]


def test_rejected_orders_were_refused_by_client_clickpost_or_courier() -> None:
    history = History(calls=[call("rejected")])

    assert broken(history) == ["rejected"]
    assert broken(history, R1_a=319) == []


def test_outcome_not_sent_means_nothing_was_bought() -> None:
    history = History(sendings=[sending(1, 1.0)], labels=[label(1, "W1")])
    history.calls.append(call("not sent"))

    assert broken(history) == ["unsent"]


def test_unknown_was_looked_up() -> None:
    history = History(sendings=[sending(1, 1.0)], calls=[call("unknown")])

    assert broken(history) == ["looked-up"]
    assert broken(History(sendings=[sending(1, 1.0)], calls=[call("unknown", deadline=5.0)])) == []


def test_rows_with_other_contents_share_no_waybill() -> None:
    first = row("placed", waybill="W1")
    history = History(labels=[label(1, "W1")])
    history.runs.append(run(first, row("placed", "R1-b", waybill="W1")))

    assert broken(history) == ["contradiction"]


def test_label_is_in_the_outcomes_of_a_calm_run() -> None:
    sendings = [sending(1, 0.0, scopes=("journal",))]
    history = History(sendings=sendings, labels=[label(1, "W1")])
    history.runs.append(run(row("unknown"), calm=True))

    assert broken(history) == ["lost"]


def test_placed_stays_placed_and_journal_rejects_no_label() -> None:
    sendings = [sending(1, 0.0, scopes=("journal",))]
    history = History(sendings=sendings, labels=[label(1, "W1")])
    history.runs.append(run(row("unknown"), before={KEY: "placed"}, after={KEY: "rejected"}))

    assert broken(history) == ["placed", "journal"]


def test_every_row_is_reported_once() -> None:
    assert broken(History(runs=[run(row(""))])) == ["reported"]
    assert broken(History(runs=[run(row(""), complete=False)])) == []


def test_resolving_run_yields_orders_in_doubt_only() -> None:
    resolved = run(row("unknown"), resolves=True, before={KEY: "sending"})
    assert broken(History(runs=[resolved])) == []

    silent = run(resolves=True, before={KEY: "sending"})
    assert broken(History(runs=[silent])) == ["reported"]
    assert broken(History(runs=[run(resolves=True, before={KEY: "rejected"})])) == []

    history = History(runs=[run(resolves=True, before={KEY: "accepted"})])
    history.sendings.append(sending(1, 11.0, process="push", scopes=("journal",)))
    assert broken(history) == ["reported"]


def test_unreadable_row_is_rejected_where_its_file_has_the_number_twice_or_was_written() -> None:
    rejected = row("rejected", "unreadable 1", unreadable=True)

    assert broken(History(runs=[run(rejected)])) == ["rejected"]
    assert broken(History(runs=[run(rejected, ambiguous=frozenset([KEY]))])) == []
    assert broken(History(runs=[run(rejected, torn=True)])) == []


def test_rate_holds_in_every_stretch() -> None:
    history = History(rates={"app": (2.0, 1.0)}, departures={"app": [0.0, 0.5, 1.0]})
    assert broken(history) == []

    history.departures["app"].append(1.2)
    assert broken(history) == ["rate"]
    history.excess["app"] = 1.0
    assert broken(history) == []


def test_every_invariant_is_a_sentence() -> None:
    assert all(sentence.endswith(".") and ";" not in sentence for sentence in INVARIANTS.values())
