"""Converts Python values to JSON exactly, and suggests replacements for other values.

Decimals, fractions and the scalars of numpy, and so of pandas, are accepted where JSON can
represent them exactly. Recognised by duck typing, so that no such library is imported here.
"""

import dataclasses
import enum
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from itertools import islice
from typing import Any
from uuid import UUID

import attrs

from clickpost_async.errors import Problem

MISSING = "missing value (NaN): give a value, or None"
UNPAIRED_SURROGATE = "contains an unpaired surrogate (invalid Unicode)"

# Exactly these types; a subclass may be numpy's, and is converted.
_SCALARS = frozenset({str, int, float, bool})
_AS_THEY_ARE = _SCALARS | {type(None), list, tuple, dict}

_MAX_DEPTH = 64
# Floats end at 10 ** 308, and so does what most servers parse.
_MAX_EXPONENT = 308
_MAX_NUMBER = 1.7e308
# More problems of one field are no help.
_MAX_PROBLEMS = 20


def to_plain(value: Any) -> Any:
    """Return the number, string or boolean that equals a value exactly; else `value` itself."""
    if type(value) in _AS_THEY_ARE or isinstance(value, enum.Enum):
        return value
    if getattr(value, "shape", None) == () and callable(item := getattr(value, "item", None)):
        scalar = item()
        # A long double has no type in Python, and the item of numpy's NaT is None.
        if type(scalar) in _SCALARS:
            return scalar
    return value if isinstance(value, str | int | float | Mapping) else _to_plain_number(value)


def _to_plain_number(value: Any) -> Any:
    # Imported lazily: if the value is a Decimal, `decimal` is loaded already.
    from decimal import Decimal
    from numbers import Integral, Real

    if isinstance(value, Decimal):
        return _to_plain_decimal(value)
    if isinstance(value, Integral):
        return int(value)
    if not isinstance(value, Real):
        return value
    try:
        number = float(value)
    except OverflowError:
        return value
    return number if number == value else value


def _to_plain_decimal(value: Any) -> Any:
    if not value.is_finite() or value.adjusted() > _MAX_EXPONENT:
        return value
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    # repr() is what is sent: the shortest text that parses to this float.
    return number if type(value)(repr(number)) == value else value


def to_number(value: Any, *, whole: bool = False) -> Any:
    """Return a value as a number, also if it is a numeric string; else `value` itself.

    With `whole` a float without a fraction, such as 2.0, becomes an integer.
    """
    plain = to_plain(value)
    if isinstance(plain, str):
        plain = _parse_number(plain)
    return int(plain) if whole and isinstance(plain, float) and plain.is_integer() else plain


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII).fullmatch
_MAX_DIGITS = 308


def _parse_number(text: str) -> Any:
    stripped = text.strip()
    if not _NUMBER(stripped) or len(stripped) > _MAX_DIGITS:
        return text
    try:
        return int(stripped)
    except ValueError:
        return float(stripped)


_BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "on", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "f", "n", "0"), False),
}


def to_boolean(value: Any) -> Any:
    """Return the boolean that "1", 0, "True" … mean; else `value` itself."""
    plain = to_plain(value)
    if isinstance(plain, str):
        return _BOOLEANS.get(plain.strip().lower(), plain)
    if isinstance(plain, int | float) and plain in (0, 1):
        return bool(plain)
    return plain


# From here on a float cannot represent every integer.
EXACT_FLOATS = 2**53


def to_text(value: Any) -> Any:
    """Return a number as a string; else `value` itself.

    An integral float has no decimal point in it: spreadsheets and pandas make 560041.0 of 560041.
    """
    plain = to_plain(value)
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        return plain
    if isinstance(plain, int):
        return str(plain) if integer_problem(plain) is None else plain
    if not -EXACT_FLOATS < plain < EXACT_FLOATS:
        return plain
    return str(int(plain)) if plain.is_integer() else repr(plain)


def to_code(value: Any) -> Any:
    """Return a code as a string without white space; else `value` itself."""
    text = to_text(value)
    return "".join(text.split()) if isinstance(text, str) else text


def is_empty(value: Any, *, blank: bool) -> bool:
    """Return whether a value is "" (if `blank`), or an empty list."""
    if isinstance(value, str):
        return blank and not value
    return isinstance(value, list | tuple) and not value


def to_json(value: Any) -> Any:
    """Copy a value as plain JSON; raises `ValueError` for what `json_problems` reports."""
    plain = to_plain(value)
    match plain:
        case None | bool() | str() | int():
            return plain
        case float() if math.isfinite(plain):
            return plain
        case Mapping() if all(isinstance(key, str) for key in plain):
            return {key: to_json(inner) for key, inner in plain.items()}
        case list() | tuple():
            return [to_json(inner) for inner in plain]
        case _:
            raise ValueError(f"{type(value).__name__} is not JSON")


