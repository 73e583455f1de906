"""What a client is told once: who calls, how fast, how long, and where to.

Every setting is a frozen value that is passed whole, and none can show the key. The environment is
read by the `from_env` constructors alone, but for `CLICKPOST_ALLOW_HTTP`, which is a machine's.
"""

import enum
import ipaddress
import math
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Never, Self
from urllib.parse import urlsplit

from attrs import field, frozen

KeySource = Callable[[], str | Awaitable[str]]


class Priority(enum.IntEnum):
    """Who goes first where calls queue up; a bulk run yields to a checkout."""

    NORMAL = 0
    BULK = 1


class BodyStyle(enum.Enum):
    """How a JSON body is written.

    ClickPost takes `PLAIN`: `RAW_BODY` is how its documentation tool spells "the body is raw JSON",
    and every published example sends the bare object. `RAW_BODY` is for gateways that were built
    to the letter of the documentation: `{"RAW_BODY": "<the JSON as a string>"}`.
    """

    PLAIN = "plain"
    RAW_BODY = "raw_body"


class Secret:
    """A string that is only given out by `reveal()`: no repr, format, pickle or copy shows it."""

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        def reveal() -> str:
            return value

        # A closure, because a plain attribute is found by vars(), asdict() and debuggers' tables.
        self._reveal = reveal

    def reveal(self) -> str:
        """Return the string itself."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __reduce__(self) -> Never:
        message = "a secret is not pickled; read it again where it is needed"
        raise TypeError(message)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self


def _secret(key: "str | Secret | KeySource") -> "Secret | KeySource":
    if isinstance(key, Secret) or callable(key):
        return key
    check_word("key", key, "the licence key from the dashboard")
    return Secret(key)


_LONGEST = 100  # "username", "key": max 100, ClickPost's OpenAPI export


def check_word(name: str, value: object, meaning: str) -> None:
    """Raise `ValueError` if a key or a username cannot be meant; the message does not show it."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: give {meaning} as text, not {type(value).__name__}")  # noqa: TRY004 - as for all that is wrong with it
    problem = white_space_in(value)
    if problem is not None and value.strip():
        raise ValueError(f"{name} {problem}")
    if not value.strip() or not value.isprintable() or len(value) > _LONGEST:
        raise ValueError(f"{name}: give {meaning}, 1 to {_LONGEST} printable characters")


def white_space_in(value: str) -> str | None:
    """Say where a value has white space that a file or a shell has added, or `None`."""
    if value.rstrip("\r\n") != value:
        return "ends with a line break: strip it, as with Path(…).read_text().strip()"
    if value.strip() != value:
        return f"{'starts' if value.lstrip() != value else 'ends'} with white space: strip it"
    if "\n" in value or "\r" in value:
        return "contains a line break: give one line"
    return None


@frozen
class Credentials:
    """A merchant's username and licence key.

    `key` is a string, or a callable (possibly async) that is asked before every call, for keys that
    rotate.
    """

    username: str
    key: Secret | KeySource = field(converter=_secret, repr=lambda _: "…")

    def __attrs_post_init__(self) -> None:
        check_word("username", self.username, "the enterprise's username")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read `CLICKPOST_USERNAME` and `CLICKPOST_API_KEY` (or `CLICKPOST_KEY`)."""
        found = os.environ if environ is None else environ
        key_name = "CLICKPOST_API_KEY"
        if not found.get(key_name) and found.get("CLICKPOST_KEY"):
            key_name = "CLICKPOST_KEY"
        names = ("CLICKPOST_USERNAME", key_name)
        missing = [name for name in names if not found.get(name)]
        if missing:
            message = f"set {' and '.join(missing)} in the environment"
            raise ValueError(message)
        for name in names:
            # Before the other checks, which cannot name the variable.
            if problem := white_space_in(found[name]):
                raise ValueError(f"{name} {problem}")
        return cls(*(found[name] for name in names))


def _positive(what: str, value: float) -> None:
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        message = f"{what}: a finite number above 0 is needed"
        raise ValueError(message)


@frozen
class Rate:
    """So many calls per so many seconds: `Rate(10)`, `Rate(600, per=60)`.

    `burst` is how many may leave at once after a quiet time; without it, one second's worth.
    """

    calls: float
    per: float = 1.0
    burst: int | None = None

    def __attrs_post_init__(self) -> None:
        _positive("calls", self.calls)
        _positive("per", self.per)
        if self.burst is not None and self.burst < 1:
            message = "burst: at least 1 is needed"
            raise ValueError(message)

    @property
    def per_second(self) -> float:
        """How many calls that is in a second."""
        return self.calls / self.per

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10/1s`, `10/s`, `600/60s` or `600/1m`."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)?\s*([smh]?)", text.strip())
        if found is None or not any(found.group(2, 3)):
            message = "a rate is written as calls per time, like 10/1s or 600/1m"
            raise ValueError(message)
        calls, per, unit = found.groups()
        seconds = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[unit]
        return cls(float(calls), float(per or 1) * seconds)


@frozen(kw_only=True)
class Timeouts:
    """How long one attempt may take, in seconds; a call's `deadline` bounds all of them together.

    `create` is how long an order's answer is waited for: couriers answer ClickPost within some
    ten seconds, and an answer that is given up is an order nobody knows about, so it is long.
    `total` bounds one attempt from its first byte to its last, however slowly they drip. `closing`
    is what calls under way are given when the client is closed.
    """

    connect: float = 5.0
    write: float = 30.0
    read: float = 30.0
    create: float = 60.0
    total: float = 90.0
    shutdown: float = 5.0

    def __attrs_post_init__(self) -> None:
        for what in ("connect", "write", "read", "create", "total", "shutdown"):
            _positive(what, getattr(self, what))


class Host(enum.StrEnum):
    """The groups of endpoints that ClickPost serves from hosts of their own."""

    MAIN = "main"
    TRACKING = "tracking"
    SERVICEABILITY = "serviceability"
    PREDICTION = "prediction"
    PROOF = "proof"


_PLAIN_URL = re.compile(
    r"[a-z]+://(\[[\da-f:.]+\]|[\w.-]+)(:\d+)?(/[\w.~%/-]*)?", re.ASCII | re.IGNORECASE
).fullmatch


ALLOW_HTTP = "CLICKPOST_ALLOW_HTTP"


_HTTPS_NEEDED = "base url: the key travels in every URL, so https is needed"


def _checked_base(url: str) -> str:
    if problem := white_space_in(url):
        raise ValueError(f"base url {problem}")
    if not _PLAIN_URL(url):
        message = "base url: give scheme, host and path only, like https://www.clickpost.in/api"
        raise ValueError(message)
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{_HTTPS_NEEDED}, not {urlsplit(url).scheme}")
    return url.rstrip("/")


def _is_plain(url: str) -> bool:
    """Tell whether what is sent to a URL can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _switched_on(value: str | None) -> bool:
    return value is not None and value.strip().lower() in {"1", "true", "yes", "on"}


