"""Choose a courier: recommendations, the accounts with them, and pincodes."""

from collections.abc import Mapping

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.api.validation import section
from clickpost_async.sandbox.operation import (
    JSON,
    Auth,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    meta,
    success,
)
from clickpost_async.sandbox.world import accounts, couriers, pincodes, scenarios

NOT_SERVICEABLE = "Pin code not serviceable"
_PARCEL = (
    "pickup_pincode",
    "drop_pincode",
    "order_type",
    "delivery_type",
    "reference_number",
    "invoice_value",
)


@frozen(kw_only=True)
class Couriers:
    """The chapter of what helps to choose a courier."""

    username: str

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        india, world = "/v1/recommendation_api/", "/v2/recommendation/"
        listed, pincode = "/v1/fetch-accounts", "/v2/pincode_details/"
        return (
            Operation("couriers.recommend_india", "POST", india, self.recommend_india, Auth.KEY),
            Operation("couriers.recommend_world", "POST", world, self.recommend_world, Auth.KEY),
            Operation("couriers.accounts", "GET", listed, self.accounts, Auth.KEY),
            Operation("couriers.pincode", "GET", pincode, self.pincode, Auth.KEY),
        )

    async def recommend_india(self, call: ReceivedCall) -> Reply:
        """Rank accounts for each parcel of a list; where none goes anywhere, there is no result."""
        parcels = call.payload
        if not isinstance(parcels, list) or not parcels:
            raise RefusalError(400, "The request body is not a list of shipments")
        for parcel in parcels:
            if not isinstance(parcel, Mapping):
                raise RefusalError(400, "The request body is not a list of shipments")
            params.required(parcel, *_PARCEL)
            if parcel["delivery_type"] not in ("FORWARD", "RVP"):
                raise RefusalError(309)
        result = [_of_india(parcel) for parcel in parcels]
        if not any(row["pincode_serviceable"] for row in result):
            return success(message=NOT_SERVICEABLE)
        return success(result)

    async def recommend_world(self, call: ReceivedCall) -> Reply:
        """Rank accounts for one parcel; where none goes, there is no result."""
        parcel = params.body(call)
        sides = [section(parcel, name) for name in ("pickup_info", "drop_info")]
        for side in sides:
            params.required(side, "country_code")
        if not section(parcel, "shipment_details"):
            raise RefusalError(400, "shipment_details: mandatory")
        if any(str(side.get("postal_code")) == scenarios.UNSERVED for side in sides):
            return success(message=NOT_SERVICEABLE)
        names = [f"{couriers.name_of(one.courier_partner)}({one.code})" for one in accounts.WORLD]
        result = {
            "preference_array": [
                {
                    "account_code": account.code,
                    "courier_partner_code": account.courier_partner,
                    "courier_partner_name": couriers.name_of(account.courier_partner),
                    "priority": priority,
                }
                for priority, account in enumerate(accounts.WORLD, 1)
            ],
            "filters_ran": {
                "1_active_accounts": names,
                "2_serviceable_accounts": names,
                "ordered_list_rule_matched": False,
                "3_accounts_after_load_distribution": names,
            },
            "pincode_serviceable": True,
        }
        return Reply({"result": result, "meta": meta(200, "Success")})

    async def accounts(self, call: ReceivedCall) -> Reply:
        """List the accounts that are active, that are not, or all."""
        active = params.boolean(call.query.get("active"))
        rows = [
            {
                "courier_partner_id": account.courier_partner,
                "courier_name": couriers.name_of(account.courier_partner),
                "account_code": account.code,
                "account_active": account.active,
            }
            for account in accounts.ALL
            if active in (None, account.active)
        ]
        return success({"enterprise_name": self.username, "accounts": rows})

    async def pincode(self, call: ReceivedCall) -> Reply:
        """Return the city and state of a pincode; the result is empty for an unknown one."""
        pincode = call.query.get("pincode", "")
        city, state = pincodes.PLACES.get(pincode, ("", ""))
        if not city:
            return Reply({"meta": meta(404, f"Not found: {pincode}"), "result": {}})
        return success({"pincode": pincode, "city": city, "state": state}, message="Success")


def _of_india(parcel: JSON) -> JSON:
    ends = (str(parcel["pickup_pincode"]), str(parcel["drop_pincode"]))
    reverse = parcel["delivery_type"] == "RVP"
    active = accounts.active(accounts.RETURNS if reverse else accounts.INDIA)
    serving = [account for account in active if account.serves(*ends)]
    return {
        "preference_array": [
            {
                "cp_name": couriers.name_of(account.courier_partner),
                "cp_id": account.courier_partner,
                "courier_name": couriers.name_of(account.courier_partner),
                "account_code": account.code,
                "async": False,
                "account_id": account.id,
                "priority": priority,
                "scores_computation": {},
                "shipping_charge": None,
            }
            for priority, account in enumerate(serving, 1)
        ],
        "filters_ran": {
            "1_active_accounts_filter": [account.named for account in active],
            "2_serviceable_accounts_filter": [account.named for account in serving],
        },
        "pincode_serviceable": bool(serving),
    }
