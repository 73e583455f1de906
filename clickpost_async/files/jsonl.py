"""The orders of a JSON Lines file: each line is one order in ClickPost's format."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from clickpost_async._codec.converter import reference_number_of
from clickpost_async._codec.json import STRICT_DECODER, RepeatedKeyError
from clickpost_async.files.cells import (
    BadCellError,
    CellKind,
    refuse_damage,
    shown,
    strip_blanks,
)
from clickpost_async.files.columns import COLUMNS, Market
from clickpost_async.files.order_rows import (
    WHOLE_ROW,
    OrderRow,
    RowProblem,
    SourceRow,
    invalid_row,
)
from clickpost_async.files.text import Lines, UnreadableLineError
from clickpost_async.structures._json_values import to_text
from clickpost_async.structures._market import market_of


def json_rows(lines: Lines) -> Iterator[OrderRow]:
    """Yield a row for each line that is not blank."""
    number = 0
    while True:
        number += 1
        try:
            text = strip_blanks(next(lines))
            if text:
                yield _read_line(number, text)
        except StopIteration:
            return
        except UnreadableLineError as unreadable:
            yield _invalid(number, unreadable)


def _read_line(number: int, text: str) -> OrderRow:
    source = (SourceRow(number, (text,)),)
    try:
        return _json_row(number, _json_object(text), source)
    except UnreadableLineError as unreadable:
        return evolve(_invalid(number, unreadable), source=source)


def _invalid(number: int, unreadable: UnreadableLineError) -> OrderRow:
    return invalid_row(RowProblem(row=number, column=WHOLE_ROW, message=str(unreadable)))


def _json_object(text: str) -> Mapping[str, Any]:
    try:
        value: Any = STRICT_DECODER.decode(text)
    except RecursionError:
        raise UnreadableLineError("objects are nested too deeply") from None
    except RepeatedKeyError as error:
        message = f"{shown(error.key)} is in it twice; remove one of the two"
        raise UnreadableLineError(message) from None
    except json.JSONDecodeError as error:
        raise UnreadableLineError(_describe(error, text)) from None
    except ValueError as error:
        raise UnreadableLineError(f"not JSON: {error}") from None
    if isinstance(value, list) and value:
        raise UnreadableLineError(
            "a list: write each order on a line of its own, as jq -c '.[]' does"
        )
    if not isinstance(value, dict):
        raise UnreadableLineError("every line has to be one order: a JSON object in braces")
    if not any(isinstance(part, dict) for part in value.values()) and COLUMNS.keys() & value.keys():
        raise UnreadableLineError(
            "columns of a table; write the table as CSV, or the fields in pickup_info, drop_info "
            "and shipment_details, as ClickPost documents them"
        )
    return {name: part for name, part in value.items() if name not in _REMARKS}


def _describe(error: json.JSONDecodeError, text: str) -> str:
    rest = text[error.pos :].strip() if error.msg == "Extra data" else ""
    if rest == ",":
        return "a comma after the object; JSON Lines has none between its lines"
    if rest.startswith(("{", "[")):
        return "two values on one line; write each order on a line of its own"
    return f"not JSON at character {error.pos + 1}: {error.msg.lower()}"


# Fields that an errors file adds to an order.
_REMARKS = frozenset({"reason", "advice"})


def _json_row(number: int, order: Mapping[str, Any], source: tuple[SourceRow, ...]) -> OrderRow:
    values = _Values(number)
    order = values.read(order)
    return OrderRow(
        number=number,
        last=number,
        # An order without fields of either market lacks the same fields in both.
        market=market_of(order) or Market.INDIA,
        reference=reference_number_of(order),
        order=None if values.problems else order,
        problems=tuple(values.problems),
        warnings=tuple(values.warnings),
        notes=tuple(values.notes),
        source=source,
    )


class _Values:
    """Reads the values of one order, with the messages about them."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.problems: list[RowProblem] = []
        self.warnings: list[RowProblem] = []
        self.notes: list[RowProblem] = []

    def read(self, order: Mapping[str, Any], path: str = "") -> Mapping[str, Any]:
        """Return an order whose pincodes, phones and other codes are converted to text."""
        changed: dict[str, Any] = {}
        for name, value in order.items():
            kind = type(value)
            if kind is dict:
                inner = self.read(value, f"{path}.{name}" if path else name)
                if inner is not value:
                    changed[name] = inner
            elif kind is int or kind is float:
                text = self._code(f"{path}.{name}", value)
                if text is not None:
                    changed[name] = text
            elif kind is str and (value[:1] in _SUSPICIOUS or "???" in value):
                self._suspect(f"{path}.{name}", value)
        return {**order, **changed} if changed else order

    def _code(self, place: str, value: float) -> str | None:
        """Return the text of a number that stands for a code."""
        column = COLUMNS.by_path.get(place)
        if column is None or column.kind not in _CODES or value < 0:
            return None
        text = to_text(value)
        if not isinstance(text, str):
            message = "a number whose last digits are lost; write it as text, in quotation marks"
            self.problems.append(self._message(place, message))
            return None
        self.notes.append(self._message(place, f"the number {shown(value)} read as text"))
        return text

    def _suspect(self, place: str, value: str) -> None:
        text = strip_blanks(value)
        column = COLUMNS.by_path.get(place)
        if not text or column is None:
            return
        try:
            refuse_damage(text, column.kind)
        except BadCellError as error:
            self.warnings.append(self._message(place, f"{error}; sent as it is"))

    def _message(self, place: str, message: str) -> RowProblem:
        return RowProblem(row=self._number, column=place, message=message)


# What damaged texts and placeholders begin with; to read each text in full takes as long as to
# parse it.
_SUSPICIOUS = frozenset("nNuU(<[#-\u2013\u2014?\\eE ")
# Text fields that programs often write as numbers.
_CODES = frozenset({CellKind.CODE, CellKind.PHONE, CellKind.POSTCODE})
