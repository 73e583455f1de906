"""What is said and done about deliveries that failed (non-delivery reports)."""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import ListResponse, RequestModel, ResponseModel, Rules
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
from clickpost_async.structures._timestamps import parse_timestamp
from clickpost_async.structures.codes import TrackingCode


class NdrStep(enum.StrEnum):
    """What the courier is told to do with a parcel that it could not deliver."""

    REATTEMPT = "REATTEMPT"
    INITIATE_RTO = "INITIATE_RTO"


def _needed_for_a_reattempt(name: str) -> Callable[["NdrAction"], Iterable[Problem]]:
    def rule(action: "NdrAction") -> Iterable[Problem]:
        if action.action == NdrStep.REATTEMPT and getattr(action, name) is None:
            yield Problem(name, "required field missing: REATTEMPT needs where, whom and when")

    return rule


@frozen(kw_only=True, repr=False)
class NdrAction(RequestModel):
    """An instruction to the courier of an order within India.

    REATTEMPT needs `address`, `landmark` (blank if there is none), `drop_pincode`, `phone_number`
    and `preferred_date`; INITIATE_RTO needs none of them. `source` is `whatsapp` for an answer
    that came through a WhatsApp channel.
    """

    action: NdrStep
    waybill: WaybillToSend
    courier_partner: Annotated[CourierPartner, WireName("cp_id")]
    account_code: Annotated[Code, NotBlank()]
    address: Address | None = None
    landmark: Landmark | None = None
    drop_pincode: Pincode | None = None
    phone_number: Phone | None = None
    preferred_date: Date | None = None
    source: str | None = None

    rules: ClassVar[Rules] = tuple(
        map(
            _needed_for_a_reattempt,
            ("address", "landmark", "drop_pincode", "phone_number", "preferred_date"),
        )
    )


@frozen(kw_only=True, repr=False)
class AcceptedNdrAction(ResponseModel):
    """ClickPost has taken the instruction; it tells the courier later."""


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
    """What a customer, or the merchant's staff, answered to a failed delivery.

    `api_data_push` tells whether it was passed on to the courier; `None` is not tried.
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
        """When it was given; by this it is sorted into windows."""
        return parse_timestamp(self.created_at)


@frozen(kw_only=True, repr=False)
class NdrFeedbacks(ResponseModel, ListResponse[NdrFeedback]):
    """One page of feedback; `next_page` asks for the one after it, `None` is the last."""

    rows: Sequence[NdrFeedback] = ()
    next_page: Mapping[str, str] | None = None
