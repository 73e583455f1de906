"""Values in other spellings: read, kept for `unstructure`, and sent in ClickPost's spelling."""

import json
from contextlib import suppress
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async._codec.converter import to_wire
from clickpost_async._codec.request import encode
from clickpost_async.endpoints import CATALOG
from clickpost_async.structures import IndiaOrder, Item, OrderEdit, RequestModel, WorldOrder
from tests.helpers.strategies import DROPPED, changed, every_sent, india, payloads, world


def value_at(payload: Any, path: str) -> Any:
    """Return the value at a path, or `DROPPED` where there is none."""
    for part in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(payload, list) and part.isdigit() and int(part) < len(payload):
            payload = payload[int(part)]
        elif not isinstance(payload, dict) or part not in payload:
            return DROPPED
        else:
            payload = payload[part]
    return payload


SPELLINGS: list[tuple[str, Any, Any]] = [
    ("additional.label", "1", True),
    ("additional.label", 0, False),
    ("additional.label", 1.0, True),
    ("additional.async", "True", True),
    ("additional.async", "false", False),
    ("additional.async", "Yes", True),
    ("additional.async", " NO ", False),
    ("additional.async", "", DROPPED),
    ("additional.enable_whatsapp", [], DROPPED),
    ("additional", [], DROPPED),
    ("additional", "", DROPPED),
    ("gst_info", [], DROPPED),
    ("shipment_details.items[0].additional", [], DROPPED),
    ("shipment_details.items[0].gst_info", "", DROPPED),
    ("shipment_details.items[0].size", 0.0, "0"),
    ("shipment_details.items[0].size", 9.5, "9.5"),
    ("shipment_details.items[0].price", "1549.00", 1549.0),
    ("shipment_details.items[0].quantity", "1", 1),
    ("shipment_details.items[0].return_days", "7", 7),
    ("shipment_details.courier_partner", "4", 4),
    ("shipment_details.weight", " 400 ", 400),
    ("shipment_details.height", "12.0", 12.0),
    ("shipment_details.account_code", 17, "17"),
    ("shipment_details.order_id", 400591069, "400591069"),
    ("drop_info.drop_lat", "", DROPPED),
    ("drop_info.drop_lat", "18.52", 18.52),
    ("drop_info.drop_pincode", 560041, "560041"),
    ("drop_info.drop_pincode", 560041.0, "560041"),
    ("drop_info.drop_phone", 9000000002, "9000000002"),
    ("drop_info.drop_address_type", "", DROPPED),
    ("drop_info.drop_start_time", "", DROPPED),
    ("drop_info.drop_landmark", "", ""),
    ("drop_info.drop_landmark", False, DROPPED),
    ("drop_info.drop_lat", False, DROPPED),
    ("drop_info.drop_address_type", False, DROPPED),
    ("additional.label", False, False),
    ("additional.label", "on", True),
    ("additional.label", "off", False),
    ("additional.label", "Y", True),
    ("additional.label", "f", False),
    ("additional.order_date", "", DROPPED),
    ("additional.rvp_reason", "", DROPPED),
    ("additional.qc_params", ["BRAND", 1], ["BRAND", "1"]),
    ("additional.custom_fields", [], []),
    ("additional.multi_modal", [], DROPPED),
    ("additional.multi_modal", False, DROPPED),
    ("additional", False, DROPPED),
    ("additional.custom_fields", False, DROPPED),
    ("additional.custom_fields", {}, DROPPED),
    ("additional.return_info", {}, DROPPED),
    ("additional.return_info", {"name": "", "phone": None, "address": []}, DROPPED),
    ("gst_info", {}, {}),
    ("shipment_details.order_type", "cod", "COD"),
    ("shipment_details.order_type", " Cod ", "COD"),
    ("shipment_details.delivery_type", "forward", "FORWARD"),
    ("drop_info.drop_pincode", " 560041", "560041"),
    ("drop_info.drop_pincode", "560 041", "560041"),
    ("pickup_info.pickup_pincode", "380055\n", "380055"),
]


