"""Tables in Markdown, and the places in pages that hold them."""

import re
import statistics
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from benchmarks._measure import Row


@frozen
class Column:
    """A figure's heading, its name, and how many digits it has after the point."""

    heading: str
    name: str
    digits: int = 0


def table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Write what was found: medians, with the lowest and highest where there are several."""
    if not rows:
        return ""
    labels = rows[0].labels
    sides = ["---:" if isinstance(label, int) else "---" for label in labels.values()]
    lines = [
        _line([*labels, *(column.heading for column in columns)]),
        _line([*sides, *["---:"] * len(columns)]),
    ]
    for row in rows:
        names = [f"{name:,}" if isinstance(name, int) else name for name in row.labels.values()]
        cells = [spread(row.found.get(each.name, ()), each.digits) for each in columns]
        if row.failed:
            cells = [f"failed: {row.failed}".replace("|", "¦"), *[""] * (len(columns) - 1)]
        lines.append(_line([*names, *cells]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Write a median with its lowest and highest."""
    if not values:
        return "–"
    middle, low, high = (
        f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return middle if low == high else f"{middle} ({low}–{high})"


def put(page: Path, name: str, text: str) -> None:
    """Put a text where the page has `<!-- name -->`, in the place of what was there before."""
    mark = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    old = page.read_text(encoding="utf-8")
    new, found = mark.subn(lambda match: f"{match[1]}{text}\n{match[2]}", old)
    if found != 1:
        raise ValueError(f"{page.name} has {found} places for {name}")
    page.write_text(new, encoding="utf-8")
