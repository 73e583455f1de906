from typing import Any

import pytest

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async.structures.pickups import IndiaPickupOrder, WorldPickupOrder
from tests.helpers.strategies import warned


def india(**changes: Any) -> dict[str, Any]:
    return {
        "pickup_date": "2026-03-02T15:30:00",
        "courier_partner": 5,
        "items": "3 cartons",
        "pickup_name": "Nila Stores",
        "pickup_address": "14 Canal Road",
        "pickup_city": "Kochi",
        "pickup_state": "Kerala",
        "pickup_pincode": "682011",
        "pickup_phone": "9000000001",
        "pickup_email": "dispatch@nila.example",
        "pickup_country": "IN",
        "account_code": "bluedart",
    } | changes


def world(**changes: Any) -> dict[str, Any]:
    return {
        "shipment_details": {
            "awb_number": "7700000007",
            "courier_partner_id": 145,
            "account_code": "dhl",
            "items": [{"description": "Scarf", "quantity": 1, "price": 90, "weight": 150}],
            "length": 25,
            "breadth": 20,
            "height": 5,
            "weight": 400,
        },
        "pickup_info": {
            "date": "2026-03-02",
            "start_time": "10:30",
            "end_time": "13:00",
            "name": "Nila Exports",
            "address": "3 Harbour Street",
            "city": "Kochi",
            "state": "Kerala",
            "country_code": "IN",
            "postal_code": 682003,
            "phone": "9000000002",
            "phone_code": "+91",
            "email": "export@nila.example",
        }
        | changes,
    }


def problems(payload: dict[str, Any], kind: type[Any]) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        structure(payload, kind)
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-02T15:30:00",
        "2026-03-02T15:30:00Z",
        "2026-03-02T15:30:00+05:30",
        "2026-03-02T15:30:00+0530",
        "2026-03-02T15:30:00.123456",
    ],
)
def test_every_documented_way_to_write_a_pickup_time_survives(time: str) -> None:
    payload = india(pickup_date=time)
    assert unstructure(structure(payload, IndiaPickupOrder)) == payload


@pytest.mark.parametrize("time", ["02-03-2026 15:30", "soon"])
def test_another_pickup_time_is_refused(time: str) -> None:
    assert list(problems(india(pickup_date=time), IndiaPickupOrder)) == ["pickup_date"]


@pytest.mark.parametrize("time", ["2026-03-02", "2022-10-271T10:00:00"])
def test_pickup_time_that_begins_with_its_day_is_warned_of(time: str) -> None:
    assert warned(india(pickup_date=time), IndiaPickupOrder) == ["pickup_date"]


def test_all_mistakes_of_a_pickup_are_reported_together() -> None:
    payload = india(
        courier_partner=0,
        items=" ",
        pickup_pincode="012345",
        pickup_email="",
        pickup_country="AE",
    )
    assert problems(payload, IndiaPickupOrder) == {
        "courier_partner": "must be at least 1",
        "items": "must not be blank",
        "pickup_pincode": "a pincode is six digits, like 110001",
        "pickup_email": "must not be blank",
        "pickup_country": 'India is written "IN"; other countries are v4',
    }


@pytest.mark.parametrize("code", [682003, "682003", "SW1A 1AA"])
def test_postal_code_stays_as_it_was_written(code: object) -> None:
    payload = world(postal_code=code)
    assert unstructure(structure(payload, WorldPickupOrder)) == payload


@pytest.mark.parametrize("end", ["10:30", "09:00"])
def test_pickup_ends_after_it_starts(end: str) -> None:
    assert warned(world(end_time=end), WorldPickupOrder) == ["pickup_info.end_time"]


@pytest.mark.parametrize("time", ["9:00", "24:00", "10:60", "10:30:00", "10.30"])
def test_time_of_day_has_hours_and_minutes(time: str) -> None:
    assert "pickup_info.start_time" in warned(world(start_time=time), WorldPickupOrder)


def test_people_of_a_pickup_are_not_shown() -> None:
    shown = repr(structure(india(), IndiaPickupOrder)) + repr(structure(world(), WorldPickupOrder))
    for personal in ("Nila", "Canal Road", "Harbour", "900000000", "nila.example"):
        assert personal not in shown
    assert "pickup_city='Kochi'" in shown


def test_pickup_is_known_by_its_reference_number() -> None:
    payload = world()
    assert structure(payload, WorldPickupOrder).reference_number is None
    payload["shipment_details"]["reference_number"] = "NILA-7"
    assert structure(payload, WorldPickupOrder).reference_number == "NILA-7"