@pytest.mark.parametrize(("path", "written", "sent"), SPELLINGS)
def test_other_spelling_is_read_and_sent_in_clickposts_spelling(
    path: str, written: Any, sent: Any
) -> None:
    payload = india({path: written})

    order = structure(payload, IndiaOrder)
    body = json.loads(encode(CATALOG["orders.create_india"], {}, payload).body or b"")

    assert unstructure(order) == payload
    assert value_at(to_wire(order), path) == value_at(body, path) == sent
    assert type(value_at(body, path)) is type(sent)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("additional.label", "perhaps"),
        ("additional.label", 2),
        ("additional", "none"),
        ("additional", [1]),
        ("additional.return_info", 5),
        ("additional.return_info", True),
        ("shipment_details", False),
        ("shipment_details.items", {}),
        ("shipment_details.order_type", "cash"),
        ("drop_info.drop_pincode", "5600 4"),
        ("shipment_details.items[0].price", "1,549"),
        ("shipment_details.items[0].price", "12_5"),
        ("shipment_details.items[0].quantity", "1.5"),
        ("shipment_details.courier_partner", "delhivery"),
        ("shipment_details.courier_partner", ""),
        ("shipment_details.weight", []),
        ("shipment_details.cod_value", True),
        ("drop_info.drop_pincode", True),
        ("drop_info.drop_pincode", ["560041"]),
        ("drop_info.drop_name", {}),
        ("shipment_details.awb_number", 2.0**60),
        ("shipment_details", []),
        ("pickup_info", ""),
        ("shipment_details.items", ""),
        ("drop_info.drop_name", False),
        ("drop_info.drop_landmark", True),
    ],
)
def test_value_that_could_mean_anything_is_still_refused(path: str, wrong: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure(india({path: wrong}), IndiaOrder)

    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize("value", [0, False, "a", [1], {"a": ""}])
def test_section_with_any_value_is_not_left_out(value: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"additional\.return_info\.name: required"):
        structure(india({"additional.return_info": {"city": value}}), IndiaOrder)


def test_all_mistakes_are_reported_at_once_beside_other_spellings() -> None:
    payload = india(
        {
            "additional": [],
            "drop_info.drop_pincode": 5600,
            "drop_info.drop_lat": "",
            "shipment_details.order_type": "cash",
            "shipment_details.items[0].price": "free",
            "shipment_details.items[0].additional": [],
            "shipment_details.reference_number": "",
        }
    )

    with pytest.raises(InvalidRequestError) as caught:
        structure(payload, IndiaOrder)

    assert [problem.path for problem in caught.value.problems] == [
        "drop_info.drop_pincode",
        "shipment_details.items[0].price",
        "shipment_details.reference_number",
        "shipment_details.order_type",
    ]


def test_structure_made_by_hand_takes_the_same_spellings() -> None:
    plain: Any = {"quantity": "2", "price": "10.5", "size": 42, "additional": [], "ean": 11}

    item = Item(description="mug", weight=1, **plain)

    assert (item.quantity, item.price, item.size, item.additional) == (2, 10.5, "42", None)
    assert to_wire(item) == {
        "description": "mug",
        "quantity": 2,
        "price": 10.5,
        "size": "42",
        "ean": "11",
        "weight": 1,
    }


def test_evolved_field_is_written_as_it_is_now() -> None:
    order = structure(
        india({"drop_info.drop_lat": "", "drop_info.drop_pincode": 560041}), IndiaOrder
    )

    drop = attrs.evolve(order.drop_info, drop_lat=12.9, drop_pincode="411001")

    assert unstructure(drop)["drop_lat"] == 12.9
    assert unstructure(drop)["drop_pincode"] == "411001"


BLANKS = st.sampled_from(["", [], None])
PLACES = st.dictionaries(
    st.sampled_from(
        [
            "additional",
            "gst_info",
            "drop_info.drop_lat",
            "drop_info.drop_address_type",
            "drop_info.drop_end_time",
            "shipment_details.items[0].additional",
            "shipment_details.items[0].gst_info",
            "shipment_details.items[0].length",
            "shipment_details.item_count",
            "shipment_details.is_fragile",
            "shipment_details.rvp_reason",
        ]
    ),
    BLANKS,
)
NUMBERS = st.integers(1, 10**6) | st.floats(1, 10**6).map(lambda number: round(number, 2))


def in_any_spelling(number: float) -> st.SearchStrategy[Any]:
    """Write a number as JSON's own or as text."""
    return st.sampled_from([number, str(number), f" {number}", f"{number:.2f}"])


@given(
    blanks=PLACES,
    weight=NUMBERS.flatmap(in_any_spelling),
    price=NUMBERS.flatmap(in_any_spelling),
    label=st.sampled_from([True, False, 0, 1, "0", "1", "true", "False", "", None]),
    pincode=st.integers(100000, 999999).flatmap(lambda n: st.sampled_from([n, str(n), float(n)])),
)
def test_any_mix_of_spellings_survives_and_is_sent_as_json_types(
    blanks: dict[str, Any], weight: Any, price: Any, label: Any, pincode: Any
) -> None:
    payload = india(
        {
            "shipment_details.weight": weight,
            "shipment_details.items[0].price": price,
            "drop_info.drop_pincode": pincode,
            "additional.label": label,
        }
    )
    if not blanks.keys() & {"additional"}:
        payload["additional"]["label"] = label
    payload = changed(payload, blanks)

    order = structure(payload, IndiaOrder)
    sent = to_wire(order)

    assert unstructure(order) == payload
    assert type(sent["shipment_details"]["weight"]) in (int, float)
    assert type(sent["shipment_details"]["items"][0]["price"]) in (int, float)
    assert sent["drop_info"]["drop_pincode"] == str(int(float(pincode)))
    assert structure(sent, IndiaOrder) == order
    for path, blank in blanks.items():
        assert value_at(sent, path) is (None if blank is None else DROPPED)


def places(payload: Any, path: str = "") -> list[str]:
    """Return the paths of all values in a payload, sections included."""
    if isinstance(payload, dict):
        inner = [(f"{path}.{key}" if path else key, value) for key, value in payload.items()]
    elif isinstance(payload, list):
        inner = [(f"{path}[{position}]", value) for position, value in enumerate(payload)]
    else:
        inner = []
    return [found for name, value in inner for found in (name, *places(value, name))]


def spellings(value: Any) -> list[Any]:
    """Return how live integrations write a value, or write that there is none."""
    nothing: list[Any] = ["", None, [], 0, "0"]
    if isinstance(value, bool):
        return [str(int(value)), int(value), float(value), str(value), str(value).lower(), *nothing]
    if isinstance(value, int | float):
        return [str(value), f" {value} ", float(value), f"{value:.2f}", *nothing]
    if isinstance(value, str) and value.isdecimal() and value.isascii():
        return [int(value), float(value), f"{value} ", *nothing]
    return nothing


@pytest.mark.parametrize("kind", every_sent())
@given(data=st.data())
@settings(max_examples=20)
def test_any_spelling_is_written_back_and_read_the_same_again(
    kind: type[RequestModel], data: st.DataObject
) -> None:
    payload = data.draw(payloads(kind))
    first = structure(payload, kind)
    chosen = st.lists(st.sampled_from(places(payload)), max_size=4, unique=True)
    for path in data.draw(chosen) if payload else ():
        written = value_at(payload, path)
        if written is DROPPED:
            continue
        respelled = changed(payload, {path: data.draw(st.sampled_from(spellings(written)))})
        # Whether it is rejected, as where a required value is empty, is not the question here.
        with suppress(InvalidRequestError):
            first, payload = structure(respelled, kind), respelled

    again = structure(unstructure(first), kind)

    assert json.dumps(unstructure(first)) == json.dumps(unstructure(again))
    assert unstructure(first) == payload
    assert (again, again.warnings) == (first, first.warnings)
    assert again.original == first.original
    assert json.dumps(to_wire(again)) == json.dumps(to_wire(first))


# --- what live integrations send ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"shipment_details.items[0].weight": DROPPED}, ["shipment_details.items[0].weight"]),
        ({"shipment_details.delivery_type": DROPPED}, ["shipment_details.delivery_type"]),
        (
            {"shipment_details.order_type": "PREPAID", "shipment_details.cod_value": DROPPED},
            ["shipment_details.cod_value"],
        ),
        (
            {"drop_info.drop_phone": "971500000000", "drop_info.drop_phone_code": "+971"},
            ["drop_info.drop_phone"],
        ),
        ({"shipment_details.items[0].length": 0.0}, ["shipment_details.items[0].length"]),
        ({"pickup_info.pickup_time": DROPPED}, ["pickup_info.pickup_time"]),
        ({"drop_info.drop_address": "x" * 501}, ["drop_info.drop_address"]),
        ({"additional.priority": "HIGH"}, ["additional.priority"]),
    ],
)
def test_deviation_from_the_documentation_is_sent_with_a_warning(
    changes: dict[str, Any], warned: list[str]
) -> None:
    payload = india(changes)

    order = structure(payload, IndiaOrder)

    assert [warning.path for warning in order.warnings] == warned
    assert all("sent as it is" in warning.message for warning in order.warnings)
    assert unstructure(order) == payload
    assert attrs.evolve(order).warnings == order.warnings


