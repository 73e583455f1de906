"""Choose a courier: recommendations, the accounts with them, and pincodes."""

from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, SandboxRequest
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.state import SandboxState
from clickpost_async.sandbox.world import accounts, scenarios

NOT_SERVICEABLE = "Pin code not serviceable"


@Operation("couriers.recommend_india", empty=NOT_SERVICEABLE)
def recommend_india(_: SandboxState, call: SandboxRequest) -> list[JSON] | None:
    """Rank accounts for each parcel of a list; if none serves any, there is no result."""
    parcels = params.objects(call)
    if any(parcel["delivery_type"] not in ("FORWARD", "RVP") for parcel in parcels):
        raise RefusalError(309)
    result = [_ranked(parcel) for parcel in parcels]
    return result if any(row["pincode_serviceable"] for row in result) else None


def _ranked(parcel: JSON) -> JSON:
    ends = (str(parcel["pickup_pincode"]), str(parcel["drop_pincode"]))
    is_reverse = parcel["delivery_type"] == "RVP"
    active = accounts.RETURNS if is_reverse else accounts.INDIA
    serving = [account for account in active if account.serves(*ends)]
    return render(
        "couriers.recommended_india",
        accounts=[
            render("couriers.account_india", account=account, priority=priority)
            for priority, account in enumerate(serving, 1)
        ],
        active=[account.named for account in active],
        serviceable=[account.named for account in serving],
        is_serviceable=bool(serving),
    )


@Operation("couriers.recommend_world", message="Success", empty=NOT_SERVICEABLE)
def recommend_world(_: SandboxState, call: SandboxRequest) -> JSON | None:
    """Rank accounts for one parcel; if none serves it, there is no result."""
    parcel = params.body(call)
    sides = [params.section(parcel, name) for name in ("pickup_info", "drop_info")]
    for side in sides:
        params.required(side, "country_code")
    if not params.section(parcel, "shipment_details"):
        raise RefusalError(400, "shipment_details: mandatory")
    if any(str(side.get("postal_code")) == scenarios.UNSERVED for side in sides):
        return None
    return render(
        "couriers.recommended_world",
        accounts=[
            render("couriers.account_world", account=account, priority=priority)
            for priority, account in enumerate(accounts.WORLD, 1)
        ],
        names=[f"{account.courier_name}({account.code})" for account in accounts.WORLD],
    )


@Operation("couriers.accounts")
def list_accounts(state: SandboxState, call: SandboxRequest) -> JSON:
    """List the accounts that are active, that are not, or all."""
    active = params.boolean(call.query.get("active"))
    rows = [
        render("couriers.account", account=account)
        for account in accounts.ALL
        if active in (None, account.active)
    ]
    return {"enterprise_name": state.username, "accounts": rows}


@Operation("couriers.pincode", message="Success")
def pincode(_: SandboxState, call: SandboxRequest) -> JSON:
    """Return the city and state of a pincode; the result is empty for an unknown one."""
    pincode = call.query.get("pincode", "")
    city, state = accounts.PLACES.get(pincode, ("", ""))
    if not city:
        raise RefusalError(404, f"Not found: {pincode}", result={})
    return {"pincode": pincode, "city": city, "state": state}
