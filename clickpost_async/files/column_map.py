"""What a foreign file calls our columns, from a TOML file.

extends = "shopify"          # begin with a ready-made map, or with another file
ignore_others = true         # columns that are neither ours nor named here are left out

[columns]                    # a column of the file = ours
"Ship To PIN" = "drop_pincode"

[fixed]                      # where the file has no such column, or leaves the cell empty
pickup_pincode = "560001"
weight = 500

[values.order_type]          # a value of the file = ours, whatever its capitals
"cash on delivery" = "COD"
"*" = "PREPAID"              # all others

[first]                      # so many characters of a value are used
invoice_date = 10
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self

from attrs import evolve, field, frozen

from clickpost_async.files.header import UnknownColumnError, find_column, fold

# A file that extends itself, by way of others, is found out here.
_MOST_PARENTS = 10

_OTHERS = "*"


class ColumnMapError(ValueError):
    """A map that cannot be used; the message names the file, the entry, and what to do."""


@frozen(kw_only=True)
class ColumnMap:
    """How the columns of a foreign file become ours.

    `columns`: its names to ours. `fixed`: what our columns hold where the file says nothing.
    `values`: by our column, its values to ours, `*` for all others. `first`: by our column, how
    many characters of a value are used; `without`: what is taken out of it. `ignore_others`: leave
    out columns that nobody knows.
    """

    columns: dict[str, str] = field(factory=dict)
    fixed: dict[str, str] = field(factory=dict)
    values: dict[str, dict[str, str]] = field(factory=dict)
    first: dict[str, int] = field(factory=dict)
    without: dict[str, tuple[str, ...]] = field(factory=dict)
    ignore_others: bool = False

    @classmethod
    def load(cls, name: str | os.PathLike[str]) -> Self:
        """Read a map from a TOML file, or a ready-made one by its name: `shopify`, `unicommerce`.

        Raises:
            ColumnMapError: the file is not there, is not TOML, or has an entry nobody knows.

        """
        return cls._load(str(name), Path(), _MOST_PARENTS)

    @classmethod
    def _load(cls, name: str, beside: Path, parents: int) -> Self:
        ready = resources.files("clickpost_async.files") / "exports" / f"{name}.toml"
        is_ready = name.isidentifier() and ready.is_file()
        try:
            text = ready.read_text() if is_ready else (beside / name).read_text("utf-8-sig")
            entries = tomllib.loads(text)
        except OSError as error:
            raise ColumnMapError(f"{name}: {error.strerror}") from None
        except ValueError as error:
            raise ColumnMapError(f"{name}: not TOML: {error}") from None
        parent = entries.pop("extends", None)
        if parent is not None and not parents:
            raise ColumnMapError(f"{name}, extends: too many maps extend each other")
        here = beside if is_ready else (beside / name).parent
        base = cls() if parent is None else cls._load(str(parent), here, parents - 1)
        try:
            return base.extend(**entries)
        except (TypeError, AttributeError, ValueError) as error:
            raise ColumnMapError(f"{name}: {_advice(error)}") from None

    def extend(
        self,
        *,
        columns: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
        values: Mapping[str, Mapping[str, Any]] | None = None,
        first: Mapping[str, Any] | None = None,
        without: Mapping[str, Iterable[str]] | None = None,
        ignore_others: bool | None = None,
    ) -> Self:
        """Return this map with further entries, as a file has them, which go before its own."""
        return evolve(
            self,
            columns=self.columns
            | {theirs: _check_own_name(ours) for theirs, ours in (columns or {}).items()},
            fixed=self.fixed
            | {_check_own_name(ours): _cell(value) for ours, value in (fixed or {}).items()},
            values=self.values
            | {_check_own_name(ours): _table(table) for ours, table in (values or {}).items()},
            first=self.first
            | {_check_own_name(ours): int(length) for ours, length in (first or {}).items()},
            without=self.without
            | {_check_own_name(ours): tuple(parts) for ours, parts in (without or {}).items()},
            ignore_others=self.ignore_others if ignore_others is None else ignore_others,
        )

    def has_translation(self, ours: str) -> bool:
        """Tell whether cells of this column of ours are to be put into our words."""
        return ours in self.first or ours in self.without or ours in self.values

    def translate(self, ours: str, cell: str) -> str:
        """Return what a cell of the file says in our words."""
        if ours in self.first:
            cell = cell.lstrip()[: self.first[ours]]
        for part in self.without.get(ours, ()):
            cell = cell.replace(part, "")
        table = self.values.get(ours)
        if table is None or not cell.strip():
            return cell
        return table.get(_fold_names(cell), table.get(_OTHERS, cell))


def _check_own_name(name: object) -> str:
    try:
        return find_column(str(name)).name
    except UnknownColumnError as error:
        raise UnknownColumnError(f"{name}: {error}") from None


def _table(values: Mapping[str, Any]) -> dict[str, str]:
    return {_fold_names(theirs): _cell(ours) for theirs, ours in values.items()}


def _cell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fold_names(value: str) -> str:
    return fold(value) or value


def _advice(error: Exception) -> str:
    if isinstance(error, UnknownColumnError):
        return str(error)
    return (
        "its entries are extends, ignore_others, [columns], [fixed], [values.…], [first], [without]"
    )
