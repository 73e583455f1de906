"""Predict how many days a delivery takes."""

from collections.abc import Mapping

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.api.validation import section
from clickpost_async.sandbox.operation import (
    JSON,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    success,
)
from clickpost_async.sandbox.world import accounts, pincodes, scenarios
from clickpost_async.sandbox.world.clock import Clock, ist_day

_NOT_SERVICEABLE = "Pincode not serviceable"
_MODEL = "ClickPost EDD"
_UPLOADED = "Uploaded SLA"
# Days at least and at most, within a country and across a border.
_DOMESTIC, _INTERNATIONAL = (2, 4), (5, 8)


@frozen(kw_only=True)
class Delivery:
    """The chapter of predictions."""

    clock: Clock

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        india, world = "/v2/predicted_sla_api/", "/v1/global_edd/"
        return (
            Operation("delivery.predict", "POST", india, self.predict, http={320: 401}),
            Operation("delivery.predict_world", "POST", world, self.predict_world, http={320: 401}),
        )

    async def predict(self, call: ReceivedCall) -> Reply:
        """Predict for each pair of pincodes; where there is none at all, there is no result."""
        pairs = call.payload
        if not isinstance(pairs, list) or not pairs:
            raise RefusalError(400, "The request body is not a list of pincodes")
        checked = call.query.get("check_drop_pincode_validity", "false") == "true"
        result = []
        for pair in pairs:
            if not isinstance(pair, Mapping):
                raise RefusalError(400, "The request body is not a list of pincodes")
            result.append(self._predict(pair, checked=checked))
        if not any(row["all_map"] for row in result):
            return success(message=_NOT_SERVICEABLE)
        return success(result)

    async def predict_world(self, call: ReceivedCall) -> Reply:
        """Predict for one route; the result is a list all the same."""
        route = params.body(call)
        ends = [section(route, name) for name in ("pickup_details", "drop_details")]
        for end in ends:
            params.required(end, "pincode", "country")
        scenarios.check_account(_account(route), vendor_code=True)
        if any(str(end["pincode"]) == scenarios.UNSERVED for end in ends):
            return success(message=_NOT_SERVICEABLE)
        crosses = ends[0]["country"] != ends[1]["country"]
        low, high = _INTERNATIONAL if crosses else _DOMESTIC
        return success(
            [
                {
                    "predicted_sla_min": low,
                    "predicted_sla_max": high,
                    "min_sla_account_id": accounts.WORLD[0].id,
                    "pickup_date": ist_day(self.clock.now()),
                    "account_map": [],
                    "fallback_edd": False,
                    "if_combination_edd": False,
                    "source_edd_model": _UPLOADED,
                }
            ]
        )

    def _predict(self, pair: JSON, *, checked: bool) -> dict[str, object]:
        pickup, drop = (params.text(pair, name) for name in ("pickup_pincode", "drop_pincode"))
        optional = section(pair, "optional")
        scenarios.check_account(_account(pair), vendor_code=True)
        if checked and drop not in pincodes.PLACES:
            raise RefusalError(400, f"Invalid drop pincode: {drop}")
        wanted = optional.get("cp_id")
        if wanted is not None:
            wanted = params.courier(wanted)
        days = {
            account.courier_partner: account.days(pickup, drop)
            for account in accounts.active(accounts.INDIA)
            if account.serves(pickup, drop) and wanted in (None, account.courier_partner)
        }
        row: dict[str, object] = {
            "predicted_sla_min": min((low for low, _ in days.values()), default=None),
            "predicted_sla_max": max((high for _, high in days.values()), default=None),
            "all_map": {str(courier): list(both) for courier, both in days.items()},
            "min_sla_cp_id": min(days, key=lambda courier: days[courier], default=None),
            "source_edd_model": _MODEL,
        }
        # ClickPost's example that names a courier has no date.
        return row if wanted is not None else {**row, "pickup_date": ist_day(self.clock.now())}


def _account(part: JSON) -> str:
    return str(section(part, "optional").get("account_code", ""))
