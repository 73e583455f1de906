"""Orders for the rest of the world and across borders."""

from collections.abc import Mapping
from typing import Any

import pytest

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async.structures import WorldOrder
from tests.helpers.strategies import DROPPED, warned, world


def problems_of(changes: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the mistakes of an order that is changed by path."""
    with pytest.raises(InvalidRequestError) as caught:
        structure(world(changes), WorldOrder)
    return {problem.path: problem.message for problem in caught.value.problems}


def taken(changes: Mapping[str, Any]) -> WorldOrder:
    """Return an order that is changed by path, and loses nothing."""
    payload = world(changes)
    order = structure(payload, WorldOrder)
    assert unstructure(order) == payload
    return order


EVERYTHING = {
    "pickup_info.lat": None,
    "pickup_info.long": 55.2,
    "pickup_info.district": "",
    "pickup_info.landmark": None,
    "pickup_info.phone_code": "+971",
    "pickup_info.address_type": "OFFICE",
    "pickup_info.organisation": "Souk",
    "pickup_info.delivery_instructions": None,
    "drop_info.email": "omar@example.com",
    "drop_info.time": "2026-03-05T10:00:00",
    "drop_info.lat": "24.7",
    "drop_info.long": 46.6,
    "drop_info.phone_code": "+966",
    "drop_info.address_type": "RESIDENTIAL",
    "shipment_details.invoice_number": "INV-9",
    "shipment_details.account_code": "Naqel",
    "shipment_details.order_id": "merchant-9",
    "shipment_details.vendor_code": "V9",
    "shipment_details.awb_number": "TESTAWB0009",
    "shipment_details.rvp_reason": "wrong colour",
    "shipment_details.items_in_shipment": [{"sku": "S1"}],
    "additional": {
        "label": True,
        "async": True,
        "priority": "URGENT",
        "account_code": "Naqel",
        "order_id": "merchant-9",
        "order_date": "2026-03-01",
        "estimated_delivery_date": "2026-03-09",
        "rvp_reason": "wrong colour",
        "vendor_code": "V9",
        "invoice_base_64": "JVBERi0=",
        "duty_fee_paid_by": "S",
        "qc_type": "doorstep",
        "otp_based_delivery": False,
        "insured": True,
        "insurance_amount": 50,
        "return_info": {
            "name": "Souk Returns",
            "address": "Unit 5",
            "city": "Dubai",
            "state": "",
            "postal_code": "",
            "country_code": "AE",
            "phone": "500000009",
        },
    },
    "return_info": None,
    "tax_info": {
        "shipper_tax_id": "T1",
        "consignee_tax_id": "T2",
        "consignee_tax_type": "VAT",
        "consignee_tax_type_country_code": "SA",
        "consignee_tax_country_code": "SA",
        "exporter_tax_id": "T3",
        "exporter_tax_type": "GST",
        "exporter_type": "GST",
        "exporter_tax_type_country_code": "IN",
        "exporter_tax_country_code": "IN",
        "lut_bond_number": "LUT1",
        "shipping_charges": "12.50",
        "import_duty_vat_charges": 3,
        "tax_paid": True,
        "tax_amount": 1.5,
        "new_in_customs": "kept",
    },
    "courier_custom_fields": {"payor_fedex_account_number": "123456789"},
    "gst_info": {"seller_gstin": "24TESTS0000A1Z5"},
}


def test_every_documented_field_survives_the_round_trip() -> None:
    order = taken(EVERYTHING)

    assert order.extra == {}
    assert order.pickup_info.extra == {}
    assert order.drop_info.extra == {}
    assert order.shipment_details.extra == {}
    assert order.additional is not None
    assert order.additional.extra == {}
    assert order.tax_info is not None
    assert order.tax_info.extra == {"new_in_customs": "kept"}
    assert order.tax_info.shipping_charges == "12.50"
    assert order.drop_info.lat == 24.7
    assert order.reference_number == "world-2001"


@pytest.mark.parametrize("part", ["pickup_info", "drop_info"])
@pytest.mark.parametrize("code", ["ae", "UAE", "UK", "Dubai"])
def test_country_that_is_no_iso_code_is_warned_of(part: str, code: str) -> None:
    payload = world({f"{part}.country_code": code})

    (warning,) = structure(payload, WorldOrder).warnings

    assert warning.path == f"{part}.country_code"
    assert "ISO alpha-2 code in capitals, like AE" in warning.message


@pytest.mark.parametrize("part", ["pickup_info", "drop_info"])
def test_country_is_not_blank(part: str) -> None:
    assert problems_of({f"{part}.country_code": ""}) == {
        f"{part}.country_code": "must not be blank"
    }


@pytest.mark.parametrize("blank", ["state", "postal_code"])
def test_state_and_postal_code_may_be_blank_but_not_missing(blank: str) -> None:
    taken({f"drop_info.{blank}": ""})

    assert problems_of({f"drop_info.{blank}": DROPPED}) == {
        f"drop_info.{blank}": "required field missing"
    }


@pytest.mark.parametrize("needed", ["email", "time"])
def test_only_a_pickup_without_email_and_time_is_warned_of(needed: str) -> None:
    assert warned(world({f"pickup_info.{needed}": DROPPED}), WorldOrder) == [
        f"pickup_info.{needed}"
    ]
    taken({f"drop_info.{needed}": None})


@pytest.mark.parametrize("place", ["shipment_details", "additional"])
def test_reason_of_rvp_may_be_in_either_place(place: str) -> None:
    taken({"shipment_details.delivery_type": "RVP", f"{place}.rvp_reason": "r" * 500})

    assert list(
        problems_of({"shipment_details.delivery_type": "RVP", f"{place}.rvp_reason": "r" * 501})
    ) == [f"{place}.rvp_reason"]
    assert list(problems_of({"shipment_details.delivery_type": "RVP"})) == ["additional.rvp_reason"]


@pytest.mark.parametrize(
    "fields", [DROPPED, None, {}, {"payor_fedex_account_number": None}, {"other": "1"}]
)
def test_fedex_cross_border_needs_the_payers_account(fields: Any) -> None:
    changes: dict[str, Any] = {"shipment_details.courier_partner": 330}
    if fields is not DROPPED:
        changes["courier_custom_fields"] = fields

    assert problems_of(changes) == {
        "courier_custom_fields.payor_fedex_account_number": (
            "required field missing: courier 330 (FedEx cross-border) needs the payer's account"
        )
    }


def test_fedex_cross_border_is_taken_with_the_payers_account() -> None:
    taken(
        {
            "shipment_details.courier_partner": 330,
            "courier_custom_fields": {"payor_fedex_account_number": "123456789"},
        }
    )


@pytest.mark.parametrize(
    ("order_type", "cod_value", "fits"),
    [("COD", 10, True), ("COD", 0, False), ("PREPAID", 10, False), ("EXCHANGE", 0, True)],
)
def test_amount_to_collect_fits_the_order_type(
    order_type: str, cod_value: float, *, fits: bool
) -> None:
    changes = {
        "shipment_details.order_type": order_type,
        "shipment_details.cod_value": cod_value,
    }
    if fits:
        taken(changes)
    else:
        assert list(problems_of(changes)) == ["shipment_details.cod_value"]


@pytest.mark.parametrize("courier", [5, 28, 129])
def test_bluedart_takes_twenty_characters(courier: int) -> None:
    bluedart = {"shipment_details.courier_partner": courier}
    taken(bluedart | {"shipment_details.reference_number": "r" * 20})

    assert list(problems_of(bluedart | {"shipment_details.reference_number": "r" * 21})) == [
        "shipment_details.reference_number"
    ]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("additional.priority", "HIGH"),
        ("additional.duty_fee_paid_by", "SENDER"),
        ("shipment_details.delivery_type", "REVERSE"),
        ("shipment_details.currency_code", "RIYAL"),
        ("additional.insurance_amount", -1),
        ("additional.estimated_delivery_date", "09-03-2026"),
    ],
)
def test_value_outside_of_an_enum_is_reported(field: str, wrong: Any) -> None:
    assert list(problems_of({field: wrong})) == [field]


@pytest.mark.parametrize(
    ("field", "odd"),
    [("drop_info.address_type", "HOME"), ("drop_info.lat", 91), ("pickup_info.long", -181)],
)
def test_value_that_the_document_does_not_list_is_warned_of(field: str, odd: Any) -> None:
    assert warned(world({field: odd}), WorldOrder) == [field]


def test_mistakes_in_five_places_are_reported_together() -> None:
    assert list(
        problems_of(
            {
                "pickup_info.country_code": "",
                "pickup_info.time": "soon",
                "drop_info.phone": "call me",
                "shipment_details.items[0].price": -1,
                "shipment_details.items[0].weight": DROPPED,
                "shipment_details.cod_value": 10,
                "shipment_details.courier_partner": 330,
                "shipment_details.delivery_type": "RVP",
                "additional.priority": "HIGH",
            }
        )
    ) == [
        "pickup_info.country_code",
        "pickup_info.time",
        "drop_info.phone",
        "shipment_details.items[0].price",
        "shipment_details.cod_value",
        "additional.priority",
        "additional.rvp_reason",
        "courier_custom_fields.payor_fedex_account_number",
    ]


@pytest.mark.parametrize("phone", ["+966 500000002", "00966500000002", "(0)50 000"])
def test_phone_with_a_country_code_is_refused_with_the_right_field(phone: str) -> None:
    warnings = structure(world({"drop_info.phone": phone}), WorldOrder).warnings

    assert {warning.path for warning in warnings} == {"drop_info.phone"}
    assert all("dialling code goes into phone_code" in warning.message for warning in warnings)
