"""Find every mistake of orders without sending any."""

from collections.abc import Iterable, Iterator
from typing import Any

from clickpost_async._codec.converter import structure
from clickpost_async.errors import InvalidRequestError
from clickpost_async.files.columns import Market
from clickpost_async.files.order_rows import OrderRow, RowProblem
from clickpost_async.files.reader import OrderReader
from clickpost_async.structures import IndiaOrder, WorldOrder


def check(rows: Iterable[OrderRow]) -> Iterator[tuple[OrderRow, tuple[RowProblem, ...]]]:
    """Yield every row of `read_orders` with what is wrong with it: what `create` would refuse.

    A reference number that an earlier row has is a mistake, too. The counts of an `OrderReader`
    follow: an order with mistakes is counted as refused. No client is needed.
    """
    counts = rows.counts if isinstance(rows, OrderReader) else None
    first_rows: dict[tuple[Market, str], int] = {}
    for row in rows:
        problems = [*(row.problems or _mistakes(row))]
        if row.reference is not None:
            first = first_rows.setdefault((row.market, row.reference), row.number)
            if first != row.number:
                problems.append(
                    row.locate("shipment_details.reference_number", f"row {first} has it, too")
                )
        if counts is not None and problems and not row.problems:
            counts.refuse(row)
        yield row, tuple(problems)


def _mistakes(row: OrderRow) -> Iterator[RowProblem]:
    order: Any = row.order
    try:
        structure(order, IndiaOrder if row.market is Market.INDIA else WorldOrder)
    except InvalidRequestError as error:
        for problem in error.problems:
            yield row.locate(problem.path, problem.message)
