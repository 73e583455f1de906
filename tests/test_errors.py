"""Errors are classified by what the caller can do next, and survive pickling."""

import copy
import json
import pickle
import re
from typing import Any

import pytest

import clickpost_async
from clickpost_async import errors
from clickpost_async.errors import (
    BusyCourierError,
    ClickPostError,
    CourierError,
    CredentialsError,
    DeadlineError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    Problem,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)

KINDS = [
    ClickPostError,
    NotSentError,
    ThrottledError,
    DeadlineError,
    NoReplyError,
    UnreadableReplyError,
    RefusedError,
    CredentialsError,
    InvalidRequestError,
    CourierError,
    BusyCourierError,
    ServerError,
]


def drawn() -> dict[str, str]:
    """Return each class and its parent, as the module's docstring draws them."""
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([ │├└─]*)(\w+Error)\b", line)
        if found is None:
            continue
        column, name = len(found.group(1)), found.group(2)
        outer = [depth for depth in above if depth < column]
        if outer:
            parents[name] = above[max(outer)]
        above = {depth: above[depth] for depth in outer} | {column: name}
    return parents


def test_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert drawn() == {kind.__name__: kind.__mro__[1].__name__ for kind in KINDS[1:]}


def test_every_error_is_public() -> None:
    for kind in KINDS:
        assert getattr(clickpost_async, kind.__name__) is kind


def test_invalid_request_is_a_value_error_too() -> None:
    assert issubclass(InvalidRequestError, ValueError)
    assert not any(
        issubclass(kind, ValueError) for kind in KINDS if kind is not InvalidRequestError
    )


@pytest.mark.parametrize(
    ("kind", "outcome", "transient"),
    [
        (ClickPostError, Outcome.UNKNOWN, False),
        (NotSentError, Outcome.NOT_SENT, True),
        (ThrottledError, Outcome.NOT_SENT, True),
        (DeadlineError, Outcome.NOT_SENT, False),
        (NoReplyError, Outcome.UNKNOWN, True),
        (UnreadableReplyError, Outcome.UNKNOWN, True),
        (RefusedError, Outcome.REJECTED, False),
        (CredentialsError, Outcome.REJECTED, False),
        (InvalidRequestError, Outcome.REJECTED, False),
        (CourierError, Outcome.REJECTED, False),
        (BusyCourierError, Outcome.UNKNOWN, True),
        (ServerError, Outcome.UNKNOWN, True),
    ],
)
def test_error_class_states_outcome_and_transience(
    kind: type[ClickPostError], outcome: Outcome, *, transient: bool
) -> None:
    error = kind("words")

    assert (error.outcome, error.transient) == (outcome, transient)
    assert (kind.outcome, kind.transient) == (outcome, transient)


@pytest.mark.parametrize("kind", KINDS)
def test_error_may_differ_from_its_class(kind: type[ClickPostError]) -> None:
    error = kind("words", outcome=Outcome.NOT_SENT, transient=not kind.transient)

    assert error.outcome is Outcome.NOT_SENT
    assert error.transient is not kind.transient
    assert kind("words").outcome is kind.outcome


def full(kind: type[ClickPostError]) -> ClickPostError:
    """Return an error with everything it can hold."""
    more: dict[str, Any] = {}
    if kind is ThrottledError:
        more["retry_after"] = 2.5
    if kind is InvalidRequestError:
        more["problems"] = [Problem("items[0].price", "too low"), Problem("", "odd")]
    error = kind(
        "words",
        endpoint="orders.create_india",
        status=319,
        http_status=400,
        reference_number="order-1001",
        outcome=Outcome.UNKNOWN,
        transient=True,
        **more,
    )
    error.attempts = 3
    error.add_note("a note")
    return error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_error_survives_pickling_with_all_attributes(
    kind: type[ClickPostError], protocol: int
) -> None:
    error = full(kind)

    again = pickle.loads(pickle.dumps(error, protocol))

    assert type(again) is kind
    assert vars(again) == vars(error)
    assert again.args == error.args
    assert str(again) == str(error)
    assert again.advice == error.advice
    assert again.__notes__ == ["a note"]


