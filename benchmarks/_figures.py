"""What was measured, as JSON: every part with its machine, its versions and all its rounds."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from benchmarks._measure import Row


class NotMeasuredError(Exception):
    """There is no such figure."""


@frozen(kw_only=True)
class Part:
    """One part of the benchmarks, when and where it was run; `printed` by a script of its own.

    After a `quick` run it shows only that it can be measured.
    """

    quick: bool
    when: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    rows: Sequence[Row] = ()
    printed: str = ""


@frozen
class Figures:
    """All parts by name."""

    parts: Mapping[str, Part]

    @classmethod
    def read(cls, path: Path) -> "Figures":
        """Read what was written, if anything was."""
        if not path.exists():
            return cls({})
        parts = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            {
                name: Part(**{**part, "rows": [Row(**row) for row in part["rows"]]})
                for name, part in parts.items()
            }
        )

    def write(self, path: Path) -> None:
        """Write all of it."""
        parts = {name: attrs.asdict(part) for name, part in self.parts.items()}
        text = json.dumps(parts, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")

    def rows(self, part: str, **labels: Any) -> Iterator[Row]:
        """Return the rows of a part that have these labels."""
        for row in self.parts[part].rows if part in self.parts else ():
            if labels.items() <= row.labels.items():
                yield row

    def values(self, part: str, figure: str, **labels: Any) -> Sequence[float]:
        """Return a figure of all rounds of the rows that have these labels."""
        found = [v for row in self.rows(part, **labels) for v in row.found.get(figure, ())]
        if not found:
            raise NotMeasuredError(f"{part}: {figure} of {labels}")
        return found

    def median(self, part: str, figure: str, **labels: Any) -> float:
        """Return the median of a figure."""
        return statistics.median(self.values(part, figure, **labels))
