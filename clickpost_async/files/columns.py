"""The columns of a file of orders, and where each one goes in what ClickPost is sent.

One row is one order, or one item of it: consecutive rows with the same `reference_number` are one
order with several items or cartons, and only the first of them has to repeat the order's fields.

The names are the same for India and the world; the market of an order decides the path. The column
`market` says `india` or `world`; where it is missing or empty, an order is for the world when its
pickup or drop country is another than India. `note`, and what an errors file adds
(`reason`, `advice`), is for people and is not sent. Names are found
whatever their capitals, blanks and hyphens (`Drop Pincode` is `drop_pincode`).

What has no column is reached by its path: a column `additional.my_field` is written there as text,
and `shipment_details.items.my_field` into the item of its row.

Each line below is: name, kind of its cells, path for India (v3), path for the world (v4); `=` is
the same path, `-` is none.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import frozen

from clickpost_async.files.cells import Kind

ITEMS = "shipment_details.items"
REFERENCE = "shipment_details.reference_number"


class Market(StrEnum):
    """Which of ClickPost's two create-order calls an order is for."""

    INDIA = "india"
    WORLD = "world"


@frozen(kw_only=True)
class Column:
    """A named column: the kind of its cells and its path for each market."""

    name: str
    kind: Kind
    india: str | None
    world: str | None

    def path(self, market: Market) -> str | None:
        """Return where its cells go in an order for this market, `None` for nowhere."""
        return self.india if market is Market.INDIA else self.world

    @property
    def paths(self) -> frozenset[str]:
        """Return all places its cells can go to."""
        return frozenset(path for path in (self.india, self.world) if path)


_ORDER = """
market                      text    -                                  -
note                        text    -                                  -
reason                      text    -                                  -
advice                      text    -                                  -
reference_number            code    shipment_details.reference_number  =
courier_partner             whole   shipment_details.courier_partner   =
account_code                code    shipment_details.account_code      =
order_type                  text    shipment_details.order_type        =
delivery_type               text    shipment_details.delivery_type     =
cod_value                   number  shipment_details.cod_value         =
currency_code               text    shipment_details.currency_code     =
invoice_number              code    shipment_details.invoice_number    =
invoice_date                text    shipment_details.invoice_date      =
invoice_value               number  shipment_details.invoice_value     =
length                      number  shipment_details.length            =
breadth                     number  shipment_details.breadth           =
height                      number  shipment_details.height            =
weight                      number  shipment_details.weight            =
shipment_type               text    shipment_details.shipment_type     =
items_in_shipment           list    shipment_details.items_in_shipment =
rvp_reason                  text    shipment_details.rvp_reason        =
merchant_order_id           code    shipment_details.order_id          =
order_id                    code    shipment_details.order_id          =
waybill                     code    shipment_details.awb_number        =
awb_number                  code    shipment_details.awb_number        =
"""

_PICKUP = """
pickup_name                 text    pickup_info.pickup_name            pickup_info.name
pickup_organisation         text    pickup_info.pickup_organisation    pickup_info.organisation
pickup_address              text    pickup_info.pickup_address         pickup_info.address
pickup_landmark             text    pickup_info.pickup_landmark        pickup_info.landmark
pickup_district             text    pickup_info.pickup_district        pickup_info.district
pickup_city                 text    pickup_info.pickup_city            pickup_info.city
pickup_state                text    pickup_info.pickup_state           pickup_info.state
pickup_pincode              code    pickup_info.pickup_pincode         pickup_info.postal_code
pickup_postal_code          code    pickup_info.pickup_pincode         pickup_info.postal_code
pickup_country              text    pickup_info.pickup_country         pickup_info.country_code
pickup_country_code         text    pickup_info.pickup_country         pickup_info.country_code
pickup_email                text    pickup_info.email                  =
pickup_phone                code    pickup_info.pickup_phone           pickup_info.phone
pickup_phone_code           code    pickup_info.pickup_phone_code      pickup_info.phone_code
pickup_time                 text    pickup_info.pickup_time            pickup_info.time
pickup_lat                  number  pickup_info.pickup_lat             pickup_info.lat
pickup_long                 number  pickup_info.pickup_long            pickup_info.long
pickup_address_type         text    pickup_info.pickup_address_type    pickup_info.address_type
pickup_delivery_instructions text   -                         pickup_info.delivery_instructions
tin                         code    pickup_info.tin                    -
"""

