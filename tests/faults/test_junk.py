"""Chapter P, junk: bodies that look like JSON and are ambiguous or truncated.

An order whose response is unreadable has arrived nevertheless: it is unknown, never rejected.
"""

import json
import math

import pytest

from clickpost_async import UnreadableReplyError
from clickpost_async.testing import virtual_time
from tests.faults.corrupting_transport import (
    Spoil,
    instead,
    once_and_twice,
    rewritten,
    stays_unknown,
    survives,
    variants,
)

# --- P06 ----------------------------------------------------------------------------------------


def beginning(text: bytes) -> Spoil:
    """Put something first into the response's object."""
    return rewritten(lambda body: b"{" + text + b"," + body[1:])


JUNK = {
    "a byte order mark": rewritten(lambda body: b"\xef\xbb\xbf" + body),
    "UTF-16": rewritten(lambda body: body.decode().encode("utf-16")),
    "UTF-16 without a mark": rewritten(lambda body: body.decode().encode("utf-16-le")),
    "Latin-1": beginning('"city":"Orl\xe9ans"'.encode("latin-1")),
    "half a pair": beginning(rb'"city":"\ud83d"'),
    "half a pair, encoded": beginning('"city":"\ud83d"'.encode("utf-8", "surrogatepass")),
    "NUL in a text": beginning(b'"city":"\x00"'),
    "NUL after it": rewritten(lambda body: body + b"\x00"),
    "NaN": beginning(b'"weight":NaN'),
    "Infinity": beginning(b'"weight":-Infinity'),
    "1e400": beginning(b'"weight":1e400'),
    "two verdicts": beginning(b'"meta":{"status":301,"message":"bad key"}'),
    "two results": beginning(b'"result":{"waybill":"W-9"}'),
    "two of anything": beginning(b'"a":{"b":[{"c":1,"c":1}]}'),
    "words after it": rewritten(lambda body: body + b"<!-- cached -->"),
    "two responses": rewritten(lambda body: body + body),
    "single quotes": rewritten(lambda body: body.replace(b'"', b"'")),
}

# --- P07 ----------------------------------------------------------------------------------------

ABYSSES = {
    "lists": beginning(b'"a":' + b"[" * 100_000 + b"]" * 100_000),
    "objects": beginning(b'"a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "lists without end": instead(b"[" * 2_000_000),
    "65 lists": beginning(b'"a":' + b"[" * 65 + b"]" * 65),
    "a million digits": beginning(b'"a":' + b"9" * 1_000_000),
    "a million digits and a point": beginning(b'"a":' + b"9" * 1_000_000 + b".0"),
    "an exponent of a million digits": beginning(b'"a":1e' + b"9" * 1_000_000),
    "a million empty objects": instead(b"[" + b"{}," * 690_000 + b"1]"),
}


@pytest.mark.fault("P06")
@variants(JUNK)
@once_and_twice
@virtual_time
async def test_p06_json_that_can_be_read_in_two_ways_loses_no_order(
    spoil: Spoil, times: int
) -> None:
    await survives(spoil, times)


@pytest.mark.fault("P06")
@variants(JUNK)
@virtual_time
async def test_p06_json_that_can_be_read_in_two_ways_is_not_read(spoil: Spoil) -> None:
    assert type(await stays_unknown(spoil)) is UnreadableReplyError


@pytest.mark.fault("P06", control=True)
def test_p06_standard_library_would_read_most_of_it() -> None:
    assert json.loads(b'\xef\xbb\xbf{"a":1}') == {"a": 1}
    assert json.loads('{"a":1}'.encode("utf-16")) == {"a": 1}
    assert math.isnan(json.loads("NaN"))
    assert math.isinf(json.loads("1e400"))
    assert json.loads(rb'"\ud83d"') == "\ud83d"
    assert json.loads('{"meta":{"status":301},"meta":{"status":200}}')["meta"]["status"] == 200


@pytest.mark.fault("P07")
@variants(ABYSSES)
@virtual_time
async def test_p07_deeply_nested_json_loses_no_order_and_ends_no_process(spoil: Spoil) -> None:
    await survives(spoil, 1)


@pytest.mark.fault("P07")
@variants(ABYSSES)
@virtual_time
async def test_p07_deeply_nested_json_is_not_read(spoil: Spoil) -> None:
    assert type(await stays_unknown(spoil)) is UnreadableReplyError


@pytest.mark.fault("P07", control=True)
@pytest.mark.parametrize("body", ["[" * 100_000 + "]" * 100_000, "9" * 1_000_000])
def test_p07_standard_library_raises_what_no_caller_expects(body: str) -> None:
    with pytest.raises((RecursionError, ValueError)) as caught:
        json.loads(body)

    assert not isinstance(caught.value, json.JSONDecodeError)
