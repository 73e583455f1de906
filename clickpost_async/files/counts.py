"""What the rows of a file have become, in counts."""

from collections import Counter

from attrs import define, field

from clickpost_async.files.order_rows import OrderRow


@define(kw_only=True)
class FileCounts:
    """Counts of a file of orders, which add up to its rows.

    Attributes:
        rows: rows below the header that are not blank; `order_rows`, `refused_rows` and the counts
            of `skipped` add up to them.
        orders: orders that were read, from `order_rows` rows.
        refused: orders, or single rows, that cannot be read, from `refused_rows` rows.
        skipped: rows that a column map leaves out, by reason.

    """

    rows: int = 0
    orders: int = 0
    order_rows: int = 0
    refused: int = 0
    refused_rows: int = 0
    skipped: Counter[str] = field(factory=Counter)

    def add(self, row: OrderRow) -> None:
        """Count an order with its rows, whether it is skipped or not."""
        if row.is_header:
            return
        rows = len(row.source) - len(row.skipped)
        self.rows += len(row.source)
        self.skipped.update(row.skipped)
        if row.problems:
            self.refused += 1
            self.refused_rows += rows
        elif rows:
            self.orders += 1
            self.order_rows += rows

    def refuse(self, row: OrderRow) -> None:
        """Count an order that could be read as refused, for what is wrong with it."""
        rows = len(row.source) - len(row.skipped)
        self.orders -= 1
        self.order_rows -= rows
        self.refused += 1
        self.refused_rows += rows

    def __str__(self) -> str:
        parts = [_count(self.orders, "order", self.order_rows)]
        if self.skipped:
            reasons = ", ".join(f"{why} {number:,}" for why, number in self.skipped.most_common())
            parts.append(f"{self.skipped.total():,} skipped ({reasons})")
        parts.append(_count(self.refused, "refused", self.refused_rows, plural=""))
        return f"{_count(self.rows, 'row', self.rows)}: {', '.join(parts)}"


def _count(number: int, noun: str, rows: int, *, plural: str = "s") -> str:
    text = f"{number:,} {noun}{'' if number == 1 else plural}"
    return text if number == rows else f"{text} in {rows:,} rows"