def is_loopback(hostname: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


# ClickPost keeps labels and reports in S3 buckets, and hands out presigned URLs.
FILE_HOSTS = ("amazonaws.com", "clickpost.in")


@frozen(kw_only=True)
class Hosts:
    """The base URL of every group of endpoints.

    Tracking reads moved to `api.clickpost.in` in 2020; the others are as ClickPost's OpenAPI
    exports list them, where a proof of delivery is asked for without `/api`. `files` are the
    domains that labels and reports may be downloaded from.

    The key travels in every URL, so they are https. Plain http is taken for loopback addresses;
    elsewhere, as for a sandbox in a container beside the application, `allow_http=True` takes it,
    or `CLICKPOST_ALLOW_HTTP=1` in the environment.
    """

    main: str = field(default="https://www.clickpost.in/api", converter=_checked_base)
    tracking: str = field(default="https://api.clickpost.in/api", converter=_checked_base)
    serviceability: str = field(
        default="https://serviceability.clickpost.in/api", converter=_checked_base
    )
    prediction: str = field(default="https://ds.clickpost.in/api", converter=_checked_base)
    proof: str = field(default="https://api.clickpost.in", converter=_checked_base)

    files: Sequence[str] = FILE_HOSTS
    allow_http: bool = False

    def __attrs_post_init__(self) -> None:
        if self.allow_http or _switched_on(os.environ.get(ALLOW_HTTP)):
            return
        for host in Host:
            if _is_plain(self.base(host)):
                raise ValueError(
                    f"{_HTTPS_NEEDED} for {urlsplit(self.base(host)).netloc}; plain http is taken"
                    " for loopback addresses, and for a sandbox in a network of your own with"
                    f" Hosts.at(url, allow_http=True) or {ALLOW_HTTP}=1"
                )

    @property
    def local(self) -> bool:
        """Whether ClickPost is played by something on this machine."""
        return is_loopback(urlsplit(self.main).hostname or "")

    @property
    def plain_http(self) -> str | None:
        """Host and port of what plays ClickPost in plain http on another machine, if anything."""
        return urlsplit(self.main).netloc if _is_plain(self.main) else None

    @classmethod
    def at(cls, url: str, *, allow_http: bool = False) -> Self:
        """Send every group to one base, such as a sandbox or a proxy."""
        return cls(
            main=url,
            tracking=url,
            serviceability=url,
            prediction=url,
            proof=url,
            allow_http=allow_http,
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read `CLICKPOST_BASE_URL` and `CLICKPOST_ALLOW_HTTP`; without the first, ClickPost's."""
        found = os.environ if environ is None else environ
        allow_http = _switched_on(found.get(ALLOW_HTTP))
        base = found.get("CLICKPOST_BASE_URL")
        if base and (problem := white_space_in(base)):
            raise ValueError(f"CLICKPOST_BASE_URL {problem}")
        return cls.at(base, allow_http=allow_http) if base else cls(allow_http=allow_http)

    def base(self, host: Host) -> str:
        """Return the base URL of a group."""
        base: str = getattr(self, host.value)
        return base
