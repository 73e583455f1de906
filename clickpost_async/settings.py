"""Settings of a client: rate, timeouts, base URLs, priorities.

Every setting is a frozen value, and none contains the API key.
"""

import enum
import ipaddress
import os
import re
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit

from attrs import field, frozen

from clickpost_async._util.arguments import check_instance, check_number, got

BASE_URL_VARIABLE = "CLICKPOST_BASE_URL"
ALLOW_HTTP_VARIABLE = "CLICKPOST_ALLOW_HTTP"
_RATE_VARIABLE = "CLICKPOST_RATE"

# ClickPost stores labels and reports in S3 buckets, and returns presigned URLs.
FILE_HOSTS = ("amazonaws.com", "clickpost.in")

_PLAIN_URL = re.compile(
    r"[a-z]+://(\[[\da-f:.]+\]|[\w.-]+)(:\d+)?(/[\w.~%/-]*)?", re.ASCII | re.IGNORECASE
).fullmatch

# What error messages say about valid values.
_A_RATE = (
    "a number of calls a second above 0, text such as '10/1s' or '600/60s', or"
    " Rate(calls, per=seconds)"
)
_A_HOSTS = 'a Hosts; for one base URL pass base_url="https://..."'
_LIKE = "such as https://www.clickpost.in/api"
_HTTPS_NEEDED = "https is needed, since the key travels in every URL"


class Priority(enum.IntEnum):
    """Which calls go first where calls queue; a bulk run yields to a checkout."""

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
    """Return where a value has white space that a file or a shell added, or `None`."""
    if value.rstrip("\r\n") != value:
        return "ends with a line break: strip it, as with Path(…).read_text().strip()"
    if value.strip() != value:
        return f"{'starts' if value.lstrip() != value else 'ends'} with white space: strip it"
    if "\n" in value or "\r" in value:
        return "contains a line break: give one line"
    return None


@frozen
class Rate:
    """How many calls may be sent in how many seconds.

    `Rate(10)` is 10 calls a second, and so is `Rate(600, per=60)`.

    Args:
        calls: How many calls, above 0.
        per: In how many seconds, above 0.
        burst: How many calls may be sent at once after an idle time, at least 1; `None` is one
            second's worth.

    Raises:
        TypeError: A value is not a number.
        ValueError: A value is too small, infinite or NaN.

    """

    calls: float
    per: float = 1.0
    burst: float | None = None

    def __attrs_post_init__(self) -> None:
        check_number("calls", self.calls, unit="calls", exclusive=True)
        check_number("per", self.per, unit="seconds", exclusive=True)
        if self.burst is not None:
            check_number("burst", self.burst, unit="calls", minimum=1)

    @property
    def per_second(self) -> float:
        """How many calls that is in a second."""
        return self.calls / self.per

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a rate written as text: `10` (a second), `10/1s`, `10/s`, `600/60s` or `600/1m`.

        Raises:
            ValueError: The text is no rate, or a rate of 0.

        """
        found = re.fullmatch(
            r"(\d+(?:\.\d+)?)(?:\s*/\s*(?=\S)(\d+(?:\.\d+)?)?\s*([smh]?))?", text.strip()
        )
        if found is None:
            message = f"a rate is written as calls per time, such as 10/1s or 600/1m; {got(text)}"
            raise ValueError(message)
        calls, per, unit = found.groups()
        seconds = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(unit, 1.0)
        return cls(float(calls), float(per or 1) * seconds)


def _seconds(default: float) -> float:
    value: float = field(
        default=default,
        validator=lambda _, attribute, value: check_number(
            attribute.name, value, unit="seconds", exclusive=True
        ),
    )
    return value


@frozen(kw_only=True)
class Timeouts:
    """How long one attempt may take, in seconds; a call's `deadline` bounds all attempts together.

    Args:
        connect: Seconds for a connection, its TLS handshake included.
        write: Seconds in which a piece of the request must be taken by the server.
        read: Seconds for the response to begin, and between its pieces.
        create: The same for the creation of an order. Couriers respond to ClickPost within some
            ten seconds, and a timeout makes the order's outcome unknown, so it is long.
        total: Seconds for one attempt, from its first byte to its last.
        shutdown: Seconds that calls in flight have when the client is closed.

    Raises:
        TypeError: A value is not a number.
        ValueError: A value is not above 0, or is infinite or NaN.

    """

    connect: float = _seconds(5.0)
    write: float = _seconds(30.0)
    read: float = _seconds(30.0)
    create: float = _seconds(60.0)
    total: float = _seconds(90.0)
    shutdown: float = _seconds(5.0)


class Host(enum.StrEnum):
    """The groups of endpoints that ClickPost serves from hosts of their own."""

    MAIN = "main"
    TRACKING = "tracking"
    SERVICEABILITY = "serviceability"
    PREDICTION = "prediction"
    PROOF = "proof"


def _check_base_url(name: str, url: object) -> None:
    if not isinstance(url, str):
        raise TypeError(f"{name} must be a base URL, {_LIKE}; got {type(url).__name__}")
    if problem := white_space_in(url):
        raise ValueError(f"{name} {problem}")
    if not _PLAIN_URL(url):
        raise ValueError(f"{name} must be scheme, host and path only, {_LIKE}")
    if (scheme := urlsplit(url).scheme) not in ("http", "https"):
        raise ValueError(f"{name}: {_HTTPS_NEEDED}, not {scheme}")


def _is_plain(url: str) -> bool:
    """Return whether requests to a URL are sent unencrypted over a network."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_switched_on(value: str | None) -> bool:
    """Return whether the value of an environment variable means yes."""
    return value is not None and value.strip().lower() in {"1", "true", "yes", "on"}


