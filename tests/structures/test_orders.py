"""Edits name what they change; responses are read by their status, times in their zones."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from clickpost_async import InvalidRequestError, ResponseInfo, structure, unstructure
from clickpost_async._codec.converter import to_wire
from clickpost_async.structures.orders import (
    CancelledOrder,
    DailyCount,
    DailyCounts,
    OrderEdit,
    UpdatedOrder,
)
from tests.helpers.strategies import warned

WHOSE = {"awb_number": "W1", "courier_partner": 4}
BILL = {
    "ewaybill_serial_number": "331009876543",
    "invoice_number": "INV-1",
    "invoice_date": "2026-03-01",
    "edit_order_service": 2,
}


@pytest.mark.parametrize(
    ("edit", "sent"),
    [
        (OrderEdit.to_prepaid("W1", courier_partner=4), {"order_type": "PREPAID"}),
        (
            OrderEdit.to_cod("W1", courier_partner=4, cod_value=99.5),
            {"order_type": "COD", "cod_value": 99.5},
        ),
        (
            OrderEdit.with_quality_check("W1", courier_partner=4, sku="MUG"),
            {"qc_type": "doorstep", "sku": "MUG"},
        ),
        (OrderEdit.without_quality_check("W1", courier_partner=4), {"qc_type": None}),
        (
            OrderEdit.with_eway_bill(
                "W1",
                courier_partner=4,
                ewaybill_serial_number="331009876543",
                invoice_number="INV-1",
                invoice_date=date(2026, 3, 1),
            ),
            BILL,
        ),
    ],
)
def test_each_documented_edit_is_sent_as_documented(
    edit: OrderEdit, sent: Mapping[str, Any]
) -> None:
    assert to_wire(edit) == {**WHOSE, **sent}
    assert unstructure(structure({**WHOSE, **sent}, OrderEdit)) == {**WHOSE, **sent}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"order_type": "COD"}, ["cod_value"]),
        ({"order_type": "COD", "cod_value": 0}, ["cod_value"]),
        ({"order_type": "PREPAID", "cod_value": 10}, ["cod_value"]),
        ({"order_type": "GIFT"}, ["order_type"]),
        ({"order_type": "PREPAID", "courier_partner": None}, ["courier_partner"]),
        (
            {"shipment_details": {"order_type": "COD"}, "courier_partner": None},
            ["courier_partner", "cod_value"],
        ),
        ({**BILL, "invoice_date": "01-03-2026"}, ["invoice_date"]),
        ({"awb_number": " ", "order_type": "PREPAID"}, ["awb_number"]),
    ],
)
def test_edit_that_contradicts_itself_is_refused_by_field(
    changes: Mapping[str, Any], fields: list[str]
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure({**WHOSE, **changes}, OrderEdit)

    assert [problem.path for problem in caught.value.problems] == fields


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({"cod_value": 10}, ["order_type"]),
        ({"order_type": "EXCHANGE"}, ["order_type"]),
        ({"qc_type": "doorstop"}, ["qc_type"]),
        ({"ewaybill_serial_number": "1"}, [*BILL][1:]),
        ({**BILL, "edit_order_service": 3}, ["edit_order_service"]),
    ],
)
def test_edit_that_departs_from_the_document_is_warned_of(
    payload: Mapping[str, Any], fields: list[str]
) -> None:
    assert warned({**WHOSE, **payload}, OrderEdit) == fields


def test_edit_may_nest_its_courier_and_payment_as_in_2020() -> None:
    payload = {
        "awb_number": "W1",
        "shipment_details": {"order_type": "PREPAID", "courier_partner": 4},
    }

    edit = structure(payload, OrderEdit)

    assert edit.warnings == ()
    assert unstructure(edit) == payload
    assert to_wire(edit) == payload


def test_edit_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="nothing is edited"):
        OrderEdit(waybill="W1", courier_partner=4)


def test_edit_that_is_not_documented_yet_is_let_through() -> None:
    edit = structure({**WHOSE, "shipment_details": {"weight": 500}}, OrderEdit)

    assert edit.shipment_details is not None
    assert edit.shipment_details.extra == {"weight": 500}


def test_edit_to_prepaid_may_say_that_nothing_is_collected() -> None:
    edit = structure({**WHOSE, "order_type": "PREPAID", "cod_value": 0}, OrderEdit)

    assert edit.cod_value == 0


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, (True, False, False)), (600, (True, False, True)), (202, (False, True, False))],
)
def test_cancellation_is_recognised_by_its_status(status: int, expected: tuple[bool, ...]) -> None:
    order = CancelledOrder(response=ResponseInfo(status=status))

    assert (order.cancelled, order.pending, order.already_cancelled) == expected


def test_times_of_an_update_are_read_in_their_zones() -> None:
    order = UpdatedOrder(
        timestamp="2026-03-01 15:38:02",
        created_at="2026-03-01T10:08:02.5Z",
        updated_at="2026-03-01T10:09:00",
    )

    assert (order.scanned, order.created, order.updated) == (
        datetime(2026, 3, 1, 10, 8, 2, tzinfo=UTC),
        datetime(2026, 3, 1, 10, 8, 2, 500_000, tzinfo=UTC),
        datetime(2026, 3, 1, 10, 9, tzinfo=UTC),
    )


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-13-01T00:00:00Z"])
def test_unreadable_time_is_none_and_its_text_is_kept(text: str | None) -> None:
    order = UpdatedOrder(updated_at=text)

    assert (order.updated, order.updated_at) == (None, text)


def test_counts_are_found_by_date_or_by_its_text() -> None:
    count = DailyCount(manifestation=3, tracking=5)
    counts = DailyCounts(days={"2026-02-01": count})

    assert counts[date(2026, 2, 1)] is counts["2026-02-01"] is count
    assert list(counts) == [date(2026, 2, 1)]
    assert (len(counts), date(2026, 2, 1) in counts, date(2026, 2, 2) in counts) == (1, True, False)
