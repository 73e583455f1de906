"""What is in a parcel: items or cartons, with their taxes and customs data.

In a multi-piece order one entry of `items` is one carton with dimensions of its own (multi-piece
order guide).
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import RequestModel
from clickpost_async.structures._constraints import (
    Address,
    Amount,
    BlankPincode,
    Centimetres,
    Code,
    CountryCode,
    ItemGrams,
    MaxLength,
    Money,
    Name,
    NotBlank,
    Place,
    Quantity,
    Urls,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import (
    CUSTOMS,
    DOCUMENT,
    ITEM_FIELD,
    Rules,
    Severity,
    Source,
    cross_rule,
)


@frozen(kw_only=True, repr=False)
class GstInfo(RequestModel):
    """Goods and services tax of an order, or of one item where sellers differ."""

    enterprise_gstin: str | None = None
    seller_gstin: str | None = None
    consignee_gstin: str | None = None
    taxable_value: Amount | None = None
    gst_tax_base: Amount | None = None
    gst_discount: Amount | None = None
    gst_total_tax: Amount | None = None
    cgst_tax_rate: Amount | None = None
    cgst_amount: Amount | None = None
    sgst_tax_rate: Amount | None = None
    sgst_amount: Amount | None = None
    igst_tax_rate: Amount | None = None
    igst_amount: Amount | None = None
    hsn_code: str | None = None
    place_of_supply: str | None = None
    is_seller_registered_under_gst: bool | None = None
    ewaybill_serial_number: str | None = None
    ewaybill_expiry_date: str | None = None
    invoice_reference: str | None = None
    invoice_number: str | None = None
    invoice_date: str | None = None
    invoice_value: Amount | None = None
    seller_name: Annotated[str, MaxLength(100), Personal()] | None = None
    seller_address: Annotated[str, MaxLength(500), Personal()] | None = None
    seller_state: Place | None = None
    seller_pincode: BlankPincode | None = None


@cross_rule("cveMaterialPeligroso", "given for a dangerous material", source=CUSTOMS)
def _dangerous_material_has_a_code(carta: "CartaPorte") -> Iterable[Problem]:
    if carta.material_peligroso and not carta.cve_material_peligroso:
        yield Problem("cveMaterialPeligroso", "a dangerous material needs its code here, like 1203")


@frozen(kw_only=True, repr=False)
class CartaPorte(RequestModel):
    """Mexico's bill of lading for one item."""

    bienes_transp: Annotated[str, WireName("bienesTransp")]
    descripcion: str
    material_peligroso: Annotated[bool, WireName("materialPeligroso")]
    embalaje: str
    clave_unidad: Annotated[str, WireName("claveUnidad")]
    cve_material_peligroso: Annotated[str, WireName("cveMaterialPeligroso")] | None = None

    rules: ClassVar[Rules] = (_dangerous_material_has_a_code,)


@frozen(kw_only=True, repr=False)
class ItemDetails(RequestModel):
    """Optional fields of an item; ClickPost accepts them beside its price or in `additional`."""

    sku: Code | None = None
    cat: Annotated[str, MaxLength(50)] | None = None
    sub_category: str | None = None
    color: str | None = None
    brand: str | None = None
    size: str | None = None
    imei: str | None = None
    serial_no: str | None = None
    ean: str | None = None
    length: Centimetres | None = None
    breadth: Centimetres | None = None
    height: Centimetres | None = None
    weight: ItemGrams | None = None
    hs_code: str | None = None
    inbound_hs_code: str | None = None
    hsn_code: str | None = None
    manufacture_country: Annotated[str, MaxLength(100)] | None = None
    manufacture_country_code: CountryCode | None = None
    product_id: str | None = None
    variant_id: str | None = None
    product_url: Urls | None = None
    images: Urls | None = None
    return_days: int | None = None
    exchange_days: int | None = None
    return_reason: str | None = None
    special_instructions: str | None = None
    final_amount_paid: float | str | None = None
    store_credits_used: float | str | None = None


@cross_rule(
    "weight",
    "given here or in additional",
    source=f'{DOCUMENT}: "Mandatory. Weight of each unit"',
    severity=Severity.WARNING,
)
def _has_a_weight(item: "Item") -> Iterable[Problem]:
    if item.weight is None and (item.additional is None or item.additional.weight is None):
        yield Problem("weight", "not given")


@frozen(kw_only=True, repr=False)
class Item(ItemDetails):
    """One item, or one carton of a multi-piece order; weight in grams, price per unit."""

    description: Annotated[str, NotBlank(source=ITEM_FIELD), MaxLength(500), Source(ITEM_FIELD)]
    quantity: Annotated[Quantity, Source(ITEM_FIELD)]
    price: Annotated[Money, Source(ITEM_FIELD)]
    gst_info: GstInfo | None = None
    carta_porte: CartaPorte | None = None
    additional: ItemDetails | None = None

    rules: ClassVar[Rules] = (_has_a_weight,)


@frozen(kw_only=True, repr=False)
class CustomField(RequestModel):
    """One of the free fields agreed with ClickPost."""

    key: str
    value: Annotated[Any, Personal()] = None


@frozen(kw_only=True, repr=False)
class UserDefinedField(RequestModel):
    """One of the free fields set up on the dashboard."""

    name: str
    type: str | None = None
    value: Annotated[Any, Personal()] = None


@frozen(kw_only=True, repr=False)
class Reseller(RequestModel):
    """Who sold the goods, where that is not the shipper."""

    name: Name | None = None
    phone: Annotated[str, Personal()] | None = None
    address: Address | None = None


FreeForm = Mapping[str, Any]