def json_problems(value: Any) -> Sequence[Problem]:
    """Return why a value cannot be encoded as JSON, with the paths inside of it."""
    return () if is_plain_json(value) else tuple(islice(_problems(value, 0), _MAX_PROBLEMS))


def is_plain_json(value: Any, depth: int = 0) -> bool:
    """Return whether a value is plain JSON: fast, and false for what has to be converted first."""
    kind = type(value)
    if kind is str:
        return value.isascii() or text_problem(value) is None
    if kind is dict or kind is list or kind is tuple:
        inner = depth + 1
        if inner > _MAX_DEPTH:
            return False
        if kind is dict:
            return all(
                type(key) is str and is_plain_json(key, inner) and is_plain_json(member, inner)
                for key, member in value.items()
            )
        return all(is_plain_json(member, inner) for member in value)
    if kind is int or kind is float:
        return bool(-_MAX_NUMBER < value < _MAX_NUMBER)
    return value is None or kind is bool


def _problems(value: Any, depth: int) -> Iterator[Problem]:
    plain = to_plain(value)
    if not isinstance(plain, Mapping | list | tuple):
        if message := scalar_problem(plain):
            yield Problem("", message)
    elif depth == _MAX_DEPTH:
        yield Problem("", f"is nested more than {_MAX_DEPTH} levels deep")
    elif isinstance(plain, Mapping):
        for key, inner in plain.items():
            if message := _key_problem(key):
                yield Problem("", message)
            else:
                yield from (problem.under(key) for problem in _problems(inner, depth + 1))
    else:
        for position, inner in enumerate(plain):
            yield from (problem.under(f"[{position}]") for problem in _problems(inner, depth + 1))


def _key_problem(key: Any) -> str | None:
    if not isinstance(key, str):
        return f"a key must be a string, got {type_name(key)}"
    problem = text_problem(key)
    return problem and f"a key {problem}"


def scalar_problem(value: Any) -> str | None:
    """Return why a value that is no object or list cannot be encoded as JSON, or `None`."""
    match value:
        case None | bool():
            return None
        case str():
            return text_problem(value)
        case int():
            return integer_problem(value)
        case _ if is_missing(value):
            return MISSING
        case float():
            return None if math.isfinite(value) else "expected a finite number"
        case _:
            return f"{type_name(value)} cannot be written as JSON{advice(value)}"


def integer_problem(value: int) -> str | None:
    """Return why an integer cannot be sent, or `None`."""
    return None if -_MAX_NUMBER < value < _MAX_NUMBER else "is too large a number"


def text_problem(value: str) -> str | None:
    """Return why a string cannot be encoded as UTF-8, or `None`."""
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        return UNPAIRED_SURROGATE
    return None


def is_missing(value: Any) -> bool:
    """Return whether a value is NaN, NaT or NA: a missing value of pandas, numpy or `decimal`."""
    kind = type(value).__name__
    if kind == "Decimal":
        return bool(value.is_nan())
    if isinstance(value, float) or getattr(value, "shape", None) == ():
        return bool(value != value)  # noqa: PLR0124 - true of NaN and NaT alone
    # These two cannot be recognised by comparison: pandas.NA is neither equal nor unequal.
    return kind in {"NAType", "NaTType"}


_NAMES: Mapping[Any, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
    list: "a list",
    tuple: "a list",
    dict: "an object",
}


def kind_name(kind: Any) -> str:
    """Return the name of a field's type for a message: JSON's name for it, or its own."""
    if kind not in _NAMES and attrs.has(kind):
        return "an object"
    return _NAMES.get(kind) or str(getattr(kind, "__name__", kind))


def type_name(value: object) -> str:
    """Return the name of a value's type for a message."""
    kind = type(value)
    return _NAMES.get(kind) or kind.__name__


def advice(value: Any) -> str:
    """Return what to pass instead of a value that JSON has no type for: ": give …", or ""."""
    from numbers import Number

    if type(value) in _AS_THEY_ARE:
        return ""
    for kinds, how in (*_INSTEAD, (Number, "float(x), which rounds it")):
        if isinstance(value, kinds):
            return f": give {how}"
    if dataclasses.is_dataclass(value) or attrs.has(type(value)):
        return ": give its fields as a mapping (asdict)"
    method = next((name for name in _METHODS if hasattr(value, name)), None)
    if method is not None:
        return f": give its {method}()"
    return ": give dict(x)" if hasattr(value, "keys") else ""


_METHODS = ("model_dump", "to_dict", "tolist")
_INSTEAD: Sequence[tuple[Any, str]] = (
    ((date, time), "its isoformat()"),
    ((bytes, bytearray, memoryview), "text, by decode() or base64"),
    ((set, frozenset), "a list"),
    (enum.Enum, "its value"),
    (UUID, "str(x)"),
)
