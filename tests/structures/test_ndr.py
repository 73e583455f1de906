"""Instructions on failed deliveries are complete, and their personal data is redacted."""

from typing import Any

import pytest

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async._codec.converter import structure_response
from clickpost_async.structures import ResponseInfo
from clickpost_async.structures.ndr import FeedbackKind, NdrAction, NdrFeedback
from tests.helpers.strategies import warned

BACK: dict[str, Any] = {
    "action": "INITIATE_RTO",
    "waybill": "W1",
    "cp_id": 4,
    "account_code": "main",
}
AGAIN: dict[str, Any] = {
    **BACK,
    "action": "REATTEMPT",
    "address": "7 Lake Road",
    "landmark": "",
    "drop_pincode": "302001",
    "phone_number": "9000000041",
    "preferred_date": "2026-03-03",
}
REATTEMPT = ["address", "landmark", "drop_pincode", "phone_number", "preferred_date"]


@pytest.mark.parametrize("action", [BACK, AGAIN, {**AGAIN, "source": "whatsapp"}])
def test_documented_instructions_survive(action: dict[str, Any]) -> None:
    assert unstructure(structure(action, NdrAction)) == action


@pytest.mark.parametrize("missing", REATTEMPT)
def test_reattempt_without_one_of_the_five_is_warned_of(missing: str) -> None:
    assert warned({**AGAIN, missing: None}, NdrAction) == [missing]


def test_reattempt_that_is_given_as_text_is_one_too() -> None:
    plain: Any = "REATTEMPT"

    action = NdrAction(action=plain, waybill="W1", courier_partner=4, account_code="main")

    assert [warning.path for warning in action.warnings] == REATTEMPT


def test_every_missing_and_every_wrong_field_is_named_together() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure(
            {**BACK, "action": "REATTEMPT", "drop_pincode": "30200", "cp_id": None}, NdrAction
        )

    assert {problem.path for problem in caught.value.problems} == {"drop_pincode", "cp_id"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("action", "RTO"),
        ("drop_pincode", "012345"),
        ("preferred_date", "03-03-2026"),
        ("phone_number", "call me"),
        ("cp_id", "four"),
        ("waybill", ""),
    ],
)
def test_wrong_value_is_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure({**AGAIN, field: value}, NdrAction)

    assert [problem.path for problem in caught.value.problems] == [field]


def test_people_are_not_shown() -> None:
    shown = repr(structure({**AGAIN, "landmark": "by the tank"}, NdrAction))

    assert not any(text in shown for text in ("Lake", "tank", "9000000041"))


def test_feedback_of_an_unknown_kind_keeps_its_text() -> None:
    kinds = [
        response.kind
        for text in ("CUSTOMER_FEED", "BOT_FEED")
        if (response := structure_response({"type": text}, NdrFeedback, ResponseInfo())) is not None
    ]

    assert kinds == [FeedbackKind.CUSTOMER_FEED, "BOT_FEED"]


def test_remarks_of_customers_are_not_shown() -> None:
    feedback = NdrFeedback(waybill="W1", comment="ring twice", phone="9000000041")

    assert repr(feedback) == "NdrFeedback(waybill='W1', phone=…, comment=…)"
