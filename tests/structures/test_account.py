from datetime import UTC, datetime

import pytest

from clickpost_async import InvalidRequestError
from clickpost_async._codec.converter import structure_response
from clickpost_async.structures import ResponseInfo
from clickpost_async.structures.account import AuditEntry, Login, Token


def test_neither_the_password_nor_the_token_is_shown() -> None:
    token = structure_response(
        {"token": "not-a-real-token", "expires_at": "later"}, Token, ResponseInfo()
    )
    assert repr(token) == "Token(token=…, expires_at='later')"
    login = Login(username="someone", password="not-a-real-password")
    assert repr(login) == "Login(username=…, password=…)"


def test_refused_password_is_not_shown() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Login(username="", password="not-a-real-password\0")
    assert "not-a-real" not in str(caught.value)
    assert [problem.path for problem in caught.value.problems] == ["username", "password"]


def test_log_entry_has_utc_time_and_no_personal_data() -> None:
    entry = structure_response(
        {
            "created_at": "2026-03-01T10:41:02",
            "user_email": "ops@nila.example",
            "username": "ops@nila.example",
            "ip_address": "203.0.113.9",
            "payload": {"email_to_list": "ops@nila.example"},
        },
        AuditEntry,
        ResponseInfo(),
    )
    assert entry is not None
    assert entry.created == datetime(2026, 3, 1, 10, 41, 2, tzinfo=UTC)
    assert "nila" not in repr(entry)
    assert "203.0" not in repr(entry)
