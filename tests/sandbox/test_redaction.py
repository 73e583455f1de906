"""What is redacted, and its placeholders."""

from typing import Any

import pytest

from clickpost_async._codec.redaction import personal_names
from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox.redaction import cover, people_in, redact, replaced
from tests.sandbox.samples import india_order, world_order


@pytest.mark.parametrize("made", [redact, replaced])
@pytest.mark.parametrize("order", [india_order("PEN-1"), world_order("LAMP-1")])
def test_personal_data_is_removed_and_everything_else_kept(made: Any, order: Any) -> None:
    redacted = str(made(order))

    for party in (order["pickup_info"], order["drop_info"]):
        for name, value in party.items():
            plain = name.removeprefix("pickup_").removeprefix("drop_")
            if plain in ("name", "phone", "email", "address"):
                assert value not in redacted
            else:
                assert str(value) in redacted
    for name in ("reference_number", "account_code", "invoice_date"):
        assert order["shipment_details"][name] in redacted


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"courier_name": "Delhivery", "report_name": "R"}, None),
        ({"address_type": "RESIDENTIAL", "ip_address": "203.0.113.7"}, {"ip_address": "•••••••"}),
        ({"customer": {"customer_phone_number": 9000000012}}, "••••••12"),
        ({"alternate_phones": ["9000000012", "9000000012"]}, "••••••12"),
        ({"key": "sesame", "password": "opened", "token": "4711"}, "•••"),
        ({"whatsapp_phone_disable": True, "name": None, "email": ""}, None),
    ],
)
def test_personal_fields_are_recognised_by_name(data: Any, shown: Any) -> None:
    redacted = redact(data)

    if shown is None:
        assert redacted == data
    elif isinstance(shown, dict):
        assert redacted == {**data, **shown}
    else:
        assert shown in str(redacted)
        assert not any(str(value) in str(redacted) for value in data.values())


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("name", "Meera K Reader", "M•••• K•••• R••••"),
        ("phone", "+91 90000 00012", "••••••12"),
        ("place", "Pune", "•••••••"),
        ("name", "  ", ""),
    ],
)
def test_redaction_hides_text_and_its_length(kind: str, text: str, shown: str) -> None:
    assert cover(kind, text) == shown


def test_people_are_found_in_both_kinds_of_orders_and_in_no_others() -> None:
    assert people_in(india_order("PEN-1"))["to"]["name"] == "Meera Reader"
    assert people_in(world_order("LAMP-1"))["from"]["name"] == "Dune Lamps"
    assert people_in({"drop_info": "nobody"}) == {}


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_field_that_a_structure_marks_as_personal_is_redacted(name: str) -> None:
    names = personal_names(CATALOG[name].takes)
    payload = dict.fromkeys(names, "Meera Reader 9000000012")

    for made in (redact(payload), replaced(payload)):
        assert "Meera" not in str(made)
        assert "9000000012" not in str(made)


def test_fields_marked_by_a_structure_are_personal_whatever_their_name() -> None:
    assert "otp_code" in personal_names(CATALOG["orders.create_india"].takes)
    assert redact({"otp_code": "4711", "order_id": "4711"}) == {
        "otp_code": "•••••••",
        "order_id": "4711",
    }
