"""Strict for requests, lenient for responses."""

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

import attrs
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async._codec.converter import structure_response, to_wire
from clickpost_async.structures import (
    ChildShipment,
    CreatedOrder,
    IndiaOrder,
    Item,
    Order,
    RequestModel,
    ResponseInfo,
    ResponseModel,
)
from clickpost_async.structures._marks import WireName
from clickpost_async.structures._schema import specs
from tests.helpers.strategies import india


class Stage(enum.IntEnum):
    PLACED = 1
    SHIPPED = 4


@frozen(kw_only=True, repr=False)
class Leaf(ResponseModel):
    name: str | None = None


@frozen(kw_only=True, repr=False)
class Tree(ResponseModel):
    text: str | None = None
    whole: int | None = None
    number: float | None = None
    yes: bool | None = None
    anything: Any = None
    stage: Stage | int | None = None
    leaf: Leaf | None = None
    leaves: Sequence[Leaf] = ()
    by_name: Mapping[str, Leaf] | None = None
    either: Annotated[int | None, WireName("main", also=("older",))] = None


def read(**fields: Any) -> Tree:
    tree = structure_response(fields, Tree, ResponseInfo())
    assert tree is not None
    return tree


# --- lenient ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "raw", "value"),
    [
        ("text", "W1", "W1"),
        ("text", 123, "123"),
        ("text", 1.5, "1.5"),
        ("text", "", ""),
        ("whole", 7_000_000_000, 7_000_000_000),
        ("whole", "7000000000", 7_000_000_000),
        ("whole", "3.0", 3),
        ("whole", 3.0, 3),
        ("whole", "-1", -1),
        ("whole", " 12 ", 12),
        ("whole", "1e3", 1000),
        ("number", "2600", 2600.0),
        ("number", "1e3", 1000.0),
        ("number", 215.0, 215.0),
        ("number", 5, 5),
        ("number", " 12.50 ", 12.5),
        ("text", 560041.0, "560041"),
        ("text", " padded ", " padded "),
        ("yes", True, True),
        ("yes", "False", False),
        ("yes", "TRUE", True),
        ("yes", 1, True),
        ("yes", 0, False),
        ("yes", 1.0, True),
        ("yes", " true ", True),
        ("yes", "Yes", True),
        ("yes", "no", False),
        ("anything", [1, {"a": None}], [1, {"a": None}]),
        ("stage", 4, Stage.SHIPPED),
        ("stage", "4", Stage.SHIPPED),
        ("stage", 43, 43),
        ("leaf", {"name": "a"}, Leaf(name="a")),
        ("leaves", [{"name": "a"}, {}], (Leaf(name="a"), Leaf())),
        ("leaves", [None, {"name": "a"}, None], (Leaf(name="a"),)),
        ("leaves", False, ()),
        ("leaves", "", ()),
        ("leaves", {}, ()),
        ("by_name", {"x": {"name": "a"}}, {"x": Leaf(name="a")}),
    ],
)
def test_unusual_spelling_is_read(field: str, raw: Any, value: Any) -> None:
    tree = read(**{field: raw})

    assert getattr(tree, field) == value
    assert type(getattr(tree, field)) is type(value)
    assert tree.extra == {}


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("text", True),
        ("text", []),
        ("text", {}),
        ("whole", True),
        ("whole", 1.5),
        ("whole", "1.5"),
        ("whole", "one"),
        ("whole", ""),
        ("whole", []),
        ("whole", float("inf")),
        ("whole", "9" * 5000),
        ("whole", "1_000"),
        ("whole", 1.5e20),
        ("whole", "1.5e20"),
        ("text", 1.5e20),
        ("number", "nan"),
        ("number", "-inf"),
        ("number", "1e999"),
        ("number", "1_0.5"),
        ("number", 10**400),
        ("number", False),
        ("number", "heavy"),
        ("number", {}),
        ("yes", "maybe"),
        ("yes", 2),
        ("yes", ""),
        ("yes", 10**400),
        ("yes", []),
        ("stage", "shipped"),
        ("stage", []),
        ("leaf", "a"),
        ("leaf", [1]),
        ("leaves", "a"),
        ("leaves", {"name": "a"}),
        ("leaves", [1]),
        ("by_name", [1]),
        ("by_name", {"x": 5}),
    ],
)
def test_unreadable_value_is_none_and_kept_in_raw(field: str, raw: Any) -> None:
    tree = read(**{field: raw})

    assert getattr(tree, field) == getattr(Tree(), field)
    assert tree.extra == {field: raw}


def test_one_unreadable_field_loses_none_of_the_others() -> None:
    order = structure_response(
        {"waybill": "W1", "courier_partner_id": {}, "tracking_id": "soon", "label": 5},
        CreatedOrder,
        ResponseInfo(status=200),
    )

    assert order is not None
    assert (order.waybill, order.courier_partner, order.tracking_id) == ("W1", None, None)
    assert order.label == "5"
    assert order.extra == {"courier_partner_id": {}, "tracking_id": "soon"}


@frozen(kw_only=True, repr=False)
class Named(ResponseModel):
    name: str | None = field(default=None, validator=attrs.validators.instance_of(str))


@frozen(kw_only=True, repr=False)
class Owner(ResponseModel):
    named: Named | None = None
    note: str | None = None


def test_part_that_a_validator_rejects_loses_none_of_the_others() -> None:
    body = {"named": {}, "note": "a"}

    response = structure_response(body, Owner, ResponseInfo(status=200))

    assert response == Owner(note="a", extra={"named": {}})


def test_nulls_and_missing_keys_are_the_same() -> None:
    assert read(text=None, leaves=None, unknown=None) == Tree(extra={"unknown": None})


@pytest.mark.parametrize("older_first", [True, False])
def test_main_spelling_wins_over_the_older_one(*, older_first: bool) -> None:
    fields = {"older": 1, "main": 2} if older_first else {"main": 2, "older": 1}

    assert read(**fields).either == 2
    assert read(older=1).either == 1
    assert read(older=1, main=None).either == 1


def test_unknown_keys_of_parts_are_kept_with_the_part() -> None:
    tree = read(leaf={"name": "a", "colour": "green"}, new=1)

    assert tree.leaf == Leaf(name="a", extra={"colour": "green"})
    assert tree.extra == {"new": 1}


@pytest.mark.parametrize("body", [None, [], "order", 5, True])
def test_response_that_is_no_object_is_unreadable(body: Any) -> None:
    assert structure_response(body, CreatedOrder, ResponseInfo()) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", [Tree, Order, ChildShipment])
@given(data=st.data())
def test_any_json_object_is_a_response(kind: type[ResponseModel], data: st.DataObject) -> None:
    names = [spec.wire for spec in specs(kind)]
    body = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=4), JSON))

    response = structure_response(body, kind, ResponseInfo())

    assert isinstance(response, kind)
    assert repr(response)
    assert isinstance(unstructure(response), dict)


def test_response_is_unstructured_with_wire_names() -> None:
    order = structure_response(
        {"waybill": "W1", "DestinationArea": "AMD", "children": [{"waybill": "W2"}], "new": 1},
        CreatedOrder,
        ResponseInfo(),
    )

    assert unstructure(order) == {
        "waybill": "W1",
        "DestinationArea": "AMD",
        "children": [{"waybill": "W2"}],
        "new": 1,
    }


# --- strict -------------------------------------------------------------------------------------


def test_validation_error_has_no_context_of_the_first_attempt() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure(india({"drop_info.drop_pincode": "1"}), IndiaOrder)

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert caught.value.attempts == 0


@frozen(kw_only=True, repr=False)
class Numbered(RequestModel):
    whole: int | None = None
    number: float | None = None


@pytest.mark.parametrize(
    ("field", "text", "number"),
    [
        ("whole", "7", 7),
        ("whole", "-7", -7),
        ("number", "7", 7),
        ("number", "7.50", 7.5),
        ("number", "7.0", 7.0),
        ("number", "1e2", 100.0),
    ],
)
def test_number_written_as_text_is_a_number_on_the_wire(
    field: str, text: str, number: float
) -> None:
    numbered = structure({field: text}, Numbered)

    assert to_wire(numbered) == {field: number}
    assert type(to_wire(numbered)[field]) is type(number)
    assert unstructure(numbered) == {field: text}


def test_unknown_decimal_is_sent_as_a_number() -> None:
    numbered = structure({"unknown": [Decimal("2.50")]}, Numbered)

    assert to_wire(numbered) == {"unknown": [2.5]}
    assert type(to_wire(numbered)["unknown"][0]) is float


def test_unset_fields_are_not_sent() -> None:
    assert to_wire(structure(india(), IndiaOrder)) == india()


def test_parts_made_by_hand_are_written_too() -> None:
    item = Item(description="shirt", quantity=1, price=10, weight=5)

    assert to_wire(item) == {"description": "shirt", "quantity": 1, "price": 10, "weight": 5}


@frozen(kw_only=True)
class Parcel(ResponseModel):
    name: str
    weight: int = 0


@pytest.mark.parametrize(
    ("data", "extra"),
    [({"weight": 5}, {}), ({"name": True, "weight": 5}, {"name": True})],
)
def test_field_without_a_default_is_none_where_it_is_missing_or_unreadable(
    data: Mapping[str, Any], extra: Mapping[str, Any]
) -> None:
    read = structure_response(data, Parcel, ResponseInfo())

    assert read is not None
    assert (read.name, read.weight, read.extra) == (None, 5, extra)
