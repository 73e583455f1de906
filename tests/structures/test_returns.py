"""Returns are read from their unusual names, and the customer is redacted."""

from datetime import UTC, datetime

from clickpost_async._codec.converter import structure_response
from clickpost_async.structures import ResponseInfo
from clickpost_async.structures.returns import RaisedReturn


def test_name_with_spaces_is_read() -> None:
    row = structure_response(
        {"Return Request Timestamp": "2026-03-01T10:20:30Z", "new_field": 1},
        RaisedReturn,
        ResponseInfo(),
    )

    assert row is not None
    assert row.requested == datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)
    assert row.extra == {"new_field": 1}


def test_customer_is_not_shown() -> None:
    row = RaisedReturn(status="NEW_CASE", webhook_payload={"customer_name": "Test Person"})

    assert repr(row) == "RaisedReturn(status='NEW_CASE', webhook_payload=…)"
