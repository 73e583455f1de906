"""The orders that are created, and the response that each of them gets."""

import json
from typing import Any

USERNAME, KEY = "acme", "not-a-real-key"
PATH = "/v3/create-order/"

# The same for all, so it identifies no order: it has no reference number.
RESPONSE = {
    "meta": {"status": 200, "message": "Order Placed Successfully", "success": True},
    "result": {
        "waybill": "30010000001",
        "label": "https://labels.example.com/DELHIVERY/30010000001.pdf",
        "courier_name": "Delhivery",
        "courier_partner_id": 4,
        "account_code": "dock-four",
        "sort_code": "DEL/SUR",
        "security_key": "sk-0001",
        "commercial_invoice_url": None,
    },
    "order_id": 199000001,
    "tracking_id": 6790000001,
}
RESPONSE_BODY = json.dumps(RESPONSE).encode()
WAYBILL = "30010000001"


def mapping(reference: str) -> dict[str, Any]:
    """Return an ordinary order with two items, about 1.5 kB as JSON."""
    return {
        "pickup_info": {
            "pickup_name": "Dock Four",
            "pickup_address": "4 Harbour Road, behind the old customs house",
            "pickup_city": "Mumbai",
            "pickup_state": "Maharashtra",
            "pickup_pincode": "400001",
            "pickup_country": "IN",
            "email": "dock@example.com",
            "pickup_phone": "9000000001",
            "pickup_time": "2026-12-01T10:00:00",
            "tin": "27AAAAA0000A1Z5",
        },
        "drop_info": {
            "drop_name": "Asha Example",
            "drop_address": "17 Garden Lane, second floor, opposite the park",
            "drop_city": "Delhi",
            "drop_state": "Delhi",
            "drop_pincode": "110001",
            "drop_country": "IN",
            "drop_phone": "9000000002",
            "drop_email": "asha@example.com",
        },
        "shipment_details": {
            "items": [
                {
                    "description": "cotton shirt, blue, M",
                    "sku": "SHIRT-BLUE-M",
                    "quantity": 1,
                    "price": 799.5,
                    "weight": 200,
                },
                {
                    "description": "leather belt, brown, 95 cm",
                    "sku": "BELT-BROWN-95",
                    "quantity": 2,
                    "price": 349.0,
                    "weight": 150,
                },
            ],
            "courier_partner": 4,
            "account_code": "dock-four",
            "reference_number": reference,
            "invoice_number": "INV-2026-0001",
            "invoice_date": "2026-11-30",
            "invoice_value": 1497.5,
            "delivery_type": "FORWARD",
            "order_type": "PREPAID",
            "cod_value": 0.0,
            "length": 30.0,
            "breadth": 20.0,
            "height": 10.0,
            "weight": 500.0,
        },
        "additional": {
            "label": True,
            "order_date": "2026-11-30T09:15:00",
            "channel_name": "web",
            "return_info": {
                "name": "Dock Four, returns",
                "phone": "9000000003",
                "address": "6 Harbour Road, slots 2, behind the old customs house",
                "city": "Mumbai",
                "state": "Maharashtra",
                "pincode": "400001",
                "country": "IN",
                "email": "returns@example.com",
            },
        },
    }
