"""Which accounts serve a pincode of India, and what they charge."""

import enum
from collections.abc import Mapping, Sequence
from typing import Annotated

from attrs import field, frozen

from clickpost_async.structures._base import ListResponse, RequestModel, ResponseModel
from clickpost_async.structures._constraints import (
    Centimetres,
    CourierPartner,
    GreaterThan,
    Money,
    Pincode,
)
from clickpost_async.structures._marks import WireName
from clickpost_async.structures.codes import OrderType


class ServiceType(enum.StrEnum):
    """Which service a pincode is checked for: delivery, reverse pickup or exchange."""

    FORWARD = "FORWARD"
    RVP = "RVP"
    EXCHANGE = "EXCHANGE"


# --- requests -----------------------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class ServiceabilityCheck(RequestModel):
    """A pincode to deliver to, for `POST /v3/serviceability_api/`."""

    drop_pincode: Pincode
    pickup_pincode: Pincode | None = None
    order_type: OrderType | None = None
    service_type: ServiceType | None = None


@frozen(kw_only=True, repr=False)
class ParcelMeasures(RequestModel):
    """What charges depend on, and filters. The weight is in kilograms here, not in grams."""

    length: Centimetres | None = None
    breadth: Centimetres | None = None
    height: Centimetres | None = None
    weight_kg: Annotated[float, GreaterThan(0), WireName("weight")] | None = None
    invoice_value: Money | None = None
    courier_partner: Annotated[CourierPartner, WireName("cp_id")] | None = None
    service_type: ServiceType | None = None
    order_type: OrderType | None = None


@frozen(kw_only=True, repr=False)
class ServiceOptionsQuery(RequestModel):
    """A pair of pincodes to choose an account for, for `POST /v1/serviceability_api/`."""

    pickup_pincode: Pincode
    drop_pincode: Pincode
    optional: ParcelMeasures | None = None


# --- responses ----------------------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class PincodeServiceability(ResponseModel):
    """Whether any account serves the pincode; `bool(response)` is `serviceable`.

    The order types that ClickPost does not mention in its response are `None`.
    """

    serviceable: bool = False
    cod: Annotated[bool | None, WireName("COD")] = None
    prepaid: Annotated[bool | None, WireName("PREPAID")] = None
    exchange: Annotated[bool | None, WireName("EXCHANGE")] = None

    def __bool__(self) -> bool:
        return self.serviceable


@frozen(kw_only=True, repr=False)
class ServiceableOrderTypes(ResponseModel):
    """The order types that an account takes for a pair of pincodes."""

    cod: Annotated[bool | None, WireName("COD")] = None
    prepaid: Annotated[bool | None, WireName("PREPAID")] = None
    exchange: Annotated[bool | None, WireName("EXCHANGE")] = None
    pickup: Annotated[bool | None, WireName("PICKUP")] = None


@frozen(kw_only=True, repr=False)
class ShippingCharge(ResponseModel):
    """What the courier charges, in rupees; `None` where no price is set up."""

    prepaid: Annotated[float | None, WireName("PREPAID")] = None
    cod: Annotated[float | None, WireName("COD")] = None


@frozen(kw_only=True, repr=False)
class ServiceOption(ResponseModel):
    """One account that serves a pair of pincodes.

    `committed_sla` is in days, and `None` unless one was uploaded for the account. Charges and
    `zone` are there only where prices are set up.
    """

    courier_partner: Annotated[int | None, WireName("cp_id")] = None
    account_code: str | None = None
    account_id: int | None = None
    service_type: str | None = None
    serviceable: ServiceableOrderTypes | None = None
    # ClickPost spells it with one m.
    committed_sla: Annotated[int | None, WireName("comitted_sla", also=("committed_sla",))] = None
    expected_sla: int | None = None
    shipping_charge: Annotated[
        ShippingCharge | None, WireName("shipping_charge", also=("shipping_charges",))
    ] = None
    zone: str | None = None


@frozen(kw_only=True, repr=False)
class ServiceOptions(ResponseModel, ListResponse[ServiceOption]):
    """The accounts that serve a pair of pincodes; empty when none does."""

    rows: Sequence[ServiceOption] = ()


@frozen(kw_only=True, repr=False)
class ServiceablePincodes(ResponseModel):
    """Pincodes by order type: `pincodes.drop["COD"]`. An order type without any may be absent."""

    pickup: Annotated[Mapping[str, Sequence[str]], WireName("pickup_pincodes")] = field(
        factory=dict
    )
    drop: Annotated[Mapping[str, Sequence[str]], WireName("drop_pincodes")] = field(factory=dict)


@frozen(kw_only=True, repr=False)
class PincodeAccount(ResponseModel):
    """An account that serves a pincode, for one order type."""

    account_name: Annotated[str | None, WireName("account_type__account_name")] = None
    courier_name: Annotated[str | None, WireName("account_type__courier_partner__name")] = None
    order_type: str | None = None


@frozen(kw_only=True, repr=False)
class PincodeAccounts(ResponseModel, ListResponse[PincodeAccount]):
    """The accounts that serve a pincode, one row for each order type; empty when none does."""

    rows: Sequence[PincodeAccount] = ()
