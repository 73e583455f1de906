"""Register parcels that ClickPost did not create, and follow all of them."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, overload

import attrs
from attrs import frozen

from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post, Query
from clickpost_async._codec.envelope import only_row, without_meta
from clickpost_async._util.arguments import got
from clickpost_async.endpoints._base import check
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.errors import ClickPostError, InvalidRequestError, Problem
from clickpost_async.settings import Host
from clickpost_async.structures.tracking import (
    NotificationSetting,
    OldShipmentToTrack,
    ProofOfDelivery,
    RegisteredShipment,
    SecurityKey,
    ShipmentToTrack,
    ShipmentToUnregister,
    Track,
    Tracked,
    UnregisteredShipment,
    WhatsAppChoice,
)

REGISTER = Post(
    "/v3/tracking/awb-register/",
    name="tracking.register",
    takes=ShipmentToTrack,
    returns=RegisteredShipment,
    accepts={200, 303},
    auth=Auth.KEY,
    # The response is 303 for a waybill that is registered already.
    idempotency=Idempotency.IDEMPOTENT,
)
# A wrong key gets a 500 here, with the message of any internal error: the two are alike.
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
    extract=without_meta,
    auth=Auth.KEY,
    # Setting the same value twice has no further effect.
    idempotency=Idempotency.IDEMPOTENT,
)
UNREGISTER = Post(
    "/v1/tracking/awb-unregister/",
    name="tracking.unregister",
    takes=ShipmentToUnregister,
    returns=UnregisteredShipment,
    extract=only_row,
    auth=Auth.KEY_IN_BODY,
    # Unregistering twice has no further effect.
    idempotency=Idempotency.IDEMPOTENT,
)
SECURITY_KEY = Get(
    "/v1/shipment-security-key",
    name="tracking.security_key",
    returns=SecurityKey,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)
# ClickPost's help desk has the username in this variant of it.
_SECURITY_KEY_BY_REFERENCE = attrs.evolve(SECURITY_KEY, auth=Auth.USERNAME_AND_KEY)
PROOF_OF_DELIVERY = Get(
    "/v1/pod/pod_from_shipment_details/",
    name="tracking.proof_of_delivery",
    returns=ProofOfDelivery,
    auth=Auth.KEY,
    host=Host.PROOF,
    idempotency=Idempotency.SAFE,
)


def _tracks_of(body: Mapping[str, Any]) -> Any:
    """Read the tracks by waybill; responses have been seen with other keys beside them."""
    result = body.get("result") or {}
    if not isinstance(result, Mapping):
        return None
    return {"tracks": {key: value for key, value in result.items() if isinstance(value, Mapping)}}


TRACK = Get(
    "/v2/track-order/",
    name="tracking.track",
    returns=Tracked,
    extract=_tracks_of,
    host=Host.TRACKING,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (
    REGISTER,
    REGISTER_V2,
    UNREGISTER,
    SET_WHATSAPP,
    SECURITY_KEY,
    TRACK,
    PROOF_OF_DELIVERY,
)

# ClickPost takes up to five waybills of one courier, and a field of up to 100 characters.
_PER_CALL = 5
_MAX_LENGTH = 100


@frozen(kw_only=True)
class TrackOutcome:
    """The result for one waybill of `iter_track`: its `track`, or the `error` of its call."""

    waybill: str
    track: Track | None = None
    error: ClickPostError | None = None


class Tracking(Namespace):
    """`clickpost.tracking`."""

    async def register(self, shipment: ShipmentToTrack | Mapping[str, Any]) -> RegisteredShipment:
        """Register a parcel for tracking that ClickPost did not create.

        A parcel that was registered before is no error; its `already_registered` is true.

        Args:
            shipment: The parcel, its courier and account; weights in grams.

        Returns:
            `already_registered`, and the key of the parcel's tracking page unless it was.

        Raises:
            InvalidRequestError: A field is invalid; found before anything is sent, or by ClickPost.
            CredentialsError: The key is wrong, or the account is unknown (351) or inactive (353).
            NoReplyError, UnreadableReplyError, ServerError: outcome unknown; safe to register it
                again.

        """
        call = self._caller.post(REGISTER, shipment)
        del shipment  # error trackers export the variables of frames that fail
        return await call

    async def register_v2(
        self, shipment: OldShipmentToTrack | Mapping[str, Any]
    ) -> RegisteredShipment:
        """Register a parcel with the older endpoint; otherwise as `register`.

        A wrong key raises `ServerError` (500) here: ClickPost's response does not distinguish it.

        Args:
            shipment: The parcel and its courier.

        Returns:
            As `register`.

        Raises:
            ClickPostError: The errors of `register`.

        """
        call = self._caller.post(REGISTER_V2, shipment)
        del shipment  # error trackers export the variables of frames that fail
        return await call

    async def set_whatsapp(self, waybill: str, *, disabled: bool) -> NotificationSetting:
        """Disable WhatsApp messages about a parcel, or enable them again.

        Args:
            waybill: The courier's number of the parcel.
            disabled: Whether messages are disabled.

        Returns:
            ClickPost's acknowledgement.

        Raises:
            InvalidRequestError: ClickPost does not know the parcel, or an argument is wrong.
            CredentialsError: The key is wrong.
            NoReplyError, UnreadableReplyError, ServerError: outcome unknown; safe to set it again.

        """
        check(waybill=waybill, disabled=disabled)
        return await self._caller.post(SET_WHATSAPP, {"awb": waybill, "whatsapp_disable": disabled})

    async def unregister(self, waybill: str, *, courier_partner: int) -> UnregisteredShipment:
        """Stop tracking a parcel, which ClickPost then marks as expired.

        ClickPost documented this until 2020 only.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.

        Returns:
            ClickPost's acknowledgement.

        Raises:
            InvalidRequestError: The parcel is not tracked, or an argument is wrong.
            CredentialsError: The key is wrong, or the account has no tracking.
            NoReplyError, UnreadableReplyError, ServerError: outcome unknown; safe to unregister it
                again.

        """
        check(waybill=waybill, courier_partner=courier_partner)
        return await self._caller.post(UNREGISTER, {"waybill": waybill, "cp_id": courier_partner})

    @overload
    async def security_key(self, waybill: str, *, courier_partner: int) -> SecurityKey: ...
    @overload
    async def security_key(self, *, reference_number: str) -> SecurityKey: ...
    async def security_key(
        self,
        waybill: str | None = None,
        *,
        courier_partner: int | None = None,
        reference_number: str | None = None,
    ) -> SecurityKey:
        """Fetch the key of a parcel's public tracking page.

        The parcel is named by its waybill and courier, or by the merchant's reference number.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.
            reference_number: The merchant's number of the order, instead of the two others.

        Returns:
            The key.

        Raises:
            InvalidRequestError: An argument is missing, wrong, or one too many.
            CredentialsError: The key is wrong.

        """
        if reference_number is None:
            if waybill is None and courier_partner is None:
                message = "give it, or waybill and courier_partner"
                raise InvalidRequestError.of([Problem("reference_number", message)])
            check(waybill=waybill, courier_partner=courier_partner)
            query: Query = {"waybill": waybill, "cp_id": courier_partner}
            return await self._caller.get(SECURITY_KEY, query)
        if waybill is not None or courier_partner is not None:
            message = "pass it, or waybill and courier_partner, but not both"
            raise InvalidRequestError.of([Problem("reference_number", message)])
        check(reference_number=reference_number)
        return await self._caller.get(
            _SECURITY_KEY_BY_REFERENCE, {"reference_number": reference_number}
        )

    async def proof_of_delivery(self, waybill: str, *, courier_partner: int) -> ProofOfDelivery:
        """Fetch the URL of a parcel's proof of delivery, a PDF; `labels.download` downloads it.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.

        Returns:
            The URL of the document.

        Raises:
            InvalidRequestError: There is no such parcel (400), or an argument is wrong.
            CredentialsError: The key is wrong, or the account has no proofs of delivery (306).

        """
        check(waybill=waybill, courier_partner=courier_partner)
        query: Query = {"waybill": waybill, "cp_id": courier_partner}
        return await self._caller.get(PROOF_OF_DELIVERY, query)

    async def track(self, waybills: str | Iterable[str], *, courier_partner: int) -> Tracked:
        """Track any number of one courier's waybills: `tracked[waybill].latest_status`.

        They are sent in fives, concurrently. The first call that fails cancels the others: for many
        thousands, `iter_track` keeps the results of the others, and uses little memory.

        Args:
            waybills: One waybill, or any number of them.
            courier_partner: The courier's id.

        Returns:
            The tracks; every waybill is in `tracks`, and its `known` is false if ClickPost does not
            track it. `response` is that of the last call.

        Raises:
            InvalidRequestError: A waybill is malformed, or there is none; nothing is sent.
            ClickPostError: The error of the first call that failed.

        """
        check(courier_partner=courier_partner)
        wanted = list(dict.fromkeys(_listed(waybills)))
        _check(wanted)
        responses = await self._caller.gather(
            [partial(self._track_some, some, courier_partner) for some in _in_fives(wanted)]
        )
        found = {waybill: track for each in responses for waybill, track in each.tracks.items()}
        return Tracked(
            tracks={waybill: found.get(waybill, Track(valid=False)) for waybill in wanted},
            response=responses[-1].response,
        )

    def iter_track(
        self, waybills: Iterable[str], *, courier_partner: int, max_concurrency: int = 20
    ) -> AsyncIterator[TrackOutcome]:
        """Track any number of waybills of one courier: `async for outcome in …`, as they complete.

        A failed call does not end the others: its waybills have an `error` in place of a `track`,
        as has a malformed waybill. Memory use is the same for a thousand and for a million.

        Args:
            waybills: Any iterable; it is consumed lazily.
            courier_partner: The courier's id.
            max_concurrency: How many calls are in flight at a time; each has up to five waybills.

        Returns:
            One outcome for each waybill, in the order in which the calls complete.

        Raises:
            InvalidRequestError: `courier_partner` or `max_concurrency` is wrong.

        """
        check(courier_partner=courier_partner)
        if not isinstance(max_concurrency, int) or max_concurrency < 1:
            problem = Problem("max_concurrency", "must be a whole number, 1 or more")
            raise InvalidRequestError.of([problem])
        fives = _in_fives(_listed(waybills))
        calls = (partial(self._outcomes_of, some, courier_partner) for some in fives)
        return self._caller.as_completed(calls, max_concurrency=max_concurrency)

    async def _track_some(self, waybills: Sequence[str], courier_partner: int) -> Tracked:
        query: Query = {"waybill": ",".join(waybills), "cp_id": courier_partner}
        return await self._caller.get(TRACK, query)

    async def _outcomes_of(
        self, waybills: Sequence[str], courier_partner: int
    ) -> Sequence[TrackOutcome]:
        try:
            _check(waybills)
            tracked = await self._track_some(waybills, courier_partner)
        except ClickPostError as error:
            return [TrackOutcome(waybill=waybill, error=error) for waybill in waybills]
        return [
            TrackOutcome(waybill=waybill, track=tracked.tracks.get(waybill, Track(valid=False)))
            for waybill in waybills
        ]


def _listed(waybills: object) -> Iterable[str]:
    if isinstance(waybills, str):
        return [waybills]
    if isinstance(waybills, Iterable):
        return waybills
    problem = Problem("waybills", f"expected strings, such as '41144869713534'; {got(waybills)}")
    raise InvalidRequestError.of([problem])


def _is_waybill(waybill: object) -> bool:
    return (
        isinstance(waybill, str)
        and bool(waybill.strip())
        and "," not in waybill
        and len(waybill) <= _MAX_LENGTH
    )


def _check(waybills: Sequence[str]) -> None:
    problems = [
        Problem(
            f"waybills[{position}]",
            f"a waybill is a string of 1 to 100 characters without a comma; {got(waybill)}",
        )
        for position, waybill in enumerate(waybills)
        if not _is_waybill(waybill)
    ]
    if not waybills:
        problems = [Problem("waybills", "at least one is needed")]
    if problems:
        raise InvalidRequestError.of(problems)


def _in_fives(waybills: Iterable[str]) -> Iterator[list[str]]:
    """Split waybills into batches that ClickPost accepts; a malformed one is its own batch."""
    some: list[str] = []
    for waybill in waybills:
        if not _is_waybill(waybill):
            yield [waybill]
            continue
        if len(some) == _PER_CALL or len(",".join([*some, waybill])) > _MAX_LENGTH:
            yield some
            some = []
        some.append(waybill)
    if some:
        yield some
