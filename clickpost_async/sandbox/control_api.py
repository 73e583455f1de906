"""Control API of the sandbox, with JSON requests and responses.

| call | body | result |
| --- | --- | --- |
| `GET /control/state` | | the time, the faults, the totals, the URL of webhooks |
| `GET /control/orders?search=…&limit=…` | | orders and the status of their parcels, newest first |
| `GET /control/parcels/WAYBILL` | | the scans of a parcel, past and future |
| `GET /control/requests?search=…&limit=…` | | the latest calls, newest first |
| `GET /control/ledger` | | the labels bought, by reference number |
| `GET /control/webhooks` | | the latest webhooks pushed, newest first |
| `GET /control/samples` | | the latest calls as samples, without personal data |
| `POST /control/clock` | `{"seconds": 3600}` | advances the clock |
| `POST /control/parcels` | | advances every parcel one step |
| `POST /control/parcels/WAYBILL/advance` | `{"steps": 1}` | advances the parcel |
| `POST /control/parcels/WAYBILL/fail` | `{"ndr_code": 1}` | the delivery fails |
| `POST /control/parcels/WAYBILL/return` | `{"reason": "too small"}` | requests a return |
| `POST /control/returns/REFERENCE/approve` | | the waybill of the return |
| `POST /control/webhooks` | `{"url": "http://127.0.0.1:9000/", "token": "…"}` | pushes there |
| `POST /control/webhooks/NUMBER/push` | | pushes that webhook again |
| `POST /control/faults` | `{"too_many": 0.5, "latency": 2}` | sets fault probabilities |
| `POST /control/faults/next` | `{"fault": "drop_after", "times": 1}` | the next calls fail |
| `POST /control/reset` | | deletes all state |

Errors have status 400 or 404 and the body `{"error": "…"}`. A request with a `Host` that is not a
loopback address, and a cross-site POST, get 403.
"""

import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.http.faults import MOST_TIMES, Fault, Faults
from clickpost_async.sandbox.http.security import guard
from clickpost_async.sandbox.operation import JSON

_MOST = 1000
_LONGEST_TEXT = 1000
_LARGEST_CODE = 9999
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search

Wish = Mapping[str, object]


def routes(control: SandboxControl) -> list[Route]:
    """Return the routes of the table above."""
    looks: Mapping[str, Callable[[Request], object]] = {
        "/state": lambda _: _state(control),
        "/orders": lambda request: [
            {**attrs.asdict(line), "status": line.status}
            for line in control.board.orders(*_window(request))
        ],
        "/parcels/{waybill:path}": partial(_journey, control),
        "/requests": partial(_requests, control),
        "/ledger": lambda _: control.ledger(),
        "/webhooks": lambda _: [attrs.asdict(pushed) for pushed in control.deliveries()],
        "/samples": lambda _: control.samples(),
    }
    acts: Mapping[str, Callable[..., object]] = {
        "/clock": partial(_tick, control),
        "/parcels": lambda _: {"moved": control.advance_all()},
        "/parcels/{waybill:path}/advance": partial(_advance, control),
        "/parcels/{waybill:path}/fail": partial(_fail, control),
        "/parcels/{waybill:path}/return": partial(_return, control),
        "/returns/{reference:path}/approve": partial(_approve, control),
        "/webhooks": partial(_send_webhooks, control),
        "/webhooks/{number}/push": partial(_push_again, control),
        "/faults": partial(_set_faults, control),
        "/faults/next": partial(_script, control),
        "/reset": lambda _: control.reset(),
    }
    return [
        *(Route(f"/control{path}", guard(_looking(look))) for path, look in looks.items()),
        *(
            Route(f"/control{path}", guard(_acting(act)), methods=["POST"])
            for path, act in acts.items()
        ),
    ]


