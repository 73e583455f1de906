"""The files of a bulk command: the orders that go in, the tables that come out."""

import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from attrs import frozen

from clickpost_async import bulk
from clickpost_async.bulk import ColumnMap, ColumnMapError, OrderRow
from clickpost_async.bulk.results import ResultsFile
from clickpost_async.files.reader import Format

REJECTED = 3


def print_message(words: object) -> None:
    """Tell people something that is not the output."""
    print(words, file=sys.stderr, flush=True)


@frozen
class Part:
    """One of `count` parts of a file, the first being number 1, for a feeder of its own."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2/8`, or end with what is wrong with it."""
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise SystemExit(f"--part {text}: a part is written as 2/8, the second of eight")
        return cls(int(found[1]), int(found[2]))

    def has(self, row: OrderRow) -> bool:
        """Tell whether an order is in this part; all rows of a reference number are in the same."""
        name = str(row.number) if row.reference is None else row.reference
        return zlib.crc32(name.encode("utf-8", "replace")) % self.count == self.number - 1


@frozen
class Source:
    """A file of orders, and how it is read."""

    file: Path
    format: Format | None = None
    columns: ColumnMap | None = None
    part: Part | None = None

    @classmethod
    def of(
        cls,
        file: Path,
        format: Format | None,  # noqa: A002 - the word people look for
        columns: str | None,
        part: str | None = None,
    ) -> Self:
        """Look at what was asked for, or end with what is wrong with it."""
        if not (file.is_file() or str(file) == "-"):
            raise SystemExit(f"{file}: there is no such file")
        try:
            column_map = None if columns is None else ColumnMap.load(columns)
            return cls(file, format, column_map, None if part is None else Part.parse(part))
        except ColumnMapError as error:
            raise SystemExit(str(error)) from None

    @property
    def is_stream(self) -> bool:
        """Whether it can be read only once."""
        return str(self.file) == "-"

    def rows(self) -> Iterator[OrderRow]:
        """Read the orders."""
        opened = sys.stdin.buffer if self.is_stream else self.file
        rows = bulk.read_orders(opened, format=self.format, columns=self.columns)
        return rows if self.part is None else filter(self.part.has, rows)

    def count(self) -> int | None:
        """Count the orders, if they can be read once more."""
        return None if self.is_stream else sum(1 for _ in self.rows())


def tables(
    stack: ExitStack, results: Path | None, errors: Path | None
) -> tuple[ResultsFile | None, ResultsFile | None]:
    """Open the tables that were asked for, or end with what is wrong with them."""
    opened: list[ResultsFile | None] = []
    for path in (results, errors):
        try:
            opened.append(None if path is None else stack.enter_context(ResultsFile(path)))
        except OSError as error:
            raise SystemExit(f"{path}: {error.strerror}") from None
    return opened[0], opened[1]


def check(source: Source) -> int:
    """Print every mistake of a file with its row and column; returns the exit code."""
    orders = wrong = 0
    for _, problems in bulk.check(source.rows()):
        orders += 1
        wrong += bool(problems)
        for problem in problems:
            print(problem)
    print_message(f"{orders} orders, {wrong} with mistakes")
    return REJECTED if wrong else 0
