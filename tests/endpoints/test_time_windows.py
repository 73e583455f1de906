"""A span read by time windows: no row is missed or yielded twice."""

import json
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async import InvalidRequestError, NoReplyError, UnreadableReplyError
from clickpost_async._codec.endpoint import Endpoint, Query
from clickpost_async._codec.messages import APIResponse
from clickpost_async._codec.response import decode
from clickpost_async.endpoints._time_windows import OVERLAP, Checkpoint, Windows
from clickpost_async.endpoints.ndr import Ndr
from clickpost_async.endpoints.orders import Orders
from clickpost_async.endpoints.returns import Returns
from clickpost_async.structures import ResponseModel
from clickpost_async.structures.orders import UpdatedOrder

T = TypeVar("T", bound=ResponseModel)
R = TypeVar("R")

TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)
HOURS = 3


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@frozen
class Update:
    """An update: when ClickPost wrote it, when it can be seen, and what it says of its time."""

    waybill: str
    written: datetime
    late: timedelta = timedelta(0)
    reported: datetime | None = None

    @property
    def wire(self) -> dict[str, Any]:
        reported = self.reported or self.written
        return {
            "waybill": self.waybill,
            "courier_partner": 4,
            "clickpost_status_code": 5,
            "updated_at": reported.isoformat(),
        }


@define
class FakeClickPost:
    """Answers from a list of updates, at its own time; a newer update of an order replaces it."""

    updates: Sequence[Update]
    now: datetime
    takes: timedelta = timedelta(0)
    page_sizes: Sequence[int] = (1000,)
    fails_at: frozenset[int] = frozenset()
    asked: list[Query] = field(factory=list)

    async def get(self, endpoint: Endpoint[Any], query: Query) -> Any:
        self.asked.append(query)
        self.now += self.takes
        if len(self.asked) in self.fails_at:
            message = "no response"
            raise NoReplyError(message)
        start, end = int(query["start_date"] or 0), int(query["end_date"] or 0)
        assert 0 < end - start <= 1800
        found = [row.wire for row in self._newest() if start <= row.written.timestamp() <= end]
        first = int(query.get("offset") or 0)
        size = self.page_sizes[len(self.asked) % len(self.page_sizes)]
        meta: dict[str, Any] = {"status": 200, "success": True, "message": "SUCCESS"}
        if first + size < len(found):
            meta["next"] = f"https://elsewhere.example/?key=***&offset={first + size}"
        body = {"meta": meta, "result": found[first : first + size]}
        return decode(endpoint, APIResponse(http_status=200, body=json.dumps(body).encode()))

    def _newest(self) -> Iterable[Update]:
        seen = [row for row in self.updates if row.written + row.late <= self.now]
        return {row.waybill: row for row in sorted(seen, key=lambda row: row.written)}.values()

    # A window is read by GET requests alone: a test that reaches one of these is wrong.

    async def post(self, endpoint: Any, body: object, query: object = None) -> Any:
        raise NotImplementedError

    def as_completed(self, calls: Any, *, max_concurrency: int) -> Any:
        raise NotImplementedError

    async def gather(self, calls: Any) -> Any:
        raise NotImplementedError

    async def pause(self, seconds: float) -> None:
        raise NotImplementedError


