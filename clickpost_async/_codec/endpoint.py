"""An endpoint is data: what it is called, takes, returns, and what may be done when it fails."""

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
from typing import Any, Generic, Protocol, TypeVar

from attrs import field, frozen

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
    """The effect of sending the same request twice; HTTP methods do not tell, so it is declared.

    `SAFE`: none, it reads. `IDEMPOTENT`: the same as once, after the first request has been
    processed. `BY_REFERENCE`: creates an order, which ClickPost recognises by its reference number
    after the first request has been processed. `UNSAFE`: it may act twice.
    """

    SAFE = "safe"
    IDEMPOTENT = "idempotent"
    BY_REFERENCE = "by reference"
    UNSAFE = "unsafe"


class Auth(enum.Enum):
    """Where an endpoint wants the credentials."""

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


def _codes(values: Iterable[int]) -> frozenset[int]:
    return frozenset(values)


@frozen(kw_only=True)
class Endpoint(Generic[R_co]):
    """What `Get` and `Post` share.

    `reads` picks the answer's fields out of the whole body; `accepts` are the values of
    `meta.status` that mean success; `means` overrides which error a code raises; `found_by` is the
    endpoint that finds by its reference number what this one has made, and with `polls_by_lookup`
    also the one that a pending order is polled with, in place of sending the order again.
    """

    path: str = field(kw_only=False, validator=_check_path)
    name: str = ""
    returns: type[R_co]
    idempotency: Idempotency
    takes: Any = None
    accepts_meta: Callable[[Mapping[str, Any]], Any] = result_of
    accepts: frozenset[int] = field(default=frozenset({200}), converter=_codes)
    means: Mapping[int, Callable[..., ClickPostError]] = field(factory=dict)
    auth: Auth = Auth.USERNAME_AND_KEY
    host: Host = Host.MAIN
    found_by: "Get[ResponseModel] | None" = None
    polls_by_lookup: bool = False

    @property
    def method(self) -> str:
        """Its HTTP method."""
        return type(self).__name__.upper()

    @property
    def label(self) -> str:
        """What it is called in errors and logs."""
        return self.name or f"{self.method} {self.path}"


@frozen(kw_only=True)
class Get(Endpoint[R_co]):
    """An endpoint that is asked with a query."""


@frozen(kw_only=True)
class Post(Endpoint[R_co]):
    """An endpoint that is sent a JSON body."""


class Caller(Protocol):
    """What endpoints need to be called."""

    def get(self, endpoint: Get[R], query: Query) -> Coroutine[Any, Any, R]:
        """Ask an endpoint with a query."""
        ...

    def post(
        self, endpoint: Post[R], body: object, query: Query | None = None
    ) -> Coroutine[Any, Any, R]:
        """Send a body to an endpoint, and a query if it has one."""
        ...

    async def gather(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Make calls together; the answers are in order, the first failure ends the others."""
        ...

    def as_completed(
        self, calls: Iterable[Callable[[], Awaitable[Iterable[T]]]], *, max_concurrency: int
    ) -> AsyncIterator[T]:
        """Make calls, so many at a time, and yield the results of each as it completes."""
        ...

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        ...

    async def download(
        self, download: Download, url: str, path: Path, *, overwrite: bool = False
    ) -> Path:
        """Fetch a file that ClickPost has put somewhere, without the key."""
        ...
