"""For every structure, by its annotations alone."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from types import UnionType
from typing import Any, Union, get_origin

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async._codec.converter import structure_response, to_wire
from clickpost_async.structures import (
    CreatedOrder,
    IndiaDrop,
    IndiaOrder,
    IndiaPickup,
    IndiaShipment,
    Item,
    RequestModel,
    ResponseInfo,
    ResponseModel,
    Structure,
    UserDefinedField,
    WorldOrder,
    WorldPickupPlace,
    WorldShipment,
)
from clickpost_async.structures._base import ListResponse
from clickpost_async.structures._constraints import MaxLength
from clickpost_async.structures._rules import Severity
from clickpost_async.structures._schema import FieldSpec, member_kind, specs
from tests.helpers.strategies import (
    changed,
    every_field,
    every_sent,
    india,
    made,
    parts_of,
    payloads,
    simple_value,
    simplest,
    values,
    world,
)

CANARY = "Wilhelmina Canary 9876501234 canary@example.org"

kinds = pytest.mark.parametrize("kind", every_sent(), ids=lambda kind: kind.__name__)


def fields(wanted: Callable[[FieldSpec], object] = lambda _: True) -> pytest.MarkDecorator:
    """Run a test on each structure, with its fields of a sort."""
    return pytest.mark.parametrize(
        ("kind", "found"),
        [
            pytest.param(kind, found, id=kind.__name__)
            for kind in every_sent()
            if (found := [spec for spec in specs(kind) if wanted(spec)])
        ],
    )


numbers = fields(lambda spec: spec.kind in (int, float))


def problems_of(data: Any, kind: type[RequestModel]) -> Mapping[str, str]:
    """Return the mistakes of a payload by path."""
    with pytest.raises(InvalidRequestError) as caught:
        structure(data, kind)
    return {problem.path: problem.message for problem in caught.value.problems}


# --- nothing is lost ----------------------------------------------------------------------------


@kinds
@given(data=st.data())
@settings(max_examples=8)
def test_structured_payload_is_unstructured_unchanged(
    kind: type[RequestModel], data: st.DataObject
) -> None:
    payload = data.draw(payloads(kind))

    read = structure(payload, kind)

    assert unstructure(read) == payload
    assert structure(unstructure(read), kind) == read


@pytest.mark.parametrize("kind", [IndiaOrder, WorldOrder])
@given(data=st.data())
@settings(max_examples=8)
def test_json_of_an_order_is_stable(kind: type[RequestModel], data: st.DataObject) -> None:
    order = data.draw(made(kind))

    once = json.dumps(to_wire(order))
    again = json.dumps(to_wire(structure(json.loads(once), kind)))

    assert again == once


@fields()
def test_every_field_round_trips_a_plain_value(
    kind: type[RequestModel], found: Sequence[FieldSpec]
) -> None:
    for spec in found:
        payload = simplest(kind) | {spec.wire: simple_value(spec.kind, spec.rules)}
        if spec.wire in ("order_type", "cod_value"):
            payload |= {"order_type": "COD", "cod_value": 1}
        if kind is WorldPickupPlace and spec.wire == "end_time":
            payload["end_time"] = "18:00"

        read = structure(payload, kind)

        assert unstructure(read) == payload, spec.wire
        assert getattr(read, spec.name) is not None, spec.wire
        assert spec.wire not in read.extra


@fields()
def test_null_is_kept_in_an_optional_field_and_reported_in_a_required_one(
    kind: type[RequestModel], found: Sequence[FieldSpec]
) -> None:
    for spec in found:
        payload = simplest(kind)
        null_for_a_rule = payload.get(spec.wire) is not None and not spec.required
        payload[spec.wire] = None

        if spec.required:
            assert problems_of(payload, kind)[spec.wire] == "required field missing"
        elif not null_for_a_rule:
            assert unstructure(structure(payload, kind)) == payload


@kinds
def test_unknown_keys_survive(kind: type[RequestModel]) -> None:
    payload = simplest(kind) | {"brand_new": {"deep": [1, None, "two"]}}

    read = structure(payload, kind)

    assert read.extra == {"brand_new": {"deep": [1, None, "two"]}}
    assert unstructure(read) == payload
    assert to_wire(read)["brand_new"] == {"deep": [1, None, "two"]}


@numbers
def test_number_written_as_text_is_kept_as_it_was_and_sent_as_a_number(
    kind: type[RequestModel], found: Sequence[FieldSpec]
) -> None:
    for spec in found:
        payload = simplest(kind)
        number = payload.get(spec.wire) or simple_value(spec.kind, spec.rules)
        payload[spec.wire] = str(number)

        read = structure(payload, kind)

        assert unstructure(read)[spec.wire] == str(number), spec.wire
        assert getattr(read, spec.name) == number, spec.wire
        assert to_wire(read)[spec.wire] == number, spec.wire
        assert not isinstance(to_wire(read)[spec.wire], str), spec.wire


@numbers
def test_boolean_is_no_number(kind: type[RequestModel], found: Sequence[FieldSpec]) -> None:
    for spec in found:
        assert list(problems_of(simplest(kind) | {spec.wire: True}, kind)) == [spec.wire]


@pytest.mark.parametrize("number", [0, 1])
def test_number_for_a_boolean_is_kept_as_it_was_and_sent_as_a_boolean(number: int) -> None:
    read = structure(india({"shipment_details.is_fragile": number}), IndiaOrder)

    assert type(unstructure(read)["shipment_details"]["is_fragile"]) is int
    assert unstructure(read)["shipment_details"]["is_fragile"] == number
    assert to_wire(read)["shipment_details"]["is_fragile"] is bool(number)


@pytest.mark.parametrize(
    "text", ["", " ", "ten", "nan", "inf", "-inf", "1e999", "0x10", "1_000", "9" * 5000]
)
def test_text_that_is_no_number_is_reported(text: str) -> None:
    assert list(problems_of(india({"shipment_details.invoice_value": text}), IndiaOrder)) == [
        "shipment_details.invoice_value"
    ]


def test_original_spelling_does_not_count_for_equality() -> None:
    as_text = structure(india({"shipment_details.weight": "400"}), IndiaOrder)
    as_number = structure(india(), IndiaOrder)
    with_null = structure(india({"gst_info": None}), IndiaOrder)

    assert as_text == as_number == with_null
    assert unstructure(as_text) != unstructure(as_number)


def test_changed_copy_sends_the_change_and_not_what_was_read_before() -> None:
    read = structure(
        india({"shipment_details.weight": "400", "shipment_details.vendor_code": None}), IndiaOrder
    )

    shipment = attrs.evolve(read.shipment_details, weight=750, vendor_code="V-7")
    sent = attrs.evolve(read, shipment_details=shipment)

    assert to_wire(sent)["shipment_details"]["vendor_code"] == "V-7"
    assert unstructure(sent)["shipment_details"]["vendor_code"] == "V-7"
    assert unstructure(sent)["shipment_details"]["weight"] == 750


def test_extra_key_does_not_replace_a_field_that_was_checked() -> None:
    item = Item(description="shirt", quantity=1, price=10, weight=5, extra={"price": -10})

    assert to_wire(item)["price"] == 10


def test_order_made_by_hand_equals_the_same_order_read() -> None:
    item = Item(description="sandals", quantity=1, price=120, weight=500)
    shipment = simplest(WorldShipment) | {"items": [item]}
    by_hand = WorldShipment(**shipment)

    assert structure(unstructure(by_hand), WorldShipment) == by_hand


def test_list_changed_after_the_check_does_not_change_the_structure() -> None:
    items = [Item(description="sandals", quantity=1, price=120, weight=500)]
    shipment = WorldShipment(**simplest(WorldShipment) | {"items": items})

    items.clear()

    assert len(shipment.items) == 1


def test_json_changed_after_it_was_written_does_not_change_the_structure() -> None:
    read = structure(india({"gst_info": []}), IndiaOrder)

    unstructure(read)["gst_info"].append("changed")

    assert unstructure(read) == india({"gst_info": []})


def test_structure_is_frozen_and_takes_keywords_only() -> None:
    item = structure(simplest(Item), Item)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        item.price = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        Item("shirt", 1, 10)  # type: ignore[misc, call-arg]


def test_structure_is_taken_as_it_is() -> None:
    order = structure(india(), IndiaOrder)

    assert structure(order, IndiaOrder) is order


def test_mapping_may_hold_finished_parts() -> None:
    order = structure(india(), IndiaOrder)
    half_done = {**india(), "drop_info": order.drop_info}

    assert structure(half_done, IndiaOrder) == order


def test_reading_leaves_the_payload_alone() -> None:
    payload = india({"shipment_details.weight": "400", "new": {"x": 1}})
    before = copy.deepcopy(payload)

    structure(payload, IndiaOrder)

    assert payload == before


# --- mistakes -----------------------------------------------------------------------------------

_WRONG: Mapping[Any, Any] = {str: {}, int: "some", float: "some", bool: "perhaps"}


@fields(lambda spec: spec.kind is not Any)
def test_value_of_the_wrong_type_is_reported_at_its_field(
    kind: type[RequestModel], found: Sequence[FieldSpec]
) -> None:
    for spec in found:
        wrong = _WRONG.get(spec.kind, 5)
        if member_kind(spec.kind) is None and get_origin(spec.kind) in (Union, UnionType):
            wrong = {}

        problems = problems_of(simplest(kind) | {spec.wire: wrong}, kind)

        assert spec.wire in problems


@fields(lambda spec: any(isinstance(rule, MaxLength) for rule in spec.rules))
def test_overlong_text_is_a_warning_or_a_mistake_by_its_rule(
    kind: type[RequestModel], found: Sequence[FieldSpec]
) -> None:
    limits = [(spec, rule) for spec in found for rule in spec.rules if isinstance(rule, MaxLength)]
    for spec, limit in limits:
        letter = "9" if "phone" in spec.wire else "A"
        fits = simplest(kind) | {spec.wire: letter * limit.length}
        too_long = fits | {spec.wire: letter * (limit.length + 1)}
        message = f"at most {limit.length} characters, this has {limit.length + 1}"

        assert getattr(structure(fits, kind), spec.name) == letter * limit.length
        if limit.severity is Severity.MISTAKE:
            ((path, reported),) = problems_of(too_long, kind).items()
            assert path == spec.wire
        else:
            read = structure(too_long, kind)
            ((path, reported),) = [
                (warning.path, warning.message)
                for warning in read.warnings
                if warning.message.startswith("at most")
            ]
            assert unstructure(read) == too_long
            assert path == spec.wire
            assert limit.source in reported
        assert reported.startswith(message)


@kinds
def test_value_that_is_no_mapping_is_refused_with_a_message(kind: type[RequestModel]) -> None:
    for junk in (None, 5, "text", [], [{}], True, 1.5):
        with pytest.raises(InvalidRequestError) as caught:
            structure(junk, kind)

        assert [problem.path for problem in caught.value.problems] == [""]
        assert str(caught.value).startswith(f"expected a mapping or {kind.__name__}, got ")


@kinds
@given(data=st.data())
@settings(max_examples=8)
def test_refusal_always_names_a_mistake(kind: type[RequestModel], data: st.DataObject) -> None:
    payload = data.draw(payloads(kind))
    path = data.draw(st.sampled_from([spec.wire for spec in specs(kind)]))
    junk = data.draw(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.lists(st.none() | st.integers() | st.dictionaries(st.text(max_size=2), st.none()))
        | st.dictionaries(st.text(max_size=5), st.none(), max_size=2)
    )

    try:
        structure(payload | {path: junk}, kind)
    except InvalidRequestError as error:
        problems = error.problems
    else:
        return

    assert problems
    assert all(problem.message for problem in problems)
    assert not any("cannot be read" in problem.message for problem in problems)


_EIGHT: Mapping[str, Any] = {
    "pickup_info.pickup_pincode": "38005",
    "pickup_info.pickup_city": None,
    "drop_info.drop_country": "FR",
    "drop_info.drop_name": "  ",
    "shipment_details.cod_value": 0,
    "shipment_details.items[0].price": -1,
    "shipment_details.items[0].quantity": "two",
    "shipment_details.delivery_type": "RVP",
    "gst_info": {"seller_pincode": "12"},
}
_EIGHT_PATHS = [
    "pickup_info.pickup_city",
    "pickup_info.pickup_pincode",
    "drop_info.drop_name",
    "drop_info.drop_country",
    "shipment_details.items[0].quantity",
    "shipment_details.items[0].price",
    "shipment_details.cod_value",
    "gst_info.seller_pincode",
    "additional.rvp_reason",
]


def test_all_mistakes_of_a_mapping_are_reported_with_their_paths() -> None:
    assert list(problems_of(india(_EIGHT), IndiaOrder)) == _EIGHT_PATHS


def test_all_mistakes_are_reported_whatever_else_is_invalid() -> None:
    broken = changed(india(_EIGHT), {"additional": "none", "shipment_details.weight": "heavy"})

    assert set(problems_of(broken, IndiaOrder)) == (
        set(_EIGHT_PATHS) - {"additional.rvp_reason"}
    ) | {
        "additional",
        "shipment_details.weight",
    }


def test_refusal_of_an_order_has_its_reference_number() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure(india({"drop_info.drop_pincode": "1"}), IndiaOrder)

    assert caught.value.reference_number == "order-1001"


def test_one_broken_item_does_not_hide_the_mistakes_of_the_next() -> None:
    items = [None, {"description": "shirt", "quantity": 0, "price": 1, "weight": 1}, 5]

    assert list(problems_of(india({"shipment_details.items": items}), IndiaOrder)) == [
        "shipment_details.items[0]",
        "shipment_details.items[1].quantity",
        "shipment_details.items[2]",
    ]


def test_every_wrong_member_of_a_plain_list_is_reported() -> None:
    broken = india({"additional.qc_params": [{}, "BRAND", None]})

    assert list(problems_of(broken, IndiaOrder)) == [
        "additional.qc_params[0]",
        "additional.qc_params[2]",
    ]


def made_wrong(kind: type[RequestModel], **fields: Any) -> Mapping[str, str]:
    """Return the mistakes of a structure that is made by hand, by path."""
    with pytest.raises(InvalidRequestError) as caught:
        kind(**fields)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_all_mistakes_of_a_constructed_structure_are_reported_together() -> None:
    order = structure(india(), IndiaOrder)
    parts = {
        spec: getattr(order.shipment_details, spec)
        for spec in (attribute.name for attribute in attrs.fields(IndiaShipment) if attribute.init)
    }

    problems = made_wrong(
        IndiaShipment,
        **parts | {"invoice_date": "01-03-2026", "cod_value": 0, "weight": -1, "height": None},
    )

    assert list(problems) == ["invoice_date", "height", "weight", "cod_value"]


@pytest.mark.parametrize(
    ("field", "wrong"), [("reference_number", {}), ("weight", "heavy"), ("weight", None)]
)
def test_cross_field_rule_skips_an_invalid_field(field: str, wrong: Any) -> None:
    item = Item(description="shirt", quantity=1, price=1, weight=1)
    shipment = simplest(IndiaShipment) | {"items": (item,), "courier_partner": 5, field: wrong}

    assert list(made_wrong(IndiaShipment, **shipment)) == [field]


@pytest.mark.parametrize("part", [None, {"delivery_type": "RVP"}, 5])
def test_part_of_the_wrong_type_is_a_mistake_like_any_other(part: Any) -> None:
    order = structure(india(), IndiaOrder)
    world_order = structure(world(), WorldOrder)

    assert list(
        made_wrong(
            IndiaOrder,
            pickup_info=order.pickup_info,
            drop_info=order.drop_info,
            shipment_details=part,
        )
    ) == ["shipment_details"]
    assert list(
        made_wrong(
            WorldOrder,
            pickup_info=world_order.pickup_info,
            drop_info=world_order.drop_info,
            shipment_details=part,
        )
    ) == ["shipment_details"]
    if part is not None:
        assert "additional" in made_wrong(
            Item, description="shirt", quantity=1, price=1, additional=part
        )


@pytest.mark.parametrize("part", [{}, structure(world(), WorldOrder).pickup_info])
def test_part_of_the_wrong_class_is_reported_with_the_expected_class(part: Any) -> None:
    order = structure(india(), IndiaOrder)

    problems = made_wrong(
        IndiaOrder,
        pickup_info=part,
        drop_info=order.drop_info,
        shipment_details=order.shipment_details,
    )

    assert "IndiaPickup" in problems["pickup_info"]


def test_order_of_the_other_kind_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        structure(structure(world(), WorldOrder), IndiaOrder)


# --- people are hidden --------------------------------------------------------------------------

_PEOPLE = frozenset(
    """
    pickup_name pickup_address pickup_phone email pickup_email pickup_landmark drop_name
    drop_address drop_phone drop_alternate_phone drop_email drop_landmark location_value name
    phone address landmark delivery_instructions exchange_address otp_code customer_id_number
    invoice_base_64 username password value seller_name seller_address
    reseller_name transit_name transit_address transit_phone transit_email
    """.split()  # noqa: SIM905 - reads better than a list
)


@pytest.mark.parametrize(
    "kind",
    sorted(
        (parts_of(IndiaOrder) | parts_of(WorldOrder)) - {UserDefinedField},
        key=lambda kind: kind.__name__,
    ),
)
def test_personal_fields_are_marked(kind: type[RequestModel]) -> None:
    personal = {spec.wire for spec in specs(kind) if spec.personal}

    assert personal == {spec.wire for spec in specs(kind)} & _PEOPLE


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        pytest.param(kind, spec, id=f"{kind.__name__}.{spec.name}")
        for kind, spec in every_field()
        if spec.personal
    ],
)
@given(data=st.data())
@settings(max_examples=6)
def test_repr_does_not_depend_on_personal_data(
    kind: type[RequestModel], spec: FieldSpec, data: st.DataObject
) -> None:
    payload = data.draw(payloads(kind))
    strategy = values(spec.kind, spec.rules).filter(lambda value: value is not None)
    one, other = data.draw(strategy), data.draw(strategy)

    shown = repr(structure(payload | {spec.wire: one}, kind))

    assert shown == repr(structure(payload | {spec.wire: other}, kind))
    assert f"{spec.name}=…" in shown


@pytest.mark.parametrize("kind", [IndiaOrder, WorldOrder])
def test_unknown_keys_are_not_shown(
    kind: type[RequestModel],
) -> None:
    payload = (india if kind is IndiaOrder else world)({"drop_info.nickname": CANARY})

    order = structure(payload, kind)

    assert CANARY not in repr(order)
    assert CANARY not in str(order)


@fields()
def test_no_message_contains_a_value(kind: type[RequestModel], found: Sequence[FieldSpec]) -> None:
    wrongs = (CANARY * 200, [CANARY], {CANARY: CANARY}, CANARY + "\x00", CANARY + "\ud800")
    for spec, wrong in product(found, wrongs):
        try:
            structure(simplest(kind) | {spec.wire: wrong}, kind)
        except InvalidRequestError as error:
            for shown in (str(error), repr(error), str(error.problems), str(error.__context__)):
                assert "Canary" not in shown
                assert "canary" not in shown


# --- responses ----------------------------------------------------------------------------------


def test_repr_of_a_response_shows_no_unknown_key_and_no_raw_body() -> None:
    result = structure_response(
        {"waybill": "W1", "consignee": CANARY},
        CreatedOrder,
        ResponseInfo(raw={"consignee": CANARY}),
    )

    assert result is not None
    assert result.extra == {"consignee": CANARY}
    assert CANARY not in repr(result)
    assert CANARY not in repr(result.response)
    assert "waybill='W1'" in repr(result)


def test_response_info_does_not_count_for_equality() -> None:
    first = structure_response({"waybill": "W1"}, CreatedOrder, ResponseInfo(status=200))
    second = structure_response(
        {"waybill": "W1"}, CreatedOrder, ResponseInfo(status=323, attempts=2)
    )

    assert first == second


def test_only_request_and_response_models_are_structures() -> None:
    assert issubclass(RequestModel, Structure)
    assert issubclass(ResponseModel, Structure)
    assert not issubclass(RequestModel, ResponseModel)


@attrs.frozen(kw_only=True, repr=False)
class Rows(ResponseModel, ListResponse[str]):
    rows: Sequence[str] = ()


def test_list_response_is_a_sequence() -> None:
    rows = Rows(rows=("a", "b", "c"))

    assert list(rows) == ["a", "b", "c"]
    assert len(rows) == 3
    assert rows[0] == "a"
    assert rows[-1] == "c"
    assert "b" in rows
    with pytest.raises(IndexError):
        rows[3]


def test_empty_list_response_is_truthy() -> None:
    assert list(Rows()) == []
    assert structure_response({}, Rows, ResponseInfo()) == Rows()


def test_parts_made_by_hand_make_an_order() -> None:
    read = structure(india(), IndiaOrder)
    by_hand = IndiaOrder(
        pickup_info=IndiaPickup(**india()["pickup_info"]),
        drop_info=IndiaDrop(**india()["drop_info"]),
        shipment_details=read.shipment_details,
    )

    assert by_hand == read
    assert by_hand.reference_number == "order-1001"
