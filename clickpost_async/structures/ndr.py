"""Non-delivery reports: feedback on failed deliveries, and instructions to couriers."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import ListResponse, RequestModel, ResponseModel
from clickpost_async.structures._constraints import (
    Address,
    Code,
    CourierPartner,
    Date,
    Landmark,
    NotBlank,
    Phone,
    Pincode,
    Waybill,
    WaybillToSend,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import (
    ACCOUNT,
    GUIDE,
    UNKNOWN_ACTION,
    Rules,
    Severity,
    Source,
    cross_rule,
)
from clickpost_async.structures._timestamps import parse_timestamp
from clickpost_async.structures.codes import TrackingCode


class NdrStep(enum.StrEnum):
    """What the courier does next with a parcel that it could not deliver."""

    REATTEMPT = "REATTEMPT"
    INITIATE_RTO = "INITIATE_RTO"


_REATTEMPT_FIELDS = ("address", "landmark", "drop_pincode", "phone_number", "preferred_date")


@cross_rule(
    "action",
    f"REATTEMPT with {', '.join(_REATTEMPT_FIELDS)}",
    source=GUIDE,
    severity=Severity.WARNING,
)
def _reattempt_is_complete(action: "NdrAction") -> Iterable[Problem]:
    if action.action == NdrStep.REATTEMPT:
        for name in _REATTEMPT_FIELDS:
            if getattr(action, name) is None:
                yield Problem(name, "not given; mandatory for REATTEMPT")


@frozen(kw_only=True, repr=False)
class NdrAction(RequestModel):
    """An instruction to the courier of an order within India.

    For REATTEMPT ClickPost's document wants `address`, `landmark` (blank if there is none),
    `drop_pincode`, `phone_number` and `preferred_date`; INITIATE_RTO needs none of them. `source`
    is `whatsapp` for a reply received through a WhatsApp channel.
    """

    action: Annotated[NdrStep, Source(UNKNOWN_ACTION)]
    waybill: WaybillToSend
    courier_partner: Annotated[CourierPartner, WireName("cp_id")]
    account_code: Annotated[Code, NotBlank(source=ACCOUNT), Source(ACCOUNT)]
    address: Address | None = None
    landmark: Landmark | None = None
    drop_pincode: Pincode | None = None
    phone_number: Phone | None = None
    preferred_date: Date | None = None
    source: str | None = None

    rules: ClassVar[Rules] = (_reattempt_is_complete,)


@frozen(kw_only=True, repr=False)
class AcceptedNdrAction(ResponseModel):
    """ClickPost has accepted the instruction; it passes it to the courier later."""


class FeedbackKind(enum.StrEnum):
    """Who gave a feedback: the customer, or the merchant's own staff."""

    CUSTOMER_FEED = "CUSTOMER_FEED"
    CLIENT_OPS_FEED = "CLIENT_OPS_FEED"


@frozen(kw_only=True, repr=False)
class FeedbackNotes(ResponseModel):
    """What the merchant's staff noted beside a feedback."""

    internal_username: Annotated[str | None, Personal()] = None
    internal_cst_responded: bool | None = None
    internal_comment: Annotated[str | None, Personal()] = None


@frozen(kw_only=True, repr=False)
class NdrFeedback(ResponseModel):
    """Feedback of a customer, or the merchant's staff, on a failed delivery.

    `api_data_push` is whether it was passed on to the courier; `None` means not attempted.
    """

    kind: Annotated[FeedbackKind | str | None, WireName("type")] = None
    waybill: Annotated[Waybill | None, WireName("awb", also=("waybill",))] = None
    reference_number: str | None = None
    address: Annotated[str | None, Personal()] = None
    landmark: Annotated[str | None, Personal()] = None
    drop_pincode: str | None = None
    phone: Annotated[str | None, Personal()] = None
    comment: Annotated[str | None, Personal()] = None
    preferred_date: str | None = None
    preferred_time: str | None = None
    created_at: str | None = None
    clickpost_status_code: TrackingCode | int | None = None
    clickpost_status_description: str | None = None
    api_data_push: bool | None = None
    is_rejected: bool | None = None
    additional: FeedbackNotes | None = None

    @property
    def created(self) -> datetime | None:
        """When it was given; ClickPost's time windows select by it."""
        return parse_timestamp(self.created_at)


@frozen(kw_only=True, repr=False)
class NdrFeedbacks(ResponseModel, ListResponse[NdrFeedback]):
    """One page of feedback; `next_page` is for the next call, `None` on the last page."""

    rows: Sequence[NdrFeedback] = ()
    next_page: Mapping[str, str] | None = None