def _looking(look: Callable[[Request], object]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _tried(lambda: look(request))

    return answer


def _acting(act: Callable[..., object]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        body = await request.body()

        def play() -> object:
            wish = _parsed(body) if body else {}
            if not isinstance(wish, dict):
                raise ValueError("the body is no JSON object")  # noqa: TRY004 - theirs, not ours
            return act(wish, **request.path_params) or {}

        return _tried(play)

    return answer


def _tried(play: Callable[[], object]) -> Response:
    try:
        return JSONResponse(play())
    except LookupError as error:
        return JSONResponse({"error": str(error)}, 404)
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 400)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is no JSON") from None


# --- looks --------------------------------------------------------------------------------------


def _state(control: SandboxControl) -> JSON:
    return {
        "now": control.now(),
        "faults": _faults(control),
        "totals": attrs.asdict(control.board.totals()),
        "webhooks_to": list(control.webhook_urls()),
    }


def _faults(control: SandboxControl) -> JSON:
    chances = {fault.value: getattr(control.faults, fault.value) for fault in Fault}
    return {"latency": control.faults.latency, **chances}


def _window(request: Request) -> tuple[int, str]:
    limit = request.query_params.get("limit", "100")
    number = int(limit) if _is_short_number(limit) else 0
    if not 1 <= number <= _MOST:
        raise ValueError(f"limit: 1 to {_MOST}")
    return number, request.query_params.get("search", "")


def _journey(control: SandboxControl, request: Request) -> JSON:
    journey = control.board.journey(request.path_params["waybill"])
    scans = [
        {**attrs.asdict(scan), "description": scan.station.description} for scan in journey.scans
    ]
    parcel = journey.parcel
    return {
        "waybill": parcel.waybill,
        "reference_number": parcel.reference_number,
        "code": parcel.code,
        "scans": scans,
        "ahead": list(journey.ahead),
    }


def _requests(control: SandboxControl, request: Request) -> list[JSON]:
    names = ("id", "operation", "about", "attempt", "http_status", "fault", "seconds", "moment")
    return [
        {**{name: getattr(exchange, name) for name in names}, "code": exchange.code}
        for exchange in control.exchanges(*_window(request))
    ]


# --- acts ---------------------------------------------------------------------------------------


def _tick(control: SandboxControl, wish: Wish) -> JSON:
    control.tick(_number(wish, "seconds"))
    return {"now": control.now()}


def _advance(control: SandboxControl, wish: Wish, waybill: str) -> JSON:
    return {"code": control.advance(waybill, _whole(wish, "steps", 1, least=1, most=_MOST))}


def _fail(control: SandboxControl, wish: Wish, waybill: str) -> None:
    code = _whole(wish, "ndr_code", 1, least=0, most=_LARGEST_CODE)
    control.fail_delivery(waybill, code)


def _return(control: SandboxControl, wish: Wish, waybill: str) -> JSON:
    reason = _text(wish, "reason", "Size too small")
    return {"return_reference_number": control.request_return(waybill, reason=reason)}


def _approve(control: SandboxControl, _: Wish, reference: str) -> JSON:
    return {"waybill": control.approve_return(reference)}


def _send_webhooks(control: SandboxControl, wish: Wish) -> None:
    control.webhooks_to(_text(wish, "url", ""), token=_text(wish, "token", "") or None)


def _push_again(control: SandboxControl, _: Wish, number: str) -> None:
    if not _is_short_number(number):
        raise LookupError("the sandbox keeps no webhook with that number")
    control.push_again(int(number))


def _set_faults(control: SandboxControl, wish: Wish) -> JSON:
    known = _faults(control).keys()
    for name in wish:
        if name not in known:
            raise ValueError(f"faults: {name[:40]!r} is none of {', '.join(known)}")
    chances: dict[str, Any] = {name: _number(wish, name) for name in wish}
    Faults(**chances)  # All are checked before one is set.
    for name, chance in chances.items():
        setattr(control.faults, name, chance)
    return _faults(control)


def _script(control: SandboxControl, wish: Wish) -> None:
    reference = _text(wish, "reference_number", "") or None
    times = _whole(wish, "times", 1, least=1, most=MOST_TIMES)
    control.faults.next(Fault(_text(wish, "fault", "")), times=times, reference_number=reference)


def _number(wish: Wish, name: str) -> float:
    value = wish.get(name)
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name}: a number is needed")
    return number


def _whole(wish: Wish, name: str, otherwise: int, *, least: int, most: int) -> int:
    value = wish.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}: a whole number from {least} to {most} is needed")
    return value


def _text(wish: Wish, name: str, otherwise: str) -> str:
    value = wish.get(name, otherwise)
    # A lone surrogate is no character, and cannot be written as UTF-8.
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or _UNPRINTABLE(value):
        raise ValueError(
            f"{name}: a string of at most {_LONGEST_TEXT} characters is needed, without control"
            " characters"
        )
    return value


def _is_short_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,15}", text) is not None
