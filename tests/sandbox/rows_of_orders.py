"""Expected responses about orders, written by hand."""

from tests.sandbox.row import META, Row, envelope
from tests.sandbox.samples import MIDNIGHT, b2b_order, india_order, world_order

SHORT_ORDER = {
    "security_key": "str",
    "courier_partner": "int",
    "reference_number": "str",
    "label": "str",
    "waybill": "str",
}

ROWS = [
    Row(
        "orders.create_india",
        "POST",
        "/v3/create-order/",
        {
            "meta": {**META, "username": "str", "reference_number": "str"},
            "result": {
                "label": "str",
                "waybill": "str",
                "order_id": "str",
                "sort_code": "str",
                "account_code": "str",
                "courier_name": "str",
                "security_key": "str",
                "reference_number": "str",
                "courier_partner_id": "int",
            },
            "order_id": "int",
            "tracking_id": "int",
        },
        body=india_order("NEW-1"),
    ),
    Row(
        "orders.create_world",
        "POST",
        "/v4/create-order/",
        envelope(
            {
                "commercial_invoice_url": "str",
                "waybill": "str",
                "reference_number": "str",
                "label": "str",
                "courier_partner_id": "int",
                "courier_name": "str",
                "sort_code": "null",
                "order_id": "int",
                "tracking_id": "int",
                "security_key": "str",
            }
        ),
        body=world_order("NEW-2"),
    ),
    Row(
        "orders.create_b2b",
        "POST",
        "/v1/create-b2b-order/",
        {
            "meta": META,
            "order_id": "int",
            "result": {
                "waybill": "null",
                "sort_code": "null",
                "security_key": "null",
                "label": "null",
                "reference_number": "str",
            },
        },
        body=b2b_order("NEW-B2B"),
    ),
    Row(
        "orders.find_b2b",
        "GET",
        "/v1/create-b2b-order/",
        {
            "meta": META,
            "order_id": "int",
            "tracking_id": "int",
            "result": {
                "waybill": "str",
                "reference_number": "str",
                "label": "str",
                "courier_partner_id": "int",
                "courier_name": "str",
                "sort_code": "null",
                "security_key": "str",
                "account_code": "str",
                "children": [{"waybill": "str", "reference_number": "str", "label": "null"}],
            },
        },
        {"reference_number": "B2B-DONE"},
    ),
    Row(
        "orders.fetch_india",
        "GET",
        "/v3/create-order/",
        envelope(SHORT_ORDER),
        {"reference_number": "REF-W1"},
    ),
    Row(
        "orders.fetch_world",
        "GET",
        "/v4/create-order/",
        envelope(SHORT_ORDER),
        {"reference_number": "REF-W1"},
    ),
    Row(
        "orders.edit",
        "POST",
        "/v1/edit-order/",
        envelope(),
        body={"awb_number": "W1", "order_type": "PREPAID", "courier_partner": 4},
    ),
    Row(
        "orders.cancel",
        "GET",
        "/v1/cancel-order/",
        envelope(),
        {"waybill": "W1", "cp_id": 4, "account_code": "lotus-surface"},
    ),
    Row(
        "orders.updated",
        "GET",
        "/v1/updated-order",
        {
            "meta": {**META, "next": "null"},
            "result": [
                {
                    "waybill": "str",
                    "courier_partner": "int",
                    "created_at": "str",
                    "updated_at": "str",
                    "clickpost_status_code": "int",
                    "timestamp": "str",
                    "clickpost_status_description": "str",
                    "reference_number": "str",
                    "account_code": "str",
                    "location": "str",
                    "remark": "str",
                    "status": "str",
                    "customer_feedback_present": "bool",
                    "clickpost_city": "str",
                    "order_id": "str",
                    "channel_name": "null",
                }
            ],
        },
        {"start_date": MIDNIGHT, "end_date": MIDNIGHT + 1800},
    ),
    Row(
        "orders.daily_counts",
        "GET",
        "/v1/fetch-shipment-count/",
        envelope({"2026-02-27": {}, "2026-02-28": {}}),
        {"start-date": "2026-02-27", "end-date": "2026-02-28"},
        auth="key",
    ),
]
