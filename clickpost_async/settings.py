"""What a client is told once: who calls, how fast, how long, and where to.

Every setting is a frozen value that is passed whole; none of them reads the environment but the
two `from_env` constructors, and none can show the key.
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
    if not isinstance(key, str):
        return key
    if not key.strip() or not key.isprintable() or len(key) > _LONGEST:
        message = f"key: give the licence key from the dashboard, 1 to {_LONGEST} characters"
        raise ValueError(message)
    return Secret(key)


_LONGEST = 100  # "username", "key": max 100, ClickPost's OpenAPI export


@frozen
class Credentials:
    """A merchant's username and licence key.

    `key` is a string, or a callable (possibly async) that is asked before every call, for keys that
    rotate.
    """

    username: str
    key: Secret | KeySource = field(converter=_secret, repr=lambda _: "…")

    def __attrs_post_init__(self) -> None:
        name = self.username
        if not name or not name.isprintable() or len(name) > _LONGEST:
            message = f"username: give the enterprise's username, 1 to {_LONGEST} characters"
            raise ValueError(message)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read `CLICKPOST_USERNAME` and `CLICKPOST_API_KEY` (or `CLICKPOST_KEY`)."""
        found = os.environ if environ is None else environ
        username = found.get("CLICKPOST_USERNAME", "")
        key = found.get("CLICKPOST_API_KEY") or found.get("CLICKPOST_KEY") or ""
        missing = [
            name
            for name, value in (("CLICKPOST_USERNAME", username), ("CLICKPOST_API_KEY", key))
            if not value
        ]
        if missing:
            message = f"set {' and '.join(missing)} in the environment"
            raise ValueError(message)
        return cls(username, key)


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
    closing: float = 5.0

    def __attrs_post_init__(self) -> None:
        for what in ("connect", "write", "read", "create", "total", "closing"):
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


def _checked_base(url: str) -> str:
    if not _PLAIN_URL(url):
        message = "base url: give scheme, host and path only, like https://www.clickpost.in/api"
        raise ValueError(message)
    parts = urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and _is_loopback(parts.hostname or "")
    ):
        message = (
            "base url: the key travels in every URL, so https is needed"
            " (plain http is accepted for loopback addresses only)"
        )
        raise ValueError(message)
    return url.rstrip("/")


def _is_loopback(hostname: str) -> bool:
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
    """

    main: str = field(default="https://www.clickpost.in/api", converter=_checked_base)
    tracking: str = field(default="https://api.clickpost.in/api", converter=_checked_base)
    serviceability: str = field(
        default="https://serviceability.clickpost.in/api", converter=_checked_base
    )
    prediction: str = field(default="https://ds.clickpost.in/api", converter=_checked_base)
    proof: str = field(default="https://api.clickpost.in", converter=_checked_base)

    files: Sequence[str] = FILE_HOSTS

    @property
    def local(self) -> bool:
        """Whether ClickPost is played by something on this machine."""
        return _is_loopback(urlsplit(self.main).hostname or "")

    @classmethod
    def at(cls, url: str) -> Self:
        """Send every group to one base, such as a sandbox or a proxy."""
        return cls(main=url, tracking=url, serviceability=url, prediction=url, proof=url)

    def base(self, host: Host) -> str:
        """Return the base URL of a group."""
        base: str = getattr(self, host.value)
        return base
