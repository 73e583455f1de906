"""Names, phones, addresses and e-mails are redacted in logs, errors and reprs.

The scanner that says so has to find what is planted.
"""

import asyncio
import contextlib
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.pretty import pretty_repr

import clickpost_async
from clickpost_async import (
    ClickPost,
    ClickPostError,
    InvalidRequestError,
    RetryPolicy,
    structure,
    webhooks,
)
from clickpost_async._core import call_state
from clickpost_async.bulk import create
from clickpost_async.structures import IndiaOrder
from tests.helpers.http_server import envelope, http, serving
from tests.helpers.scripted_transport import Line, Listener, Play, api_response, placed, playing
from tests.helpers.server_behaviours import FAULTS
from tests.sandbox.samples import india_order
from tests.test_secrets import client, family, listening

NAME, STREET, PHONE, MAIL = (
    "Quentessa Vorrabel",
    "Zimbalist Crescent 9",
    "9876501234",
    "quentessa@vorrabel.example",
)
PACKAGE = Path(clickpost_async.__file__).parent
CANARIES = ("quentessa", "vorrabel", "zimbalist", PHONE)


def order(reference_number: str = "R-1", **changes: Any) -> dict[str, Any]:
    """Return an order with personal data that occurs nowhere else."""
    return india_order(
        reference_number,
        drop_info__drop_name=NAME,
        drop_info__drop_address=STREET,
        drop_info__drop_phone=PHONE,
        drop_info__drop_email=MAIL,
        **changes,
    )


def leaks(texts: list[str]) -> list[str]:
    return [text for text in texts if any(canary in text.lower() for canary in CANARIES)]


def texts_of(error: BaseException) -> list[str]:
    """Write down what an error says; its frames are the caller's, who has the order anyway."""
    texts: list[str] = []
    for one in family(error):
        texts += [str(one), repr(one), repr(one.args), repr(getattr(one, "__notes__", []))]
        texts.append(repr(vars(one)))
        texts += [str(problem) for problem in getattr(one, "problems", ())]
    return texts


async def texts_of_call(clickpost: ClickPost, what: dict[str, Any]) -> list[str]:
    with listening() as handler:
        try:
            response = await clickpost.orders.create(what)
        except ClickPostError as error:
            return [*handler.messages, *texts_of(error)]
        return [*handler.messages, repr(response)]


@pytest.mark.parametrize("canary", [NAME, STREET, PHONE, MAIL, NAME.upper()])
def test_scanner_finds_what_is_planted(canary: str) -> None:
    with listening() as handler:
        logging.getLogger("httpcore.http11").debug("sent %s", canary)
    assert leaks(handler.messages)
    assert leaks(texts_of(ValueError(f"no such person: {canary}")))
    assert leaks(texts_of(ClickPostError(f"{canary} is too short")))
    assert not leaks(texts_of(ClickPostError("harmless")))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.asyncio
async def test_no_fault_of_the_wire_shows_a_person(fault: str) -> None:
    async with serving(FAULTS[fault][0]) as server, client(server.url) as clickpost:
        assert leaks(await texts_of_call(clickpost, order())) == []


ECHOES: dict[str, Callable[[str], bytes]] = {
    "the message": lambda text: envelope(302, f"drop address {text} is too short"),
    "a message of objects": lambda text: envelope(307, json.dumps({"drop_info": [text]})),
    "the courier's words": lambda text: envelope(319, f"Consignee {text} not serviceable."),
    "a busy courier's words": lambda text: envelope(322, f"timeout for {text}"),
    "the words of an unknown code": lambda text: envelope(999, text),
    "the words of a success": lambda text: envelope(200, text, result={"waybill": "W-1"}),
}


def repeating(write: Callable[[str], bytes], text: str) -> Callable[[Any], Any]:
    async def talk(peer: Any) -> None:
        while True:
            await peer.read()
            await peer.send(http(write(text)))

    return talk


@pytest.mark.parametrize("text", [NAME, STREET, PHONE, f"+91-{PHONE}", MAIL, NAME.upper()])
@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.asyncio
async def test_personal_data_echoed_by_a_server_is_not_shown(echo: str, text: str) -> None:
    talk = repeating(ECHOES[echo], text)
    async with serving(talk) as server, client(server.url) as clickpost:
        assert leaks(await texts_of_call(clickpost, order())) == []


@pytest.mark.asyncio
async def test_message_without_redaction_shows_personal_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_state, "redact", lambda words, *_: words)
    talk = repeating(ECHOES["the message"], NAME)
    async with serving(talk) as server, client(server.url) as clickpost:
        assert leaks(await texts_of_call(clickpost, order()))


@pytest.mark.asyncio
async def test_redaction_keeps_the_subject_of_a_message() -> None:
    async with playing(
        [api_response(302, f"R-1: drop_phone {PHONE} of {NAME} at 411001 is odd")]
    ) as calls:
        with pytest.raises(ClickPostError) as caught:
            await calls.orders.create(order())
    assert caught.value.message == "R-1: drop_phone *** of *** at 411001 is odd"
    assert str(caught.value) == f"orders.create_india: {caught.value.message} (status 302)"


MISTAKES: dict[str, dict[str, Any]] = {
    "a phone": {"drop_info__drop_phone": [PHONE]},
    "a name": {"drop_info__drop_name": [NAME]},
    "an address": {"drop_info__drop_address": {"street": STREET}},
    "an e-mail": {"drop_info__drop_email": [NAME]},
    "a pincode beside them": {"drop_info__drop_pincode": "12"},
    "a whole part": {"drop_info": f"{NAME}, {STREET}"},
}