@pytest.mark.parametrize("kind", KINDS)
def test_error_survives_copying(kind: type[ClickPostError]) -> None:
    error = full(kind)

    for again in (copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", KINDS)
def test_error_without_facts_survives_too(kind: type[ClickPostError]) -> None:
    again = pickle.loads(pickle.dumps(kind("words")))

    assert type(again) is kind
    assert (again.endpoint, again.status, again.attempts) == (None, None, 1)
    assert again.outcome is kind.outcome


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_outcome_survives_in_args_alone(
    kind: type[ClickPostError], outcome: Outcome | None
) -> None:
    # As JSON result backends make an error anew, Celery's for one.
    error = kind("words", outcome=outcome)
    again = kind(*json.loads(json.dumps(error.args)))

    assert (again.outcome, again.message) == (outcome or kind.outcome, "words")
    assert error.args[0] == again.args[0] == "words"


@pytest.mark.parametrize("kind", KINDS)
def test_outcome_in_args_follows_what_is_found_out_later(kind: type[ClickPostError]) -> None:
    error = kind("words")
    assert error.args == ("words",)
    error.outcome = next(one for one in Outcome if one is not kind.outcome)
    error.args = ("words without the customer's name",)

    assert error.args == ("words without the customer's name", error.outcome.value)
    assert kind(*error.args).outcome is error.outcome
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert again.args == error.args


def test_mistakes_found_here_are_not_sent_when_only_args_survive() -> None:
    error = InvalidRequestError.of([Problem("items[0].price", "too low")])

    again = InvalidRequestError(*error.args)
    assert (again.outcome, again.message) == (Outcome.NOT_SENT, "items[0].price: too low")


def test_invalid_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="perhaps"):
        ClickPostError("words", "perhaps")


def test_error_made_outside_of_the_package_survives_pickling() -> None:
    error = OwnError("words", outcome=Outcome.NOT_SENT)
    error.mark = "mine"

    again = pickle.loads(pickle.dumps(error))

    assert (type(again), again.mark, again.outcome) == (OwnError, "mine", Outcome.NOT_SENT)


class OwnError(RefusedError):
    """What a user of the package may derive."""

    mark = ""


@pytest.mark.parametrize("kind", KINDS)
def test_error_message_names_cause_endpoint_and_attempts(kind: type[ClickPostError]) -> None:
    assert str(kind("words")) == "words"
    assert str(kind("words", status=319)) == "words (status 319)"
    assert str(full(kind)) == "orders.create_india: words (status 319), after 3 attempts"
    assert repr(kind("words")) == f"{kind.__name__}('words')"


@pytest.mark.parametrize("kind", KINDS[1:])
def test_every_error_gives_advice(kind: type[ClickPostError]) -> None:
    advice = kind("words").advice

    assert advice
    assert advice[0].islower()
    assert not advice.endswith(".")


def test_other_calls_are_not_looked_up_by_reference_number() -> None:
    pickup = NoReplyError("words", endpoint="pickups.create_india")
    label = NoReplyError("words", endpoint="labels.fetch")
    label.settle_delay = 0.0

    assert "check whether it was processed" in pickup.advice
    assert "safe to retry" in label.advice


def test_advice_fits_the_outcome() -> None:
    assert "nothing was processed; call again" in NotSentError("words").advice
    assert "correct what" in NotSentError("words", transient=False).advice
    assert "with more time" in DeadlineError("words").advice
    assert "by its reference number" in NoReplyError("words").advice
    assert "by its reference number" in BusyCourierError("words").advice
    assert "correct the fields" in InvalidRequestError("words").advice


def test_throttling_has_a_retry_after() -> None:
    assert ThrottledError("words").retry_after is None
    assert ThrottledError("words", retry_after=1.5).retry_after == 1.5


@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        ({"status": 301}, True),
        ({"status": 401}, True),
        ({"status": 403}, True),
        ({"http_status": 401}, True),
        ({"http_status": 403}, True),
        ({"status": 316, "http_status": 200}, False),
        ({"status": 320, "http_status": 200}, False),
        ({"status": 320, "http_status": 401}, False),
        ({"status": 301, "http_status": 200}, True),
        ({"status": 351}, False),
        ({"status": 353}, False),
        ({}, False),
    ],
)
def test_refused_key_is_distinguished_from_a_refused_account(
    facts: dict[str, int], *, refused: bool
) -> None:
    assert CredentialsError("words", **facts).key_refused == refused  # type: ignore[arg-type]


def test_mistakes_found_here_were_never_sent() -> None:
    problems = (Problem("items[0].price", "too low"), Problem("", "odd"))

    error = InvalidRequestError.of(iter(problems), reference_number="order-1001")

    assert error.problems == problems
    assert error.message == "items[0].price: too low; odd"
    assert error.outcome is Outcome.NOT_SENT
    assert not error.transient
    assert error.attempts == 0
    assert error.reference_number == "order-1001"
    assert error.status is None


def test_mistakes_found_by_clickpost_were_rejected() -> None:
    error = InvalidRequestError("cod_value", status=315)

    assert error.problems == ()
    assert error.outcome is Outcome.REJECTED
