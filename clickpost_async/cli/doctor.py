"""The doctor command: checks what a call needs, and never prints the key."""

import os
import platform
import re
import shutil
import ssl
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from time import time
from urllib.parse import urlsplit

import httpx
from attrs import frozen

from clickpost_async._http.tls import verifying_context
from clickpost_async.cli import account
from clickpost_async.client import ClickPost
from clickpost_async.errors import ClickPostError
from clickpost_async.settings import Host, Hosts, resolve_hosts, resolve_rate

OK, WARNING, FAILED = "ok", "warning", "FAILED"

_LIBRARIES = ("httpx", "httpcore", "anyio", "attrs", "cattrs", "tenacity")
_OPTIONAL = ("httptools", "orjson", "uvloop", "redis", "openpyxl", "phonenumbers", "pypdf")
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_KEY = re.compile(r"[0-9a-fA-F-]{36}")  # as in ClickPost's OpenAPI export
_NO_KEY_OF_CLICKPOST = "it is not 36 hexadecimal digits and hyphens, as ClickPost's keys are"

_TIMEOUT = 10.0
# Times of ClickPost have no zone, and reports and updates are read in windows of an hour.
_CLOCK_TOLERANCE = 60.0


@frozen
class Finding:
    """The result of one check: its state, what was checked, and what to do."""

    state: str
    subject: str
    text: str


async def run() -> int:
    """Print every finding as it is made; returns 1 if a check failed, else 0."""
    failed = False
    async for finding in examine():
        failed = failed or finding.state == FAILED
        print(_shown(finding), flush=True)
    return 1 if failed else 0


def _shown(finding: Finding) -> str:
    head = f"{finding.state:<9}{finding.subject:<15}"
    width = max(shutil.get_terminal_size().columns, 2 * len(head))
    lines = (textwrap.fill(line, width - len(head)) for line in finding.text.splitlines())
    return head + textwrap.indent("\n".join(lines), " " * len(head)).lstrip()


async def examine() -> AsyncIterator[Finding]:
    """Check the installation, then the settings, then the servers."""
    yield _python()
    yield _libraries()
    try:
        hosts, rate = resolve_hosts(None, None), resolve_rate(None)
    except ValueError as error:
        yield Finding(FAILED, "settings", str(error))
        return
    if rate is None:
        learned = "no CLICKPOST_RATE: the rate is learned from responses with HTTP 429"
        yield Finding(OK, "rate", learned)
    else:
        yield Finding(OK, "rate", f"{rate.per_second:g} calls a second")
    for finding in _proxies():
        yield finding
    client = None
    try:
        client = account.client()
        yield _key(client, hosts)
    except SystemExit as error:
        yield Finding(FAILED, "credentials", str(error))
    try:
        context = verifying_context()
    except ClickPostError as error:
        yield Finding(FAILED, "certificates", str(error))
        return
    reached = True
    for url in dict.fromkeys(_origin(hosts, host) for host in Host):
        async for finding in _server(url, context):
            reached = reached and finding.state != FAILED
            yield finding
    if client is not None:
        async with client:
            if reached:
                yield await _call(client)


def _python() -> Finding:
    ours = f"clickpost_async {version('clickpost_async')}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return Finding(OK, "installation", f"{ours} on {python}, {sys.platform}")


def _libraries() -> Finding:
    needed = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    optional = ", ".join(f"{name} {found}" for name in _OPTIONAL if (found := _installed(name)))
    return Finding(OK, "libraries", f"{needed}; optional: {optional or 'none'}")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _proxies() -> Iterator[Finding]:
    for name in _PROXIES:
        if os.environ.get(name):
            advice = "set, and ignored: pass transport=httpx.AsyncHTTPTransport(proxy=...)"
            yield Finding(WARNING, name, advice)


def _key(client: ClickPost, hosts: Hosts) -> Finding:
    found = account.find_key()
    assert found is not None  # noqa: S101 - the client has one
    text = f"{client.account_label}, with the key from {found.source}"
    if not (hosts.local or _KEY.fullmatch(found.key)):
        return Finding(WARNING, "credentials", f"{text}; {_NO_KEY_OF_CLICKPOST}")
    return Finding(OK, "credentials", text)


def _origin(hosts: Hosts, host: Host) -> str:
    parts = urlsplit(hosts.base(host))
    return f"{parts.scheme}://{parts.netloc}"


async def _server(url: str, context: ssl.SSLContext) -> AsyncIterator[Finding]:
    """Connect as the client does, without the key: any response proves that it is reachable."""
    name = urlsplit(url).netloc
    try:
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=_TIMEOUT) as http:
            response = await http.head(url)
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        advice = "check DNS, firewall, proxy and certificates of this machine"
        yield Finding(FAILED, "connection", f"{name}: {reason}; {advice}")
        return
    stream = response.extensions["network_stream"]
    tls = stream.get_extra_info("ssl_object")
    how = "plain http" if tls is None else tls.version()
    seconds = response.elapsed.total_seconds()
    yield Finding(OK, "connection", f"{name}: {how}, responded in {seconds * 1000:.0f} ms")
    if (date := response.headers.get("date")) is not None:
        yield _clock(name, date)


def _clock(name: str, date: str) -> Finding:
    try:
        ahead = time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Finding(WARNING, "clock", f"{name} sends a Date that cannot be read")
    if abs(ahead) <= _CLOCK_TOLERANCE:
        return Finding(OK, "clock", f"within {_CLOCK_TOLERANCE:.0f} s of {name}'s")
    way = "ahead of" if ahead > 0 else "behind"
    advice = "synchronise it: pickup times and windows of updates are in wall-clock time"
    return Finding(WARNING, "clock", f"{abs(ahead):.0f} s {way} {name}'s; {advice}")


async def _call(client: ClickPost) -> Finding:
    try:
        response = (await client.with_options(deadline=_TIMEOUT).health()).response
    except ClickPostError as error:
        return Finding(FAILED, "call", f"{error}; {error.advice}")
    took = f"{response.seconds * 1000:.0f} ms"
    return Finding(OK, "call", f"{client.address} accepted the key, in {took}")
