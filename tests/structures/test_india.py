"""Orders within India: cross-field rules, and fields that ClickPost takes in two places."""

from collections.abc import Mapping
from typing import Any

import pytest

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async._codec.converter import to_wire
from clickpost_async.structures import DeliveryType, IndiaOrder, OrderType
from tests.helpers.strategies import DROPPED, india, warned


def problems_of(changes: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the mistakes of an order that is changed by path."""
    with pytest.raises(InvalidRequestError) as caught:
        structure(india(changes), IndiaOrder)
    return {problem.path: problem.message for problem in caught.value.problems}


def taken(changes: Mapping[str, Any]) -> IndiaOrder:
    """Return an order that is changed by path, and loses nothing."""
    payload = india(changes)
    order = structure(payload, IndiaOrder)
    assert unstructure(order) == payload
    return order


EVERYTHING = {
    "pickup_info.pickup_email": "night@example.com",
    "pickup_info.pickup_lat": 23.02,
    "pickup_info.pickup_long": 72,
    "pickup_info.pickup_district": "Ahmedabad",
    "pickup_info.pickup_landmark": "opposite the mill",
    "pickup_info.pickup_organisation": "North Store",
    "pickup_info.pickup_address_type": "OFFICE",
    "pickup_info.pickup_phone_code": "+91",
    "pickup_info.pickup_country": "India",
    "drop_info.drop_email": "asha@example.com",
    "drop_info.drop_alternate_phone": "9000000003",
    "drop_info.drop_phone_code": "+91",
    "drop_info.drop_lat": 18.5,
    "drop_info.drop_long": 73.8,
    "drop_info.drop_district": "Pune",
    "drop_info.drop_landmark": None,
    "drop_info.drop_organisation": "",
    "drop_info.drop_address_type": "RESIDENTIAL",
    "drop_info.drop_start_time": "2026-03-04T10:00:00+0530",
    "drop_info.drop_end_time": "2026-03-04T12:00:00+05:30",
    "drop_info.drop_vendor_code": "",
    "drop_info.location_type": "What3Words",
    "drop_info.location_value": "paper.kite.string",
    "shipment_details.invoice_number": "INV-1",
    "shipment_details.order_id": "merchant-7",
    "shipment_details.awb_number": "TESTAWB0001",
    "shipment_details.vendor_code": "V1",
    "shipment_details.courier_partner": "4",
    "shipment_details.weight": "400",
    "shipment_details.cod_value": "901.50",
    "shipment_details.shipment_type": "MPS",
    "shipment_details.items_in_shipment": ["SHIRT-M"],
    "additional": {
        "label": True,
        "async": False,
        "return_info": {
            "name": "North Warehouse",
            "phone": "9000000004",
            "address": "12 Ring Road",
            "city": "Ahmedabad",
            "state": "Gujarat",
            "pincode": "380055",
            "country": "IN",
            "email": "returns@example.com",
            "lat": 23.02,
            "long": 72.5,
            "district": "Ahmedabad",
            "landmark": "opposite the mill",
        },
        "reseller_info": {"name": "Re Seller", "phone": "9000000005", "address": "1 Bazaar"},
        "order_date": "2026-03-01",
        "estimated_delivery_date": "2026-03-06T12:00:00+05:30",
        "min_edd": 3,
        "max_edd": 6,
        "vendor_code": "",
        "store_code": "S1",
        "channel_name": "web",
        "zone": "north",
        "gst_number": "24TESTS0000A1Z5",
        "is_multi_seller": False,
        "is_fragile": True,
        "is_dangerous": False,
        "invoice_base_64": "JVBERi0=",
        "enable_whatsapp": True,
        "from_wh": "W1",
        "to_wh": "W2",
        "pickup_type": "WH",
        "inv_url": "https://shop.example.com/i/1",
        "otp_based_delivery": True,
        "otp_code": "1234",
        "qc_type": "doorstep",
        "qc_params": ["BRAND", "COLOR"],
        "data_validation": True,
        "exchange_rvp_awb": "TESTAWB0002",
        "user_defined_field_array": [{"name": "udf_1", "type": "String", "value": ""}],
        "custom_fields": [{"key": "shelf", "value": "A4"}],
        "not_documented_yet": {"a": [1]},
    },
    "gst_info": {
        "seller_gstin": "24TESTS0000A1Z5",
        "taxable_value": 800.25,
        "is_seller_registered_under_gst": True,
        "place_of_supply": "GUJARAT",
        "hsn_code": "6105",
        "gst_total_tax": 0,
        "invoice_date": "2026-03-01",
        "seller_name": "",
        "seller_pincode": "",
    },
}


def test_every_documented_field_survives_the_round_trip() -> None:
    order = taken(EVERYTHING)

    assert order.extra == {}
    assert order.pickup_info.extra == {}
    assert order.drop_info.extra == {}
    assert order.shipment_details.extra == {}
    assert order.shipment_details.merchant_order_id == "merchant-7"
    assert order.additional is not None
    assert order.additional.async_ is False
    assert order.additional.extra == {"not_documented_yet": {"a": [1]}}


def test_numbers_are_sent_as_numbers_however_they_were_written() -> None:
    sent = to_wire(taken(EVERYTHING))["shipment_details"]

    assert (sent["courier_partner"], sent["weight"], sent["cod_value"]) == (4, 400, 901.5)
    assert type(sent["courier_partner"]) is int


def test_explicit_nulls_are_sent() -> None:
    assert to_wire(taken(EVERYTHING))["drop_info"]["drop_landmark"] is None


def test_enum_members_are_sent_as_text() -> None:
    order = taken({"shipment_details.delivery_type": "FORWARD"})

    assert order.shipment_details.order_type is OrderType.COD
    assert order.shipment_details.delivery_type is DeliveryType.FORWARD
    assert type(to_wire(order)["shipment_details"]["order_type"]) is str


def test_country_is_filled_in_where_it_is_missing() -> None:
    payload = india({"pickup_info.pickup_country": DROPPED, "drop_info.drop_country": DROPPED})

    assert to_wire(structure(payload, IndiaOrder)) == india()


def test_country_is_filled_in_where_it_is_null() -> None:
    payload = india({"pickup_info.pickup_country": None})

    assert to_wire(structure(payload, IndiaOrder))["pickup_info"]["pickup_country"] == "IN"


# --- payment ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_type", "cod_value"),
    [
        ("COD", 0.01),
        ("COD", 901),
        ("PREPAID", 0),
        ("PREPAID", 0.0),
        ("EXCHANGE", 0),
        ("EXCHANGE", 9),
    ],
)
def test_amount_to_collect_fits_the_order_type(order_type: str, cod_value: float) -> None:
    taken({"shipment_details.order_type": order_type, "shipment_details.cod_value": cod_value})


@pytest.mark.parametrize(
    ("order_type", "cod_value", "message"),
    [
        ("COD", 0, "COD needs the amount to collect, above 0"),
        ("PREPAID", 0.01, "PREPAID needs 0, there is nothing to collect"),
        ("COD", -5, "must be at least 0"),
        ("EXCHANGE", -5, "must be at least 0"),
    ],
)
def test_inconsistent_amount_is_reported(order_type: str, cod_value: float, message: str) -> None:
    assert problems_of(
        {"shipment_details.order_type": order_type, "shipment_details.cod_value": cod_value}
    ) == {"shipment_details.cod_value": message}


@pytest.mark.parametrize("order_type", ["c.o.d.", "CASH", "", 5, None])
def test_unknown_order_type_is_reported(order_type: Any) -> None:
    assert list(problems_of({"shipment_details.order_type": order_type})) == [
        "shipment_details.order_type"
    ]


# --- reverse pickup -----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["shipment_details", "additional"])
@pytest.mark.parametrize("kind_place", ["shipment_details", "additional"])
def test_rvp_and_its_reason_may_be_in_either_place(place: str, kind_place: str) -> None:
    taken(
        {
            "shipment_details.delivery_type": None,
            f"{kind_place}.delivery_type": "RVP",
            f"{place}.rvp_reason": "r" * 500,
        }
    )


@pytest.mark.parametrize("place", ["shipment_details", "additional"])
def test_rvp_without_a_reason_is_reported(place: str) -> None:
    changes = {"shipment_details.delivery_type": DROPPED, f"{place}.delivery_type": "RVP"}
    if place == "shipment_details":
        del changes["shipment_details.delivery_type"]
        changes = {"shipment_details.delivery_type": "RVP"}

    assert problems_of(changes) == {
        "additional.rvp_reason": "RVP needs the customer's reason, at most 500 characters"
    }


@pytest.mark.parametrize("place", ["shipment_details", "additional"])
@pytest.mark.parametrize("reason", ["r" * 501, "  "])
def test_blank_or_overlong_reason_is_reported_at_its_field(place: str, reason: str) -> None:
    assert list(
        problems_of({"shipment_details.delivery_type": "RVP", f"{place}.rvp_reason": reason})
    ) == [f"{place}.rvp_reason"]


def test_blank_reason_counts_as_missing() -> None:
    changes = {"shipment_details.delivery_type": "RVP", "shipment_details.rvp_reason": ""}

    assert list(problems_of(changes)) == ["additional.rvp_reason"]


def test_forward_order_may_carry_a_reason() -> None:
    taken({"additional.rvp_reason": "left over from the form"})


def test_order_without_a_delivery_type_is_warned_of() -> None:
    payload = india({"shipment_details.delivery_type": DROPPED})

    assert warned(payload, IndiaOrder) == ["shipment_details.delivery_type"]


# --- Bluedart -----------------------------------------------------------------------------------


@pytest.mark.parametrize("courier", [5, 28, 129, "5"])
def test_bluedart_takes_twenty_characters_and_ten_grams(courier: int | str) -> None:
    bluedart = {"shipment_details.courier_partner": courier}
    taken(bluedart | {"shipment_details.reference_number": "r" * 20, "shipment_details.weight": 10})

    assert problems_of(bluedart | {"shipment_details.reference_number": "r" * 21}) == {
        "shipment_details.reference_number": "Bluedart takes at most 20 characters"
    }
    assert warned(india(bluedart | {"shipment_details.weight": 9.9}), IndiaOrder) == [
        "shipment_details.weight"
    ]


def test_other_couriers_take_longer_references_and_lighter_parcels() -> None:
    taken({"shipment_details.reference_number": "r" * 100, "shipment_details.weight": 1})


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["email", "pickup_email"])
def test_consignors_email_is_taken_in_either_spelling(spelling: str) -> None:
    taken({"pickup_info.email": DROPPED} | {f"pickup_info.{spelling}": "night@example.com"})


@pytest.mark.parametrize("email", [DROPPED, None])
def test_consignor_without_an_email_is_warned_of(email: Any) -> None:
    assert warned(india({"pickup_info.email": email}), IndiaOrder) == ["pickup_info.email"]


@pytest.mark.parametrize("country", ["IN", "India"])
def test_india_is_spelled_both_ways(country: str) -> None:
    taken({"pickup_info.pickup_country": country, "drop_info.drop_country": country})


def test_order_to_another_country_is_refused_with_advice() -> None:
    assert problems_of({"drop_info.drop_country": "AE"}) == {
        "drop_info.drop_country": 'India is written "IN"; other countries are v4'
    }


@pytest.mark.parametrize("pincode", ["11000", "1100011", "abcdef", "011001", 11000, 110001.5])
def test_pincode_is_text_of_six_digits(pincode: Any) -> None:
    assert list(problems_of({"drop_info.drop_pincode": pincode})) == ["drop_info.drop_pincode"]


@pytest.mark.parametrize("time", ["2026-03-02T10:00:00Z", "2026-03-02T10:00:00.000+05:30"])
def test_pickup_time_may_have_zone_and_fraction(time: str) -> None:
    taken({"pickup_info.pickup_time": time})


def test_impossible_pickup_day_is_a_mistake() -> None:
    assert problems_of({"pickup_info.pickup_time": "2026-02-30T10:00:00"}) == {
        "pickup_info.pickup_time": "a date is written YYYY-MM-DD, like 2026-01-31"
    }


def test_pickup_time_in_another_form_is_warned_of() -> None:
    payload = india({"pickup_info.pickup_time": "2022-10-271T11:52:36+04:00"})

    assert warned(payload, IndiaOrder) == ["pickup_info.pickup_time"]


@pytest.mark.parametrize("part", ["pickup_info", "drop_info", "shipment_details"])
def test_missing_part_is_reported_and_others_are_still_checked(part: str) -> None:
    problems = problems_of({part: DROPPED, "gst_info": {"seller_pincode": "1"}})

    assert list(problems) == [part, "gst_info.seller_pincode"]
    assert problems[part] == "required field missing"


def test_empty_order_is_reported_with_its_required_fields() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure({}, IndiaOrder)

    assert [problem.path for problem in caught.value.problems] == [
        "pickup_info",
        "drop_info",
        "shipment_details",
    ]
