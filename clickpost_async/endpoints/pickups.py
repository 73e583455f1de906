"""Request pickups by couriers.

Pickup requests are not deduplicated: requesting twice may bring the courier twice.
"""

from collections.abc import Mapping
from typing import Any

from clickpost_async._codec.endpoint import Idempotency, Post
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.structures.pickups import CreatedPickup, IndiaPickupOrder, WorldPickupOrder

CREATE_INDIA = Post(
    "/v1/create-pickup/",
    name="pickups.create_india",
    takes=IndiaPickupOrder,
    returns=CreatedPickup,
    idempotency=Idempotency.UNSAFE,
)
CREATE_WORLD = Post(
    "/v2/create-pickup/",
    name="pickups.create_world",
    takes=WorldPickupOrder,
    returns=CreatedPickup,
    idempotency=Idempotency.UNSAFE,
)

ENDPOINTS = (CREATE_INDIA, CREATE_WORLD)


class Pickups(Namespace):
    """`clickpost.pickups`."""

    async def create_india(self, pickup: IndiaPickupOrder | Mapping[str, Any]) -> CreatedPickup:
        """Request a pickup of parcels within India.

        Few couriers support it: Delhivery, FedEx, Bluedart, XpressBees Cargo. It is never resent.

        Args:
            pickup: Where, when, and what is picked up.

        Returns:
            The courier's confirmation number, and its name of the place.

        Raises:
            InvalidRequestError: A field is invalid; found before anything is sent, or by ClickPost
                (400).
            CredentialsError: The key or the courier account is wrong.
            NotSentError: Nothing was processed.
            NoReplyError, UnreadableReplyError, ServerError: outcome unknown; check with the courier
                before you request the pickup again.

        """
        call = self._caller.post(CREATE_INDIA, pickup)
        del pickup  # error trackers export the variables of frames that fail
        return await call

    async def create_world(self, pickup: WorldPickupOrder | Mapping[str, Any]) -> CreatedPickup:
        """Request a pickup of a parcel outside India; otherwise as `create_india`.

        DHL International is the only courier that supports it, and the parcel's waybill has to be
        registered with ClickPost under the same account (400 otherwise).

        Args:
            pickup: Where, when, and the parcel's waybill; weights in grams.

        Returns:
            The courier's confirmation number, and its name of the place.

        Raises:
            ClickPostError: The errors of `create_india`.

        """
        call = self._caller.post(CREATE_WORLD, pickup)
        del pickup  # error trackers export the variables of frames that fail
        return await call
