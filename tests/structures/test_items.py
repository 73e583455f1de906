"""Items, cartons and tax."""

from collections.abc import Mapping
from typing import Any

import pytest

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async.structures import CartaPorte, GstInfo, Item, RequestModel
from tests.helpers.strategies import DROPPED, changed, simplest, warned

ITEM: Mapping[str, Any] = {
    "description": "cotton shirt",
    "quantity": 1,
    "price": 450,
    "weight": 200,
}
CARTA: Mapping[str, Any] = {
    "bienesTransp": "53102400",
    "descripcion": "sandalias",
    "materialPeligroso": False,
    "embalaje": "4G",
    "claveUnidad": "H87",
}


def problems_of(payload: Mapping[str, Any], kind: type[RequestModel]) -> Mapping[str, str]:
    """Return the mistakes of a payload by path."""
    with pytest.raises(InvalidRequestError) as caught:
        structure(payload, kind)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_every_documented_field_of_an_item_survives_the_round_trip() -> None:
    details = {
        "sku": "SHIRT-M",
        "cat": "Clothes",
        "sub_category": "Shirts",
        "color": "blue",
        "brand": "Loom",
        "size": "M",
        "imei": "000000000000000",
        "ean": "EAN1",
        "length": 30,
        "breadth": "20",
        "height": 5.5,
        "weight": 200,
        "hs_code": "6105.10",
        "inbound_hs_code": "6105",
        "hsn_code": "6105",
        "manufacture_country": "India",
        "manufacture_country_code": "IN",
        "product_id": "1",
        "variant_id": "2",
        "product_url": "https://shop.example.com/1,https://shop.example.com/2",
        "images": "https://shop.example.com/1.jpg",
        "return_days": 7,
        "exchange_days": "7",
        "return_reason": "too small",
        "special_instructions": "keep dry",
        "final_amount_paid": "450.00",
        "store_credits_used": 0,
    }
    payload = {
        **ITEM,
        **details,
        "gst_info": {"hsn_code": "6105", "igst_tax_rate": 5},
        "carta_porte": dict(CARTA),
        "additional": dict(details),
    }

    item = structure(payload, Item)

    assert unstructure(item) == payload
    assert item.extra == {}
    assert item.breadth == 20
    assert item.final_amount_paid == "450.00"
    assert item.additional is not None
    assert item.additional.extra == {}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("price", -0.01),
        ("price", "free"),
        ("quantity", 0),
        ("quantity", 1.5),
        ("quantity", True),
        ("weight", -200),
        ("description", ""),
        ("return_days", "soon"),
    ],
)
def test_wrong_value_is_reported_at_its_field(field: str, wrong: Any) -> None:
    assert list(problems_of({**ITEM, field: wrong}, Item)) == [field]


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("weight", 0),
        ("length", 0.0),
        ("description", "d" * 501),
        ("manufacture_country_code", "India"),
    ],
)
def test_value_that_only_departs_from_the_document_is_warned_of(field: str, odd: Any) -> None:
    payload = {**ITEM, field: odd}

    assert warned(payload, Item) == [field]
    assert unstructure(structure(payload, Item)) == payload


def test_item_price_may_be_zero() -> None:
    assert structure({**ITEM, "price": 0}, Item).price == 0


def test_weight_may_be_beside_the_price_or_in_additional() -> None:
    beside = structure(ITEM, Item)
    inside = structure(changed(ITEM, {"weight": DROPPED, "additional": {"weight": 200}}), Item)

    assert beside.weight == 200
    assert inside.additional is not None
    assert inside.additional.weight == 200


@pytest.mark.parametrize("additional", [DROPPED, None, {}, {"weight": None}])
def test_item_without_weight_is_warned_of(additional: Any) -> None:
    payload = changed(ITEM, {"weight": DROPPED})
    if additional is not DROPPED:
        payload["additional"] = additional

    assert warned(payload, Item) == ["weight"]
    assert unstructure(structure(payload, Item)) == payload


# --- Mexico -------------------------------------------------------------------------------------


def test_carta_porte_speaks_spanish_on_the_wire_and_python_here() -> None:
    carta = structure(CARTA, CartaPorte)

    assert unstructure(carta) == CARTA
    assert (carta.bienes_transp, carta.clave_unidad) == ("53102400", "H87")
    assert carta.extra == {}


@pytest.mark.parametrize("code", [DROPPED, None, ""])
def test_dangerous_material_needs_its_code(code: Any) -> None:
    payload = {**CARTA, "materialPeligroso": True}
    if code is not DROPPED:
        payload["cveMaterialPeligroso"] = code

    assert problems_of(payload, CartaPorte) == {
        "cveMaterialPeligroso": "a dangerous material needs its code here, like 1203"
    }


def test_dangerous_material_with_its_code_is_taken() -> None:
    payload = {**CARTA, "materialPeligroso": True, "cveMaterialPeligroso": "1203"}

    assert unstructure(structure(payload, CartaPorte)) == payload


@pytest.mark.parametrize("missing", sorted(CARTA))
def test_every_field_of_a_carta_porte_but_the_code_is_needed(missing: str) -> None:
    assert problems_of(changed(CARTA, {missing: DROPPED}), CartaPorte) == {
        missing: "required field missing"
    }


# --- tax ----------------------------------------------------------------------------------------


def test_every_field_of_gst_is_optional() -> None:
    assert simplest(GstInfo) == {}
    assert unstructure(structure({}, GstInfo)) == {}


@pytest.mark.parametrize("field", ["taxable_value", "igst_amount", "invoice_value"])
def test_negative_tax_is_warned_of(field: str) -> None:
    assert warned({field: -1}, GstInfo) == [field]


@pytest.mark.parametrize("pincode", ["", "380055"])
def test_sellers_pincode_may_be_blank(pincode: str) -> None:
    assert structure({"seller_pincode": pincode}, GstInfo).seller_pincode == pincode
