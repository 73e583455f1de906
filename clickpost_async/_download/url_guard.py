"""SSRF guard: checks the URLs of downloads, and the addresses that their hosts resolve to.

URLs in responses are untrusted input. Their host has to be on a short list, all of its addresses
have to be public, and the connection goes to an address that was checked, while the certificate is
verified for the name.
"""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Never
from urllib.parse import quote, urljoin, urlsplit

import anyio
import httpcore
from attrs import field, frozen

from clickpost_async._http.adapter import DEFAULT_PORTS, address, authority
from clickpost_async._http.connection_errors import Reason, not_sent, reason_of
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.settings import is_loopback

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# Characters of a URL besides letters and digits; others are percent-encoded.
_PLAIN = "%/?:@!$&'()*+,;=~[]"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]").search
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.ASCII).fullmatch


def refuse(name: str, message: str) -> Never:
    """Raise `InvalidRequestError` for an argument; nothing was sent."""
    raise InvalidRequestError.of([Problem(name, message)])


@frozen(kw_only=True)
class CheckedURL:
    """A URL that may be requested; `local`: on this machine, or of a sandbox elsewhere.

    Its target, which may carry a signature, is not in its `repr`.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    local: bool

    @property
    def authority(self) -> str:
        """The host as in a URL, with the port unless it is the default one."""
        return authority(self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        """The whole URL, which may carry a signature and must not be shown."""
        return f"{self.scheme}://{self.authority}{self.target}"


def check_url(
    url: str,
    *,
    hosts: Sequence[str],
    loopback: bool,
    before: CheckedURL | None,
    plain_http: str | None = None,
) -> CheckedURL:
    """Check a URL, or the target of a redirect from `before`; raises `InvalidRequestError`.

    `hosts` are domains, whose sub-domains are allowed too. `loopback` allows this machine, except
    for redirects from other hosts. `plain_http` is the host and port of a sandbox elsewhere, which
    is treated like this machine.
    """
    name = "redirect" if before else "url"
    try:
        parts = urlsplit(urljoin(before.url, url) if before else url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        refuse(name, "cannot be read as a URL")
    if _CONTROL(url) or not _HOST(host) or parts.username is not None:
        refuse(name, "expected a plain https URL, with a host and without a user name")
    local = (before is None or before.local) and (
        (loopback and is_loopback(host)) or parts.netloc == plain_http
    )
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        refuse(name, "must be an https URL")
    if not local and port not in (None, 443):
        refuse(name, "only the default port of https (443) is allowed")
    if not local and not any(host == one or host.endswith(f".{one}") for one in hosts):
        refuse(name, f"files are downloaded from {', '.join(hosts)} only, not from {host[:99]}")
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return CheckedURL(
        scheme=parts.scheme,
        host=host,
        port=port or DEFAULT_PORTS[parts.scheme],
        target=quote(target if target.startswith("/") else f"/{target}", safe=_PLAIN),
        local=local,
    )


async def resolve(host: str, port: int) -> Sequence[str]:
    """Look up all addresses of a host."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


async def resolve_public(link: CheckedURL, resolve: Resolve) -> Sequence[str]:
    """Resolve the host of a URL once, and check all of its addresses."""
    where = address(link.host, link.port)
    reason = Reason("the name has no address")
    try:
        addresses = await resolve(link.host, link.port)
    except (OSError, UnicodeError) as error:
        reason = reason_of(error, where)
        addresses = ()
    if not addresses:
        raise not_sent(reason, where)
    for found in addresses:
        if not (_is_of_sandbox(found, link) if link.local else _is_public(found)):
            refuse("url", f"{link.host} resolves to an address that is not public")
    return addresses


def _is_of_sandbox(found: str, link: CheckedURL) -> bool:
    # API calls go to a sandbox elsewhere too, whatever its name resolves to.
    return is_loopback(found) or not is_loopback(link.host)


# `is_global` includes IPv6 ranges that are not allocated, and differs between Python versions.
_HANDED_OUT = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _is_public(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return found.is_global and not found.is_multicast
    if found in _NAT64:  # RFC 6052: the embedded IPv4 address decides
        return _is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found in _HANDED_OUT and found.sixtofour is None and found.is_global


class PinnedAddressBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever the name resolves to now."""

    def __init__(self, addresses: Sequence[str], network: httpcore.AsyncNetworkBackend) -> None:
        self._addresses = addresses
        self._network = network

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - used for the certificate only
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that accepts the connection."""
        *others, last = self._addresses
        for other in others:
            try:
                return await self._network.connect_tcp(
                    other, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)
