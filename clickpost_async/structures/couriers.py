"""Courier recommendations, courier accounts, and the place of a pincode."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import ListResponse, RequestModel, ResponseModel
from clickpost_async.structures._constraints import (
    Centimetres,
    Currency,
    Date,
    Direction,
    Grams,
    InvoiceNumber,
    Money,
    NotBlank,
    Payment,
    Pincode,
    Quantity,
    Reference,
)
from clickpost_async.structures._marks import WireName
from clickpost_async.structures._rules import (
    DOCUMENT,
    NO_ITEMS,
    Rules,
    Severity,
    Source,
    cross_rule,
)
from clickpost_async.structures.items import CustomField, Item
from clickpost_async.structures.world import WorldDrop, WorldPickup


@frozen(kw_only=True, repr=False)
class ParcelAdditional(RequestModel):
    """The custom fields that a merchant's own rules evaluate."""

    custom_fields: Sequence[CustomField] | None = None


@cross_rule(
    "item",
    "given",
    source=f'{DOCUMENT}: "item that you wish to send"',
    severity=Severity.WARNING,
)
def _has_an_item(parcel: "IndiaParcel") -> Iterable[Problem]:
    if parcel.item is None:
        yield Problem("item", "not given")


@frozen(kw_only=True, repr=False)
class IndiaParcel(RequestModel):
    """A parcel within India that needs a courier; centimetres, grams and rupees.

    Size and weight are optional; without them the recommendation does not depend on prices.
    """

    pickup_pincode: Pincode
    drop_pincode: Pincode
    order_type: Payment
    delivery_type: Direction
    reference_number: Reference
    invoice_value: Money
    item: Annotated[str, NotBlank(source=DOCUMENT, severity=Severity.WARNING)] | None = None
    weight: Grams | None = None
    length: Centimetres | None = None
    breadth: Centimetres | None = None
    height: Centimetres | None = None
    item_count: Quantity | None = None
    cod_value: Money | None = None
    # Not in ClickPost's pages, but merchants send it.
    higher_of_dry_weight_and_volumetric_weight: Grams | None = None
    additional: ParcelAdditional | None = None

    rules: ClassVar[Rules] = (_has_an_item,)


@frozen(kw_only=True, repr=False)
class WorldParcelDetails(RequestModel):
    """What is in a parcel, and how it is paid; centimetres and grams."""

    items: Annotated[Sequence[Item], Source(NO_ITEMS)]
    reference_number: Reference
    order_type: Payment
    delivery_type: Direction
    invoice_value: Money
    height: Centimetres
    breadth: Centimetres
    length: Centimetres
    weight: Grams
    cod_value: Money | None = None
    invoice_date: Date | None = None
    invoice_number: InvoiceNumber | None = None
    currency_code: Currency | None = None
    additional: ParcelAdditional | None = None


@frozen(kw_only=True, repr=False)
class WorldParcel(RequestModel):
    """A parcel outside India or across borders that needs a courier."""

    pickup_info: WorldPickup
    drop_info: WorldDrop
    shipment_details: WorldParcelDetails

    @property
    def reference_number(self) -> str:
        """The merchant's own number."""
        return self.shipment_details.reference_number


@frozen(kw_only=True, repr=False)
class Preference(ResponseModel):
    """One courier account that could take the parcel; `priority` 1 is the first choice."""

    courier_partner: Annotated[int | None, WireName("cp_id", also=("courier_partner_code",))] = None
    courier_partner_name: Annotated[
        str | None, WireName("cp_name", also=("courier_partner_name",))
    ] = None
    courier_name: str | None = None
    account_code: str | None = None
    account_id: int | None = None
    priority: int | None = None
    shipping_charge: float | None = None
    async_: Annotated[bool | None, WireName("async")] = None
    scores_computation: Mapping[str, Any] | None = None


def _rank(preference: Preference) -> float:
    return math.inf if preference.priority is None else preference.priority


@frozen(kw_only=True, repr=False)
class Recommendation(ResponseModel):
    """The courier accounts for one parcel, best first, and the filters that chose them.

    `preferences` is empty where no courier serves the route. `filters_ran` is what the dashboard's
    rules did; ClickPost changes its wording.
    """

    preferences: Annotated[Sequence[Preference], WireName("preference_array")] = ()
    pincode_serviceable: bool | None = None
    filters_ran: Mapping[str, Any] | None = None
    # ClickPost's responses of 2020 echo the parcel, and list the forms that it needs.
    request_details: Mapping[str, Any] | None = None
    form_tax_details: Sequence[Mapping[str, Any]] | None = None

    @property
    def serviceable(self) -> bool:
        """Whether there is a courier that takes the parcel."""
        return self.pincode_serviceable is not False and bool(self.preferences)

    @property
    def best(self) -> Preference | None:
        """The first choice, or `None` if no courier takes the parcel."""
        return min(self.preferences, key=_rank) if self.serviceable else None


@frozen(kw_only=True, repr=False)
class Recommendations(ResponseModel, ListResponse[Recommendation]):
    """One recommendation for each parcel of the request, in the same order."""

    rows: Sequence[Recommendation] = ()

    @property
    def serviceable(self) -> bool:
        """Whether there is a courier for every parcel."""
        return bool(self.rows) and all(row.serviceable for row in self.rows)


@frozen(kw_only=True, repr=False)
class CourierAccount(ResponseModel):
    """A merchant's account with a courier, as named on the dashboard."""

    courier_partner: Annotated[int | None, WireName("courier_partner_id")] = None
    courier_name: str | None = None
    account_code: str | None = None
    active: Annotated[bool | None, WireName("account_active")] = None


@frozen(kw_only=True, repr=False)
class CourierAccounts(ResponseModel, ListResponse[CourierAccount]):
    """A merchant's accounts with couriers."""

    rows: Annotated[Sequence[CourierAccount], WireName("accounts")] = ()
    enterprise_name: str | None = None


@frozen(kw_only=True, repr=False)
class Locality(ResponseModel):
    """Where a pincode is; names are in capitals."""

    pincode: str | None = None
    city: str | None = None
    state: str | None = None
