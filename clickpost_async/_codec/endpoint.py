"""Endpoint declarations: path, request and response types, idempotency, credentials."""

import enum
import re
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from attrs import Factory, field, frozen

from clickpost_async._codec.envelope import result_of
from clickpost_async._codec.file_types import Download
from clickpost_async.errors import ClickPostError
from clickpost_async.settings import Host
from clickpost_async.structures._base import ResponseModel

T = TypeVar("T")
R = TypeVar("R", bound=ResponseModel)
R_co = TypeVar("R_co", bound=ResponseModel, covariant=True)

QueryValue = str | int | None
Query = Mapping[str, QueryValue]


class Idempotency(enum.Enum):
    """The effect of sending the same request twice; declared, since HTTP methods mislead here.

    `SAFE`: none, it only reads. `IDEMPOTENT`: none after the first has been processed.
    `BY_REFERENCE`: none for an order, which ClickPost recognises by its reference number, once the
    first has been processed. `UNSAFE`: it may act twice, so it is never resent.
    """

    SAFE = "safe"
    IDEMPOTENT = "idempotent"
    BY_REFERENCE = "by reference"
    UNSAFE = "unsafe"


class Auth(enum.Enum):
    """Where the credentials go in a request.

    Some endpoints name the query's parameter `username`, others `user_name`.
    """

    USERNAME_AND_KEY = "username and key in the query"
    KEY = "key in the query"
    USER_NAME_AND_KEY = "user_name and key in the query"
    KEY_IN_BODY = "key in the body"
    NONE = "none"


_PATH = re.compile(r"(/[\w.~%-]+)+/?", re.ASCII).fullmatch


def _check_path(_: object, __: object, path: str) -> None:
    if not _PATH(path) or any(part in (".", "..") for part in path.split("/")):
        message = "path: give it from the base URL on, like /v1/fetch/shippinglabel/"
        raise ValueError(message)


def _label(endpoint: "Endpoint[Any]") -> str:
    return endpoint.name or f"{endpoint.method} {endpoint.path}"


def _codes(values: Iterable[int]) -> frozenset[int]:
    return frozenset(values)


@frozen(kw_only=True)
class Endpoint(Generic[R_co]):
    """An endpoint of ClickPost, declared: what `Get` and `Post` have in common.

    Args:
        path: From the base URL on, such as `/v1/fetch/shippinglabel/`.
        name: What it is called in errors and logs; method and path by default.
        returns: The type of the response's `result`, a `ResponseModel`.
        idempotency: The effect of sending the same request twice; it decides about retries.
        takes: The type of the body; without it a mapping is sent as it is.
        extract: Returns the response's fields from the whole body; `None` if it cannot be read.
        accepts: The values of `meta.status` that mean success.
        means: Which error a code raises, where it is another one than usual.
        auth: Where the credentials go.
        host: The group of endpoints whose base URL it is called at.
        found_by: The endpoint that looks up by its reference number what this one creates.
        polls_by_lookup: Whether a pending order is polled with `found_by`, instead of being resent.

    """

    method: ClassVar[str]

    path: str = field(kw_only=False, validator=_check_path)
    name: str = ""
    returns: type[R_co]
    idempotency: Idempotency
    takes: Any = None
    extract: Callable[[Mapping[str, Any]], Any] = result_of
    accepts: frozenset[int] = field(default=frozenset({200}), converter=_codes)
    means: Mapping[int, Callable[..., ClickPostError]] = field(factory=dict)
    auth: Auth = Auth.USERNAME_AND_KEY
    host: Host = Host.MAIN
    found_by: "Get[ResponseModel] | None" = None
    polls_by_lookup: bool = False
    label: str = field(init=False, repr=False, eq=False, default=Factory(_label, takes_self=True))
    """What it is called in errors and logs."""


@frozen(kw_only=True)
class Get(Endpoint[R_co]):
    """An endpoint that is sent a query; its parameters are those of `Endpoint`."""

    method = "GET"


@frozen(kw_only=True)
class Post(Endpoint[R_co]):
    """An endpoint that is sent a JSON body; its parameters are those of `Endpoint`."""

    method = "POST"


class Caller(Protocol):
    """Sends the calls of endpoints; implemented by the core."""

    def get(self, endpoint: Get[R], query: Query) -> Coroutine[Any, Any, R]:
        """Call an endpoint with a query."""
        ...

    def post(
        self, endpoint: Post[R], body: object, query: Query | None = None
    ) -> Coroutine[Any, Any, R]:
        """Call an endpoint with a JSON body, and a query if it has one."""
        ...

    async def gather(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Make calls concurrently; results are in order, the first failure cancels the others."""
        ...

    def as_completed(
        self, calls: Iterable[Callable[[], Awaitable[Iterable[T]]]], *, max_concurrency: int
    ) -> AsyncIterator[T]:
        """Make calls, at most `max_concurrency` at a time; yield their results on completion."""
        ...

    async def pause(self, seconds: float) -> None:
        """Sleep for so many seconds."""
        ...

    async def download(
        self, download: Download, url: str, path: Path, *, overwrite: bool = False
    ) -> Path:
        """Download a file from a URL in a response, without sending the key."""
        ...
