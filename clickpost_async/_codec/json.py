"""Strict JSON: bodies that have one reading only, parsed in bounded time.

The standard library accepts a byte order mark, NaN, repeated keys (the last one wins), numbers that
become infinite, and unpaired surrogates, which cannot be encoded again. None of that has been seen
from ClickPost, so a body with it must not decide whether an order was placed.

orjson, where it is installed, is faster. Its result is used only if it encodes to the body again;
any other body is parsed, and what it can't encode is encoded, by the standard library.
"""

import json
import math
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Never

orjson: Any
try:
    orjson = import_module("orjson")
except ImportError:
    orjson = None

_MAX_DEPTH = 64
# 2 MiB of the smallest objects would block the event loop for a quarter of a second; real responses
# have one object or list per hundred bytes or more.
_MAX_CONTAINERS = 50_000


def read(body: bytes) -> Any:
    """Parse a body; `None` if it is not strict JSON.

    The number of digits in an integer is limited by Python itself.
    """
    opened = body.count(b"{") + body.count(b"[")
    if opened > _MAX_CONTAINERS:
        return None
    try:
        if opened <= _MAX_DEPTH:
            return _read_fast(body)
        value = _read(body)
    except (ValueError, RecursionError):
        return None
    return None if _is_too_deep(value) else value


def write(value: Any) -> bytes:
    """Encode plain JSON as bytes; raises `ValueError` for what `json_problems` reports."""
    if orjson is not None:
        try:
            written: bytes = orjson.dumps(value)
        except TypeError:
            # An integer of more than 64 bits, an unpaired surrogate, or nested too deeply for it.
            pass
        else:
            return written
    return _PLAIN.encode(value).encode()


def write_canonical(value: Any) -> bytes:
    """Encode plain JSON with sorted keys: equal values give equal bytes in every environment.

    They are those of the standard library. Raises what `write` does.
    """
    if orjson is not None:
        try:
            written: bytes = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            pass  # as above
        else:
            # orjson writes 1e-05 as 0.00001, and 1e+16 as 1e16. A text may look like that too.
            if b"0.0000" not in written and b"0e" not in written.translate(_DIGITS_AS_ZERO):
                return written
    return _CANONICAL.encode(value).encode()


_SETTINGS: Mapping[str, Any] = {
    "ensure_ascii": False,
    "allow_nan": False,
    "separators": (",", ":"),
}
# `json.dumps` would make one for each value.
_PLAIN = json.JSONEncoder(**_SETTINGS)
_CANONICAL = json.JSONEncoder(**_SETTINGS, sort_keys=True)
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")


_WHITE_SPACE = b" \t\r\n"


def _read_fast(body: bytes) -> Any:
    if orjson is not None:
        try:
            value = orjson.loads(body)
            written = orjson.dumps(value)
        except (ValueError, TypeError):
            pass
        else:
            # The same but for white space: no key came twice, and no number was rounded. Encoding
            # a value takes a third of the time of parsing it. What is written has spaces in texts
            # only, and no other white space.
            if written == body:
                return value
            if written.replace(b" ", b"") == body.translate(None, _WHITE_SPACE):
                return value
    return _read(body)


def _read(body: bytes) -> Any:
    value = STRICT_DECODER.decode(body.decode())
    if b"\\" in body:
        _refuse_unpaired_surrogates(body)
    return value


class RepeatedKeyError(ValueError):
    """An object has a key twice."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key!r} is repeated")
        self.key = key


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return found


def _refuse_constants(constant: str) -> Never:
    raise ValueError(f"{constant} is not a number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


# `json.loads` would make one for each value.
STRICT_DECODER: json.JSONDecoder = json.JSONDecoder(
    object_pairs_hook=_refuse_repeated_keys, parse_float=_finite, parse_constant=_refuse_constants
)


def _refuse_unpaired_surrogates(body: bytes) -> None:
    if b"\\ud" in body or b"\\uD" in body:
        # The first codec reads `\\u` escapes and nothing else, the last takes whole pairs only.
        body.decode("raw_unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16")


def _is_too_deep(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level for inner in _members(outer) if type(inner) in _NESTING]
        if not level:
            return False
    return True


_NESTING = (dict, list)


def _members(outer: Any) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer
