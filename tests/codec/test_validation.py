"""Every validation error with its path, however the payload is broken."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async import InvalidRequestError, Problem, structure
from clickpost_async._codec.converter import _read_value
from clickpost_async._codec.validation import explain
from clickpost_async.structures import IndiaOrder, Item, RequestModel, WorldOrder
from tests.helpers.strategies import DROPPED, changed, every_sent, india, payloads, world


def problems_of(data: Any, kind: Any) -> Sequence[Problem]:
    return explain(data, kind, _read_value)


@pytest.mark.parametrize("kind", every_sent())
@given(data=st.data())
@settings(max_examples=10)
def test_valid_payload_has_no_mistakes(kind: type[RequestModel], data: st.DataObject) -> None:
    assert list(problems_of(data.draw(payloads(kind)), kind)) == []


def test_valid_list_of_structures_has_no_mistakes() -> None:
    item = {"description": "shirt", "quantity": 1, "price": 1, "weight": 1}

    assert list(problems_of([item, item], Sequence[Item])) == []


def test_path_leads_through_lists_and_objects() -> None:
    items = [
        {"description": "shirt", "quantity": 1, "price": 1, "weight": 1},
        {
            "description": "belt",
            "quantity": 1,
            "price": 1,
            "weight": 1,
            "carta_porte": {"bienesTransp": {}},
        },
    ]

    paths = [problem.path for problem in problems_of(items, Sequence[Item])]

    assert paths == [
        "[1].carta_porte.bienesTransp",
        "[1].carta_porte.descripcion",
        "[1].carta_porte.materialPeligroso",
        "[1].carta_porte.embalaje",
        "[1].carta_porte.claveUnidad",
    ]


def test_cross_field_rule_runs_while_its_fields_are_valid() -> None:
    broken = india({"shipment_details.weight": "heavy", "shipment_details.cod_value": 0})

    assert [problem.path for problem in problems_of(broken, IndiaOrder)] == [
        "shipment_details.weight",
        "shipment_details.cod_value",
    ]


def test_rule_of_invalid_fields_is_skipped() -> None:
    broken = india({"shipment_details.order_type": "cash", "shipment_details.cod_value": 0})

    assert [problem.path for problem in problems_of(broken, IndiaOrder)] == [
        "shipment_details.order_type"
    ]


def test_field_is_reported_once() -> None:
    broken = india({"drop_info.drop_phone": "x" * 12})

    assert [problem.path for problem in problems_of(broken, IndiaOrder)] == ["drop_info.drop_phone"]


@pytest.mark.parametrize("items", [[], ()])
def test_order_without_items_is_reported(items: Any) -> None:
    assert list(problems_of(india({"shipment_details.items": items}), IndiaOrder)) == [
        Problem("shipment_details.items", "at least one item is needed")
    ]


@pytest.mark.parametrize("items", [None, DROPPED, {}, "shirt", 5])
def test_items_that_are_no_list_are_reported(items: Any) -> None:
    (problem,) = problems_of(india({"shipment_details.items": items}), IndiaOrder)

    assert problem.path == "shipment_details.items"


def test_finished_parts_are_not_checked_again() -> None:
    part = structure(india(), IndiaOrder).pickup_info
    broken = {**india({"drop_info.drop_pincode": "1"}), "pickup_info": part}

    assert [problem.path for problem in problems_of(broken, IndiaOrder)] == [
        "drop_info.drop_pincode"
    ]


BREAKS = st.sampled_from(
    [
        ("pickup_info", 5),
        ("pickup_info", DROPPED),
        ("drop_info", []),
        ("shipment_details", "none"),
        ("shipment_details.items", {}),
        ("shipment_details.items[0]", None),
        ("shipment_details.items[0].price", -1),
        ("shipment_details.items[0].quantity", DROPPED),
        ("shipment_details.weight", None),
        ("shipment_details.courier_partner", True),
        ("shipment_details.reference_number", {}),
        ("shipment_details.reference_number", "\x00"),
        ("shipment_details.order_type", []),
        ("shipment_details.cod_value", "much"),
        ("shipment_details.invoice_date", "2026-02-30"),
        ("additional", True),
        ("additional", {"rvp_reason": {}}),
        ("additional", {"custom_fields": [5]}),
        ("gst_info", "no"),
    ]
)


@pytest.mark.parametrize("kind", [IndiaOrder, WorldOrder])
@given(breaks=st.lists(BREAKS, min_size=1, max_size=6))
def test_all_mistakes_of_any_invalid_order_have_paths(
    kind: type[RequestModel], breaks: list[tuple[str, Any]]
) -> None:
    payload = india() if kind is IndiaOrder else world()
    for path, value in breaks:
        try:
            payload = changed(payload, {path: value})
        except (KeyError, TypeError, AttributeError, IndexError):
            continue  # an earlier break took the place away

    with pytest.raises(InvalidRequestError) as caught:
        structure(payload, kind)

    problems = caught.value.problems
    assert problems
    assert len({problem.path for problem in problems}) == len(problems)
    assert all(problem.path for problem in problems)
    assert str(caught.value) == "; ".join(map(str, problems))
