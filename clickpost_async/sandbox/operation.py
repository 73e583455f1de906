"""An operation of the sandbox: its credentials, requests and responses."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, Self

from attrs import Factory, define, field, frozen
from starlette.responses import HTMLResponse, Response

from clickpost_async._codec.endpoint import Auth, Endpoint
from clickpost_async.endpoints import CATALOG

JSON = Mapping[str, object]

SUCCESSFUL = frozenset({200, 202, 323, 600})


@frozen(kw_only=True)
class SandboxRequest:
    """A client's request; its credentials are in `credentials` and `url` only."""

    operation: str
    query: Mapping[str, str]
    body: bytes
    payload: object
    url: str = field(default="", repr=False)
    credentials: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def origin(self) -> str:
        """The origin of its URL: `http://127.0.0.1:8000`."""
        return "/".join(self.url.split("/", 3)[:3])


@frozen
class Reply:
    """A response: JSON, or the text of a page where a client expects JSON."""

    body: JSON | str
    http_status: int = 200
    headers: Mapping[str, str] = Factory(dict)

    @classmethod
    def of(cls, status: int, message: object, http_status: int = 200, **body: object) -> Self:
        """Return an envelope, with the fields of its body that are beside `meta`."""
        meta = {"status": status, "message": message, "success": status in SUCCESSFUL}
        return cls({"meta": meta, **body}, http_status)

    @property
    def meta(self) -> JSON:
        """The `meta` of an envelope, empty without one; it may be nested in another one."""
        meta = self.body.get("meta") if isinstance(self.body, Mapping) else None
        inner = meta.get("meta", meta) if isinstance(meta, Mapping) else None
        return inner if isinstance(inner, Mapping) else {}

    @property
    def status(self) -> int | None:
        """The code in `meta.status`, None where there is no envelope."""
        status = self.meta.get("status")
        return status if isinstance(status, int) else None

    @property
    def code(self) -> int:
        """ClickPost's code, or else the HTTP status."""
        return self.http_status if self.status is None else self.status

    def response(self) -> Response:
        """Return the HTTP response, without faults."""
        if isinstance(self.body, str):
            text = self.body
            page = f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
            return HTMLResponse(page, self.http_status, dict(self.headers))
        content = json.dumps(self.body, separators=(",", ":"))
        return Response(content, self.http_status, dict(self.headers), "application/json")


# ClickPost's page of error codes.
MESSAGES: Mapping[int, str] = {
    301: "Authentication Failed: Invalid Token or API Key",
    302: "Invalid Courier Partner Id with Field cp_id",
    303: "Waybill already registered",
    306: "You are not Registered To Use this service, Please Register",
    307: "You have entered an invalid Order Type",
    308: "You have entered an invalid Order Priority",
    309: "Invalid Delivery Type",
    310: "RVP reason is missing",
    311: "Invalid Courier Partner For RVP",
    312: "Items Data is missing from order details",
    313: "Invalid Format of items for Order data",
    314: "Invalid Format Of Order Data",
    315: "Invalid Cod Value",
    316: "You Dont Have Credentials For The Courier Partner",
    319: "Error In Order Placing To Courier Partner",
    320: "This service is not subscribed by you",
    321: "Awb Number Does not exist in the system for the courier partner",
    322: "Internal Server Error In Courier Partners Server, Try Again",
    324: "You Are Using Invalid Credential For Courier Partner, Please Update",
    328: "Invalid POST data",
    330: "Waybill does not exist",
    351: "No account exist",
    352: "Multiple Account exist",
    353: "Inactive account",
    354: "Unhandled CP error",
    355: "Vendor code not found",
}


def message_of(status: int, detail: str = "") -> str:
    """Return ClickPost's message for a code, with a detail if there is one."""
    return f"{MESSAGES[status]}: {detail}" if detail else MESSAGES[status]


@define
class RefusalError(Exception):
    """A call that is rejected with a code of ClickPost's table.

    Its message is that of the table; `detail` is appended to it, `message` replaces it, and may be
    of any type. A few have a `result` all the same, or a `reply` of their own.
    """

    status: int
    detail: str = field(default="", kw_only=True)
    message: object = Factory(lambda it: message_of(it.status, it.detail), takes_self=True)
    result: JSON | None = field(default=None, kw_only=True)
    reply: Reply | None = field(default=None, kw_only=True)


# Called with the sandbox's state; what it returns is the result of a success, or a whole reply.
Handler = Callable[[Any, SandboxRequest], object]

OPERATIONS: dict[str, "Operation"] = {}


@define(eq=False)
class Operation:
    """An endpoint of the client's catalogue in the sandbox; decorates the function that handles it.

    A success has `message`, one without a result `empty`. `http` maps the codes of rejections that
    are not sent with HTTP 200 to their HTTP status, `auth_error` is the code and message for a
    wrong key. Some endpoints that are documented with a username have been seen to work without:
    for those `needs_username` is false.
    """

    name: str
    message: str = field(default="SUCCESS", kw_only=True)
    empty: str = field(default="SUCCESS", kw_only=True)
    http: Mapping[int, int] = field(factory=dict, kw_only=True)
    auth_error: tuple[int, str] = field(default=(301, MESSAGES[301]), kw_only=True)
    needs_username: bool = field(default=True, kw_only=True)
    handle: Handler = field(init=False)

    def __call__(self, handle: Handler) -> Handler:
        """Declare a function to be the handler."""
        self.handle = handle
        OPERATIONS[self.name] = self
        return handle

    @property
    def endpoint(self) -> Endpoint[Any]:
        """The declaration of the endpoint: its method, path and credentials."""
        return CATALOG[self.name]

    async def respond(self, state: Any, call: SandboxRequest) -> Reply:
        """Handle a call, or reject it."""
        if not self._admits(call, state.username, state.api_key):
            status, message = self.auth_error
            return self.refuse(status, message)
        try:
            result = self.handle(state, call)
            if inspect.isawaitable(result):
                result = await result
        except RefusalError as error:
            return error.reply or self.refuse(error.status, error.message, error.result)
        if isinstance(result, Reply):
            return result
        if result is None:
            return Reply.of(200, self.empty)
        return Reply.of(200, self.message, result=result)

    def refuse(self, status: int, message: object, result: JSON | None = None) -> Reply:
        """Return the envelope of a rejection, which seldom has a result."""
        body = {} if result is None else {"result": result}
        return Reply.of(status, message, self.http.get(status, 200), **body)

    def _admits(self, call: SandboxRequest, username: str, key: str) -> bool:
        auth = self.endpoint.auth
        if auth is Auth.NONE:
            return True
        if auth is Auth.KEY_IN_BODY:
            return isinstance(call.payload, Mapping) and call.payload.get("key") == key
        if auth is Auth.KEY or call.credentials.get("key") != key:
            return call.credentials.get("key") == key
        name = "user_name" if auth is Auth.USER_NAME_AND_KEY else "username"
        given = call.credentials.get(name)
        return given == username or not (given or self.needs_username)
