from typing import Any

import pytest

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async._codec.converter import structure_response
from clickpost_async.structures import ResponseInfo
from clickpost_async.structures.couriers import IndiaParcel, Recommendation, Recommendations
from tests.helpers.strategies import warned


def recommendation(**fields: Any) -> Recommendation:
    found = structure_response(fields, Recommendation, ResponseInfo())
    assert found is not None
    return found


def test_two_spellings_of_a_courier_read_the_same() -> None:
    india = recommendation(preference_array=[{"cp_id": 4, "cp_name": "Delhivery", "priority": 1}])
    world = recommendation(
        preference_array=[
            {"courier_partner_code": 4, "courier_partner_name": "Delhivery", "priority": 1}
        ]
    )
    assert india.best == world.best
    assert india.best is not None
    assert (india.best.courier_partner, india.best.courier_partner_name) == (4, "Delhivery")


@pytest.mark.parametrize(
    ("fields", "serviceable"),
    [
        ({"preference_array": [{"cp_id": 4}], "pincode_serviceable": True}, True),
        ({"preference_array": [{"cp_id": 4}]}, True),
        ({"preference_array": [{"cp_id": 4}], "pincode_serviceable": False}, False),
        ({"preference_array": [], "pincode_serviceable": True}, False),
        ({}, False),
    ],
)
def test_serviceable_means_that_there_is_a_courier(
    fields: dict[str, Any], serviceable: bool
) -> None:
    found = recommendation(**fields)
    assert found.serviceable is serviceable
    assert (found.best is not None) is serviceable


def test_best_courier_has_the_lowest_priority_number_wherever_it_stands() -> None:
    found = recommendation(
        preference_array=[{"cp_id": 1}, {"cp_id": 2, "priority": 2}, {"cp_id": 3, "priority": 1}]
    )
    assert found.best is not None
    assert found.best.courier_partner == 3


def test_empty_response_means_not_serviceable() -> None:
    assert Recommendations().serviceable is False
    served = recommendation(preference_array=[{"cp_id": 1}])
    assert Recommendations(rows=(served,)).serviceable is True
    assert Recommendations(rows=(served, Recommendation())).serviceable is False


def test_parcel_may_leave_out_its_size_and_keep_what_is_not_documented() -> None:
    payload = {
        "pickup_pincode": "682011",
        "drop_pincode": "600017",
        "order_type": "COD",
        "delivery_type": "FORWARD",
        "reference_number": "NILA-1",
        "item": "Shirt",
        "invoice_value": "1299.50",
        "higher_of_dry_weight_and_volumetric_weight": 400,
        "colour": "blue",
        "weight": None,
    }
    assert unstructure(structure(payload, IndiaParcel)) == payload


def test_parcel_without_an_item_is_warned_of() -> None:
    payload = {
        "pickup_pincode": 682011,
        "drop_pincode": "600017",
        "order_type": "PREPAID",
        "delivery_type": "FORWARD",
        "reference_number": 1,
        "invoice_value": 1245,
    }

    parcel = structure(payload, IndiaParcel)

    assert warned(payload, IndiaParcel) == ["item"]
    assert (parcel.pickup_pincode, parcel.reference_number) == ("682011", "1")
    assert unstructure(parcel) == payload


def test_all_mistakes_of_a_parcel_are_reported_together() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure({"pickup_pincode": "1", "weight": 0, "delivery_type": "BACK"}, IndiaParcel)
    assert {problem.path for problem in caught.value.problems} == {
        "pickup_pincode",
        "drop_pincode",
        "order_type",
        "delivery_type",
        "reference_number",
        "invoice_value",
        "weight",
    }