_DROP = """
drop_name                   text    drop_info.drop_name                drop_info.name
drop_organisation           text    drop_info.drop_organisation        drop_info.organisation
drop_address                text    drop_info.drop_address             drop_info.address
drop_landmark               text    drop_info.drop_landmark            drop_info.landmark
drop_district               text    drop_info.drop_district            drop_info.district
drop_city                   text    drop_info.drop_city                drop_info.city
drop_state                  text    drop_info.drop_state               drop_info.state
drop_pincode                code    drop_info.drop_pincode             drop_info.postal_code
drop_postal_code            code    drop_info.drop_pincode             drop_info.postal_code
drop_country                text    drop_info.drop_country             drop_info.country_code
drop_country_code           text    drop_info.drop_country             drop_info.country_code
drop_email                  text    drop_info.drop_email               drop_info.email
drop_phone                  code    drop_info.drop_phone               drop_info.phone
drop_phone_code             code    drop_info.drop_phone_code          drop_info.phone_code
drop_alternate_phone        code    drop_info.drop_alternate_phone     -
drop_time                   text    -                                  drop_info.time
drop_start_time             text    drop_info.drop_start_time          -
drop_end_time               text    drop_info.drop_end_time            -
drop_lat                    number  drop_info.drop_lat                 drop_info.lat
drop_long                   number  drop_info.drop_long                drop_info.long
drop_address_type           text    drop_info.drop_address_type        drop_info.address_type
drop_delivery_instructions  text    -                         drop_info.delivery_instructions
drop_vendor_code            code    drop_info.drop_vendor_code         -
drop_location_type          text    drop_info.location_type            -
drop_location_value         text    drop_info.location_value           -
"""

_RETURN = """
return_name                 text    additional.return_info.name        return_info.name
return_organisation         text    -                                  return_info.organisation
return_address              text    additional.return_info.address     return_info.address
return_landmark             text    additional.return_info.landmark    return_info.landmark
return_district             text    additional.return_info.district    return_info.district
return_city                 text    additional.return_info.city        return_info.city
return_state                text    additional.return_info.state       return_info.state
return_pincode              code    additional.return_info.pincode     return_info.postal_code
return_postal_code          code    additional.return_info.pincode     return_info.postal_code
return_country              text    additional.return_info.country     return_info.country_code
return_country_code         text    additional.return_info.country     return_info.country_code
return_email                text    additional.return_info.email       return_info.email
return_phone                code    additional.return_info.phone       return_info.phone
return_phone_code           code    -                                  return_info.phone_code
return_time                 text    -                                  return_info.time
return_lat                  number  additional.return_info.lat         return_info.lat
return_long                 number  additional.return_info.long        return_info.long
return_address_type         text    -                                  return_info.address_type
return_delivery_instructions text   -                         return_info.delivery_instructions
"""

_ADDITIONAL = """
async                       flag    additional.async                   =
label                       flag    additional.label                   =
priority                    text    -                                  additional.priority
vendor_code                 code    additional.vendor_code             shipment_details.vendor_code
order_date                  text    additional.order_date              =
estimated_delivery_date     text    additional.estimated_delivery_date =
min_edd                     whole   additional.min_edd                 -
max_edd                     whole   additional.max_edd                 -
store_code                  code    additional.store_code              -
channel_name                text    additional.channel_name            -
zone                        text    additional.zone                    -
gst_number                  code    additional.gst_number              -
is_multi_seller             flag    additional.is_multi_seller         -
is_fragile                  flag    additional.is_fragile              -
is_dangerous                flag    additional.is_dangerous            -
insured                     flag    additional.insured                 =
insurance_amount            number  additional.insurance_amount        =
invoice_base_64             text    additional.invoice_base_64         =
invoice_reference           code    additional.invoice_reference       -
inv_url                     text    additional.inv_url                 -
enable_whatsapp             flag    additional.enable_whatsapp         -
from_wh                     text    additional.from_wh                 -
to_wh                       text    additional.to_wh                   -
pickup_type                 text    additional.pickup_type             -
otp_based_delivery          flag    additional.otp_based_delivery      =
otp_code                    code    additional.otp_code                -
data_validation             flag    additional.data_validation         -
categories                  text    additional.categories              -
customer_id_number          code    additional.customer_id_number      -
template_category           text    additional.template_category       -
template_id                 code    additional.template_id             -
qc_type                     text    additional.qc_type                 =
qc_params                   list    additional.qc_params               -
duty_fee_paid_by            text    -                                  additional.duty_fee_paid_by
reseller_name               text    additional.reseller_info.name      -
reseller_phone              code    additional.reseller_info.phone     -
reseller_address            text    additional.reseller_info.address   -
exchange_rvp_awb            code    additional.exchange_rvp_awb        -
exchange_shipment_description text  additional.exchange_shipment_description -
exchange_address            text    additional.exchange_address        -
exchange_city               text    additional.exchange_city           -
exchange_state              text    additional.exchange_state          -
exchange_pincode            code    additional.exchange_pincode        -
exchange_country            text    additional.exchange_country        -
"""

