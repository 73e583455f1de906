"""The interface between a call and the HTTP library that sends it: plain values, no library.

Callers do not depend on httpx or httptools, adapters do not depend on ClickPost. An adapter sends
one request, records its progress, and passes the response on in pieces.
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from attrs import field, frozen

from clickpost_async._http.response_reader import ResponseReader
from clickpost_async._http.signature import Signature
from clickpost_async.errors import FailureKind

# The headers of every request, besides those of its body.
HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    # The only encoding that the standard library decompresses in bounded steps; a brotli bomb of
    # 1.5 kB becomes 1 GB in its first step.
    "Accept-Encoding": "gzip",
    "User-Agent": "clickpost_async",
}
JSON = "application/json"
JSON_HEADERS: Mapping[str, str] = {**HEADERS, "Content-Type": JSON}

# Below the time after which servers commonly close idle connections (uvicorn 5 s, others more):
# the outcome of a request that is written to a connection just being closed is unknown.
KEEP_ALIVE = 4.0

DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


class StepTimeouts(NamedTuple):
    """How long each step may take, in seconds; the caller bounds the whole attempt."""

    connect: float
    write: float
    read: float

    def as_extension(self) -> dict[str, float]:
        """Return the `timeout` extension of httpcore, whose pool may take as long as connecting."""
        return {**self._asdict(), "pool": self.connect}


@frozen(eq=False)
class BaseURL:
    """The server that requests go to, and the path under it. One object for each base URL."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    authority: str

    @classmethod
    def parse(cls, url: str) -> "BaseURL":
        """Parse a base URL, which `Hosts` has validated."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        return cls(
            url=url,
            scheme=parts.scheme,
            host=host,
            port=port,
            path=parts.path,
            authority=authority(parts.scheme, host, port),
        )

    @property
    def address(self) -> str:
        """Host and port, also the default port."""
        return address(self.host, self.port)


def address(host: str, port: int) -> str:
    """Write host and port as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def authority(scheme: str, host: str, port: int) -> str:
    """Write host and port as in a URL, without the scheme's default port."""
    whole = address(host, port)
    return whole.removesuffix(f":{port}") if port == DEFAULT_PORTS[scheme] else whole


@frozen(eq=False)
class HTTPRequest:
    """A request as it is sent, except the key: `signature` adds it to the target or the body.

    An adapter with connections of its own adds it as the bytes are written; others use `signed`.
    """

    method: str
    base: BaseURL
    target: str
    body: bytes | None = field(repr=False)
    timeouts: StepTimeouts
    signature: Signature | None = None

    def signed(self) -> tuple[str, bytes | None]:
        """Return target and body with the key in them; neither may be shown."""
        signature, body = self.signature, self.body
        if signature is None:
            return self.target, body
        target = signature.sign_target(self.target.encode("ascii")).decode("ascii")
        return target, body if body is None else signature.sign_body(body)


class SendProgress:
    """How far an attempt got.

    `may_have_been_sent` is set before the first byte is sent. `is_reliable` is whether the adapter
    can observe that; one that cannot sets `may_have_been_sent` before it passes the request to its
    library. `via` is the proxy that was connected to, if there is one.
    """

    __slots__ = ("is_reliable", "may_have_been_sent", "via")

    def __init__(self) -> None:
        self.may_have_been_sent = False
        self.is_reliable = False
        self.via: str | None = None


class HTTPAdapter(Protocol):
    """Sends requests. Exceptions of its library are raised unchanged, and classified by callers."""

    @property
    def connections(self) -> int:
        """How many connections are open on this event loop; 0 if the library does not report it."""
        ...

    def send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> Coroutine[Any, Any, None]:
        """Send a request once, and feed the raw response to `reader` piece by piece."""
        ...

    def failure_of(self, error: Exception) -> FailureKind:
        """Classify an exception that `send` has raised.

        `NOT_SENT`, `NOT_SENDABLE`, `LOCAL_RESOURCES`, `NO_RESPONSE`, or `UNEXPECTED` for an
        exception that is none of the library's.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections of this event loop; requests in flight fail."""
        ...


class LoopAdapter(HTTPAdapter, Protocol):
    """Sends requests on one event loop, which may be closed before the adapter."""

    def abandon(self) -> None:
        """Close the connections of an event loop that is closed."""
        ...


class Fetched(NamedTuple):
    """The response to a file request, with its body as a stream."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    stream: AsyncIterable[bytes]
    aclose: Callable[[], Awaitable[None]]


class Fetcher(Protocol):
    """Requests files in place of connections of our own."""

    async def fetch(
        self, url: str, headers: Sequence[tuple[str, str]], timeouts: StepTimeouts
    ) -> Fetched:
        """Send a GET without credentials; raises what the library raises."""
        ...
