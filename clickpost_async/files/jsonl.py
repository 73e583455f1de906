"""The orders of a JSON Lines file: each line is one order in ClickPost's format."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from attrs import evolve

from clickpost_async.files.cells import CellKind, shown, strip_blanks
from clickpost_async.files.columns import COLUMNS, Market
from clickpost_async.files.order_rows import (
    WHOLE_ROW,
    OrderRow,
    RowProblem,
    SourceRow,
    invalid_row,
)
from clickpost_async.files.text import Lines, UnreadableLineError
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
        value: Any = _DECODER.decode(text)
    except RecursionError:
        raise UnreadableLineError("objects are nested too deeply") from None
    except json.JSONDecodeError as error:
        raise UnreadableLineError(
            f"not JSON at character {error.pos + 1}: {error.msg.lower()}"
        ) from None
    except ValueError as error:
        raise UnreadableLineError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UnreadableLineError("every line has to be one order: a JSON object in braces")
    return {name: part for name, part in value.items() if name not in _REMARKS}


# Fields that an errors file adds to an order.
_REMARKS = frozenset({"reason", "advice"})


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


# `json.loads` would make one for each line.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _json_row(number: int, order: Mapping[str, Any], source: tuple[SourceRow, ...]) -> OrderRow:
    notes: list[RowProblem] = []
    order = _codes_as_text(number, order, notes)
    shipment = order.get("shipment_details")
    reference = shipment.get("reference_number") if isinstance(shipment, dict) else None
    return OrderRow(
        number=number,
        last=number,
        # An order without fields of either market lacks the same fields in both.
        market=market_of(order) or Market.INDIA,
        reference=reference if isinstance(reference, str) else None,
        order=order,
        notes=tuple(notes),
        source=source,
    )


def _codes_as_text(
    number: int, order: Mapping[str, Any], notes: list[RowProblem], path: str = ""
) -> Mapping[str, Any]:
    """Return an order whose pincodes, phones and other codes are converted to text."""
    changed: dict[str, Any] = {}
    for name, value in order.items():
        kind = type(value)
        if kind not in _NESTED_OR_NUMBER:
            continue
        place = f"{path}.{name}" if path else name
        if kind is dict:
            inner = _codes_as_text(number, value, notes, place)
            if inner is not value:
                changed[name] = inner
        else:
            column = COLUMNS.by_path.get(place)
            if column and column.kind in _CODES and value >= 0 and value == int(value):
                changed[name] = str(int(value))
                message = f"the number {shown(value)} read as text"
                notes.append(RowProblem(row=number, column=place, message=message))
    return {**order, **changed} if changed else order


# Of the types that JSON has.
_NESTED_OR_NUMBER = frozenset({dict, int, float})
# Text fields that programs often write as numbers.
_CODES = frozenset({CellKind.CODE, CellKind.PHONE, CellKind.POSTCODE})
