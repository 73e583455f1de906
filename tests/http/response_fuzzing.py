"""Random responses, well-formed and broken, read by httptools' connection and by h11.

    python -m tests.http.response_fuzzing 100000 --seed 1

compares so many, and prints what was read or refused by whom.
"""

import argparse
import asyncio
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import h11
import httpcore

from clickpost_async._http.adapter import BaseURL, HTTPRequest, SendProgress, StepTimeouts
from clickpost_async._http.httptools_connection import HTTPToolsConnection
from clickpost_async._http.response_reader import ResponseReader

_BASE = BaseURL.parse("http://127.0.0.1:9/api")
_REQUEST = HTTPRequest("POST", _BASE, "/x", b"{}", StepTimeouts(60, 60, 60))


class Reading(NamedTuple):
    """What was read of a response; `status` is 0 where it was refused."""

    status: int = 0
    body: bytes = b""
    is_reusable: bool = False


REFUSED = Reading()


# --- two readers --------------------------------------------------------------------------------


class _Transport(asyncio.Transport):
    """Takes what is written, and is connected to nothing."""

    def __init__(self, socket_: socket.socket) -> None:
        super().__init__({"socket": socket_})

    def write(self, data: Any) -> None:
        assert data

    def abort(self) -> None:
        """Do nothing."""

    def get_write_buffer_size(self) -> int:
        return 0


async def read_by_httptools(pieces: Sequence[bytes], *, ends: bool) -> Reading:
    connection = HTTPToolsConnection(_BASE)
    with socket.socket() as unconnected:
        connection.connection_made(_Transport(unconnected))
        reader = ResponseReader()
        sending = asyncio.create_task(connection.send(_REQUEST, SendProgress(), reader))
        await asyncio.sleep(0)
        for piece in pieces:
            connection.data_received(piece)
        is_reusable = connection.is_reusable()
        if ends:
            connection.eof_received()
        for _ in range(2):
            await asyncio.sleep(0)
        complete = sending.done()
        if not complete:
            sending.cancel()
        (result,) = await asyncio.gather(sending, return_exceptions=True)
        connection.connection_lost(None)
    if not complete:
        return REFUSED
    if isinstance(result, httpcore.RemoteProtocolError):
        return REFUSED
    if isinstance(result, BaseException):
        raise result
    return Reading(reader.status, reader.body(), is_reusable)


