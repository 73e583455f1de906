"""The catalogue of faults, and the tests that inject each."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

TESTS = Path(__file__).parent.parent

FAULTS = {
    "T01": "host name cannot be resolved, or not in time",
    "T02": "connection refused: no server listens on the port",
    "T03": "host does not respond to connection attempts",
    "T04": "TLS failures: wrong host name, expired, self-signed, or a server without TLS",
    "T05": "connection accepted, then closed or reset before anything was read",
    "T06": "connection reset while the request body is sent",
    "T07": "connection closed or reset after the whole request, order booked or not",
    "T08": "idle connection closed as it is reused",
    "T09": "no response at all",
    "T10": "response that arrives after the attempt timed out",
    "T11": "response head cut off, garbled, too large, or only 100 Continue",
    "T12": "response body truncated, with Content-Length or chunked",
    "T13": "response that arrives byte by byte",
    "T14": "server that stops reading",
    "T15": "rejected while the request is still being sent",
    "T16": "slow response in small pieces",
    "T17": "network that fails and recovers repeatedly",
    "T18": "HTTP/2: GOAWAY and refused streams",
    "T19": "connection pool exhausted",
    "T20": "thousands of calls cancelled at once",
    "T21": "proxy set in the environment",
    "T22": "response to another request",
    "P01": "HTML page under HTTP 200",
    "P02": "empty response, or JSON that is not an object",
    "P03": "`meta.status` missing, or not a number",
    "P04": "`success` that contradicts `status`",
    "P05": "result missing, of the wrong type, or without a waybill",
    "P06": "ambiguous JSON: other encodings, NaN, repeated keys, unpaired surrogates",
    "P07": "JSON nested a hundred thousand levels deep, numbers with a million digits",
    "P08": "gzip bomb, damaged compression, or compression that was not requested",
    "P09": "response of a hundred megabytes, or endless",
    "P10": "redirect, to another host or to itself",
    "P11": "JSON under another content type",
    "P12": "unknown fields",
    "P13": "other HTTP statuses, with or without a ClickPost status",
    "A01": "429, with every form of Retry-After",
    "A02": "HTTP 500 to 504, order booked or not",
    "A03": "code 500 after booking",
    "A04": "codes 322 and 329, a few times or always",
    "A05": "codes 319 and 354",
    "A06": "323 after a lost response",
    "A07": "323 on a first attempt",
    "A08": "323 without a waybill",
    "A09": "323 with another reference number",
    "A10": "202, then 102, then any outcome",
    "A11": "API key revoked during a run",
    "A12": "invalid orders among valid ones",
    "A13": "undocumented code",
    "A14": "server that records a reference number only after its courier has responded",
    "A15": "server that forgets reference numbers",
    "A16": "GET requests with effects: cancellation, label regeneration",
    "A17": "requested label missing",
    "A18": "multi-piece order with some pieces missing",
    "A19": "couriers that become slow",
    "A20": "ten minutes of HTTP 500",
    "L01": "process killed at any time, repeatedly",
    "L02": "process killed at each step of an order in the journal",
    "L03": "power loss after a write was acknowledged",
    "L04": "journal damaged, truncated, of a newer version, or not a journal",
    "L05": "disk full",
    "L06": "path that cannot be written",
    "L07": "two processes with one journal",
    "L08": "stop signal, once and twice",
    "L09": "process suspended, as by a sleeping laptop",
    "L10": "no file descriptors left",
    "L11": "input that fails half-way",
    "L12": "consumer that is slow, or stops early",
    "L13": "writer thread of the journal fails",
    "L14": "changed order under a reference number used before",
    "L15": "input with added, missing or changed rows",
    "L16": "journal of 100,000 orders opened again",
    "C01": "wall clock jumps",
    "C02": "monotonic clock restarts",
    "C03": "clocks of several hosts differ",
    "C04": "clock of Redis steps back",
    "C05": "Retry-After as a date, with a wrong local clock",
    "C06": "unreadable times in responses",
    "R01": "Redis down, failing, or restarted empty",
    "R02": "Redis does not respond",
    "R03": "Redis has dropped its scripts",
    "R04": "Redis has lost the latest writes",
    "R05": "cluster node without the account's hash slot",
    "R06": "Redis rejects writes: read-only, locked, full, another type at the key",
    "R07": "call cancelled while it waits for a slot",
    "R08": "a thousand waiting calls in four processes",
    "R09": "one process with far more calls than the others",
    "R10": "invalid or tiny rates",
    "X01": "cancelled before anything is sent",
    "X02": "cancelled before the first byte",
    "X03": "cancelled while writing, waiting or reading",
    "X04": "cancelled two and three times",
    "X05": "timeouts around a call",
    "X06": "exception in one task of a group",
    "X07": "client closed with calls in flight",
    "X08": "the same order twice at once",
    "X09": "another event loop, another thread, a forked process",
    "X10": "iterators and runs left half-way",
    "X11": "blocked event loop",
    "S01": "control characters, `&key=` and `/../` in a value",
    "S02": "NaN, infinities, unpaired surrogates and megabytes in an order",
    "S03": "label URLs of other hosts",
    "S04": "downloads that are not a label",
    "S05": "API key in anything that is shown",
    "S06": "server that echoes the key or personal data",
    "S07": "webhooks: forged, repeated, huge, out of order",
    "S08": "spreadsheet formulas in cells",
}

# What is played nowhere yet, and why.
NOT_PLAYED = {
    "L16": "too long for a test: `benchmarks/bulk.py` measures it",
    "T18": "calls are HTTP/1.1 only: TLS offers nothing else",
}


@frozen
class Played:
    """A test that plays a fault; a control shows what happens where nothing protects."""

    fault: str
    test: str
    control: bool


@cache
def played() -> tuple[Played, ...]:
    """Find every test that is marked with a fault, without running anything."""
    return tuple(_played())


def _played() -> Iterator[Played]:
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if "mark.fault(" in text:
            where = path.relative_to(TESTS.parent).as_posix()
            for node in ast.parse(text).body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from _marks(node, f"{where}::{node.name}")


def _marks(node: ast.FunctionDef | ast.AsyncFunctionDef, test: str) -> Iterator[Played]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
            (fault,) = mark.args
            assert isinstance(fault, ast.Constant), f"{test}: a fault is named by a string"
            control = any(word.arg == "control" for word in mark.keywords)
            yield Played(str(fault.value), test, control)
