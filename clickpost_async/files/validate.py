"""Validates orders without sending any (dry run)."""

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import evolve

from clickpost_async._codec.converter import structure
from clickpost_async.errors import InvalidRequestError
from clickpost_async.files.columns import REFERENCE, Market
from clickpost_async.files.order_rows import OrderRow, RowProblem
from clickpost_async.files.reader import OrderReader
from clickpost_async.files.references import ReferenceIndex
from clickpost_async.structures import IndiaOrder, WorldOrder


def check(rows: Iterable[OrderRow]) -> Iterator[tuple[OrderRow, tuple[RowProblem, ...]]]:
    """Yield every row of `read_orders` with its errors, for which `create` would reject it.

    A reference number that an earlier row has, for another order, is an error too. Warnings of
    the structures are added to the row's warnings. The counts of an `OrderReader` are updated: an
    order with errors is counted as refused. No client is needed.
    """
    counts = rows.counts if isinstance(rows, OrderReader) else None
    with ReferenceIndex() as references:
        for row in rows:
            checked, problems = row, row.problems
            if not problems:
                checked, problems = _validated(row)
                problems = (*problems, *_repetition(row, references))
            if counts is not None and problems and not row.problems:
                counts.refuse(row)
            yield checked, problems


def _validated(row: OrderRow) -> tuple[OrderRow, tuple[RowProblem, ...]]:
    order: Any = row.order
    try:
        made: Any = structure(order, IndiaOrder if row.market is Market.INDIA else WorldOrder)
    except InvalidRequestError as error:
        return row, tuple(row.locate(problem.path, problem.message) for problem in error.problems)
    found = getattr(made, "warnings", ())
    if not found:
        return row, ()
    warnings = tuple(row.locate(warning.path, warning.message) for warning in found)
    return evolve(row, warnings=(*row.warnings, *warnings)), ()


def _repetition(row: OrderRow, references: ReferenceIndex) -> Iterator[RowProblem]:
    if row.reference is None:
        return
    key = f"{row.market} {row.reference}"
    references.add(key, row.number, row.digest)
    found = references.find(key, row.number)
    # The same order again is created once: its row has a warning.
    if found and not found.is_same_order:
        yield row.locate(REFERENCE, f"row {found.row} has it too, for another order")
