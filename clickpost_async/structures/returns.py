"""Returns that customers have requested."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from attrs import frozen

from clickpost_async.structures._base import ListResponse, ResponseModel
from clickpost_async.structures._constraints import Waybill
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._timestamps import parse_timestamp


@frozen(kw_only=True, repr=False)
class RaisedReturn(ResponseModel):
    """A return; the courier's fields are empty until a courier is booked.

    `webhook_payload` is the payload of ClickPost's return webhook, customer and items included.
    """

    return_reference_number: str | None = None
    status: str | None = None
    requested_at: Annotated[
        str | None, WireName("Return Request Timestamp", also=("return_request_timestamp",))
    ] = None
    courier_partner: Annotated[int | None, WireName("cp_id", also=("courier_partner",))] = None
    courier_name: Annotated[str | None, WireName("cp_name", also=("courier_name",))] = None
    account_code: str | None = None
    return_tracking_id: str | None = None
    waybill: Annotated[Waybill | None, WireName("awb", also=("waybill",))] = None
    timestamp: str | None = None
    refund_mode: str | None = None
    source: str | None = None
    webhook_payload: Annotated[Mapping[str, Any] | None, Personal()] = None

    @property
    def requested(self) -> datetime | None:
        """When the customer requested it."""
        return parse_timestamp(self.requested_at)


@frozen(kw_only=True, repr=False)
class RaisedReturns(ResponseModel, ListResponse[RaisedReturn]):
    """One page of returns; `next_page` is for the next call, `None` on the last page."""

    rows: Sequence[RaisedReturn] = ()
    next_page: Mapping[str, str] | None = None
