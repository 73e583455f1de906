"""Prints responses: a table on a terminal, JSON where the output is piped or redirected."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from clickpost_async._codec.converter import unstructure
from clickpost_async.errors import ClickPostError, CredentialsError, InvalidRequestError, Outcome


def show(response: object) -> None:
    """Write a response to standard output."""
    data = unstructure(response)
    if not sys.stdout.isatty():
        text = json.dumps(data, ensure_ascii=False, default=str)
        try:
            print(text, flush=True)
        except BrokenPipeError:
            raise
        except OSError:
            # Such as a full disk: the waybill of an order that was created would be lost.
            print(text, file=sys.stderr)
            raise
        return
    # Text of merchants and couriers is printed unchanged: brackets and colons are no markup.
    console = Console(markup=False, emoji=False)
    rows = data.get("rows") if isinstance(data, Mapping) else None
    if isinstance(rows, list) and rows:
        console.print(_grid(rows))
    else:
        console.print(_card(data))


def failed(error: ClickPostError) -> int:
    """Print what went wrong and what to do; returns the exit code.

    1 rejected, 2 invalid request, 3 wrong key, 4 outcome unknown, 5 nothing was processed.
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
