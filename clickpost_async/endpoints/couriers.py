"""Get courier recommendations, list courier accounts, and look up a pincode."""

from collections.abc import Mapping, Sequence
from typing import Any

from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post
from clickpost_async._codec.envelope import result_or_none
from clickpost_async.endpoints._base import check, one_row_each, title_case
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.structures.couriers import (
    CourierAccounts,
    IndiaParcel,
    Locality,
    Recommendation,
    Recommendations,
    WorldParcel,
)


def _objects(value: Any) -> bool:
    """Return whether a value is a list of objects, or nothing in any type."""
    return not value or (
        isinstance(value, list) and all(isinstance(member, Mapping) for member in value)
    )


def _recommended(body: Mapping[str, Any]) -> Any:
    """Read one recommendation; a pincode that no courier serves has no `result` at all."""
    return _one_recommendation(result_or_none(body))


def _all_recommended(body: Mapping[str, Any]) -> Any:
    """Read the recommendations for a list of parcels."""
    result = result_or_none(body)
    if result is None:
        return {}
    rows = [_one_recommendation(row) for row in result] if isinstance(result, list) else [None]
    return None if None in rows else {"rows": rows}


def _one_recommendation(result: Any) -> Mapping[str, Any] | None:
    if result is None:
        return {}
    # An unreadable list of couriers must not look like a pincode that no courier serves.
    readable = isinstance(result, Mapping) and _objects(result.get("preference_array"))
    return result if readable else None


def _accounts(body: Mapping[str, Any]) -> Any:
    result = result_or_none(body)
    if result is None:
        return {}
    return result if isinstance(result, Mapping) and _objects(result.get("accounts")) else None


RECOMMEND_INDIA = Post(
    "/v1/recommendation_api/",
    name="couriers.recommend_india",
    takes=Sequence[IndiaParcel],
    returns=Recommendations,
    extract=_all_recommended,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)
RECOMMEND_WORLD = Post(
    "/v2/recommendation/",
    name="couriers.recommend_world",
    takes=WorldParcel,
    returns=Recommendation,
    extract=_recommended,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)
ACCOUNTS = Get(
    "/v1/fetch-accounts",
    name="couriers.accounts",
    returns=CourierAccounts,
    extract=_accounts,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)
PINCODE = Get(
    "/v2/pincode_details/",
    name="couriers.pincode",
    returns=Locality,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (RECOMMEND_INDIA, RECOMMEND_WORLD, ACCOUNTS, PINCODE)


class Couriers(Namespace):
    """`clickpost.couriers`."""

    async def recommend_india(
        self, shipments: Sequence[IndiaParcel | Mapping[str, Any]]
    ) -> Recommendations:
        """Recommend courier accounts for parcels within India, best first.

        The response has one recommendation for each parcel, in the order of `shipments`. A parcel
        that no courier takes is not an error: its `serviceable` is false. ClickPost's response has
        no result then, and applies to all parcels of the call.

        Args:
            shipments: The parcels; weights in grams, lengths in centimetres, money in rupees.

        Returns:
            A recommendation for each parcel, in the same order.

        Raises:
            InvalidRequestError: A field is invalid, or there is no parcel.
            CredentialsError: The key is wrong.
            UnreadableReplyError: Also when the number of recommendations differs from that of the
                parcels, since they are matched by position; send each parcel by itself then.

        """
        call, parcels = self._caller.post(RECOMMEND_INDIA, shipments), len(shipments)
        del shipments  # error trackers export the variables of frames that fail
        return await one_row_each(call, parcels, "shipments", Recommendation(), RECOMMEND_INDIA)

    async def recommend_world(self, shipment: WorldParcel | Mapping[str, Any]) -> Recommendation:
        """Recommend courier accounts for a parcel outside India, best first.

        A parcel that no courier takes is not an error: `serviceable` is false.

        Args:
            shipment: The parcel; weights in grams, lengths in centimetres.

        Returns:
            The accounts, best first.

        Raises:
            InvalidRequestError: A field is wrong.
            CredentialsError: The key is wrong.

        """
        call = self._caller.post(RECOMMEND_WORLD, shipment)
        del shipment  # error trackers export the variables of frames that fail
        return await call

    async def accounts(self, *, active: bool | None = True) -> CourierAccounts:
        """List the merchant's accounts with couriers.

        Args:
            active: `True` for the active ones, `False` for the others, `None` for both.

        Returns:
            The accounts.

        Raises:
            InvalidRequestError: The argument is wrong; nothing is sent.
            CredentialsError: The key is wrong.

        """
        check(active=active)
        return await self._caller.get(ACCOUNTS, {"active": title_case(active)})

    async def pincode(self, pincode: str) -> Locality:
        """Look up the city and state of an Indian pincode.

        Args:
            pincode: Six digits.

        Returns:
            City and state, in capitals.

        Raises:
            InvalidRequestError: It is not six digits (nothing is sent then), or there is no such
                pincode (404).
            CredentialsError: The key is wrong.

        """
        check(pincode=pincode)
        return await self._caller.get(PINCODE, {"pincode": pincode})
