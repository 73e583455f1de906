import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async import ClickPost, InvalidRequestError, RetryPolicy
from clickpost_async.endpoints.tracking import TRACK, Tracking, TrackOutcome
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import Track, Tracked, TrackingCode
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import api_response
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

    async def post(self, endpoint: Any, body: object, query: object = None) -> Any:
        raise AssertionError(endpoint)

    def as_completed(self, calls: Any, *, max_concurrency: int) -> Any:
        raise AssertionError(calls)

    async def gather(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        return [await call() for call in calls]

    async def pause(self, seconds: float) -> None:
        raise AssertionError(seconds)

    async def download(self, *args: Any, **kwargs: Any) -> Path:
        raise AssertionError(args)


waybills = st.text("ABX0123456789", min_size=1, max_size=40)


@given(st.lists(waybills, min_size=1, max_size=40))
def test_any_number_of_waybills_is_requested_in_batches_of_five(asked: list[str]) -> None:
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
def test_invalid_waybill_is_refused_before_any_request(wrong: Any) -> None:
    caller = Asked()

    with pytest.raises(InvalidRequestError, match="waybill"):
        _run(Tracking(caller).track(wrong, courier_partner=4))

    assert caller.fields == []


# --- iter_track ---------------------------------------------------------------------------------


def respond(request: httpx.Request) -> httpx.Response:
    """Know every waybill but those that begin with an X; refuse a call that has an R."""
    waybills = request.url.params["waybill"].split(",")
    if any(waybill.startswith("R") for waybill in waybills):
        return api_response(400, "refused")
    return api_response(
        200, result={w: {"valid": True, "scans": []} for w in waybills if w[0] != "X"}
    )


async def outcomes(
    waybills: Iterable[str], handler: Any = respond, **settings: Any
) -> list[TrackOutcome]:
    async with ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(handler),
        retry=RetryPolicy.never(),
    ) as clickpost:
        tracking = clickpost.tracking.iter_track(waybills, courier_partner=4, **settings)
        return [outcome async for outcome in tracking]


@pytest.mark.asyncio
async def test_iter_track_has_an_outcome_for_every_waybill() -> None:
    found = await outcomes([*(f"A{n}" for n in range(23)), "X1"])

    assert sorted(outcome.waybill for outcome in found) == sorted(
        [*(f"A{n}" for n in range(23)), "X1"]
    )
    assert all(outcome.error is None and outcome.track is not None for outcome in found)
    assert [o.waybill for o in found if o.track is not None and not o.track.valid] == ["X1"]


@pytest.mark.asyncio
async def test_iter_track_keeps_all_other_responses_when_a_call_is_refused() -> None:
    waybills = [*(f"A{n}" for n in range(50)), "R1", *(f"B{n}" for n in range(50))]

    found = await outcomes(waybills, max_concurrency=3)

    failed = {outcome.waybill for outcome in found if outcome.error is not None}
    assert failed == {"R1", "B0", "B1", "B2", "B3"}
    assert all(isinstance(o.error, InvalidRequestError) for o in found if o.waybill in failed)
    assert sum(outcome.track is not None for outcome in found) == 96


@pytest.mark.asyncio
async def test_track_as_a_whole_raises_what_one_call_is_refused_with() -> None:
    async with ClickPost(
        "acme", "not-a-real-key", transport=httpx.MockTransport(respond)
    ) as clickpost:
        with pytest.raises(InvalidRequestError):
            await clickpost.tracking.track(["A1", "R1"], courier_partner=4)


@pytest.mark.asyncio
async def test_iter_track_yields_an_error_for_an_invalid_waybill() -> None:
    wrong: Any = ["A1", "", "A,B", None, "A2"]

    found = {outcome.waybill: outcome for outcome in await outcomes(wrong)}

    assert found.keys() == {"A1", "", "A,B", None, "A2"}
    assert all(found[waybill].track is not None for waybill in ("A1", "A2"))
    assert all(
        isinstance(found[waybill].error, InvalidRequestError) for waybill in ("", "A,B", wrong[3])
    )


@pytest.mark.asyncio
async def test_iter_track_reads_its_waybills_as_it_needs_them() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"A{read}"

    async with ClickPost(
        "acme", "not-a-real-key", transport=httpx.MockTransport(respond)
    ) as clickpost:
        tracking = clickpost.tracking.iter_track(endless(), courier_partner=4, max_concurrency=2)
        taken = [await anext(tracking) for _ in range(1000)]
        await tracking.aclose()  # type: ignore[attr-defined]

    assert len({outcome.waybill for outcome in taken}) == 1000
    assert read <= 1000 + 30


@virtual_time
async def test_iter_track_does_not_wait_for_the_slowest_call() -> None:
    async def slow_for_the_first(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(100 if "A0" in request.url.params["waybill"].split(",") else 1)
        return respond(request)

    found = await outcomes((f"A{n}" for n in range(50)), slow_for_the_first, max_concurrency=2)

    assert [outcome.waybill for outcome in found[-5:]] == ["A0", "A1", "A2", "A3", "A4"]


@pytest.mark.parametrize(
    "wrong", [{"max_concurrency": 0}, {"max_concurrency": 1.5}, {"courier_partner": None}]
)
def test_iter_track_refuses_wrong_arguments_where_it_is_called(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Tracking(Asked()).iter_track(["A1"], **{"courier_partner": 4, **wrong})

    assert [problem.path for problem in caught.value.problems] == list(wrong)


@pytest.mark.asyncio
async def test_parcel_is_tracked_until_delivered() -> None:
    async with Sandbox() as sandbox:
        url = sandbox.base_url
        async with ClickPost(sandbox.username, sandbox.api_key, base_url=url) as clickpost:
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
async def test_foreign_parcel_is_registered_once_in_either_way() -> None:
    async with Sandbox() as sandbox:
        url = sandbox.base_url
        async with ClickPost(sandbox.username, sandbox.api_key, base_url=url) as clickpost:
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


@pytest.mark.asyncio
async def test_security_key_of_nothing_says_what_to_give() -> None:
    async with ClickPost("acme", "not-a-real-key") as clickpost:
        with pytest.raises(InvalidRequestError) as caught:
            await clickpost.tracking.security_key()  # type: ignore[call-overload]

    assert str(caught.value) == "reference_number: give it, or waybill and courier_partner"


def _run(coroutine: Any) -> Any:
    """Run what never waits: no event loop is needed for it."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")
