"""What is between a call and the HTTP library that sends it: plain values, and no library.

What is above knows nothing of httpx or httptools; what is below knows nothing of ClickPost. An
adapter sends one request, notes how far it got, and hands on the response as it comes.
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from attrs import field, frozen

from clickpost_async._http.response_reader import ResponseReader
from clickpost_async._http.signature import Signature
from clickpost_async.errors import FailureKind

# Every request has these, and no others but those of its body.
HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    # The only encoding that can be unpacked in bounded steps with the standard library; a brotli
    # bomb of 1.5 kB is 1 GB in its first step.
    "Accept-Encoding": "gzip",
    "User-Agent": "clickpost_async",
}
JSON = "application/json"
JSON_HEADERS: Mapping[str, str] = {**HEADERS, "Content-Type": JSON}

# Below the time after which servers commonly close idle connections (uvicorn 5 s, others more):
# the outcome of a request that is written to a connection just being closed is unknown.
KEEP_ALIVE = 4.0

_PORTS = {"http": 80, "https": 443}


class StepTimeouts(NamedTuple):
    """How long each step may take, in seconds; the whole is bounded above the adapter."""

    connect: float
    write: float
    read: float


@frozen(eq=False)
class BaseURL:
    """Where requests go: one server, and the path under it. One object for each base."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    authority: str

    @classmethod
    def parse(cls, url: str) -> "BaseURL":
        """Read a base URL, which was checked when it was given."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
        name = f"[{host}]" if ":" in host else host
        return cls(
            url=url,
            scheme=parts.scheme,
            host=host,
            port=port,
            path=parts.path,
            authority=name if port == usual else f"{name}:{port}",
        )

    @property
    def address(self) -> str:
        """Host and port, the usual one too."""
        return address(self.host, self.port)


def address(host: str, port: int) -> str:
    """Write host and port as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@frozen(eq=False)
class HTTPRequest:
    """A request as it is sent, but for the key: `signature` puts that into target or body.

    An adapter whose connections are its own lets it do so as the bytes are written; `signed` is for
    the others.
    """

    method: str
    base: BaseURL
    target: str
    body: bytes | None = field(repr=False)
    limits: StepTimeouts
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

    `may_have_been_sent` is set before the first byte is sent. `is_reliable` says that the adapter
    can know that; one that cannot sets `may_have_been_sent` as it hands the request to its library.
    `via` is the proxy that was connected to, if there is one.
    """

    __slots__ = ("is_reliable", "may_have_been_sent", "via")

    def __init__(self) -> None:
        self.may_have_been_sent = False
        self.is_reliable = False
        self.via: str | None = None


class HTTPAdapter(Protocol):
    """Sends requests. An exception of its library is raised as it is, and classified above."""

    @property
    def connections(self) -> int:
        """How many connections are open on this event loop; 0 where the library does not say."""
        ...

    def send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> Coroutine[Any, Any, None]:
        """Send a request once, and hand the response to `reader`, raw and piece by piece."""
        ...

    def failure_of(self, error: Exception) -> FailureKind:
        """Classify an exception that `send` has raised.

        `NOT_SENT`, `NOT_SENDABLE`, `LOCAL_RESOURCES`, `NO_RESPONSE`, or `UNEXPECTED` for an
        exception that is none of the library's.
        """
        ...

    async def aclose(self) -> None:
        """Close what this event loop has open, requests in flight included."""
        ...


class LoopAdapter(HTTPAdapter, Protocol):
    """Sends requests on one event loop, which may be closed without closing this first."""

    def abandon(self) -> None:
        """Close what the event loop has left open; it is closed, and of no more use."""
        ...


class Fetched(NamedTuple):
    """The response to a request for a file, as it comes."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    stream: AsyncIterable[bytes]
    aclose: Callable[[], Awaitable[None]]


class Fetcher(Protocol):
    """Asks for files, wherever they are, in place of connections of our own."""

    async def fetch(
        self, url: str, headers: Sequence[tuple[str, str]], limits: StepTimeouts
    ) -> Fetched:
        """Send a GET without credentials; raises what the library raises."""
        ...
