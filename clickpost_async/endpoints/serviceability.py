"""Check which pincodes are served, by which accounts, and what that costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from clickpost_async._codec.endpoint import Get, Idempotency, Post, Query
from clickpost_async._codec.envelope import only_row, rows_from_result
from clickpost_async.endpoints._base import check, lower_case
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.settings import Host
from clickpost_async.structures.codes import OrderType
from clickpost_async.structures.serviceability import (
    ParcelMeasures,
    PincodeAccounts,
    PincodeServiceability,
    ServiceabilityCheck,
    ServiceablePincodes,
    ServiceOptions,
    ServiceOptionsQuery,
    ServiceType,
)


def _accounts_of(body: Mapping[str, Any]) -> Any:
    """Read rows whose order type has a database path as its key, a different one per list."""
    found = rows_from_result(body)
    return found and {"rows": [_with_order_type(row) for row in found["rows"]]}


def _with_order_type(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "order_type" if name.endswith("__order_type") else name: value
        for name, value in row.items()
    }


# The body is a list, but the response does not identify the entry it belongs to: one is sent.
CHECK = Post(
    "/v3/serviceability_api/",
    name="serviceability.check",
    takes=Sequence[ServiceabilityCheck],
    returns=PincodeServiceability,
    extract=only_row,
    host=Host.SERVICEABILITY,
    idempotency=Idempotency.SAFE,
)
OPTIONS = Post(
    "/v1/serviceability_api/",
    name="serviceability.options",
    takes=Sequence[ServiceOptionsQuery],
    returns=ServiceOptions,
    extract=rows_from_result,
    host=Host.SERVICEABILITY,
    idempotency=Idempotency.SAFE,
)
PINCODES = Get(
    "/v1/bulk_serviceability_api/",
    name="serviceability.pincodes",
    returns=ServiceablePincodes,
    extract=only_row,
    host=Host.SERVICEABILITY,
    idempotency=Idempotency.SAFE,
)
DROP_PINCODES = Get(
    "/v1/serviceable_drop_pincode/",
    name="serviceability.drop_pincodes",
    returns=ServiceablePincodes,
    extract=only_row,
    host=Host.SERVICEABILITY,
    idempotency=Idempotency.SAFE,
)
SEARCH = Get(
    "/v1/pincode_search_overall/",
    name="serviceability.search",
    returns=PincodeAccounts,
    extract=_accounts_of,
    host=Host.SERVICEABILITY,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (CHECK, OPTIONS, PINCODES, DROP_PINCODES, SEARCH)


class Serviceability(Namespace):
    """`clickpost.serviceability`."""

    async def check(
        self,
        drop_pincode: str,
        *,
        pickup_pincode: str | None = None,
        order_type: OrderType | str | None = None,
        service_type: ServiceType | str | None = None,
    ) -> PincodeServiceability:
        """Check whether any account serves a pincode of India: yes or no.

        Args:
            drop_pincode: Where the parcel goes, six digits.
            pickup_pincode: Where it starts; needed if you ship from several warehouses.
            order_type: COD or PREPAID; the response then mentions only that one.
            service_type: FORWARD (ClickPost's default), RVP or EXCHANGE.

        Returns:
            `serviceable`, which is also its truth value. A pincode that no account serves is not
            an error.

        Raises:
            InvalidRequestError: An argument is wrong; nothing is sent then.
            CredentialsError: The key is wrong.

        """
        query = ServiceabilityCheck(
            drop_pincode=drop_pincode,
            pickup_pincode=pickup_pincode,
            order_type=order_type,  # type: ignore[arg-type]  # the check takes its text too
            service_type=service_type,  # type: ignore[arg-type]  # as above
        )
        return await self._caller.post(CHECK, [query])

    async def options(
        self,
        pickup_pincode: str,
        drop_pincode: str,
        *,
        length: float | None = None,
        breadth: float | None = None,
        height: float | None = None,
        weight_kg: float | None = None,
        invoice_value: float | None = None,
        courier_partner: int | None = None,
        service_type: ServiceType | str | None = None,
        order_type: OrderType | str | None = None,
    ) -> ServiceOptions:
        """List the accounts that serve a pair of pincodes, with charges and SLA where set up.

        Args:
            pickup_pincode: Where the parcel starts, six digits.
            drop_pincode: Where it goes, six digits.
            length: In centimetres; charges depend on it, as on the next four.
            breadth: In centimetres.
            height: In centimetres.
            weight_kg: In kilograms, unlike everywhere else.
            invoice_value: In rupees.
            courier_partner: The only courier to consider.
            service_type: FORWARD (ClickPost's default), RVP or EXCHANGE.
            order_type: COD or PREPAID.

        Returns:
            The accounts that take at least one order type; none is not an error.

        Raises:
            InvalidRequestError: An argument is wrong, found here or by ClickPost.
            CredentialsError: The key is wrong.

        """
        measures = ParcelMeasures(
            length=length,
            breadth=breadth,
            height=height,
            weight_kg=weight_kg,
            invoice_value=invoice_value,
            courier_partner=courier_partner,
            service_type=service_type,  # type: ignore[arg-type]  # the check takes its text too
            order_type=order_type,  # type: ignore[arg-type]  # as above
        )
        query = ServiceOptionsQuery(
            pickup_pincode=pickup_pincode,
            drop_pincode=drop_pincode,
            optional=None if measures == ParcelMeasures() else measures,
        )
        return await self._caller.post(OPTIONS, [query])

    async def pincodes(self, courier_partner: int, *, account_code: str) -> ServiceablePincodes:
        """List every pincode that an account picks up from and delivers to, by order type.

        India has about 19,000 pincodes: the response may be a megabyte.

        Args:
            courier_partner: The courier's id in ClickPost.
            account_code: The merchant's account with the courier.

        Returns:
            The pincodes, for pickup and drop, by order type.

        Raises:
            InvalidRequestError: The account is unknown or inactive (400), or an argument is wrong.
            CredentialsError: The key is wrong.

        """
        check(courier_partner=courier_partner, account_code=account_code)
        query: Query = {"courier_partner_id": courier_partner, "account_code": account_code}
        return await self._caller.get(PINCODES, query)

    async def drop_pincodes(self) -> ServiceablePincodes:
        """List every pincode that any account delivers to, by order type.

        Returns:
            The pincodes.

        Raises:
            CredentialsError: The key is wrong.

        """
        return await self._caller.get(DROP_PINCODES, {})

    async def search(
        self, pincode: str, *, is_pickup_pincode: bool = False, is_rvp: bool = False
    ) -> PincodeAccounts:
        """List the accounts that serve a pincode, one row for each order type.

        Args:
            pincode: Six digits.
            is_pickup_pincode: Whether parcels are picked up there, rather than delivered.
            is_rvp: Whether reverse pickups are meant.

        Returns:
            One row for each account and order type; none is not an error.

        Raises:
            InvalidRequestError: An argument is wrong.
            CredentialsError: The key is wrong.

        """
        check(pincode=pincode, is_pickup_pincode=is_pickup_pincode, is_rvp=is_rvp)
        query = {
            "pincode": pincode,
            "is_pickup_pincode": lower_case(is_pickup_pincode),
            "is_rvp": lower_case(is_rvp),
        }
        return await self._caller.get(SEARCH, query)
