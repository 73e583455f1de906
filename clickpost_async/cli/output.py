"""Shows answers: a table on a terminal, JSON where the output goes on into another program."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from clickpost_async._codec.converter import unstructure
from clickpost_async.errors import ClickPostError, CredentialsError, InvalidRequestError, Outcome


def show(answer: object) -> None:
    """Write an answer to standard output."""
    data = unstructure(answer)
    if not sys.stdout.isatty():
        print(json.dumps(data, ensure_ascii=False, default=str))
        return
    # What merchants and couriers write is shown as it is, brackets and colons too.
    console = Console(markup=False, emoji=False)
    rows = data.get("rows") if isinstance(data, Mapping) else None
    if isinstance(rows, list) and rows:
        console.print(_grid(rows))
    else:
        console.print(_card(data))


def failed(error: ClickPostError) -> int:
    """Say what went wrong and what to do; returns the exit code.

    2 the call was wrong, 3 the key was, 4 nobody knows what became of it, 5 nothing was processed,
    1 it was refused.
    """
    print(f"{error}\n{error.advice}", file=sys.stderr)
    if isinstance(error, InvalidRequestError):
        return 2
    if isinstance(error, CredentialsError):
        return 3
    return {Outcome.UNKNOWN: 4, Outcome.NOT_SENT: 5, Outcome.REJECTED: 1}[error.outcome]


def _card(data: Any) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column()
    for name, value in data.items() if isinstance(data, Mapping) else {"": data}.items():
        table.add_row(str(name), _cell(value))
    return table


def _grid(rows: list[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*names)
    for row in rows:
        table.add_row(*(_cell(row.get(name, "")) for name in names))
    return table


def _cell(value: Any) -> str:
    plain = isinstance(value, str | int | float | None)
    return ("" if value is None else str(value)) if plain else json.dumps(value, default=str)