def finished(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run what never waits, without an event loop: iterating needs neither asyncio nor trio."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: R = stop.value
        return result
    message = "it waited for something"
    raise AssertionError(message)


async def taken(windows: Windows[T], most: int | None = None) -> list[T]:
    rows: list[T] = []
    while most is None or len(rows) < most:
        try:
            async for row in windows:
                rows.append(row)
                if len(rows) == most:
                    break
            else:
                break
        except NoReplyError:
            continue
    return rows


def waybills(rows: Iterable[UpdatedOrder]) -> list[str]:
    return [row.waybill or "" for row in rows]


def read(fake: FakeClickPost, end: datetime | None = None, **more: Any) -> list[str]:
    windows = Orders(fake, now=lambda: fake.now).iter_updated(TEN, end, **more)
    return waybills(finished(taken(windows)))


# --- no gap, no repeat --------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Update]:
    """Draw updates of three hours, seen up to two minutes late, with times that are a bit off."""
    updates = []
    for number in range(draw(st.integers(0, 40))):
        written = TEN + seconds(draw(st.integers(0, HOURS * 3600 * 10)) / 10)
        updates.append(
            Update(
                waybill=f"W{number}",
                written=written,
                late=seconds(draw(st.integers(0, 120))),
                reported=written + seconds(draw(st.integers(-150, 150))),
            )
        )
    return updates


@given(
    updates=histories(),
    skew=st.integers(-180, 170),
    page_sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    fails_at=st.frozensets(st.integers(1, 60), max_size=8),
    runs=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2400)), max_size=12),
)
def test_no_update_is_missed_or_repeated_over_skew_late_rows_faults_and_restarts(
    updates: list[Update],
    skew: int,
    page_sizes: list[int],
    fails_at: frozenset[int],
    runs: list[tuple[int, int]],
) -> None:
    fake = FakeClickPost(
        updates, now=TEN, takes=seconds(1), page_sizes=page_sizes, fails_at=fails_at
    )
    management = Orders(fake, now=lambda: fake.now + seconds(skew))
    stored: str | None = None
    given_out: list[str] = []

    def run(most: int | None) -> None:
        nonlocal stored
        checkpoint = None if stored is None else Checkpoint.from_json(stored)
        windows = management.iter_updated(TEN, checkpoint=checkpoint)
        given_out.extend(waybills(finished(taken(windows, most))))
        stored = windows.checkpoint.to_json()

    for most, pause in runs:
        run(most)
        fake.now += seconds(pause)
    fake.now = max(fake.now, TEN + timedelta(hours=HOURS) + 2 * OVERLAP)
    run(None)

    assert sorted(given_out) == sorted(row.waybill for row in updates)


@pytest.mark.parametrize(
    ("overlap", "expected"), [(OVERLAP, ["late"]), (timedelta(0), [])], ids=["default", "none"]
)
def test_control_late_update_is_lost_without_an_overlap(
    overlap: timedelta, expected: list[str]
) -> None:
    late = Update("late", TEN + seconds(1790), late=seconds(60))
    fake = FakeClickPost([late], now=TEN + seconds(1800))
    management = Orders(fake, now=lambda: fake.now)
    first = management.iter_updated(TEN, overlap=overlap)
    assert finished(taken(first)) == []

    fake.now += timedelta(minutes=10)
    second = management.iter_updated(TEN, checkpoint=first.checkpoint, overlap=overlap)

    assert waybills(finished(taken(second))) == expected


@pytest.mark.parametrize(
    ("overlap", "expected"), [(OVERLAP, ["early"]), (timedelta(0), [])], ids=["default", "none"]
)
def test_clock_that_is_ahead_of_clickposts_loses_an_update_without_an_overlap(
    overlap: timedelta, expected: list[str]
) -> None:
    fake = FakeClickPost([Update("early", TEN + seconds(700))], now=TEN + seconds(600))
    management = Orders(fake, now=lambda: fake.now + timedelta(minutes=4))
    first = management.iter_updated(TEN, overlap=overlap)
    assert finished(taken(first)) == []

    fake.now += timedelta(minutes=10)
    second = management.iter_updated(TEN, checkpoint=first.checkpoint, overlap=overlap)

    assert waybills(finished(taken(second))) == expected


def test_order_that_leaves_between_two_pages_does_not_hide_another() -> None:
    updates = [
        Update("leaves", TEN + seconds(10)),
        Update("stays", TEN + seconds(20)),
        Update("hidden", TEN + seconds(30)),
        Update("leaves", TEN + seconds(7201)),
    ]
    fake = FakeClickPost(updates, now=TEN + seconds(7199), takes=seconds(1), page_sizes=[2])

    assert read(fake, TEN + seconds(600)) == ["leaves", "stays", "hidden"]


def test_reading_the_pages_only_once_would_hide_it() -> None:
    updates = [
        Update("leaves", TEN + seconds(10)),
        Update("stays", TEN + seconds(20)),
        Update("hidden", TEN + seconds(30)),
        Update("leaves", TEN + seconds(7201)),
    ]
    fake = FakeClickPost(updates, now=TEN + seconds(7199), takes=seconds(1), page_sizes=[2])
    management = Orders(fake)

    async def once() -> list[str]:
        first = await management.updated(TEN, TEN + seconds(600))
        second = await management.updated(TEN, TEN + seconds(600), page=first.next_page or {})
        return waybills([*first, *second])

    assert finished(once()) == ["leaves", "stays"]


