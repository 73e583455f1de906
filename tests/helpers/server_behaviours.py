"""What a server may do to a call, and the error that the call ends in."""

from collections.abc import Callable
from typing import Any

import anyio

from clickpost_async import (
    ClickPostError,
    NoReplyError,
    NotSentError,
    Outcome,
    Timeouts,
    UnreadableReplyError,
)
from tests.helpers.http_server import PLACED, Peer, gzipped, http


def responds_with(*parts: bytes) -> Callable[[Peer], Any]:
    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(*parts)

    return talk


async def closes_at_once(peer: Peer) -> None:
    """Close without a response."""


async def resets_at_once(peer: Peer) -> None:
    peer.reset()


async def resets_after_the_call(peer: Peer) -> None:
    await peer.read()
    peer.reset()


async def hangs(peer: Peer) -> None:
    await peer.read()
    await peer.until_gone()


async def resets_in_the_body(peer: Peer) -> None:
    await peer.read()
    await peer.send(http(PLACED[:30], length=len(PLACED)))
    await anyio.sleep(0.02)
    peer.reset()


async def stalls_in_the_body(peer: Peer) -> None:
    await peer.read()
    await peer.send(http(PLACED[:30], length=len(PLACED)))
    await peer.until_gone()


async def drips(peer: Peer) -> None:
    await peer.read()
    await peer.drip(http(PLACED), 0.02)


def chunked(*parts: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in parts
    )


NO_RESPONSE = (NoReplyError, Outcome.UNKNOWN, True)
UNREADABLE = (UnreadableReplyError, Outcome.UNKNOWN, True)
MOVED = (NotSentError, Outcome.NOT_SENT, False)
SEE_OTHER = (UnreadableReplyError, Outcome.UNKNOWN, False)
FAULTS = {
    "closed on accept": (closes_at_once, NO_RESPONSE),
    "reset on accept": (resets_at_once, NO_RESPONSE),
    "reset after the call": (resets_after_the_call, NO_RESPONSE),
    "closed after the call": (responds_with(), NO_RESPONSE),
    "hangs": (hangs, NO_RESPONSE),
    "half a head": (responds_with(b"HTTP/1.1 200 OK\r\ncontent-"), NO_RESPONSE),
    "no HTTP at all": (responds_with(b"\x16\x03\x01 good day\r\n\r\n"), NO_RESPONSE),
    "a head of 200 kB": (responds_with(http(PLACED, x="y" * 200_000)), NO_RESPONSE),
    "100 and no more": (responds_with(b"HTTP/1.1 100 Continue\r\n\r\n"), NO_RESPONSE),
    "half a body": (responds_with(http(PLACED[:30], length=len(PLACED))), NO_RESPONSE),
    "half a body and a reset": (resets_in_the_body, NO_RESPONSE),
    "half a body and silence": (stalls_in_the_body, NO_RESPONSE),
    "half of the chunks": (responds_with(chunked(PLACED[:30])), NO_RESPONSE),
    "drips for longer than the whole may take": (drips, NO_RESPONSE),
    "damaged gzip": (responds_with(http(b"\x1f\x8bnot", content_encoding="gzip")), UNREADABLE),
    "cut gzip": (responds_with(http(gzipped(PLACED)[:-9], content_encoding="gzip")), UNREADABLE),
    "brotli": (responds_with(http(b"\x0b\x02\x80hey\x03", content_encoding="br")), UNREADABLE),
    "gzip twice": (responds_with(http(PLACED, content_encoding="gzip, gzip")), UNREADABLE),
    "3 MB": (responds_with(http(b'"' + b"x" * 3_000_000 + b'"')), UNREADABLE),
    "3 MB in gzip": (
        responds_with(http(gzipped(b'"' + b"x" * 3_000_000 + b'"'), content_encoding="gzip")),
        UNREADABLE,
    ),
    "a page of HTML": (responds_with(http(b"<html>", content_type="text/html")), UNREADABLE),
    "nothing": (responds_with(http(b"")), UNREADABLE),
    **{
        f"redirected by {status}": (
            responds_with(http(b"", f"{status} Moved", location="http://127.0.0.1:9/elsewhere")),
            SEE_OTHER if status == 303 else MOVED,
        )
        for status in (301, 302, 303, 307, 308)
    },
}

_SILENT = ("hangs", "half a body and silence", "drips for longer than the whole may take")


def timeouts_for(fault: str) -> Timeouts:
    """Return short timeouts for faults that are waits; others may be slow on a loaded machine."""
    return Timeouts(read=0.5, create=0.5, total=1.5) if fault in _SILENT else Timeouts()


def verdict(error: ClickPostError) -> tuple[type[ClickPostError], Outcome, bool]:
    return type(error), error.outcome, error.transient
