from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async import ClickPost, InvalidRequestError
from clickpost_async.endpoints.tracking import TRACK, Tracking
from clickpost_async.sandbox import Sandbox, served
from clickpost_async.structures import Track, Tracked, TrackingCode
from tests.helpers.strategies import india

T = TypeVar("T")


class Asked:
    """A caller that knows every waybill but those that begin with an X."""

    def __init__(self) -> None:
        self.fields: list[str] = []

    async def get(self, endpoint: Any, query: Any) -> Any:
        assert endpoint is TRACK
        self.fields.append(query["waybill"])
        known = [waybill for waybill in query["waybill"].split(",") if waybill[0] != "X"]
        return Tracked(tracks={waybill: Track(valid=True) for waybill in known})

    async def post(self, endpoint: Any, body: object) -> Any:
        raise AssertionError(endpoint)

    async def gather(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        return [await call() for call in calls]

    async def pause(self, seconds: float) -> None:
        raise AssertionError(seconds)

    async def download(self, *args: Any, **kwargs: Any) -> Path:
        raise AssertionError(args)


waybills = st.text("ABX0123456789", min_size=1, max_size=40)


@given(st.lists(waybills, min_size=1, max_size=40))
def test_any_number_is_asked_in_fives_and_answered_by_waybill(asked: list[str]) -> None:
    caller = Asked()

    tracked = _run(Tracking(caller).track(asked, courier_partner=4))

    assert list(tracked) == list(dict.fromkeys(asked))
    assert ",".join(caller.fields).split(",") == list(dict.fromkeys(asked))
    assert all(len(field.split(",")) <= 5 and len(field) <= 100 for field in caller.fields)
    for waybill in asked:
        assert tracked[waybill].valid is (waybill[0] != "X")


def test_as_few_calls_are_made_as_fives_allow() -> None:
    caller = Asked()

    _run(Tracking(caller).track([f"A{n}" for n in range(11)], courier_partner=4))

    assert [len(field.split(",")) for field in caller.fields] == [5, 5, 1]


@pytest.mark.parametrize("wrong", [[], [""], [" "], ["A,B"], ["A" * 101], [7]])
def test_what_is_no_waybill_is_refused_before_anything_is_asked(wrong: Any) -> None:
    caller = Asked()

    with pytest.raises(InvalidRequestError, match="waybill"):
        _run(Tracking(caller).track(wrong, courier_partner=4))

    assert caller.fields == []


@pytest.mark.asyncio
async def test_a_parcel_is_followed_to_the_door() -> None:
    async with served(Sandbox()) as server:
        sandbox = server.sandbox
        async with ClickPost(sandbox.username, sandbox.api_key, base_url=server.url) as clickpost:
            placed = await clickpost.orders.create(india({}))
            assert placed.waybill is not None
            for _ in range(4):
                sandbox.advance(placed.waybill)
            partner = placed.courier_partner or 0

            tracked = await clickpost.tracking.track(
                [placed.waybill, "NOBODYS"], courier_partner=partner
            )

    track = tracked[placed.waybill]
    assert track.known
    assert track.latest_status is not None
    assert track.latest_status.clickpost_status_code is TrackingCode.DELIVERED
    moments = [scan.at for scan in track.scans]
    assert moments == sorted(moments, key=lambda at: at.timestamp() if at else 0, reverse=True)
    assert not tracked["NOBODYS"].known


@pytest.mark.asyncio
async def test_a_foreign_parcel_is_registered_once_in_either_way() -> None:
    async with served(Sandbox()) as server:
        sandbox = server.sandbox
        async with ClickPost(sandbox.username, sandbox.api_key, base_url=server.url) as clickpost:
            parcel = {"waybill": "OURS-1", "account_code": "dock"}

            first = await clickpost.tracking.register({**parcel, "courier_partner": 4})
            again = await clickpost.tracking.register_v2({**parcel, "cp_id": 4})
            key = await clickpost.tracking.security_key("OURS-1", courier_partner=4)
            tracked = await clickpost.tracking.track("OURS-1", courier_partner=4)
            await clickpost.tracking.set_whatsapp("OURS-1", disabled=True)

    assert (first.already_registered, again.already_registered) == (False, True)
    assert again.tracking_id == first.tracking_id
    assert key.security_key == first.security_key
    assert tracked["OURS-1"].known


def _run(coroutine: Any) -> Any:
    """Run what never waits: no event loop is needed for it."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")