def test_every_new_status_of_an_order_is_given_out() -> None:
    updates = [Update("W", TEN + seconds(60)), Update("W", TEN + seconds(3000))]
    fake = FakeClickPost(updates, now=TEN + seconds(1800))
    management = Orders(fake, now=lambda: fake.now)
    first = management.iter_updated(TEN)
    before = finished(taken(first))
    fake.now = TEN + seconds(4000)
    after = finished(taken(management.iter_updated(TEN, checkpoint=first.checkpoint)))

    assert [row.updated for row in (*before, *after)] == [row.written for row in updates]


def test_rows_without_an_identity_are_distinguished_by_all_their_values() -> None:
    class Nameless(FakeClickPost):
        async def get(self, endpoint: Endpoint[Any], query: Query) -> Any:
            self.asked.append(query)
            rows = [{"remark": "a"}, {"remark": "b"}, {"remark": "a"}]
            body = {"meta": {"status": 200}, "result": rows}
            return decode(endpoint, APIResponse(http_status=200, body=json.dumps(body).encode()))

    fake = Nameless([], now=TEN + seconds(7200))
    windows = Orders(fake, now=lambda: fake.now).iter_updated(TEN)

    assert [row.remark for row in finished(taken(windows))] == ["a", "b"]
    assert len(fake.asked) == 5


# --- windows ------------------------------------------------------------------------------------


def test_span_is_cut_into_legal_windows_that_overlap_oldest_first() -> None:
    fake = FakeClickPost([], now=TEN + timedelta(days=1))

    read(fake, TEN + seconds(4000))

    assert [(query["start_date"], query["end_date"]) for query in fake.asked] == [
        (int(TEN.timestamp()) + start, int(TEN.timestamp()) + end)
        for start, end in ((0, 1800), (1500, 3300), (3000, 4000))
    ]


def test_time_window_of_one_page_is_requested_once() -> None:
    fake = FakeClickPost([Update("W", TEN + seconds(1))], now=TEN + timedelta(days=1))

    assert read(fake, TEN + seconds(1800)) == ["W"]
    assert len(fake.asked) == 1


def test_future_is_left_to_the_next_run() -> None:
    fake = FakeClickPost([], now=TEN + seconds(100.9))
    management = Orders(fake, now=lambda: fake.now)
    windows = management.iter_updated(TEN, TEN + timedelta(days=1))
    finished(taken(windows))

    assert [query["end_date"] for query in fake.asked] == [int(TEN.timestamp()) + 100]
    assert windows.checkpoint.start == TEN


def test_span_that_has_not_begun_is_empty_and_keeps_its_place() -> None:
    fake = FakeClickPost([], now=TEN - seconds(30))
    windows = Orders(fake, now=lambda: fake.now).iter_updated(TEN)

    assert finished(taken(windows)) == []
    assert fake.asked == []
    assert windows.checkpoint == Checkpoint(of="orders.updated", start=TEN)


def test_fraction_of_a_second_at_the_end_is_rounded_up() -> None:
    fake = FakeClickPost([Update("W", TEN + seconds(60.4))], now=TEN + timedelta(days=1))

    assert read(fake, TEN + seconds(60.5)) == ["W"]


def test_times_of_any_zone_name_the_same_window() -> None:
    india = datetime.fromisoformat("2026-03-01T15:30:00+05:30")
    fake = FakeClickPost([Update("W", TEN)], now=TEN + timedelta(days=1))
    windows = Orders(fake).iter_updated(india, india + seconds(60))

    assert waybills(finished(taken(windows))) == ["W"]


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"start": TEN.replace(tzinfo=None)}, ["start"]),
        ({"start": TEN.date(), "end": "now"}, ["start", "end"]),
        ({"start": TEN, "end": TEN}, ["end"]),
        ({"start": TEN, "overlap": seconds(1800)}, ["overlap"]),
        ({"start": TEN, "overlap": seconds(-1)}, ["overlap"]),
        (
            {"start": TEN, "checkpoint": Checkpoint(of="ndr.feedback", start=TEN)},
            ["checkpoint"],
        ),
    ],
)
def test_invalid_time_span_is_refused_before_any_request(
    arguments: Mapping[str, Any], fields: list[str]
) -> None:
    fake = FakeClickPost([], now=TEN)

    with pytest.raises(InvalidRequestError) as caught:
        Orders(fake).iter_updated(**arguments)

    assert [problem.path for problem in caught.value.problems] == fields


