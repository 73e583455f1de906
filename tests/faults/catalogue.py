"""The faults that a call may meet, and where each of them is played."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

TESTS = Path(__file__).parent.parent

FAULTS = {
    "T01": "a name that cannot be looked up, or not in time",
    "T02": "a port where nobody listens",
    "T03": "a host that never answers the first packet",
    "T04": "TLS: wrong host, expired, self-signed, or not spoken at all",
    "T05": "accepted, then closed or reset before anything was read",
    "T06": "reset in the middle of the call's body",
    "T07": "closed or reset after the whole call, booked or not",
    "T08": "an idle connection that is closed as it is used again",
    "T09": "an answer that never comes",
    "T10": "an answer that comes after it was given up",
    "T11": "an answer's head cut off, garbled, huge, or only 100 Continue",
    "T12": "an answer's body cut off, counted or in chunks",
    "T13": "an answer that drips byte by byte",
    "T14": "a server that stops reading",
    "T15": "refused while the call is still being written",
    "T16": "a line that is slow, late, and in pieces",
    "T17": "a network that comes and goes",
    "T18": "HTTP/2: GOAWAY and refused streams",
    "T19": "no place left in the pool",
    "T20": "thousands of calls given up at once",
    "T21": "a proxy named by the environment",
    "T22": "the answer to another call",
    "P01": "a page of HTML under HTTP 200",
    "P02": "nothing, or JSON that is no object",
    "P03": "no verdict, or one that is no number",
    "P04": "`success` that contradicts `status`",
    "P05": "a result that is missing, of the wrong kind, or without a waybill",
    "P06": "JSON of the odd kinds: other encodings, NaN, keys said twice, half characters",
    "P07": "JSON nested a hundred thousand deep, numbers with a million digits",
    "P08": "a gigabyte packed into kilobytes, packing that is broken or was not asked for",
    "P09": "an answer of a hundred megabytes, or without an end",
    "P10": "a redirect, elsewhere or to itself",
    "P11": "JSON under another content type",
    "P12": "fields that nobody knows",
    "P13": "other HTTP statuses, with or without a verdict",
    "A01": "429, with every kind of Retry-After",
    "A02": "HTTP 500 to 504, booked or not",
    "A03": "code 500 after booking",
    "A04": "codes 322 and 329, a few times or for ever",
    "A05": "codes 319 and 354",
    "A06": "323 after an answer that was lost",
    "A07": "323 on a first attempt",
    "A08": "323 without a waybill",
    "A09": "323 with another reference number",
    "A10": "202, then 102, then whatever",
    "A11": "a key that is revoked in the middle of a run",
    "A12": "orders that are refused among others that are not",
    "A13": "a code that nobody knows",
    "A14": "a server that looks for the reference before the courier has answered",
    "A15": "a server that forgets reference numbers",
    "A16": "reads that act: cancelling, printing a label anew",
    "A17": "no label, though one was asked for",
    "A18": "an order of several pieces, in part",
    "A19": "couriers that grow slow",
    "A20": "ten minutes of nothing but HTTP 500",
    "L01": "killed at any time, again and again",
    "L02": "killed at each step of an order in the journal",
    "L03": "power lost after anything was acknowledged",
    "L04": "a journal that is damaged, cut, newer, or none",
    "L05": "a full disk",
    "L06": "a place that cannot be written",
    "L07": "two processes with one journal",
    "L08": "told to stop, once and twice",
    "L09": "stopped for a while, as a laptop that sleeps",
    "L10": "no file descriptors left",
    "L11": "an input that fails half-way",
    "L12": "a consumer that is slow, or goes",
    "L13": "a journal's writer that dies",
    "L14": "other contents under an old reference number",
    "L15": "an input with more, fewer or other rows",
    "L16": "a journal of 100,000 orders opened again",
    "C01": "the wall clock jumps",
    "C02": "the monotonic clock begins anew",
    "C03": "clocks of several hosts differ",
    "C04": "Redis' clock steps back",
    "C05": "Retry-After as a date, by a clock that is wrong",
    "C06": "odd times in answers",
    "R01": "a Redis that is down, dies, or starts empty",
    "R02": "a Redis that hangs",
    "R03": "a Redis that has dropped its scripts",
    "R04": "a Redis that has forgotten the last that happened",
    "R05": "a node of a cluster that has not the account's slot",
    "R06": "a Redis that refuses: read-only, locked, full, something else at the key",
    "R07": "given up while waiting for a slot",
    "R08": "a thousand that wait, in four processes",
    "R09": "one process with far more calls than the others",
    "R10": "rates that are none, or tiny",
    "X01": "given up before anything is on its way",
    "X02": "given up before the first byte",
    "X03": "given up while writing, waiting or reading",
    "X04": "given up twice and three times",
    "X05": "timeouts around a call",
    "X06": "one of a group that raises",
    "X07": "a client that is closed with calls under way",
    "X08": "the same order twice at once",
    "X09": "another event loop, another thread, after a fork",
    "X10": "iterators and runs that are left half-way",
    "X11": "an event loop that was blocked",
    "S01": "control characters, `&key=` and `/../` where a value goes",
    "S02": "NaN, infinities, half characters and megabytes in an order",
    "S03": "label addresses that lead elsewhere",
    "S04": "labels that are none",
    "S05": "the key in anything that is shown",
    "S06": "a server that repeats the key or a person's data",
    "S07": "webhooks: forged, repeated, huge, out of order",
    "S08": "cells that spreadsheets would run",
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
