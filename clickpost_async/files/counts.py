"""Counts of the rows of a file."""

from collections import Counter

from attrs import define, field

from clickpost_async.files.order_rows import OrderRow


@define(kw_only=True)
class FileCounts:
    """Counts of the rows below the header, as far as the file was read.

    Attributes:
        orders: Orders that can be sent; `order_rows`, their rows.
        rejected: Invalid orders and unreadable rows; `rejected_rows`, their rows.
        skipped: Rows that were skipped on purpose, by reason.

    Blank rows are not counted. `rows` is the sum: no row is lost.
    """

    orders: int = 0
    order_rows: int = 0
    rejected: int = 0
    rejected_rows: int = 0
    skipped: Counter[str] = field(factory=Counter)

    @property
    def rows(self) -> int:
        """Return the number of rows of the file that are not blank."""
        return self.order_rows + self.rejected_rows + self.skipped.total()

    def add(self, row: OrderRow) -> None:
        """Count an order, or a row that cannot be read."""
        if row.problems:
            self.rejected += 1
            self.rejected_rows += row.row_count
        else:
            self.orders += 1
            self.order_rows += row.row_count

    def reject(self, row: OrderRow) -> None:
        """Move an order from those to be sent to the rejected ones."""
        self.orders -= 1
        self.order_rows -= row.row_count
        self.rejected += 1
        self.rejected_rows += row.row_count

    def skip_order(self, row: OrderRow, reason: str) -> None:
        """Move the rows of an order that was counted before to the skipped ones.

        Args:
            row: The order.
            reason: The name of the rule that skips it.

        """
        if row.problems:
            self.rejected -= 1
            self.rejected_rows -= row.row_count
        else:
            self.orders -= 1
            self.order_rows -= row.row_count
        self.skip(reason, row.row_count)

    def skip(self, reason: str, rows: int = 1) -> None:
        """Count skipped rows.

        Args:
            reason: The name of the rule that skips them.
            rows: How many.

        """
        self.skipped[reason] += rows

    def __str__(self) -> str:
        parts = [_counted(self.orders, "order") + _in_rows(self.order_rows, self.orders)]
        if self.skipped:
            reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in self.skipped.most_common())
            parts.append(f"{self.skipped.total():,} skipped ({reasons})")
        if self.rejected:
            parts.append(f"{self.rejected:,} rejected{_in_rows(self.rejected_rows, self.rejected)}")
        return f"{_counted(self.rows, 'row')}: {', '.join(parts)}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what if number == 1 else f'{what}s'}"


def _in_rows(rows: int, orders: int) -> str:
    return "" if rows == orders else f" ({_counted(rows, 'row')})"
