"""Redacts personal data from the messages of a server.

Couriers quote in their error messages what they were sent: "drop address 7 Banyan Road is too
short". Those messages appear in errors and logs. Which values are personal data is known from the
request: its structure marks them `Personal`.

Values are searched for word by word, so that neither case nor punctuation hides them, and a part of
an address or a name is found too.

No regular expression is made of a value: `re` would keep it, personal data included, in a cache of
the whole process, and evict the application's own patterns from it.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from attrs import define, field

from clickpost_async.structures._base import Structure
from clickpost_async.structures._schema import FieldSpec, member_kind, specs

_MASK = "***"

# Everything between blanks and punctuation. Not `\w`, which breaks Indian scripts at their vowels.
_WORD = re.compile(r"[^\s!-/:-@\[-`{-~«»\u2010-\u205e]+")
_PHONE = re.compile(r"[+(\d][\d\s().-]*").fullmatch
_PHONE_DIGITS = range(7, 14)
# Digits with nothing but blanks and punctuation between them.
_DIGITS = re.compile(r"\d(?:[\W_]*\d)*")
# Of a country code, which may precede the phone number.
_COUNTRY_DIGITS = 3
# Without the country code.
_LOCAL_DIGITS = 10
# No message is longer; an invoice in base64 is.
_MAX_TEXT_LENGTH = 2000

# What support needs to find an order; never redacted, even where a name is part of it.
_CODES = (
    *("reference_number", "order_id", "waybill", "awb", "awb_number"),
    *("account_code", "pincode", "postal_code"),
)


def redact(message: str, takes: Any, body: bytes | None) -> str:
    """Return the message of a response without the personal values of its request.

    `takes` is the structure that the request's body was encoded from, `body` that body.
    """
    if not message or takes is None or body is None:
        return message
    persons = _PersonalData(_vocabulary(takes))
    for spec, value in _fields(_read(body), takes):
        if spec.personal:
            for text in _texts(value):
                persons.add(text, is_name=spec.wire.endswith("name"))
        elif spec.wire.endswith(_CODES):
            persons.codes.update(_texts(value))
    return persons.masked(message)


@define
class _PersonalData:
    """What is redacted: words that identify a person alone, and pairs of adjacent words."""

    harmless: frozenset[str]
    exact: set[str] = field(factory=set)
    rows: set[tuple[str, str]] = field(factory=set)
    phones: set[str] = field(factory=set)
    codes: set[str] = field(factory=set)

    def add(self, text: str, *, is_name: bool) -> None:
        text = text[:_MAX_TEXT_LENGTH]
        digits = "".join(filter(str.isdecimal, text))
        if _PHONE(text.strip()) and len(digits) in _PHONE_DIGITS:
            self.phones.add(digits[-_LOCAL_DIGITS:])
            return
        words = [_plain(found[0]) for found in _WORD.finditer(text)]
        self.rows.update(row for row in pairwise(words) if not self.harmless.issuperset(row))
        alone = {"".join(words)}
        if is_name:
            alone.update(words)
        elif "@" in text:
            alone.update(_plain(found[0]) for found in _WORD.finditer(text.partition("@")[0]))
        self.exact.update(word for word in alone - self.harmless if _is_identifying(word))

    def masked(self, message: str) -> str:
        kept = [span for code in self.codes for span in _as_a_whole(code, message)]
        found = [
            span
            for span in (*self._redact_digits(message), *self._redact_words(message))
            if not any(start < span[1] and span[0] < end for start, end in kept)
        ]
        for start, end in reversed(_joined(found, message)):
            message = message[:start] + _MASK + message[end:]
        return message

    def _redact_digits(self, message: str) -> Iterator[tuple[int, int]]:
        for found in _DIGITS.finditer(message) if self.phones else ():
            places = [place for place in range(*found.span()) if message[place].isdecimal()]
            digits = "".join(message[place] for place in places)
            for phone in self.phones:
                for first in _occurrences(phone, digits):
                    start = _start_of_phone(message, places, first)
                    end = places[first + len(phone) - 1] + 1
                    if start is not None and not message[end : end + 1].isdecimal():
                        yield start, end

    def _redact_words(self, message: str) -> Iterator[tuple[int, int]]:
        found = [(_plain(match[0]), match.span()) for match in _WORD.finditer(message)]
        for word, span in found:
            if word in self.exact:
                yield span
        for (word, span), (following, next_span) in pairwise(found):
            if (word, following) in self.rows:
                yield from (span, next_span)


def _is_identifying(word: str) -> bool:
    """Whether a word is more than a house number, an initial or a particle."""
    return len(word) > (3 if word.isdigit() else 2) or not word.isascii()


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()


def _as_a_whole(code: str, message: str) -> Iterator[tuple[int, int]]:
    for start in _occurrences(code, message):
        end = start + len(code)
        if not (_is_of_word(message[start - 1 : start]) or _is_of_word(message[end : end + 1])):
            yield start, end


def _is_of_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _occurrences(part: str, whole: str) -> Iterator[int]:
    start = whole.find(part) if part else -1
    while start >= 0:
        yield start
        start = whole.find(part, start + 1)


def _start_of_phone(message: str, places: Sequence[int], first: int) -> int | None:
    """Return where a phone number starts, country code included; `None` within a longer number.

    `places` are the positions of digits, and `places[first]` is the number's first without it.
    """
    code = first
    while code and (code == first or places[code] - places[code - 1] == 1):
        code -= 1
    if first - code not in range(1, _COUNTRY_DIGITS + 1):
        within = code < first and places[first] - places[first - 1] == 1
        return None if within else places[first]
    start = places[code]
    while start and message[start - 1] in "+(":
        start -= 1
    return start


def _joined(spans: Iterable[tuple[int, int]], message: str) -> list[tuple[int, int]]:
    """Join adjacent spans, so that the mask does not reveal how many words a value has."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and not _WORD.search(message, joined[-1][1], start):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


# --- what was sent ------------------------------------------------------------------------------


def _read(body: bytes) -> Any:
    try:
        data = json.loads(body)
        if isinstance(data, Mapping) and isinstance(data.get("RAW_BODY"), str):
            data = json.loads(data["RAW_BODY"])
    except (ValueError, RecursionError):
        return None
    return data


def _fields(data: Any, kind: Any) -> Iterator[tuple[FieldSpec, Any]]:
    """Yield the fields of a body that its structure declares, nested ones included."""
    member = member_kind(kind)
    if member is not None and isinstance(data, list):
        for part in data:
            yield from _fields(part, member)
    elif _is_structure(kind) and isinstance(data, Mapping):
        for spec in specs(kind):
            value = data.get(spec.wire)
            yield spec, value
            yield from _fields(value, spec.kind)


def _is_structure(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Structure)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping | list):
        for member in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(member)


def _declared(kind: Any) -> Iterator[FieldSpec]:
    """Yield all fields that a structure declares, nested ones included."""
    member = member_kind(kind)
    if member is not None:
        yield from _declared(member)
    elif _is_structure(kind):
        for spec in specs(kind):
            yield spec
            yield from _declared(spec.kind)


@cache
def personal_names(kind: Any) -> frozenset[str]:
    """Return the names of the fields that a structure marks as personal, nested ones included."""
    return frozenset(spec.wire for spec in _declared(kind) if spec.personal)


@cache
def _vocabulary(kind: Any) -> frozenset[str]:
    """Return the words in field names, which are no personal data: "drop phone" is not redacted."""
    return frozenset(word for spec in _declared(kind) for word in spec.wire.lower().split("_"))
