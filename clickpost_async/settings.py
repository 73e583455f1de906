"""Settings of a client: rate, timeouts, base URLs, priorities.

Every setting is a frozen value that is passed whole, and none holds the key.
"""

import enum
import ipaddress
import math
import os
import re
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit

from attrs import field, frozen


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


def white_space_in(value: str) -> str | None:
    """Say where a value has white space that a file or a shell has added, or `None`."""
    if value.rstrip("\r\n") != value:
        return "ends with a line break: strip it, as with Path(…).read_text().strip()"
    if value.strip() != value:
        return f"{'starts' if value.lstrip() != value else 'ends'} with white space: strip it"
    if "\n" in value or "\r" in value:
        return "contains a line break: give one line"
    return None


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


_HTTPS_NEEDED = "https is needed, since the key travels in every URL"


def _check_base_url(name: str, url: object) -> None:
    if not isinstance(url, str):
        raise TypeError(f"{name} must be a base URL, {_LIKE}; got {type(url).__name__}")
    if problem := white_space_in(url):
        raise ValueError(f"{name} {problem}")
    if not _PLAIN_URL(url):
        raise ValueError(f"{name} must be scheme, host and path only, {_LIKE}")
    if (scheme := urlsplit(url).scheme) not in ("http", "https"):
        raise ValueError(f"{name}: {_HTTPS_NEEDED}, not {scheme}")


_LIKE = "such as https://www.clickpost.in/api"


def _is_plain(url: str) -> bool:
    """Tell whether what is sent to a URL can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_switched_on(value: str | None) -> bool:
    """Tell whether an environment variable switches something on."""
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


def _base_url(default: str) -> str:
    url: str = field(
        default=default,
        converter=lambda url: url.rstrip("/") if isinstance(url, str) else url,
        validator=lambda _, attribute, url: _check_base_url(attribute.name, url),
    )
    return url


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

    main: str = _base_url("https://www.clickpost.in/api")
    tracking: str = _base_url("https://api.clickpost.in/api")
    serviceability: str = _base_url("https://serviceability.clickpost.in/api")
    prediction: str = _base_url("https://ds.clickpost.in/api")
    proof: str = _base_url("https://api.clickpost.in")

    files: Sequence[str] = FILE_HOSTS
    allow_http: bool = False

    def __attrs_post_init__(self) -> None:
        if self.allow_http or is_switched_on(os.environ.get(ALLOW_HTTP)):
            return
        for host in Host:
            if _is_plain(self.base(host)):
                raise ValueError(
                    f"{_HTTPS_NEEDED}: {urlsplit(self.base(host)).netloc} is called in plain http,"
                    " which is allowed for loopback addresses, and for a sandbox in a network of"
                    f" your own with Hosts.at(url, allow_http=True) or {ALLOW_HTTP}=1"
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
        _check_base_url("url", url)
        return cls(
            main=url,
            tracking=url,
            serviceability=url,
            prediction=url,
            proof=url,
            allow_http=allow_http,
        )

    def base(self, host: Host) -> str:
        """Return the base URL of a group."""
        base: str = getattr(self, host.value)
        return base


_BASE_URL = "CLICKPOST_BASE_URL"


def resolve_hosts(base_url: str | None, hosts: Hosts | None) -> Hosts:
    """Return the base URLs of a client: those given, those of the environment, or ClickPost's."""
    if base_url is not None:
        if hosts is not None:
            message = (
                "base_url and hosts are both given: base_url sends every group of endpoints to one"
                " base, hosts names them one by one; pass one of the two"
            )
            raise ValueError(message)
        _check_base_url("base_url", base_url)
        return Hosts.at(base_url)
    if hosts is not None:
        return hosts
    if found := os.environ.get(_BASE_URL):
        _check_base_url(_BASE_URL, found)
        return Hosts.at(found)
    return Hosts()


def resolve_rate(rate: "Rate | float | str | None") -> Rate | None:
    """Return the rate of a client: the one given, that of the environment, or `None`."""
    if rate is None:
        rate = os.environ.get("CLICKPOST_RATE") or None
    if isinstance(rate, str):
        return Rate.parse(rate)
    return Rate(rate) if isinstance(rate, int | float) else rate
