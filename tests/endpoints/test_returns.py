"""Polling for returns, beyond the golden samples."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from clickpost_async import ClickPost, InvalidRequestError
from clickpost_async.endpoints.returns import Returns

TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.asyncio
async def test_window_of_more_than_an_hour_is_not_sent() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    client = ClickPost("acme", "not-a-real-key", transport=httpx.MockTransport(refuse))

    with pytest.raises(InvalidRequestError) as caught:
        await Returns(client._caller).poll(TEN, TEN + timedelta(minutes=60, seconds=1))

    assert [problem.path for problem in caught.value.problems] == ["end"]
