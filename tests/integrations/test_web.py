"""Shared by all frameworks: error responses, and webhooks that are handled once."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clickpost_async import errors
from clickpost_async.errors import (
    BusyCourierError,
    ClickPostError,
    CourierError,
    CredentialsError,
    DeadlineError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    Problem,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async.integrations._web import (
    Claim,
    InMemoryEventStore,
    WebhookReceiver,
    response_to,
)
from clickpost_async.webhooks import MAX_SIZE, TrackingEvent

TOKEN = "a-word-typed-on-the-dashboard"
WORDS = "ClickPost's own words"

# --- errors -------------------------------------------------------------------------------------


def unknown(kind: type[ClickPostError], settles_in: float | None = None) -> ClickPostError:
    error = kind(WORDS, outcome=Outcome.UNKNOWN)
    error.settle_delay = settles_in
    return error


MAPPED: dict[str, tuple[ClickPostError, int, str | None]] = {
    "a mistake found here": (InvalidRequestError.of([Problem("a.b", "is needed")]), 422, None),
    "a mistake found there": (InvalidRequestError(WORDS, status=307), 422, None),
    "a courier's refusal": (CourierError(WORDS, status=319), 409, None),
    "another refusal": (RefusedError(WORDS), 409, None),
    "a refused key": (CredentialsError(WORDS, status=301), 500, None),
    "an inactive account": (CredentialsError(WORDS, status=353), 500, None),
    "a key refused after an order was lost": (unknown(CredentialsError, 30.0), 504, "30"),
    "nothing sent": (NotSentError(WORDS), 503, "1"),
    "nothing sent, for a reason that stays": (NotSentError(WORDS, transient=False), 503, None),
    "too many": (ThrottledError(WORDS, retry_after=12.3), 503, "13"),
    "too late": (DeadlineError(WORDS), 503, "1"),
    "no reply": (unknown(NoReplyError, 30.0), 504, "30"),
    "no reply, never to be sent again": (unknown(NoReplyError), 504, None),
    "no reply to a question": (unknown(NoReplyError, 0.0), 504, "1"),
    "nonsense": (unknown(UnreadableReplyError, 1.5), 504, "2"),
    "a busy courier": (BusyCourierError(WORDS, status=322), 504, None),
    "a failing server": (ServerError(WORDS, status=500), 504, None),
    "an undocumented code": (unknown(RefusedError), 504, None),
}


@pytest.mark.parametrize("what", MAPPED)
def test_error_response_states_the_outcome_of_the_order(what: str) -> None:
    error, status, retry_after = MAPPED[what]
    error.reference_number = "R-1"

    response = response_to(error)

    assert (response.status, response.headers.get("Retry-After")) == (status, retry_after)
    assert response.body["outcome"] == error.outcome.value
    assert response.body["reference_number"] == "R-1"
    assert WORDS not in json.dumps(response.body)


def test_every_error_class_has_a_response() -> None:
    classes = {kind for kind in vars(errors).values() if _is_raised(kind)}

    assert {type(error) for error, _, _ in MAPPED.values()} == classes


def _is_raised(kind: object) -> bool:
    return (
        isinstance(kind, type) and issubclass(kind, ClickPostError) and kind is not ClickPostError
    )


def test_problems_are_listed_one_by_one() -> None:
    error = InvalidRequestError.of([Problem("a.b", "is needed"), Problem("", "is no order")])

    assert response_to(error).body["problems"] == [
        {"path": "a.b", "message": "is needed"},
        {"path": "", "message": "is no order"},
    ]


@example("half \ud800", "half \udc00")
@given(st.text(), st.text(max_size=3))
def test_any_reference_number_gets_a_response(reference: str, path: str) -> None:
    error = InvalidRequestError.of([Problem(path, "wrong")], reference_number=reference)

    text = json.dumps(response_to(error).body, ensure_ascii=False).encode()

    assert len(text) < 2000


def test_reference_of_any_length_is_cut() -> None:
    error = InvalidRequestError.of([Problem("x", "too long")], reference_number="x" * 10**6)

    assert len(response_to(error).body["reference_number"]) == 300


# --- webhooks -----------------------------------------------------------------------------------


def push(waybill: str = "W-1", code: int = 8) -> bytes:
    payload = {
        "waybill": waybill,
        "clickpost_status_code": code,
        "timestamp": "2026-03-04T12:40:00Z",
    }
    return json.dumps(payload).encode()


class Body:
    """A body that comes in parts, and knows how much of it was asked for."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            self.read += len(part)
            yield part


