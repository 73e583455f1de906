"""Predict how many days a delivery takes."""

from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, SandboxRequest
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.state import SandboxState
from clickpost_async.sandbox.world import accounts, scenarios
from clickpost_async.sandbox.world.clock import ist_day

_NOT_SERVICEABLE = "Pincode not serviceable"
_NOT_SUBSCRIBED = {320: 401}
# Days at least and at most, within a country and across a border.
_DOMESTIC, _INTERNATIONAL = (2, 4), (5, 8)


@Operation("delivery.predict", empty=_NOT_SERVICEABLE, http=_NOT_SUBSCRIBED)
def predict(state: SandboxState, call: SandboxRequest) -> list[JSON] | None:
    """Predict for each pair of pincodes; if none is served, there is no result."""
    is_checked = call.query.get("check_drop_pincode_validity", "false") == "true"
    pairs = params.objects(call)
    result = [_predicted(state, pair, is_checked=is_checked) for pair in pairs]
    return result if any(row["all_map"] for row in result) else None


def _predicted(state: SandboxState, pair: JSON, *, is_checked: bool) -> JSON:
    pickup, drop = (str(pair[name]) for name in ("pickup_pincode", "drop_pincode"))
    scenarios.check_account(params.get(pair, "optional.account_code"))
    if is_checked and drop not in accounts.PLACES:
        raise RefusalError(400, f"Invalid drop pincode: {drop}")
    wanted = params.get(pair, "optional.cp_id")
    if wanted is not None:
        wanted = params.courier(wanted)
    days = {
        account.courier_partner: account.days(pickup, drop)
        for account in accounts.INDIA
        if account.serves(pickup, drop) and wanted in (None, account.courier_partner)
    }
    return render(
        "couriers.predicted",
        low=min((low for low, _ in days.values()), default=None),
        high=max((high for _, high in days.values()), default=None),
        days={str(courier): list(both) for courier, both in days.items()},
        fastest=min(days, key=lambda courier: days[courier], default=None),
        # ClickPost's example that names a courier has no date.
        pickup_date=ist_day(state.now()) if wanted is None else None,
    )


# Its document has an internal error under HTTP 500, that of the other one under HTTP 200.
@Operation("delivery.predict_world", empty=_NOT_SERVICEABLE, http={**_NOT_SUBSCRIBED, 500: 500})
def predict_world(state: SandboxState, call: SandboxRequest) -> list[JSON] | None:
    """Predict for one route; the result is a list all the same."""
    route = params.body(call)
    ends = [params.section(route, name) for name in ("pickup_details", "drop_details")]
    for end in ends:
        params.required(end, "pincode", "country")
    scenarios.check_account(params.get(route, "optional.account_code"))
    if any(str(end["pincode"]) == scenarios.UNSERVED for end in ends):
        return None
    crosses = ends[0]["country"] != ends[1]["country"]
    low, high = _INTERNATIONAL if crosses else _DOMESTIC
    account, today = accounts.WORLD[0].id, ist_day(state.now())
    row = render("couriers.predicted_world", low=low, high=high, account=account, pickup_date=today)
    return [row]