_CUSTOMS = """
shipper_tax_id              code    -    tax_info.shipper_tax_id
consignee_tax_id            code    -    tax_info.consignee_tax_id
consignee_tax_type          text    -    tax_info.consignee_tax_type
consignee_tax_type_country_code text -   tax_info.consignee_tax_type_country_code
consignee_tax_country_code  text    -    tax_info.consignee_tax_country_code
exporter_tax_id             code    -    tax_info.exporter_tax_id
exporter_tax_type           text    -    tax_info.exporter_tax_type
exporter_type               text    -    tax_info.exporter_type
exporter_tax_type_country_code text -    tax_info.exporter_tax_type_country_code
exporter_tax_country_code   text    -    tax_info.exporter_tax_country_code
lut_bond_number             code    -    tax_info.lut_bond_number
shipping_charges            text    -    tax_info.shipping_charges
import_duty_vat_charges     text    -    tax_info.import_duty_vat_charges
tax_paid                    flag    -    tax_info.tax_paid
tax_amount                  number  -    tax_info.tax_amount
payor_fedex_account_number  code    -    courier_custom_fields.payor_fedex_account_number
"""

_ITEM = """
item_description            text    shipment_details.items.description              =
item_quantity               whole   shipment_details.items.quantity                 =
item_price                  number  shipment_details.items.price                    =
item_weight                 number  shipment_details.items.weight                   =
item_length                 number  shipment_details.items.length                   =
item_breadth                number  shipment_details.items.breadth                  =
item_height                 number  shipment_details.items.height                   =
item_sku                    code    shipment_details.items.sku                      =
item_category               text    shipment_details.items.cat                      =
item_sub_category           text    shipment_details.items.sub_category             =
item_brand                  text    shipment_details.items.brand                    =
item_color                  text    shipment_details.items.color                    =
item_size                   text    shipment_details.items.size                     =
item_imei                   code    shipment_details.items.imei                     =
item_ean                    code    shipment_details.items.ean                      =
item_hs_code                text    shipment_details.items.hs_code                  =
item_inbound_hs_code        text    shipment_details.items.inbound_hs_code          =
item_hsn_code               text    shipment_details.items.hsn_code                 =
item_manufacture_country    text    shipment_details.items.manufacture_country      =
item_manufacture_country_code text  shipment_details.items.manufacture_country_code =
item_product_id             code    shipment_details.items.product_id               =
item_variant_id             code    shipment_details.items.variant_id               =
item_product_url            text    shipment_details.items.product_url              =
item_images                 text    shipment_details.items.images                   =
item_return_days            whole   shipment_details.items.return_days              =
item_exchange_days          whole   shipment_details.items.exchange_days            =
item_return_reason          text    shipment_details.items.return_reason            =
item_special_instructions   text    shipment_details.items.special_instructions     =
item_final_amount_paid      text    shipment_details.items.final_amount_paid        =
item_store_credits_used     text    shipment_details.items.store_credits_used       =
item_carta_bienes_transp    code    shipment_details.items.carta_porte.bienesTransp =
item_carta_descripcion      text    shipment_details.items.carta_porte.descripcion  =
item_carta_material_peligroso flag  shipment_details.items.carta_porte.materialPeligroso =
item_carta_cve_material_peligroso code shipment_details.items.carta_porte.cveMaterialPeligroso =
item_carta_embalaje         code    shipment_details.items.carta_porte.embalaje     =
item_carta_clave_unidad     code    shipment_details.items.carta_porte.claveUnidad  =
"""

# The same tax fields belong to an order (`gst_…`) and to one item of it (`item_gst_…`).
_GST = """
enterprise_gstin            code
seller_gstin                code
consignee_gstin             code
taxable_value               number
gst_tax_base                number
gst_discount                number
gst_total_tax               number
cgst_tax_rate               number
cgst_amount                 number
sgst_tax_rate               number
sgst_amount                 number
igst_tax_rate               number
igst_amount                 number
hsn_code                    code
place_of_supply             text
is_seller_registered_under_gst flag
ewaybill_serial_number      code
ewaybill_expiry_date        text
invoice_reference           code
invoice_number              code
invoice_date                text
invoice_value               number
seller_name                 text
seller_address              text
seller_state                text
seller_pincode              code
"""


def _columns(*tables: str) -> Iterator[Column]:
    for table in tables:
        for line in table.split("\n")[1:-1]:
            name, kind, india, world = line.split()
            path = None if india == "-" else india
            yield Column(
                name=name,
                kind=Kind(kind),
                india=path,
                world=path if world == "=" else None if world == "-" else world,
            )


def _gst_columns() -> Iterator[Column]:
    for prefix, root in (("", "gst_info"), ("item_", f"{ITEMS}.gst_info")):
        for line in _GST.split("\n")[1:-1]:
            field, kind = line.split()
            name = f"{prefix}gst_{field.removeprefix('gst_')}"
            path = f"{root}.{field}"
            yield Column(name=name, kind=Kind(kind), india=path, world=path)


def _by_name(columns: Iterable[Column]) -> Mapping[str, Column]:
    return MappingProxyType({column.name: column for column in columns})


COLUMNS: Mapping[str, Column] = _by_name(
    (
        *_columns(_ORDER, _PICKUP, _DROP, _RETURN, _ADDITIONAL, _ITEM, _CUSTOMS),
        *_gst_columns(),
    )
)
