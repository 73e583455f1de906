"""Register parcels that ClickPost did not create, and follow all of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post
from clickpost_async._codec.management import without_meta
from clickpost_async.endpoints._base import check
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.settings import Host
from clickpost_async.structures.tracking import (
    NotificationSetting,
    OldShipmentToTrack,
    RegisteredShipment,
    SecurityKey,
    ShipmentToTrack,
    Track,
    Tracked,
    WhatsAppChoice,
)

REGISTER = Post(
    "/v3/tracking/awb-register/",
    name="tracking.register",
    takes=ShipmentToTrack,
    returns=RegisteredShipment,
    accepts={200, 303},
    auth=Auth.KEY,
    # A waybill that is registered already answers 303.
    idempotency=Idempotency.IDEMPOTENT,
)
# A wrong key is answered 500 here, in the words of any fault inside; nothing tells the two apart.
REGISTER_V2 = Post(
    "/v2/tracking/awb-register/",
    name="tracking.register_v2",
    takes=OldShipmentToTrack,
    returns=RegisteredShipment,
    accepts={200, 303},
    auth=Auth.KEY_IN_BODY,
    idempotency=Idempotency.IDEMPOTENT,
)
SET_WHATSAPP = Post(
    "/v1/enable_shipment_notification/",
    name="tracking.set_whatsapp",
    takes=WhatsAppChoice,
    returns=NotificationSetting,
    accepts_meta=without_meta,
    auth=Auth.KEY,
    # A switch set twice is set.
    idempotency=Idempotency.IDEMPOTENT,
)
SECURITY_KEY = Get(
    "/v1/shipment-security-key",
    name="tracking.security_key",
    returns=SecurityKey,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)


def _tracks_of(body: Mapping[str, Any]) -> Any:
    """Read the journeys by waybill; the answer has been seen with other keys beside them."""
    result = body.get("result") or {}
    if not isinstance(result, Mapping):
        return None
    return {"tracks": {key: value for key, value in result.items() if isinstance(value, Mapping)}}


TRACK = Get(
    "/v2/track-order/",
    name="tracking.track",
    returns=Tracked,
    accepts_meta=_tracks_of,
    host=Host.TRACKING,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (REGISTER, REGISTER_V2, SET_WHATSAPP, SECURITY_KEY, TRACK)

# ClickPost takes up to five waybills of one courier, and a field of up to 100 characters.
_AT_ONCE = 5
_LONGEST = 100


class Tracking(Namespace):
    """`clickpost.tracking`."""

    async def register(self, shipment: ShipmentToTrack | Mapping[str, Any]) -> RegisteredShipment:
        """Have a parcel followed that ClickPost did not create.

        Registered before counts as registered; `already_registered` tells.

        Raises:
            InvalidRequestError: a field is wrong, found here or there.
            CredentialsError: the key, or the account is unknown (351) or inactive (353).
            NoReplyError, UnreadableReplyError, ServerError: nobody knows; register it again.

        """
        call = self._caller.post(REGISTER, shipment)
        del shipment  # error trackers export the variables of frames that fail
        return await call

    async def register_v2(
        self, shipment: OldShipmentToTrack | Mapping[str, Any]
    ) -> RegisteredShipment:
        """Have a parcel followed, the older way; otherwise as `register`.

        A wrong key raises `ServerError` (500) here: ClickPost says no more.
        """
        call = self._caller.post(REGISTER_V2, shipment)
        del shipment  # error trackers export the variables of frames that fail
        return await call

    async def set_whatsapp(self, waybill: str, *, disabled: bool) -> NotificationSetting:
        """Switch WhatsApp messages about a parcel off, or on again."""
        check(waybill=waybill, disabled=disabled)
        return await self._caller.post(SET_WHATSAPP, {"awb": waybill, "whatsapp_disable": disabled})

    async def security_key(self, waybill: str, *, courier_partner: int) -> SecurityKey:
        """Fetch what the public tracking page of a parcel wants as its key."""
        check(waybill=waybill, courier_partner=courier_partner)
        return await self._caller.get(SECURITY_KEY, {"waybill": waybill, "cp_id": courier_partner})

    async def track(self, waybills: str | Iterable[str], *, courier_partner: int) -> Tracked:
        """Track any number of one courier's waybills: `tracked[waybill].latest_status`.

        ClickPost is asked for five at a time, together. Every waybill that was asked for is in the
        answer; look at `known`. `reply` is that of the last five.

        Raises `InvalidRequestError` for a waybill that cannot be one, before anything is sent.
        """
        check(courier_partner=courier_partner)
        asked = list(dict.fromkeys([waybills] if isinstance(waybills, str) else waybills))
        _check(asked)
        answers = await self._caller.gather(
            [
                partial(
                    self._caller.get,
                    TRACK,
                    {"waybill": ",".join(some), "cp_id": courier_partner},
                )
                for some in _together(asked)
            ]
        )
        found = {waybill: track for answer in answers for waybill, track in answer.tracks.items()}
        return Tracked(
            tracks={waybill: found.get(waybill, Track(valid=False)) for waybill in asked},
            response=answers[-1].response,
        )


def _check(waybills: Sequence[str]) -> None:
    problems = [
        Problem(f"waybills[{position}]", "a waybill is 1 to 100 characters without a comma")
        for position, waybill in enumerate(waybills)
        if not isinstance(waybill, str)
        or not waybill.strip()
        or "," in waybill
        or len(waybill) > _LONGEST
    ]
    if not waybills:
        problems = [Problem("waybills", "at least one is needed")]
    if problems:
        raise InvalidRequestError.of(problems)


def _together(waybills: Sequence[str]) -> Iterator[list[str]]:
    """Cut a list into pieces that ClickPost takes."""
    some: list[str] = []
    for waybill in waybills:
        if len(some) == _AT_ONCE or len(",".join([*some, waybill])) > _LONGEST:
            yield some
            some = []
        some.append(waybill)
    yield some