def is_loopback(hostname: str) -> bool:
    """Return whether a host name or address is a loopback one."""
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def _base_url(default: str) -> str:
    url: str = field(
        default=default,
        converter=lambda url: url.rstrip("/") if isinstance(url, str) else url,
        validator=lambda _, attribute, url: _check_base_url(attribute.name, url),
    )
    return url


@frozen(kw_only=True)
class Hosts:
    """The base URL of every group of endpoints; `Hosts.at(url)` sends all of them to one.

    The key travels in every URL, so https is needed. Plain http is allowed for loopback addresses;
    elsewhere, as for a sandbox in a container beside the application, with `allow_http=True` or
    `CLICKPOST_ALLOW_HTTP=1` in the environment.

    Args:
        main: Orders, and every endpoint without a host of its own.
        tracking: Tracking reads, which moved to `api.clickpost.in` in 2020.
        serviceability: Serviceability and courier recommendation.
        prediction: Predicted delivery dates.
        proof: Proofs of delivery, without `/api`, as in ClickPost's OpenAPI export.
        files: The domains that labels and reports may be downloaded from.
        allow_http: Allow plain http to hosts other than this machine.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: A base URL is more or less than scheme, host and path, or not https.

    """

    main: str = _base_url("https://www.clickpost.in/api")
    tracking: str = _base_url("https://api.clickpost.in/api")
    serviceability: str = _base_url("https://serviceability.clickpost.in/api")
    prediction: str = _base_url("https://ds.clickpost.in/api")
    proof: str = _base_url("https://api.clickpost.in")

    files: Sequence[str] = FILE_HOSTS
    allow_http: bool = False

    def __attrs_post_init__(self) -> None:
        check_instance("allow_http", self.allow_http, bool, "True or False")
        if isinstance(self.files, str):
            raise TypeError(f'files must be a list of domains, such as ["{self.files[:60]}"]')
        if self.allow_http or is_switched_on(os.environ.get(ALLOW_HTTP_VARIABLE)):
            return
        for host in Host:
            if _is_plain(self.base(host)):
                raise ValueError(
                    f"{_HTTPS_NEEDED}: {urlsplit(self.base(host)).netloc} is called in plain http,"
                    " which is allowed for loopback addresses, and for a sandbox in a network of"
                    f" your own with Hosts.at(url, allow_http=True) or {ALLOW_HTTP_VARIABLE}=1"
                )

    @property
    def local(self) -> bool:
        """Whether the main base URL is a loopback address, such as a sandbox's."""
        return is_loopback(urlsplit(self.main).hostname or "")

    @property
    def plain_http(self) -> str | None:
        """Host and port of a main base URL in plain http on another machine, or `None`."""
        return urlsplit(self.main).netloc if _is_plain(self.main) else None

    @classmethod
    def at(cls, url: str, *, allow_http: bool = False) -> Self:
        """Send every group of endpoints to one base URL, such as a sandbox's or a proxy's.

        Args:
            url: Scheme, host and path, such as `http://127.0.0.1:8000/api`.
            allow_http: Allow plain http to hosts other than this machine.

        Raises:
            TypeError: The URL is not a string.
            ValueError: The URL is more or less than scheme, host and path, or not https.

        """
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
        check_instance("hosts", hosts, Hosts, _A_HOSTS)
        return hosts
    if found := os.environ.get(BASE_URL_VARIABLE):
        _check_base_url(BASE_URL_VARIABLE, found)
        return Hosts.at(found)
    return Hosts()


def resolve_rate(rate: "Rate | float | str | None") -> Rate | None:
    """Return the rate of a client: the one given, that of the environment, or `None`."""
    name = "rate"
    if rate is None:
        name = _RATE_VARIABLE
        rate = os.environ.get(name) or None
    if rate is None or isinstance(rate, Rate):
        return rate
    try:
        return Rate.parse(rate) if isinstance(rate, str) else Rate(rate)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be {_A_RATE}; {got(rate)}") from None
