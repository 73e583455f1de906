"""Ask couriers to come.

Nothing recognises a pickup that was asked for before: asking twice may bring the courier twice.
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
        """Ask a courier to pick up parcels within India.

        Few couriers can be asked: Delhivery, FedEx, Bluedart, XpressBees Cargo. It is never sent
        twice: where the outcome is unknown, ask the courier before asking for another pickup.

        Raises:
            InvalidRequestError: a field is wrong; found here, before anything is sent, or there
                (400).
            CredentialsError: the key or the courier account is wrong.
            NotSentError: nothing was processed.
            NoReplyError, UnreadableReplyError, ServerError: nobody knows whether the courier comes.

        """
        call = self._caller.post(CREATE_INDIA, pickup)
        del pickup  # error trackers export the variables of frames that fail
        return await call

    async def create_world(self, pickup: WorldPickupOrder | Mapping[str, Any]) -> CreatedPickup:
        """Ask a courier to pick up a parcel outside India; otherwise as `create_india`.

        DHL International is the only courier that can be asked, and the parcel's waybill has to be
        registered with ClickPost under the same account (400 otherwise).
        """
        call = self._caller.post(CREATE_WORLD, pickup)
        del pickup  # error trackers export the variables of frames that fail
        return await call
