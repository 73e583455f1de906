"""Expected responses about pincodes and delivery times, written by hand."""

from tests.sandbox.row import Row, envelope

LISTS = {"PREPAID": ["str"], "COD": ["str"]}

ROWS = [
    Row(
        "serviceability.check",
        "POST",
        "/v3/serviceability_api/",
        envelope({"serviceable": "bool", "COD": "bool", "PREPAID": "bool", "EXCHANGE": "bool"}),
        body=[{"drop_pincode": "411001", "pickup_pincode": "380009"}],
    ),
    Row(
        "serviceability.options",
        "POST",
        "/v1/serviceability_api/",
        envelope(
            [
                {
                    "cp_id": "int",
                    "service_type": "str",
                    "account_code": "str",
                    "account_id": "int",
                    "serviceable": {"COD": "bool", "PREPAID": "bool", "EXCHANGE": "bool"},
                    "comitted_sla": "int",
                    "shipping_charge": {"PREPAID": "float", "COD": "float"},
                    "zone": "str",
                }
            ]
        ),
        body=[
            {
                "pickup_pincode": "380009",
                "drop_pincode": "411001",
                "optional": {"length": 10, "breadth": 10, "height": 10, "weight": 0.8},
            }
        ],
    ),
    Row(
        "serviceability.pincodes",
        "GET",
        "/v1/bulk_serviceability_api/",
        envelope({"pickup_pincodes": LISTS, "drop_pincodes": LISTS}),
        {"courier_partner_id": 4, "account_code": "delhivery-surface"},
    ),
    Row(
        "serviceability.drop_pincodes",
        "GET",
        "/v1/serviceable_drop_pincode/",
        envelope({"drop_pincodes": LISTS}),
    ),
    Row(
        "serviceability.search",
        "GET",
        "/v1/pincode_search_overall/",
        envelope(
            [
                {
                    "account_type__account_name": "str",
                    "account_type__courier_partner__name": "str",
                    "pickup_pincode_serviceability__order_type": "str",
                }
            ]
        ),
        {"pincode": "380009", "is_pickup_pincode": "true", "is_rvp": "false"},
    ),
    Row(
        "delivery.predict",
        "POST",
        "/v2/predicted_sla_api/",
        envelope(
            [
                {
                    "predicted_sla_min": "int",
                    "predicted_sla_max": "int",
                    "all_map": {courier: ["int"] for courier in ("3", "4", "5", "6")},
                    "min_sla_cp_id": "int",
                    "source_edd_model": "str",
                    "pickup_date": "str",
                }
            ]
        ),
        body=[{"pickup_pincode": "380009", "drop_pincode": "411001"}],
    ),
    Row(
        "delivery.predict_world",
        "POST",
        "/v1/global_edd/",
        envelope(
            [
                {
                    "predicted_sla_min": "int",
                    "predicted_sla_max": "int",
                    "min_sla_account_id": "int",
                    "pickup_date": "str",
                    "account_map": [],
                    "fallback_edd": "bool",
                    "if_combination_edd": "bool",
                    "source_edd_model": "str",
                }
            ]
        ),
        body={
            "pickup_details": {"city": "", "state": "", "pincode": "122413", "country": "IN"},
            "drop_details": {"city": "", "state": "", "pincode": "328158", "country": "SG"},
        },
    ),
]
