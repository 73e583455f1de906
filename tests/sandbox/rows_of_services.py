"""Expected responses for everything without a journey, written by hand."""

from tests.sandbox.row import Row, envelope
from tests.sandbox.samples import MIDNIGHT, world_order

REPORTS = "/v1/reports/enterprise_dashboard_report/"

ROWS = [
    Row(
        "pickups.create_india",
        "POST",
        "/v1/create-pickup/",
        envelope({"location": "str", "confirmation_number": "str"}),
        body={
            "pickup_date": "2026-03-03T10:00:00",
            "courier_partner": 4,
            "pickup_name": "Lotus Stationers",
            "pickup_address": "14 Ink Lane",
            "pickup_city": "Ahmedabad",
            "pickup_state": "Gujarat",
            "pickup_email": "desk@lotus.example",
            "pickup_phone": "9000000011",
            "pickup_pincode": "380009",
            "pickup_country": "IN",
            "items": "2 boxes",
            "account_code": "lotus-surface",
        },
    ),
    Row(
        "pickups.create_world",
        "POST",
        "/v2/create-pickup/",
        envelope({"confirmation_number": "str"}),
        body={
            "shipment_details": {
                "awb_number": "DHL-1",
                "courier_partner_id": 145,
                "account_code": "dune-air",
                "items": [{"description": "Lamp", "quantity": 1, "weight": 900, "price": 80}],
            },
            "pickup_info": {
                "date": "2026-03-03",
                "start_time": "10:45",
                "end_time": "12:00",
                "email": "out@dune.example",
                "phone": "500000001",
                "phone_code": "+971",
                "name": "Dune Lamps",
                "address": "3 Harbour Street",
                "city": "Dubai",
                "state": "Dubai",
                "country_code": "AE",
                "postal_code": 12345,
            },
        },
    ),
    Row(
        "labels.fetch",
        "GET",
        "/v1/fetch/shippinglabel/",
        envelope({"shipping_label": "str"}),
        {"waybill": "W1", "cp_id": 4, "regenerate": "false"},
    ),
    Row(
        "couriers.recommend_india",
        "POST",
        "/v1/recommendation_api/",
        envelope(
            [
                {
                    "preference_array": [
                        {
                            "cp_name": "str",
                            "cp_id": "int",
                            "courier_name": "str",
                            "account_code": "str",
                            "async": "bool",
                            "account_id": "int",
                            "priority": "int",
                            "scores_computation": {},
                            "shipping_charge": "null",
                        }
                    ],
                    "filters_ran": {
                        "1_active_accounts_filter": ["str"],
                        "2_serviceable_accounts_filter": ["str"],
                    },
                    "pincode_serviceable": "bool",
                }
            ]
        ),
        body=[
            {
                "pickup_pincode": "380009",
                "drop_pincode": "411001",
                "order_type": "PREPAID",
                "delivery_type": "FORWARD",
                "reference_number": "PEN-1",
                "item": "Fountain pen",
                "invoice_value": 650,
                "weight": 40,
            }
        ],
        auth="key",
    ),
    Row(
        "couriers.recommend_world",
        "POST",
        "/v2/recommendation/",
        envelope(
            {
                "preference_array": [
                    {
                        "account_code": "str",
                        "courier_partner_code": "int",
                        "courier_partner_name": "str",
                        "priority": "int",
                    }
                ],
                "filters_ran": {
                    "1_active_accounts": ["str"],
                    "2_serviceable_accounts": ["str"],
                    "ordered_list_rule_matched": "bool",
                    "3_accounts_after_load_distribution": ["str"],
                },
                "pincode_serviceable": "bool",
            }
        ),
        body=world_order("ASK"),
        auth="key",
    ),
    Row(
        "couriers.accounts",
        "GET",
        "/v1/fetch-accounts",
        envelope(
            {
                "enterprise_name": "str",
                "accounts": [
                    {
                        "courier_partner_id": "int",
                        "courier_name": "str",
                        "account_code": "str",
                        "account_active": "bool",
                    }
                ],
            }
        ),
        {"active": "True"},
        auth="key",
    ),
    Row(
        "couriers.pincode",
        "GET",
        "/v2/pincode_details/",
        envelope({"pincode": "str", "city": "str", "state": "str"}),
        {"pincode": "380055"},
        auth="key",
    ),
    Row(
        "account.audit_log",
        "GET",
        "/v1/audit-log-data/",
        envelope(
            [
                {
                    "ip_address": "str",
                    "service_type": "str",
                    "log_uuid": "str",
                    "username": "str",
                    "user_email": "str",
                    "payload": {"report_prequisite": "str"},
                    "created_at": "str",
                }
            ]
        ),
        {"log_epoch_time": MIDNIGHT},
        auth="key",
    ),
    Row(
        "account.token",
        "POST",
        "/v1/user/token/",
        {"token": "str", "expires_at": "str"},
        body={"username": "sandbox", "password": "sandbox-password-not-a-secret"},
        auth="none",
    ),
    Row(
        "reports.request",
        "POST",
        REPORTS,
        envelope(
            [
                {
                    "report_name": "str",
                    "report_reference_number": "int",
                    "report_created_at": "str",
                }
            ]
        ),
        body={
            "filters": {
                "updated_at_start_time": "2026-03-01 00:00:00",
                "updated_at_end_time": "2026-03-02 00:00:00",
            },
            "report_name": "TRACK_ORDER_DASHBOARD_REPORT",
            "fields": [],
        },
        auth="key",
    ),
    Row(
        "reports.status",
        "GET",
        REPORTS,
        envelope(
            [
                {
                    "report_name": "str",
                    "s3_link": "null",
                    "report_created_at": "str",
                    "report_status": "str",
                }
            ]
        ),
        {"report_reference_number": "1324003"},  # the third thing the sandbox took down
        auth="key",
    ),
]
