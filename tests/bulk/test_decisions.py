"""The action for an order and the message of an error: every cell of the tables."""

import pytest

from clickpost_async.bulk.decisions import Action, decide, fails_all, is_foreign, outcome_of
from clickpost_async.bulk.outcome import OrderOutcome, Pending, Rejected, Unknown
from clickpost_async.bulk.records import JournalState
from clickpost_async.errors import (
    ClickPostError,
    CourierError,
    CredentialsError,
    DeadlineError,
    FailureKind,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)

STATES = [None, *JournalState]
SENDS = frozenset({Action.SEND, Action.RESOLVE})

TABLE = {
    # state: the same contents, and other ones than an earlier run has sent
    None: (Action.SEND, Action.SEND),
    JournalState.ACCEPTED: (Action.SEND, Action.SEND),
    JournalState.SENDING: (Action.RESOLVE, Action.LOOK_UP),
    JournalState.QUEUED: (Action.RESOLVE, Action.LOOK_UP),
    JournalState.UNKNOWN: (Action.RESOLVE, Action.LOOK_UP),
    JournalState.PLACED: (Action.REPORT, Action.REPORT),
    JournalState.REJECTED: (Action.REPORT, Action.SEND),
}


def test_table_has_every_state() -> None:
    assert set(TABLE) == set(STATES)


@pytest.mark.parametrize("state", STATES)
def test_same_contents_are_sent_only_where_no_order_can_be(state: JournalState | None) -> None:
    assert decide(state, matches=True) is TABLE[state][0]


@pytest.mark.parametrize("state", STATES)
def test_recorded_contents_count_whatever_other_rows_have(
    state: JournalState | None,
) -> None:
    assert decide(state, matches=True, contradicts=True) is TABLE[state][0]


@pytest.mark.parametrize("state", STATES)
def test_contents_that_changed_since_an_earlier_run_are_sent_only_where_no_order_can_be(
    state: JournalState | None,
) -> None:
    assert decide(state, matches=False) is TABLE[state][1]


@pytest.mark.parametrize("state", STATES)
def test_second_of_two_contradicting_rows_is_refused(state: JournalState | None) -> None:
    assert decide(state, matches=False, contradicts=True) is Action.REFUSE


@pytest.mark.parametrize("state", [JournalState.SENDING, JournalState.UNKNOWN, JournalState.QUEUED])
@pytest.mark.parametrize("matches", [True, False])
@pytest.mark.parametrize("contradicts", [True, False])
def test_order_in_doubt_is_never_sent_as_a_new_one(
    state: JournalState, matches: bool, contradicts: bool
) -> None:
    action = decide(state, matches=matches, contradicts=contradicts)
    assert action is not Action.SEND
    # Of other contents nothing is sent at all.
    assert matches or action not in SENDS


REDIRECT = NotSentError("redirect", transient=False, http_status=302)
KEY = CredentialsError("key", status=301, http_status=200)
PAGE_403 = CredentialsError("Forbidden", http_status=403)
PAGE_404 = UnreadableReplyError("no ClickPost status", http_status=404, transient=False)
PAGE_404.kind = FailureKind.NOT_CLICKPOST
PAGE_502 = ServerError("bad gateway", http_status=502)

ERRORS: list[tuple[ClickPostError, type[OrderOutcome], bool, bool]] = [
    # error, the order's outcome, whether something else than ClickPost responded, whether all fail
    (NotSentError("refused"), Pending, False, False),
    (ThrottledError("429", http_status=429), Pending, False, False),
    (DeadlineError("too late"), Pending, False, False),
    (REDIRECT, Pending, False, True),
    (NoReplyError("cut"), Unknown, False, False),
    (UnreadableReplyError("half", http_status=200), Unknown, False, False),
    (PAGE_404, Unknown, True, False),
    (PAGE_502, Unknown, False, False),
    (KEY, Pending, False, True),
    (PAGE_403, Pending, False, True),
    (CredentialsError("lost before", status=301, outcome=Outcome.UNKNOWN), Unknown, False, True),
    (CredentialsError("account", status=351, http_status=200), Rejected, False, False),
    (CourierError("no", status=319, http_status=200), Rejected, False, False),
    (CourierError("odd", status=354, outcome=Outcome.UNKNOWN), Unknown, False, False),
    (InvalidRequestError("307", status=307, http_status=200), Rejected, False, False),
    (RefusedError("404", status=404, http_status=404), Rejected, False, False),
]


@pytest.mark.parametrize(("error", "outcome", "foreign", "all_fail"), ERRORS, ids=repr)
def test_error_states_the_outcome_of_its_order(
    error: ClickPostError, outcome: type[OrderOutcome], foreign: bool, all_fail: bool
) -> None:
    assert outcome_of(error) is outcome
    assert (is_foreign(error), fails_all(error)) == (foreign, all_fail)