def locals_of_the_package(error: BaseException) -> list[str]:
    """Write down the variables of the package's frames, as error trackers record them."""
    texts: list[str] = []
    for one in family(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if PACKAGE in Path(frame.f_code.co_filename).parents:
                for name, value in frame.f_locals.items():
                    # rich, whose tracebacks structlog shows too, reads the fields of attrs classes.
                    texts += [f"{name} = {value!r}", f"{name} = {pretty_repr(value)}"]
    return texts


@pytest.mark.parametrize("through", ["a call", "a bulk run"])
@pytest.mark.parametrize("status", [200, 429, 500])
@pytest.mark.asyncio
async def test_frames_of_an_error_contain_no_personal_data(status: int, through: str) -> None:
    echo = {"meta": {"status": 312, "message": f"{NAME} is wrong"}, "order": order()}
    response: Line = httpx.Response(status, json=echo)
    play = Play([response])
    async with playing(play, retry=RetryPolicy(attempts=1, reconcile=False)) as clickpost:
        if through == "a call":
            with pytest.raises(ClickPostError) as caught:
                await clickpost.orders.create(structure(order(), IndiaOrder))
            error: BaseException | None = caught.value
        else:
            async with create(clickpost, [order()]) as run:
                (outcome,) = [outcome async for outcome in run]
            error = getattr(outcome, "error", None)

    assert error is not None
    texts = locals_of_the_package(error)
    assert texts
    assert not leaks(texts)


@pytest.mark.asyncio
async def test_frames_of_an_invalid_order_contain_no_personal_data() -> None:
    wrong = order(drop_info__drop_pincode="12")
    async with playing([placed()]) as clickpost:
        with pytest.raises(InvalidRequestError) as sent:
            await clickpost.orders.create(wrong)
        with pytest.raises(InvalidRequestError) as late:
            await clickpost.with_options(deadline=5).orders.create(wrong)
    with pytest.raises(InvalidRequestError) as parsed:
        structure(wrong, IndiaOrder)

    for caught in (sent, late, parsed):
        texts = locals_of_the_package(caught.value)
        assert texts
        assert not leaks(texts)


@pytest.mark.asyncio
async def test_frames_of_a_failed_input_contain_no_order_of_before() -> None:
    async def orders() -> AsyncIterator[dict[str, Any]]:
        yield order()
        raise OSError

    async with playing([placed()]) as clickpost:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - it is the input's own
            async with create(clickpost, orders()) as run:
                _ = [outcome async for outcome in run]

    texts = locals_of_the_package(caught.value)
    assert texts
    assert not leaks(texts)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.asyncio
async def test_mistake_names_its_field_and_not_its_value(mistake: str) -> None:
    wrong = order() | {}
    for path, value in MISTAKES[mistake].items():
        section, _, name = path.partition("__")
        if name:
            wrong[section] = wrong[section] | {name: value}
        else:
            wrong[section] = value
    with pytest.raises(InvalidRequestError) as caught:
        structure(wrong, IndiaOrder)
    assert leaks(texts_of(caught.value)) == []

    async with playing([placed()], retry=RetryPolicy.never()) as clickpost:
        assert leaks(await texts_of_call(clickpost, wrong)) == []
        async with create(clickpost, [wrong]) as run:
            outcomes = [repr(outcome) async for outcome in run]
    assert leaks(outcomes) == []
    assert len(outcomes) == 1


def test_reprs_of_structures_show_no_personal_data() -> None:
    known = structure(order(), IndiaOrder)
    assert leaks([repr(known), str(known), f"{known}", repr([known])]) == []
    assert leaks([pretty_repr(known), pretty_repr([known])]) == []
    assert "drop_city='Pune'" in pretty_repr(known)


def test_repr_of_a_webhook_event_shows_no_personal_data() -> None:
    scan = {"remark": f"Delivered to {NAME}, {PHONE}", "status": "Delivered"}
    push = {"waybill": "W-1", "clickpost_status_code": 8, "consignee": NAME, **scan}
    push["additional"] = {"latest_status": {**scan, "receiver": {"name": NAME}}}

    event = webhooks.parse(json.dumps(push).encode(), {}, token=None)

    assert event.remark == scan["remark"]
    assert leaks([repr(event), pretty_repr(event)]) == []
    assert "status='Delivered'" in repr(event)


@pytest.mark.parametrize("body", [{"remark": NAME}, [NAME], NAME])
@pytest.mark.parametrize("token", ["canary-token", None])
def test_frames_of_a_refused_webhook_contain_neither_personal_data_nor_the_token(
    body: Any, token: str | None
) -> None:
    with pytest.raises(webhooks.WebhookError) as caught:
        webhooks.parse(json.dumps(body).encode(), {"webhook_key": "wrong-canary"}, token=token)

    assert locals_of_the_package(caught.value) == []


@pytest.mark.asyncio
async def test_events_contain_no_personal_data() -> None:
    listener = Listener()

    async def response(request: httpx.Request) -> httpx.Response:
        return api_response(319, f"refused for {NAME}, {PHONE}")

    async with playing([response], observers=[listener]) as clickpost:
        with contextlib.suppress(ClickPostError):
            await asyncio.gather(clickpost.orders.create(order()))

    assert listener.events
    assert leaks([repr(event) for event in listener.events]) == []
