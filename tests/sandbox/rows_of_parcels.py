"""Expected responses about parcels in transit, written by hand."""

from tests.sandbox.row import KEY, META, Row, envelope
from tests.sandbox.samples import MIDNIGHT

STATUS = {
    "timestamp": "str",
    "location": "str",
    "remark": "str",
    "status": "str",
    "clickpost_status_code": "int",
    "clickpost_status_description": "str",
    "clickpost_status_bucket": "int",
    "clickpost_status_bucket_description": "str",
    "created_at": "str",
}
RETURN_STATUS = {name: kind for name, kind in STATUS.items() if name != "created_at"}
CUSTOMER = {
    "customer_name": "str",
    "customer_email": "null",
    "customer_phone_number": "str",
    "pickup_state": "str",
    "pickup_address": "str",
    "pickup_pincode": "str",
    "pickup_city": "str",
    "pickup_country": "str",
}

ROWS = [
    Row(
        "tracking.register",
        "POST",
        "/v3/tracking/awb-register/",
        envelope(
            {
                "consumer_details": {"id": "int"},
                "shipment_info": {"id": "int"},
                "tracking_id": "int",
                "security_key": "str",
            }
        ),
        body={"waybill": "NEW-3", "courier_partner": 4, "account_code": "lotus-surface"},
        auth="key",
    ),
    Row(
        "tracking.register_v2",
        "POST",
        "/v2/tracking/awb-register/",
        envelope({"tracking_id": "int", "security_key": "str"}),
        body={"waybill": "NEW-4", "cp_id": 4, "account_code": "lotus-surface", **KEY},
        auth="body",
    ),
    Row(
        "tracking.set_whatsapp",
        "POST",
        "/v1/enable_shipment_notification/",
        envelope(),
        body={"awb": "W1", "whatsapp_disable": True},
        auth="key",
    ),
    Row(
        "tracking.security_key",
        "GET",
        "/v1/shipment-security-key",
        envelope(
            {
                "waybill": "str",
                "cp_id": "int",
                "security_key": "str",
                "reference_number": "str",
            }
        ),
        {"waybill": "W1", "cp_id": 4},
        auth="key",
    ),
    Row(
        "tracking.unregister",
        "POST",
        "/v1/tracking/awb-unregister/",
        envelope({"awb": "str"}),
        body={"waybill": "W1", "cp_id": 4, **KEY},
        auth="body",
    ),
    Row(
        "tracking.proof_of_delivery",
        "GET",
        "/v1/pod/pod_from_shipment_details/",
        envelope({"pod_url": "str"}),
        {"waybill": "DONE-1", "cp_id": 4},
        auth="key",
    ),
    Row(
        "tracking.track",
        "GET",
        "/v2/track-order/",
        envelope(
            {
                "FAILED-1": {
                    "latest_status": STATUS,
                    "scans": [{**STATUS, "checkpoint_id": "int", "tracking_id": "int"}],
                    "valid": "bool",
                    "additional": {
                        "is_stuck": "bool",
                        "order_id": "str",
                        "sku": ["str"],
                        "edd": {"min_sla": "null", "max_sla": "null", "exact_sla": "null"},
                        "invoice_number": "null",
                        "pickup_city": "str",
                        "drop_city": "str",
                        "cod_value": "float",
                        "currency_code": "str",
                        "courier_partner_edd": "null",
                        "channel_name": "null",
                        "qc_images": [],
                        "ndr": {"ndr_bucket_code": "int", "ndr_description": "str"},
                        "courier_partner_id": "int",
                        "courier_partner_name": "str",
                    },
                }
            }
        ),
        {"waybill": "FAILED-1", "cp_id": 4},
    ),
    Row(
        "ndr.feedback",
        "GET",
        "/v1/ndr_user_feedback/",
        {
            "result": [
                {
                    "type": "str",
                    "awb": "str",
                    "address": "null",
                    "landmark": "null",
                    "drop_pincode": "null",
                    "preferred_date": "null",
                    "preferred_time": "null",
                    "phone": "null",
                    "comment": "str",
                    "created_at": "str",
                    "clickpost_status_code": "int",
                    "clickpost_status_description": "str",
                    "api_data_push": "null",
                    "is_rejected": "null",
                    "reference_number": "str",
                    "additional": {
                        "internal_username": "null",
                        "internal_cst_responded": "null",
                        "internal_comment": "null",
                    },
                }
            ],
            "meta": {"meta": META},
        },
        {"start_date": MIDNIGHT, "end_date": MIDNIGHT + 3600},
    ),
    Row(
        "ndr.act",
        "POST",
        "/v2/ndr-update-api",
        envelope(),
        body={
            "action": "INITIATE_RTO",
            "waybill": "FAILED-1",
            "cp_id": 4,
            "account_code": "lotus-surface",
        },
    ),
    Row(
        "returns.poll",
        "GET",
        "/v1/return_order_poll/",
        envelope(
            [
                {
                    "return_reference_number": "str",
                    "status": "str",
                    "Return Request Timestamp": "str",
                    "cp_id": "null",
                    "cp_name": "null",
                    "account_code": "null",
                    "return_tracking_id": "null",
                    "awb": "null",
                    "timestamp": "null",
                    "refund_mode": "str",
                    "source": "str",
                    "webhook_payload": {
                        "waybill": "str",
                        "cp_id": "int",
                        **RETURN_STATUS,
                        "notification_event": "int",
                        "account_code": "str",
                        "additional": {
                            "latest_status": RETURN_STATUS,
                            "source": "str",
                            "forward_order_id": "str",
                            "is_rvp": "bool",
                            "forward_awb": "str",
                            "forward_reference_number": "str",
                            "notification_event_id": "int",
                            "self_shipped": "bool",
                            "item_info": [
                                {
                                    "id": "str",
                                    "sku": "str",
                                    "quantity": "int",
                                    "description": "str",
                                    "images": "str",
                                    "return_reason": "str",
                                    "refund_mode": "str",
                                    "return_mode": "str",
                                    "customer_comment": "str",
                                    "return_sub_reason": "null",
                                }
                            ],
                            "return_reference_number": "str",
                            "return_pickup_address": "str",
                            "return_pickup_phone_number": "str",
                            "return_address": "str",
                            "return_phone_number": "str",
                        },
                        "return_reference_number": "str",
                        "customer_name": "str",
                        "request_placed_time": "str",
                        "pickup_info": CUSTOMER,
                    },
                }
            ]
        ),
        {"start_time": "2026-03-02T00:00:00", "end_time": "2026-03-02T01:00:00"},
        auth="user_name",
    ),
]
