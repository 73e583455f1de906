"""Which pincodes are served, by which accounts, and for how much."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.api.couriers import NOT_SERVICEABLE
from clickpost_async.sandbox.api.validation import section
from clickpost_async.sandbox.operation import (
    JSON,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    success,
)
from clickpost_async.sandbox.world import accounts, couriers, pincodes
from clickpost_async.sandbox.world.accounts import SandboxAccount

_SERVICES: Mapping[str, Sequence[SandboxAccount]] = {
    "FORWARD": accounts.INDIA,
    "RVP": accounts.RETURNS,
    "EXCHANGE": accounts.RETURNS,
}


@frozen
class Serviceability:
    """The chapter of served pincodes."""

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        v1, v3 = "/v1/serviceability_api/", "/v3/serviceability_api/"
        pincodes_of, search = "/v1/bulk_serviceability_api/", "/v1/pincode_search_overall/"
        drop = "/v1/serviceable_drop_pincode/"
        return (
            Operation("serviceability.check", "POST", v3, self.check),
            Operation("serviceability.options", "POST", v1, self.options),
            Operation("serviceability.pincodes", "GET", pincodes_of, self.pincodes),
            Operation("serviceability.drop_pincodes", "GET", drop, self.drop_pincodes),
            Operation("serviceability.search", "GET", search, self.search),
        )

    async def check(self, call: ReceivedCall) -> Reply:
        """Return whether any account serves a pincode: the body is a list, the result is not."""
        query = _first(call)
        drop, pickup = params.text(query, "drop_pincode"), query.get("pickup_pincode")
        ends = (drop,) if pickup in (None, "") else (drop, str(pickup))
        serving = [account for account in _of_service(query) if account.serves(*ends)]
        if not serving:
            return success(message=NOT_SERVICEABLE)
        taken = _order_types(serving, drop)
        wanted = query.get("order_type")
        if wanted not in (None, "COD", "PREPAID", "EXCHANGE"):
            raise RefusalError(307)
        shown = {name: taken[name] for name in taken if wanted in (None, name)}
        return success({"serviceable": any(shown.values()), **shown})

    async def options(self, call: ReceivedCall) -> Reply:
        """List the accounts that serve a pair of pincodes; the weight is in kilograms."""
        query = _first(call)
        optional = section(query, "optional")
        pickup, drop = (params.text(query, name) for name in ("pickup_pincode", "drop_pincode"))
        wanted = optional.get("cp_id")
        if wanted is not None:
            params.courier_in_body(wanted)
        rows = [
            _option(account, pickup, drop, params.number(optional.get("weight")), optional)
            for account in _of_service(optional)
            if account.serves(pickup, drop) and wanted in (None, account.courier_partner)
        ]
        return success(rows) if rows else success(message=NOT_SERVICEABLE)

    async def pincodes(self, call: ReceivedCall) -> Reply:
        """List all pincodes of one account."""
        params.required(call.query, "courier_partner_id", "account_code")
        partner, code = call.query["courier_partner_id"], call.query["account_code"]
        if not partner.isascii() or not partner.isdigit():
            message = f"Field 'partner_id' expected a number but got {partner!r}."
            raise RefusalError(400, message)
        for account in accounts.active(accounts.ALL):
            if (str(account.courier_partner), account.code) == (partner, code):
                served = _lists([account])
                result = {"pickup_pincodes": served, "drop_pincodes": served}
                return success(result, message="Success")
        raise RefusalError(400, "Account does not exist or is inactive")

    async def drop_pincodes(self, _: ReceivedCall) -> Reply:
        """List all pincodes that any account delivers to."""
        served = _lists(accounts.active(accounts.INDIA))
        return success({"drop_pincodes": served}, message="Success")

    async def search(self, call: ReceivedCall) -> Reply:
        """List the accounts that serve a pincode, a row for each order type."""
        params.required(call.query, "pincode", "is_pickup_pincode", "is_rvp")
        side = "pickup" if _lower(call, "is_pickup_pincode") else "drop"
        service = "RVP" if _lower(call, "is_rvp") else "FORWARD"
        pincode = call.query["pincode"]
        rows = [
            {
                "account_type__account_name": account.code,
                "account_type__courier_partner__name": couriers.name_of(account.courier_partner),
                f"{side}_pincode_serviceability__order_type": order_type,
            }
            for account in accounts.active(_SERVICES[service])
            if account.serves(pincode)
            for order_type in account.order_types(pincode)
        ]
        return success(rows) if rows else success(message=NOT_SERVICEABLE)


def _first(call: ReceivedCall) -> JSON:
    """Return the only entry of a body that is a list."""
    entries = call.payload
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], Mapping):
        raise RefusalError(400, "The request body is not a list of objects")
    return entries[0]


def _of_service(part: JSON) -> Sequence[SandboxAccount]:
    service = part.get("service_type")
    if service not in (None, "") and str(service) not in _SERVICES:
        raise RefusalError(400, "service_type must be FORWARD, RVP or EXCHANGE")
    return accounts.active(_SERVICES[str(service or "FORWARD")])


def _order_types(serving: Iterable[SandboxAccount], drop: str) -> dict[str, bool]:
    taken = {name for account in serving for name in account.order_types(drop)}
    exchanging = any(account in accounts.RETURNS for account in serving)
    return {"COD": "COD" in taken, "PREPAID": "PREPAID" in taken, "EXCHANGE": exchanging}


def _option(
    account: SandboxAccount, pickup: str, drop: str, kilograms: float | None, optional: JSON
) -> JSON:
    priced = account.priced and kilograms is not None
    weight = kilograms or 0.0
    return {
        "cp_id": account.courier_partner,
        "service_type": optional.get("service_type") or "FORWARD",
        "account_code": account.code,
        "account_id": account.id,
        "serviceable": _order_types([account], drop),
        "comitted_sla": account.days(pickup, drop)[1] if account.priced else None,
        "shipping_charge": {
            "PREPAID": account.charge(pickup, drop, weight) if priced else None,
            "COD": account.cod_charge(pickup, drop, weight) if priced else None,
        },
        "zone": accounts.zone(pickup, drop),
    }


def _lists(serving: Sequence[SandboxAccount]) -> JSON:
    lists: dict[str, list[str]] = {}
    for pincode in pincodes.PLACES:
        for name in {n for a in serving if a.serves(pincode) for n in a.order_types(pincode)}:
            lists.setdefault(name, []).append(pincode)
    return dict(sorted(lists.items(), reverse=True))


def _lower(call: ReceivedCall, name: str) -> bool:
    value = call.query[name]
    if value not in ("true", "false"):
        raise RefusalError(400, f"{name} must be true or false")
    return value == "true"
