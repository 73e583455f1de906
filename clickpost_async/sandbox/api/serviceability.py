"""Which pincodes are served, by which accounts, and for how much."""

from collections.abc import Iterable, Mapping, Sequence

from clickpost_async.sandbox import params
from clickpost_async.sandbox.api.couriers import NOT_SERVICEABLE
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, SandboxRequest
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.state import SandboxState
from clickpost_async.sandbox.world import accounts
from clickpost_async.sandbox.world.accounts import SandboxAccount

_SERVICES: Mapping[str, Sequence[SandboxAccount]] = {
    "FORWARD": accounts.INDIA,
    "RVP": accounts.RETURNS,
    "EXCHANGE": accounts.RETURNS,
}


@Operation("serviceability.check", empty=NOT_SERVICEABLE)
def check(_: SandboxState, call: SandboxRequest) -> JSON | None:
    """Return whether any account serves a pincode: the body is a list, the result is not."""
    query = params.objects(call)[0]
    drop, pickup = str(query["drop_pincode"]), query.get("pickup_pincode")
    ends = (drop,) if pickup in (None, "") else (drop, str(pickup))
    serving = [account for account in _of_service(query) if account.serves(*ends)]
    if not serving:
        return None
    taken = _order_types(serving, drop)
    wanted = query.get("order_type")
    if wanted not in (None, "COD", "PREPAID", "EXCHANGE"):
        raise RefusalError(307)
    shown = {name: taken[name] for name in taken if wanted in (None, name)}
    return {"serviceable": any(shown.values()), **shown}


@Operation("serviceability.options", empty=NOT_SERVICEABLE)
def options(_: SandboxState, call: SandboxRequest) -> list[JSON] | None:
    """List the accounts that serve a pair of pincodes; the weight is in kilograms."""
    query = params.objects(call)[0]
    optional = params.section(query, "optional")
    ends = str(query["pickup_pincode"]), str(query["drop_pincode"])
    wanted = optional.get("cp_id")
    if wanted is not None:
        params.courier_in_body(wanted)
    rows = [
        _option(account, *ends, params.number(optional.get("weight")), optional)
        for account in _of_service(optional)
        if account.serves(*ends) and wanted in (None, account.courier_partner)
    ]
    return rows or None


def _option(
    account: SandboxAccount, pickup: str, drop: str, kilograms: float | None, optional: JSON
) -> JSON:
    charges: Mapping[str, float | None] = {"PREPAID": None, "COD": None}
    if account.priced and kilograms is not None:
        charges = account.charges(pickup, drop, kilograms)
    return render(
        "couriers.option",
        account=account,
        service_type=optional.get("service_type") or "FORWARD",
        serviceable=_order_types([account], drop),
        sla=account.days(pickup, drop)[1] if account.priced else None,
        charges=charges,
        zone=accounts.zone(pickup, drop),
    )


@Operation("serviceability.pincodes", message="Success")
def list_pincodes(_: SandboxState, call: SandboxRequest) -> JSON:
    """List all pincodes of one account."""
    params.required(call.query, "courier_partner_id", "account_code")
    partner, code = call.query["courier_partner_id"], call.query["account_code"]
    if not partner.isascii() or not partner.isdigit():
        raise RefusalError(400, f"Field 'partner_id' expected a number but got {partner!r}.")
    for account in accounts.ALL:
        if account.active and (str(account.courier_partner), account.code) == (partner, code):
            served = _lists([account])
            return {"pickup_pincodes": served, "drop_pincodes": served}
    raise RefusalError(400, "Account does not exist or is inactive")


@Operation("serviceability.drop_pincodes", message="Success")
def drop_pincodes(_: SandboxState, __: SandboxRequest) -> JSON:
    """List all pincodes that any account delivers to."""
    return {"drop_pincodes": _lists(accounts.INDIA)}


@Operation("serviceability.search", empty=NOT_SERVICEABLE)
def search(_: SandboxState, call: SandboxRequest) -> Sequence[JSON] | None:
    """List the accounts that serve a pincode, a row for each order type."""
    params.required(call.query, "pincode", "is_pickup_pincode", "is_rvp")
    side = "pickup" if params.flag(call, "is_pickup_pincode") else "drop"
    service = "RVP" if params.flag(call, "is_rvp") else "FORWARD"
    pincode = call.query["pincode"]
    rows = [
        {
            "account_type__account_name": account.code,
            "account_type__courier_partner__name": account.courier_name,
            f"{side}_pincode_serviceability__order_type": order_type,
        }
        for account in _SERVICES[service]
        if account.serves(pincode)
        for order_type in account.order_types(pincode)
    ]
    return rows or None


def _of_service(part: JSON) -> Sequence[SandboxAccount]:
    service = str(part.get("service_type") or "FORWARD")
    if service not in _SERVICES:
        raise RefusalError(400, "service_type must be FORWARD, RVP or EXCHANGE")
    return _SERVICES[service]


def _order_types(serving: Iterable[SandboxAccount], drop: str) -> dict[str, bool]:
    taken = {name for account in serving for name in account.order_types(drop)}
    exchanging = any(account in accounts.RETURNS for account in serving)
    return {"COD": "COD" in taken, "PREPAID": "PREPAID" in taken, "EXCHANGE": exchanging}


def _lists(serving: Sequence[SandboxAccount]) -> JSON:
    lists: dict[str, list[str]] = {}
    for pincode in accounts.PLACES:
        for name in {n for a in serving if a.serves(pincode) for n in a.order_types(pincode)}:
            lists.setdefault(name, []).append(pincode)
    return dict(sorted(lists.items(), reverse=True))
