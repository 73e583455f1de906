import logging
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    CredentialsError,
    InvalidRequestError,
    RefusedError,
    RetryPolicy,
    UnreadableReplyError,
)
from clickpost_async.endpoints.account import Account
from tests.test_personal_data import locals_of_the_package

IST = timezone(timedelta(hours=5, minutes=30))


class Server:
    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.response


def client(server: Server) -> ClickPost:
    return ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(server),
        retry=RetryPolicy(attempts=3, backoff=0.001, max_backoff=0.001),
    )


def quiet() -> httpx.Response:
    return httpx.Response(200, json={"meta": {"status": 200}, "result": []})


@pytest.mark.parametrize(
    "hour",
    [
        datetime(2026, 3, 1, 10, tzinfo=UTC),
        datetime(2026, 3, 1, 15, 30, tzinfo=IST),
        datetime(2026, 3, 1, 10, 0, 0, 999_999, tzinfo=UTC),
    ],
)
@pytest.mark.asyncio
async def test_hour_is_requested_from_its_first_second(hour: datetime) -> None:
    server = Server(quiet())
    async with client(server) as clickpost:
        assert len(await Account(clickpost._caller).audit_log(hour)) == 0
    assert dict(server.asked[0].url.params) == {
        "log_epoch_time": "1772359200",
        "key": "not-a-real-key",
    }


@pytest.mark.parametrize(
    "hour",
    [
        datetime(2026, 3, 1, 10),  # noqa: DTZ001 - refused
        date(2026, 3, 1),
        "2026-03-01T10:00:00Z",
        1_772_359_200,
        None,
    ],
)
@pytest.mark.asyncio
async def test_ambiguous_time_is_refused_before_any_request(hour: Any) -> None:
    server = Server(quiet())
    async with client(server) as clickpost:
        with pytest.raises(InvalidRequestError, match="hour: expected a datetime with a time zone"):
            await Account(clickpost._caller).audit_log(hour)
    assert server.asked == []


@pytest.mark.asyncio
async def test_token_is_requested_without_the_key_and_shows_no_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = Server(httpx.Response(200, json={"token": "not-a-real-token", "expires_at": "later"}))
    async with client(server) as clickpost:
        token = await Account(clickpost._caller).token("someone", "not-a-real-password")
    assert token.token == "not-a-real-token"
    assert server.asked[0].url.query == b""
    assert b"not-a-real-key" not in server.asked[0].content
    shown = repr(token) + repr(token.response) + caplog.text
    assert "not-a-real-token" not in shown
    assert "not-a-real-password" not in shown


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (httpx.Response(400, json={}), RefusedError),
        (httpx.Response(401, json={"detail": "Invalid."}), CredentialsError),
        (httpx.Response(200, json={"meta": {"status": 301, "message": "no"}}), CredentialsError),
        (httpx.Response(200, json={}), UnreadableReplyError),
        (httpx.Response(200, json={"error": {"code": 500}}), UnreadableReplyError),
        (httpx.Response(200, json={"token": "", "expires_at": "later"}), UnreadableReplyError),
        (httpx.Response(200, json=[]), UnreadableReplyError),
        (httpx.Response(200, text="<html>"), UnreadableReplyError),
    ],
)
@pytest.mark.asyncio
async def test_missing_token_is_an_error_and_not_requested_again(
    response: httpx.Response, kind: type[Exception]
) -> None:
    server = Server(response)
    async with client(server) as clickpost:
        with pytest.raises(kind) as caught:
            await Account(clickpost._caller).token("someone", "not-a-real-password")
    assert type(caught.value) is kind
    assert len(server.asked) == 1
    assert "not-a-real-password" not in str(caught.value)
    assert locals_of_the_package(caught.value)
    assert not any("not-a-real-password" in text for text in locals_of_the_package(caught.value))


@pytest.mark.asyncio
async def test_blank_password_is_not_sent() -> None:
    server = Server(quiet())
    async with client(server) as clickpost:
        with pytest.raises(InvalidRequestError, match="password: must not be blank"):
            await Account(clickpost._caller).token("someone", " ")
        with pytest.raises(InvalidRequestError, match="username: must not be blank") as caught:
            await Account(clickpost._caller).token(" ", "not-a-real-password")
    assert server.asked == []
    assert locals_of_the_package(caught.value)
    assert not any("not-a-real-password" in text for text in locals_of_the_package(caught.value))
