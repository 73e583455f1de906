"""Unknown keys are logged once with a suggestion, and sent unchanged."""

import json
import logging
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from clickpost_async import IndiaOrder, WorldOrder, structure, unstructure
from clickpost_async.structures import NdrAction, OrderEdit
from clickpost_async.structures._rules import forget_logged_warnings
from clickpost_async.structures._unknown_fields import suggest
from clickpost_async.structures.ndr import NdrStep
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import Play, placed, playing
from tests.sandbox.samples import india_order, world_order

FIELDS = {
    "cod_value",
    "weight",
    "height",
    "pickup_city",
    "drop_city",
    "drop_landmark",
    "invoice_number",
}


COD_VALUE = "shipment_details.cod_valeu: did you mean cod_value? It is sent as it is"
MOOD = "drop_info.mood: it is not in ClickPost's document. It is sent as it is"


@pytest.fixture(autouse=True)
def log_every_warning_again() -> Iterator[None]:
    forget_logged_warnings()
    yield
    forget_logged_warnings()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "unknown field" in record.getMessage()
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cod_valeu", "cod_value"),
        ("codValue", "cod_value"),
        ("COD-Value", "cod_value"),
        ("weigth", "weight"),
        ("drop_landmrk", "drop_landmark"),
        ("invoice_no", "invoice_number"),
        ("pikup_city", "pickup_city"),
        ("drp_city", "drop_city"),
        ("pickup_landmark", None),
        ("pickup_landmrk", None),
        ("return_city", None),
        ("city", None),
        ("colour", None),
        ("", None),
    ],
)
def test_suggestion_is_a_near_name_of_the_same_side(name: str, meant: str | None) -> None:
    assert suggest(name, FIELDS) == meant


def test_suggestion_is_never_a_guess_between_two_sides() -> None:
    assert suggest("_city", {"pickup_city", "drop_city"}) is None
    assert suggest("p_city", {"drop_city"}) == "drop_city"


def test_unknown_field_is_logged_once_with_a_suggestion_and_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    payload = india_order("R-1", shipment_details__cod_valeu=4711)

    orders = [structure(payload, IndiaOrder) for _ in range(3)]

    assert warnings(caplog) == [
        f"IndiaOrder: unknown field {COD_VALUE} (this kind of warning is logged once)"
    ]
    assert [str(warning) for warning in orders[0].warnings] == [f"unknown field {COD_VALUE}"]
    assert [unstructure(order) for order in orders] == [payload] * 3
    assert "4711" not in caplog.text


def test_unknown_field_without_a_near_name_is_logged_without_a_guess(
    caplog: pytest.LogCaptureFixture,
) -> None:
    structure(india_order("R-1", drop_info__mood="fine"), IndiaOrder)

    assert warnings(caplog) == [
        f"IndiaOrder: unknown field {MOOD} (this kind of warning is logged once)"
    ]


def test_unknown_fields_of_items_are_found_with_their_position() -> None:
    payload = india_order("R-1")
    payload["shipment_details"]["items"][0]["retrun_days"] = 7
    order = structure(payload, IndiaOrder)

    assert [(found.path, found.message) for found in order.warnings] == [
        (
            "shipment_details.items[0].retrun_days",
            "did you mean return_days? It is sent as it is",
        )
    ]


def test_documented_orders_and_structures_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    structure(india_order("R-1"), IndiaOrder)
    structure(world_order("R-2"), WorldOrder)
    assert warnings(caplog) == []
    known = structure(india_order("R-1", shipment_details__cod_valeu=1), IndiaOrder)
    caplog.clear()

    assert structure(known, IndiaOrder) is known
    assert warnings(caplog) == []


def test_key_with_control_characters_is_logged_escaped_and_cut(
    caplog: pytest.LogCaptureFixture,
) -> None:
    structure(india_order("R-1") | {"a\nb" + "x" * 500: 1}, IndiaOrder)

    [line] = warnings(caplog)
    assert "a\\nb" in line
    assert len(line) < 200


def test_number_of_logged_fields_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    names = ("key_" + "".join(letters) for letters in product("abcdefghijkl", repeat=3))

    structure(india_order("R-1") | dict.fromkeys(names, 1), IndiaOrder)

    assert len(warnings(caplog)) == 1000


def test_extra_that_is_given_to_a_class_is_no_warning() -> None:
    action = NdrAction(
        action=NdrStep.INITIATE_RTO,
        waybill="W-1",
        courier_partner=4,
        account_code="a",
        extra={"sorce": 1},
    )

    assert action.warnings == ()


@pytest.mark.parametrize(
    ("payload", "kind", "line"),
    [
        (
            world_order("R-1", drop_info__postal_coed="1"),
            WorldOrder,
            "unknown field drop_info.postal_coed: did you mean postal_code? It is sent as it is",
        ),
        (
            {"awb_number": "W-1", "courier_partner": 4, "order_type": "PREPAID", "cod_valeu": 1},
            OrderEdit,
            "unknown field cod_valeu: did you mean cod_value? It is sent as it is",
        ),
        (
            {
                "action": "INITIATE_RTO",
                "waybill": "W-1",
                "cp_id": 4,
                "account_code": "a",
                "sorce": 1,
            },
            NdrAction,
            "unknown field sorce: did you mean source? It is sent as it is",
        ),
    ],
)
def test_unknown_fields_of_every_request_are_logged(
    payload: dict[str, Any], kind: type, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = structure(payload, kind)

    assert [entry.partition(": ")[2].partition(" (")[0] for entry in warnings(caplog)] == [line]
    assert unstructure(value) == payload


@virtual_time
async def test_call_with_a_mapping_warns_and_sends_the_unknown_field(
    caplog: pytest.LogCaptureFixture,
) -> None:
    play = Play([placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(india_order("R-1", shipment_details__weigth=7))

    assert json.loads(play.requests[0].content)["shipment_details"]["weigth"] == 7
    [line] = warnings(caplog)
    assert line.startswith("IndiaOrder: unknown field shipment_details.weigth: ")
