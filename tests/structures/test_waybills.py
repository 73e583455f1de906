"""What counts as a waybill, and which texts stand for a missing one."""

from typing import Any

import pytest

from clickpost_async import (
    InvalidRequestError,
    Outcome,
    RetryPolicy,
    UnreadableReplyError,
    structure,
)
from clickpost_async._codec.converter import structure_response
from clickpost_async.bulk import Unknown, create
from clickpost_async.structures import (
    CreatedOrder,
    FetchedOrder,
    NdrFeedback,
    OldShipmentToTrack,
    ResponseInfo,
    SecurityKey,
    ShipmentToTrack,
)
from clickpost_async.structures._constraints import is_waybill
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import Play, api_response, playing
from tests.sandbox.samples import india_order

WAYBILLS = [
    "W1",
    "1",
    "12345678901",
    "AWB 12-3/4",
    "NONE1",
    "0012",
    "12E34",
    "x" * 100,
    98765432101,
]
NO_WAYBILLS: list[Any] = [
    *(None, True, False, 0, -5, 1.5, 1.5e20, 98765432101.0, [], {}, ["W-1"]),
    *("", " ", "\t", "-", "...", "0", "000", "x" * 101),
    *("None", "null", "NULL", " nan ", "NaN", "nil", "undefined", "true", "False", "N/A", "<NA>"),
    *("NaT", "inf", "Infinity", "1.5e+20", "1e+16", "98765432101.0"),
    *("W\x001", "W\n1", "W1\r", "W\x7f1", "W\x851", "W\u200b1"),
]


@pytest.mark.parametrize("value", WAYBILLS)
def test_couriers_number_is_a_waybill(value: object) -> None:
    assert is_waybill(value)


@pytest.mark.parametrize("value", NO_WAYBILLS, ids=repr)
def test_null_as_text_is_not_a_waybill(value: object) -> None:
    assert not is_waybill(value)


@pytest.mark.parametrize("value", NO_WAYBILLS, ids=repr)
@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        (CreatedOrder, "waybill"),
        (CreatedOrder, "waybill1"),
        (FetchedOrder, "waybill"),
        (SecurityKey, "waybill"),
        (NdrFeedback, "awb"),
    ],
)
def test_invalid_waybill_is_read_as_none_and_kept_in_raw(
    kind: type[Any], wire: str, value: object
) -> None:
    response: Any = structure_response({wire: value}, kind, ResponseInfo(status=200))
    name = "second_waybill" if wire == "waybill1" else "waybill"
    assert getattr(response, name) is None
    assert response.extra == ({} if value is None else {wire: value})


@pytest.mark.parametrize("status", [200, 323])
@pytest.mark.parametrize("value", NO_WAYBILLS, ids=repr)
@virtual_time
async def test_create_without_a_waybill_that_can_be_one_is_unknown(
    value: object, status: int
) -> None:
    if isinstance(value, str) and not value.isascii():
        value = "W\x001"
    line = api_response(status, result={"waybill": value, "reference_number": "R-1"})
    play = Play([line], knows=line)
    async with playing(play, retry=RetryPolicy(attempts=2)) as clickpost:
        with pytest.raises(UnreadableReplyError) as caught:
            await clickpost.orders.create(india_order("R-1"))
        # The look-up found no more than that.
        assert clickpost.stats().reconciliations == 2

    assert caught.value.outcome is Outcome.UNKNOWN


@virtual_time
async def test_bulk_run_does_not_take_null_for_a_waybill() -> None:
    lines = [api_response(200, result={"waybill": "None"})]
    async with (
        playing(lines, retry=RetryPolicy.never()) as clickpost,
        create(clickpost, [india_order("R-1")]) as run,
    ):
        (outcome,) = [outcome async for outcome in run]

    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize("kind", [ShipmentToTrack, OldShipmentToTrack])
@pytest.mark.parametrize("value", ["None", "null", "0", "1.5e+20", "W\n1"])
def test_invalid_waybill_is_not_registered(value: str, kind: type[Any]) -> None:
    partner = "cp_id" if kind is OldShipmentToTrack else "courier_partner"
    with pytest.raises(InvalidRequestError, match="waybill: a courier's waybill is needed"):
        structure({"waybill": value, partner: 4, "account_code": "main"}, kind)