# --- pages --------------------------------------------------------------------------------------


def test_pages_are_followed_once_by_the_query_of_the_next_address() -> None:
    updates = [Update(f"W{number}", TEN + seconds(number)) for number in range(3)]
    fake = FakeClickPost(updates, now=TEN + timedelta(days=1), page_sizes=[2])

    assert read(fake, TEN + seconds(60)) == ["W0", "W1", "W2"]
    window = {"start_date": int(TEN.timestamp()), "end_date": int(TEN.timestamp()) + 60}
    assert fake.asked == [window, {**window, "offset": "2"}]


def test_window_whose_last_page_is_empty_is_read_again() -> None:
    updates = [Update(f"W{number}", TEN + seconds(number)) for number in range(4)]
    moves = Update("W0", TEN + seconds(7201))
    fake = FakeClickPost(
        [*updates[:3], moves], now=TEN + seconds(7199), takes=seconds(1), page_sizes=[2]
    )

    assert read(fake, TEN + seconds(60)) == ["W0", "W1", "W2"]
    assert len(fake.asked) == 3


def test_pages_that_go_in_a_circle_are_an_error_not_a_loop() -> None:
    class Circling(FakeClickPost):
        async def get(self, endpoint: Endpoint[Any], query: Query) -> Any:
            self.asked.append(query)
            body = {"meta": {"status": 200, "next": "?page=2"}, "result": []}
            return decode(endpoint, APIResponse(http_status=200, body=json.dumps(body).encode()))

    fake = Circling([], now=TEN + timedelta(days=1))

    with pytest.raises(UnreadableReplyError, match="pagination loop detected"):
        read(fake, TEN + seconds(60))
    assert len(fake.asked) == 2


# --- checkpoints --------------------------------------------------------------------------------