def test_item_weighed_in_additional_only_has_no_warning() -> None:
    payload = world(
        {
            "shipment_details.items[0].weight": DROPPED,
            "shipment_details.items[0].additional": {"weight": "500"},
        }
    )

    assert structure(payload, WorldOrder).warnings == ()


def test_documented_orders_have_no_warnings() -> None:
    assert structure(india(), IndiaOrder).warnings == ()
    assert structure(world(), WorldOrder).warnings == ()


def test_documented_fields_beside_the_common_ones_are_typed() -> None:
    payload = india(
        {
            "shipment_details.reseller_name": "Corner Shop",
            "shipment_details.booking_id": "B-1",
            "shipment_details.cod_currency_code": "INR",
            "shipment_details.is_fragile": "1",
            "shipment_details.is_dangerous": False,
            "shipment_details.higher_of_dry_weight_and_volumetric_weight": 500,
            "shipment_details.item_count": 2,
            "shipment_details.items[0].serial_no": 11223344,
            "additional.fareye_store_id": "84410",
            "additional.fareye_order_type": "FORWARD",
            "additional.service_type": "C",
            "additional.priority": "NORMAL",
            "additional.multi_modal": {
                "last_mile_courier_partner": 5,
                "last_mile_pickup_time": "2017-11-15 2:56 PM",
                "last_mile_order_type": "PREPAID",
                "transit_info": {"transit_city": "Chandigarh", "transit_pincode": 160017},
            },
        }
    )

    order = structure(payload, IndiaOrder)

    assert order.warnings == ()
    assert order.additional is not None
    assert order.additional.multi_modal is not None
    assert order.additional.multi_modal.transit_info is not None
    assert order.additional.multi_modal.transit_info.transit_pincode == "160017"
    assert (order.shipment_details.is_fragile, order.shipment_details.item_count) == (True, 2)
    assert order.extra == order.shipment_details.extra == order.additional.extra == {}
    assert unstructure(order) == payload


# --- warnings are logged ------------------------------------------------------------------------


def test_each_kind_of_warning_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    item = {"description": "mug", "quantity": 1, "price": 5}
    for number in range(3):
        changes = {
            "shipment_details.items": [item] * (number + 1),
            "drop_info.drop_name": "Asha Tester" * (10 + number),
        }
        structure(india(changes), IndiaOrder)

    logged = [record for record in caplog.records if record.name == "clickpost_async"]

    assert [record.levelname for record in logged] == ["WARNING", "WARNING"]
    assert "drop_info.drop_name" in logged[0].getMessage()
    assert "items[0].weight" in logged[1].getMessage()
    assert "Asha" not in caplog.text


def test_structure_made_by_hand_is_logged_when_it_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    edit = OrderEdit(waybill="W1", courier_partner=4, qc_type="doorstop")
    assert caplog.records == []

    encode(CATALOG["orders.edit"], {}, edit)

    assert "qc_type" in caplog.text
