"""The orders of a JSON Lines file: each line is one order as ClickPost takes it."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import NoReturn

from attrs import evolve

from clickpost_async.files.cells import strip_blanks
from clickpost_async.files.columns import Market
from clickpost_async.files.order_rows import (
    WHOLE_ROW,
    OrderRow,
    RowProblem,
    SourceRow,
    invalid_row,
)
from clickpost_async.files.text import Lines, UnreadableLineError


def json_rows(lines: Lines) -> Iterator[OrderRow]:
    """Yield a row for each line that is not blank."""
    number = 0
    while True:
        number += 1
        try:
            text = strip_blanks(next(lines))
            if text:
                yield evolve(_read_line(number, text), source=(SourceRow(number, (text,)),))
        except StopIteration:
            return
        except UnreadableLineError as unreadable:
            yield evolve(_invalid(number, unreadable), source=(SourceRow(number, ()),))


def _read_line(number: int, text: str) -> OrderRow:
    try:
        return _json_row(number, _json_object(text))
    except UnreadableLineError as unreadable:
        return _invalid(number, unreadable)


def _invalid(number: int, unreadable: UnreadableLineError) -> OrderRow:
    return invalid_row(RowProblem(row=number, column=WHOLE_ROW, message=str(unreadable)))


def _json_object(text: str) -> Mapping[str, object]:
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
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


# What an errors file adds to an order.
_REMARKS = frozenset({"reason", "advice"})


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _json_row(number: int, order: Mapping[str, object]) -> OrderRow:
    shipment = order.get("shipment_details")
    reference = shipment.get("reference_number") if isinstance(shipment, dict) else None
    return OrderRow(
        number=number,
        last=number,
        market=_market(order),
        reference=reference if isinstance(reference, str) else None,
        order=order,
    )


def _market(order: Mapping[str, object]) -> Market:
    for side in ("pickup", "drop"):
        party = order.get(f"{side}_info")
        if isinstance(party, dict):
            if f"{side}_pincode" in party:
                return Market.INDIA
            if "postal_code" in party or "country_code" in party:
                return Market.WORLD
    return Market.INDIA