def read_by_h11(pieces: Sequence[bytes], *, ends: bool) -> Reading:
    """Read a response as httpcore has h11 read it."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024)
    headers = [("Host", "127.0.0.1"), ("Content-Length", "2")]
    connection.send(h11.Request(method="POST", target="/x", headers=headers))
    connection.send(h11.Data(b"{}"))
    connection.send(h11.EndOfMessage())
    status, body = 0, b""
    for number, piece in enumerate([*pieces, *([b""] if ends else [])], 1):
        for event in _events(connection, piece):
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                return REFUSED
            if isinstance(event, h11.ConnectionClosed):
                return REFUSED
            if isinstance(event, h11.Response):
                status = event.status_code
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                left = connection.trailing_data[0] + b"".join(pieces[number:])
                is_done = connection.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
                # Blank lines shift nothing: llhttp skips them before the next response.
                return Reading(status, body, is_done and not left.strip(b"\r\n"))
    return REFUSED


def _events(connection: h11.Connection, piece: bytes) -> Iterator[Any]:
    """Go through what h11 makes of a piece; an error ends as a closed connection."""
    try:
        connection.receive_data(piece)
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            yield event
            if isinstance(event, h11.ConnectionClosed):
                return
    except h11.RemoteProtocolError:
        yield h11.ConnectionClosed()


# --- responses ----------------------------------------------------------------------------------

_VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1"]
_VERSIONS += [b"RTSP/1.0", b"ICE/1.0", b"HTTP/1", b""]
_STATUSES = [b"200"] * 12 + [b"204", b"205", b"304", b"404", b"500", b"999", b"101", b"000", b"099"]
_STATUSES += [b"20", b"2000", b"+20", b" 200", b"2 0"]
_REASONS = [b" OK"] * 8 + [b"", b" ", b" \xc3\xa9", b" a\tb", b" a\x00b", b" a\x0bb", b"\tOK"]
_LINE_ENDS = [b"\r\n"] * 30 + [b"\n", b"\r", b"\r\r\n", b"\n\r\n"]
_HEADERS = [
    *(b"Server: nginx", b"Date: Fri, 27 Nov 2026 10:00:00 GMT", b"Content-Type: application/json"),
    *(b"X-Empty:", b"X-Space: \t ", b"X-Latin: \xe9", b"Vary: a, b", b"Connection: keep-alive"),
    *(b"Connection: close", b"Connection: Upgrade", b"Upgrade: h2c", b"Keep-Alive: timeout=5"),
    *(b"Connection: keep-alive, close", b"Connection: x, y", b"Proxy-Connection: close"),
    *(b"Trailer: X-Sum", b"Content-Encoding: identity", b"X-Long: " + b"y" * 300),
]
_ODD_HEADERS = [
    *(b": x", b"X Y: x", b"X : x", b"no colon", b"X: a\x00b", b"X: a\rb", b"X: a\x0bb", b"X: \x7f"),
    *(b" folded", b"\tfolded", b"X\x00: y", b"\xe9: x", b"X:: y", b"(x): y", b"X: a\nb", b""),
]
_LENGTHS = [
    *(b"+%d", b"-%d", b"0x%x", b"%d ", b" %d", b"0%d", b"%d, %d", b"%d,%d", b"%d.0", b"", b"x"),
    *(b"%d" + b"0" * 25, b"\xb2", b"%d;", b'"%d"'),
]
_CODINGS = [
    *(b"Chunked", b" chunked ", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked"),
    *(b"identity", b"", b"chunked;q=1", b"xchunked", b"\x0bchunked", b"chunked\x00"),
]
_SIZES = [b"%x;a=b", b'%x;a="b;c"', b"%X", b"0%x", b"%x;", b"%x ", b" %x", b"0x%x", b"+%x", b"-%x"]
_SIZES += [b"", b"%x;\x00", b"%x;a\nb", b"%x" + b"0" * 20, b"%x;a=\xe9", b"%x\t"]


def make_response(rng: random.Random) -> tuple[bytes, bool]:
    """Return the bytes of a response, and whether all of it is as the RFC wants it."""
    odd = rng.random() < 0.6
    data = b"".join(_informational(rng, odd=odd) for _ in range(_few(rng)))
    data += _head_and_body(rng, odd=odd)
    if rng.random() < 0.15:
        data += rng.choice([b"\r\n", b"x", b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n", b"\x00", data])
        odd = True
    if odd and rng.random() < 0.3:
        data = _damage(rng, data)
    return data, not odd


def cut(rng: random.Random, data: bytes) -> list[bytes]:
    """Cut a response into the pieces in which it comes."""
    count = rng.choice([1, 1, 2, 3, 8, len(data)])
    places = sorted(
        {rng.randrange(1, len(data)) for _ in range(count - 1)} if len(data) > 1 else ()
    )
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def _few(rng: random.Random) -> int:
    return rng.choice([0] * 12 + [1, 2])


def _pick(rng: random.Random, usual: bytes, others: Sequence[bytes], *, odd: bool) -> bytes:
    return rng.choice(others) if odd and rng.random() < 0.12 else usual


def _line(rng: random.Random, text: bytes, *, odd: bool) -> bytes:
    return text + _pick(rng, b"\r\n", _LINE_ENDS, odd=odd)


def _informational(rng: random.Random, *, odd: bool) -> bytes:
    status = rng.choice([b"100 Continue", b"102 Processing", b"103 Early Hints", b"150 X"])
    status = _pick(rng, status, [b"101 Switching", b"199", b"099 X"], odd=odd)
    head = _line(rng, b"HTTP/1.1 " + status, odd=odd)
    for _ in range(_few(rng)):
        header = rng.choice([b"Link: </x>", b"X: y"])
        others = [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Connection: close"]
        head += _line(rng, _pick(rng, header, others, odd=odd), odd=odd)
    return head + _pick(rng, b"\r\n", [b"\r\nabc", b"\r\n\r\n", b""], odd=odd)


def _head_and_body(rng: random.Random, *, odd: bool) -> bytes:
    version = _pick(rng, b"HTTP/1.1", _VERSIONS, odd=odd)
    status = _pick(rng, b"200", _STATUSES, odd=odd)
    lines = [b"%b %b%b" % (version, status, _pick(rng, b" OK", _REASONS, odd=odd))]
    framing, body = _framed(rng, odd=odd)
    headers = [*rng.choices(_HEADERS, k=rng.randrange(4)), *framing]
    if odd and rng.random() < 0.15:
        headers.append(rng.choice(_ODD_HEADERS))
    rng.shuffle(headers)
    head = b"".join(_line(rng, line, odd=odd) for line in lines + headers)
    return head + _pick(rng, b"\r\n", _LINE_ENDS, odd=odd) + body


def _framed(rng: random.Random, *, odd: bool) -> tuple[list[bytes], bytes]:
    content = rng.choice([b"", b"{}", b'{"a": 1}', b"x" * 300, b"\r\n", b"0\r\n\r\n"])
    length = b"Content-Length: %d" % len(content)
    if odd and rng.random() < 0.2:
        form = rng.choice(_LENGTHS)
        length = b"Content-Length: " + form % ((len(content),) * form.count(b"%"))
    chunked = b"Transfer-Encoding: " + _pick(rng, b"chunked", _CODINGS, odd=odd)
    way = rng.choice(["length", "length", "chunks", "chunks", "end"] + (["both", "twice"] * odd))
    if way == "length":
        return [length], content
    if way == "end":
        return [], content
    if way == "twice":
        return [length, rng.choice([length, b"Content-Length: 1"])], content
    body = _chunks(rng, content, odd=odd)
    return [chunked, *([length] if way == "both" else [])], body


def _chunks(rng: random.Random, content: bytes, *, odd: bool) -> bytes:
    body = b""
    for piece in cut(rng, content) if content else []:
        size = rng.choice([b"%x", b"%x", b"%X", b"0%x", b"%x;a=b"])
        size = _pick(rng, size, _SIZES, odd=odd)
        body += _line(rng, size % len(piece) if b"%" in size else size, odd=odd)
        body += piece + _pick(rng, b"\r\n", [*_LINE_ENDS, b"", b"x\r\n"], odd=odd)
    body += _line(rng, _pick(rng, b"0", [b"", b"00", b"-0", b"0;x"], odd=odd), odd=odd)
    for _ in range(_few(rng)):
        trailer = _pick(rng, b"X-Sum: 1", [*_ODD_HEADERS, b"Content-Length: 5"], odd=odd)
        body += _line(rng, trailer, odd=odd)
    return body + _pick(rng, b"\r\n", [*_LINE_ENDS, b""], odd=odd)


def _damage(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    byte = bytes([rng.choice([0, 9, 10, 11, 13, 32, 48, 58, 127, 255, rng.randrange(256)])])
    way = rng.randrange(4)
    if way == 0:
        return data[:place] + byte + data[place + 1 :]
    if way == 1:
        return data[:place] + byte + data[place:]
    if way == 2:
        return data[:place] + data[place + 1 :]
    return data[:place] or b"H"


# --- the comparison -----------------------------------------------------------------------------


async def compare(rng: random.Random) -> str:
    """Have both read one response, and return how that went; raises `AssertionError`."""
    data, is_well_formed = make_response(rng)
    pieces, ends = cut(rng, data), rng.random() < 0.5
    ours = await read_by_httptools(pieces, ends=ends)
    theirs = read_by_h11(pieces, ends=ends)
    what = f"{pieces!r}\nends={ends}\nhttptools: {ours}\nh11:       {theirs}"
    if is_well_formed:
        assert ours[:2] == theirs[:2], what
    if not ours.status:
        return "refused by both" if not theirs.status else "refused by httptools"
    if theirs.status:
        assert ours[:2] == theirs[:2], what
        assert theirs.is_reusable or not ours.is_reusable, what
    else:
        plains = zip(plainer(data), plainer(ours.body), strict=True)
        assert any(
            read_by_h11([plain], ends=ends)[:2] in (ours[:2], (ours.status, body))
            for plain, body in plains
        ), what
    return "read alike"


def plainer(data: bytes) -> Iterator[bytes]:
    """Take out of a response, step by step, what h11 refuses and no client reads.

    That is control characters in a reason; another name than HTTP and blank lines before a status
    line that is not the first; and many zeros before a length.
    """
    for pattern, plain in (
        (rb"(HTTP/\d\.\d \d{3}) [^\r\n]*", rb"\1 OK"),
        (rb"(?<=\n)(RTSP|ICE)/", b"HTTP/"),
        (rb"(?i)(content-length:[ \t]*)0+(?=\d)", rb"\1"),
        (rb"\r\n\r\n[\r\n]+(?=HTTP/)", b"\r\n\r\n"),
    ):
        data = re.sub(pattern, plain, data)
        yield data


async def _main(count: int, seed: int) -> None:
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    for _ in range(count):
        try:
            found[await compare(rng)] += 1
        except AssertionError as error:
            found["read differently"] += 1
            print(error)  # noqa: T201 - as below
    for name, number in found.most_common():
        print(f"{number:9,} {name}")  # noqa: T201 - what it is started for


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(_main(given.count, given.seed))