class Shop:
    """Handles events, or waits or fails as set."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.handled: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.fails = False

    async def __call__(self, event: Any, request: str) -> None:
        assert isinstance(event, TrackingEvent)
        assert request == "a request"
        self.began.append(event.subject)
        await self.open.wait()
        if self.fails:
            raise LookupError(event.subject)
        self.handled.append(event.subject)


async def pushed(receiver: WebhookReceiver[str], body: bytes, token: str = TOKEN) -> int:
    return await receiver.receive("a request", {"webhook_key": token}, Body([body[:7], body[7:]]))


@pytest.mark.asyncio
async def test_event_is_handed_over_once_however_often_it_is_pushed() -> None:
    shop = Shop()
    receiver = WebhookReceiver(shop, TOKEN, None)

    statuses = [await pushed(receiver, push()) for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert shop.handled == ["W-1"]


@pytest.mark.asyncio
async def test_different_events_are_all_handed_over() -> None:
    shop = Shop()
    receiver = WebhookReceiver(shop, TOKEN, None)

    for body in (push("W-1", 6), push("W-1", 8), push("W-2", 8)):
        assert await pushed(receiver, body) == 200

    assert shop.handled == ["W-1", "W-1", "W-2"]


@pytest.mark.fault("S07")
@pytest.mark.asyncio
async def test_of_pushes_at_the_same_time_one_is_handled_and_none_promises_too_much() -> None:
    shop = Shop()
    shop.open.clear()
    receiver = WebhookReceiver(shop, TOKEN, None)
    first = asyncio.create_task(pushed(receiver, push()))
    await asyncio.sleep(0)

    # The first may still fail, and then it has to come again.
    assert [await pushed(receiver, push()) for _ in range(5)] == [503] * 5
    shop.open.set()
    assert await first == 200
    assert await pushed(receiver, push()) == 200
    assert shop.began == ["W-1"]


@pytest.mark.fault("S07")
@pytest.mark.asyncio
async def test_event_whose_handler_failed_is_handled_at_redelivery() -> None:
    shop = Shop()
    receiver = WebhookReceiver(shop, TOKEN, None)
    shop.fails = True
    with pytest.raises(LookupError):
        await pushed(receiver, push())
    shop.fails = False

    assert await pushed(receiver, push()) == 200
    assert (shop.began, shop.handled) == (["W-1", "W-1"], ["W-1"])


class SlowStore(InMemoryEventStore):
    """A store whose every word takes a turn of the loop, as one over a network does."""

    async def failed(self, identity: str) -> None:
        await asyncio.sleep(0.001)
        await super().failed(identity)


@pytest.mark.asyncio
async def test_event_whose_handler_was_cancelled_is_handled_at_redelivery() -> None:
    shop = Shop()
    shop.open.clear()
    receiver = WebhookReceiver(shop, TOKEN, SlowStore())
    # A group that is cancelled cancels every await from there on.
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pushed, receiver, push())
        await anyio.wait_all_tasks_blocked()
        assert shop.began == ["W-1"]
        tasks.cancel_scope.cancel()
    shop.open.set()

    assert await pushed(receiver, push()) == 200
    assert shop.handled == ["W-1"]


class Gone(InMemoryEventStore):
    """A store that is out of reach."""

    async def begin(self, identity: str) -> Claim:
        raise ConnectionError(identity)


@pytest.mark.asyncio
async def test_without_its_store_nothing_is_handled_and_nothing_promised() -> None:
    shop = Shop()
    with pytest.raises(ConnectionError):
        await pushed(WebhookReceiver(shop, TOKEN, Gone()), push())

    assert shop.began == []


@pytest.mark.fault("S07")
@pytest.mark.asyncio
async def test_body_is_read_up_to_the_size_limit_of_a_push() -> None:
    shop = Shop()
    part = b"x" * 65_536
    body = Body(part for _ in range(16_000))

    status = await WebhookReceiver(shop, TOKEN, None).receive(
        "a request", {"webhook_key": TOKEN}, body
    )

    assert status == 413
    assert MAX_SIZE < body.read <= MAX_SIZE + len(part)
    assert shop.began == []


@pytest.mark.fault("S07")
@pytest.mark.asyncio
async def test_push_without_the_token_is_neither_handled_nor_stored() -> None:
    shop = Shop()
    receiver = WebhookReceiver(shop, TOKEN, None)

    assert await pushed(receiver, push(), "another-word") == 401
    assert await pushed(receiver, b"[]") == 400
    assert await pushed(receiver, push()) == 200
    assert shop.handled == ["W-1"]


@pytest.mark.asyncio
async def test_two_tokens_are_taken_again_and_again_while_one_is_changed() -> None:
    shop = Shop()
    # A generator is empty after its first use.
    receiver = WebhookReceiver(shop, (token for token in ("old-word", "new-word")), None)

    for turn in range(2):
        assert await pushed(receiver, push(f"old-{turn}"), "old-word") == 200
        assert await pushed(receiver, push(f"new-{turn}"), "new-word") == 200


@pytest.mark.asyncio
async def test_oldest_push_is_evicted_first() -> None:
    seen = InMemoryEventStore(max_events=2)
    for identity in ("a", "b"):
        assert await seen.begin(identity) is Claim.GRANTED
        await seen.done(identity)
    assert await seen.begin("a") is Claim.DONE
    assert await seen.begin("c") is Claim.GRANTED
    await seen.done("c")

    assert await seen.begin("a") is Claim.DONE
    assert await seen.begin("b") is Claim.GRANTED


@pytest.mark.asyncio
async def test_event_in_progress_is_never_evicted() -> None:
    seen = InMemoryEventStore(max_events=1)
    assert await seen.begin("slow") is Claim.GRANTED
    for identity in ("a", "b"):
        await seen.begin(identity)
        await seen.done(identity)

    assert await seen.begin("slow") is Claim.BUSY


def test_memory_has_room_for_one_at_least() -> None:
    with pytest.raises(ValueError, match=r"^max_events must be a whole number of events"):
        InMemoryEventStore(max_events=0)