def test_checkpoint_survives_json() -> None:
    checkpoint = Checkpoint(of="orders.updated", start=TEN, seen=["b" * 16, "a" * 16])

    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint
    assert json.loads(checkpoint.to_json()) == {
        "of": "orders.updated",
        "start": "2026-03-01T10:00:00+00:00",
        "seen": "b" * 16 + "a" * 16,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"of": "x", "start": "soon", "seen": ""}',
        '{"of": "x", "start": "2026-03-01T10:00:00", "seen": ""}',
        '{"of": "x", "start": "2026-03-01T10:00:00Z", "seen": ["0123456789abcdef"]}',
        '{"of": "x", "start": "2026-03-01T10:00:00Z", "seen": "0123456789abcde"}',
        '{"of": "x", "start": "2026-03-01T10:00:00Z", "seen": "0123456789abcdeX"}',
        '{"of": 1, "start": "2026-03-01T10:00:00Z", "seen": ""}',
        '{"of": "x", "start": 7, "seen": null}',
        b"\xff",
    ],
)
def test_anything_else_is_no_checkpoint(text: str | bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Checkpoint.from_json(text)

    assert [problem.path for problem in caught.value.problems] == ["checkpoint"]


def test_checkpoint_remembers_no_more_than_the_windows_that_can_come_again() -> None:
    updates = [Update(f"W{number}", TEN + seconds(60 * number)) for number in range(600)]
    fake = FakeClickPost(updates, now=TEN + seconds(36_000))
    windows = Orders(fake, now=lambda: fake.now).iter_updated(TEN)

    async def largest() -> int:
        return max([len(windows.checkpoint.seen) async for _ in windows])

    assert finished(largest()) <= 2 * 30 + 2


@pytest.mark.parametrize("rows", [1_000, 5_000])
def test_checkpoint_is_no_larger_after_more_rows(rows: int) -> None:
    fake = FakeLists(
        [],
        now=TEN + seconds(3600),
        rows=[{"awb": f"W{number}", "type": "CUSTOMER_FEED"} for number in range(rows)],
    )
    windows = Ndr(fake, now=lambda: fake.now).iter_feedback(TEN)

    async def sizes() -> list[int]:
        return [len(windows.checkpoint.to_json()) async for _ in windows]

    found = finished(sizes())
    assert len(found) == rows
    assert max(found) == found[-1] <= 4_200


@given(
    numbers=st.lists(st.integers(0, 3599), min_size=300, max_size=500, unique=True),
    stops=st.lists(st.integers(0, 499), max_size=4),
    page_size=st.integers(20, 200),
)
@settings(max_examples=25, deadline=None)
def test_no_row_is_missed_over_restarts_with_more_rows_than_a_checkpoint_remembers(
    numbers: list[int], stops: list[int], page_size: int
) -> None:
    updates = [Update(f"W{number}", TEN + seconds(number)) for number in numbers]
    fake = FakeClickPost(updates, now=TEN + seconds(7200), page_sizes=[page_size])
    management = Orders(fake, now=lambda: fake.now)
    stored: str | None = None
    found: list[str] = []
    for most in (*stops, None):
        checkpoint = None if stored is None else Checkpoint.from_json(stored)
        windows = management.iter_updated(TEN, TEN + seconds(3600), checkpoint=checkpoint)
        rows = waybills(finished(taken(windows, most)))
        assert len(rows) == len(set(rows)), "a row is repeated by one iterator"
        found.extend(rows)
        stored = windows.checkpoint.to_json()

    assert set(found) == {update.waybill for update in updates}


# --- the other lists ----------------------------------------------------------------------------


@define
class FakeLists(FakeClickPost):
    """Returns the same rows for every window."""

    rows: Sequence[Mapping[str, Any]] = ()

    async def get(self, endpoint: Endpoint[Any], query: Query) -> Any:
        self.asked.append(query)
        body = {"meta": {"meta": {"status": 200}}, "result": list(self.rows)}
        return decode(endpoint, APIResponse(http_status=200, body=json.dumps(body).encode()))


def test_feedback_that_was_passed_on_meanwhile_is_not_given_out_again() -> None:
    action = {"awb": "W", "type": "CUSTOMER_FEED", "created_at": "2026-03-01T10:59:00Z"}
    fake = FakeLists([], now=TEN + timedelta(hours=1), rows=[{**action, "api_data_push": None}])
    ndr = Ndr(fake, now=lambda: fake.now)
    first = ndr.iter_feedback(TEN)
    assert [row.waybill for row in finished(taken(first))] == ["W"]

    fake.rows = [{**action, "api_data_push": True}, {**action, "type": "CLIENT_OPS_FEED"}]
    fake.now += timedelta(minutes=1)
    second = ndr.iter_feedback(TEN, checkpoint=first.checkpoint)

    assert [row.kind for row in finished(taken(second))] == ["CLIENT_OPS_FEED"]


def test_return_is_given_out_again_only_with_a_new_status() -> None:
    asked = {"return_reference_number": "R", "Return Request Timestamp": "2026-02-01T10:00:00Z"}
    fake = FakeLists([], now=TEN + timedelta(hours=1), rows=[{**asked, "status": "NEW_CASE"}])
    returns = Returns(fake, now=lambda: fake.now)
    first = returns.iter_requests(TEN)
    assert [row.status for row in finished(taken(first))] == ["NEW_CASE"]

    fake.rows = [{**asked, "status": "NEW_CASE"}, {**asked, "status": "APPROVED"}]
    fake.now += timedelta(minutes=1)
    second = returns.iter_requests(TEN, checkpoint=first.checkpoint)

    assert [row.status for row in finished(taken(second))] == ["APPROVED"]


def test_returns_and_feedback_are_read_by_the_hour() -> None:
    fake = FakeLists([], now=TEN + timedelta(days=1))
    finished(taken(Returns(fake).iter_requests(TEN, TEN + timedelta(hours=1))))
    finished(taken(Ndr(fake).iter_feedback(TEN, TEN + timedelta(hours=1))))

    assert fake.asked == [
        {"start_time": "2026-03-01T10:00:00", "end_time": "2026-03-01T11:00:00"},
        {"start_date": 1772359200, "end_date": 1772362800},
    ]
