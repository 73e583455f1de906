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
    """Validate the rows of `read_orders`, without a client and without sending any.

    A reference number that an earlier row has, for another order, is an error. The counts of an
    `OrderReader` are updated.

    Args:
        rows: What `read_orders` returned.

    Returns:
        Every row, with the warnings of its structure added, and its errors.

    """
    counts = rows.counts if isinstance(rows, OrderReader) else None
    with ReferenceIndex() as references:
        for row in rows:
            checked, problems = row, row.problems
            if not problems:
                checked, problems = _validated(row)
                problems = (*problems, *_repetition(row, references))
            if counts is not None and problems and not row.problems:
                counts.reject(row)
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
