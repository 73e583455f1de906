"""Parses numbers as people and spreadsheets write them: with currency and separators."""

import math
import re

from attrs import frozen

_NUMBER = re.compile(
    r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})(E[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE
).fullmatch
_RUPEES = re.compile(r"(?:₹|Rs\.?|INR)\s*|\s*(?:/-|₹|Rs\.?|INR)\Z", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}((?:,\d{3})+)(\.\d+)?", re.ASCII).fullmatch
_LAKHS = re.compile(r"[+-]?\d{1,2}(?:,\d{2})+,\d{3}(\.\d+)?", re.ASCII).fullmatch
_EUROPEAN = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}", re.ASCII)
_SPACED = re.compile(r"[+-]?\d{1,3}(?: \d{3})+(?:[.,]\d+)?", re.ASCII).fullmatch
_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII).fullmatch
_THREE_DECIMALS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII).fullmatch
_NO_NUMBER = "not a number; write it like 1234.5, without a unit"
# Above it a float cannot represent every whole number.
_EXACT = 2**53


class BadNumberError(ValueError):
    """A text that is not a number, or is ambiguous; the message shows what to write."""


@frozen
class ParsedNumber:
    """A number, and its text without currency and separators."""

    text: str
    value: int | float


def may_mean_thousands(text: str) -> bool:
    """Return whether a number, such as 1.250, may be written for a thousand times as much."""
    return _THREE_DECIMALS(text) is not None


def parse_number(text: str, *, decimal_comma: bool) -> ParsedNumber:
    """Return the only number that a text can mean, or raise `BadNumberError`.

    `decimal_comma`: one and a half is likely written as `1,5`.
    """
    if _NUMBER(text):
        if decimal_comma and may_mean_thousands(text):
            raise BadNumberError(_two_numbers(text))
        plain = text
    else:
        plain = _without_separators(text, decimal_comma=decimal_comma)
    if plain.lstrip("+-").isdigit():
        return ParsedNumber(plain, int(plain))
    number = float(plain)
    if not math.isfinite(number):
        raise BadNumberError("this number is too large")
    is_whole = number.is_integer() and abs(number) < _EXACT
    return ParsedNumber(plain, int(number) if is_whole else number)


def _two_numbers(text: str) -> str:
    mark = "," if "," in text else "."
    whole, _, rest = text.partition(mark)
    return f"could be {whole}.{rest} or {whole}{rest}; write it like 1234.5, without separators"


def _without_separators(text: str, *, decimal_comma: bool) -> str:
    plain = _RUPEES.sub("", text)
    if _SPACED(plain):
        plain = plain.replace(" ", "")
    if _NUMBER(plain):
        return plain
    grouped = _GROUPED(plain)
    if grouped and (grouped[2] or len(grouped[1]) > 4 or not decimal_comma):
        return plain.replace(",", "")
    if grouped:
        raise BadNumberError(_two_numbers(plain))
    if _LAKHS(plain):
        return plain.replace(",", "")
    if _EUROPEAN.fullmatch(plain):
        return plain.replace(".", "").replace(",", ".")
    if _COMMA(plain):
        if decimal_comma:
            return plain.replace(",", ".")
        raise BadNumberError(_two_numbers(plain))
    raise BadNumberError(_NO_NUMBER)
