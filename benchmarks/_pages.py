"""The pages that show what was measured; a full run fills every place in them anew."""

from pathlib import Path

from benchmarks import (
    _targets,
    bulk,
    codec,
    fleet_rate,
    gather,
    imports,
    limited,
    limiters,
    single,
    where,
)
from benchmarks._child import ROOT
from benchmarks._figures import Figures, Part
from benchmarks._tables import Column, put, table

COLUMNS = {
    "gather": gather.COLUMNS,
    "single": single.COLUMNS,
    "where": where.COLUMNS,
    "codec": codec.COLUMNS,
    "limiters": limiters.COLUMNS,
    "limited": limited.COLUMNS,
    "bulk": bulk.COLUMNS,
    "imports": imports.COLUMNS,
    "fleet_rate": fleet_rate.COLUMNS,
}
# The last is a script of its own, which prints its table.
PARTS = (*COLUMNS, "web")

_FIRST = (
    *(gather.PLAIN, gather.FAST, gather.FAST_UVLOOP, gather.OBVIOUS, gather.OBVIOUS_2),
    *(gather.SCRIPT, gather.SCRIPT_UVLOOP),
)
_FIRST_COLUMNS = (
    Column("CPU µs/order", "cpu_us"),
    Column("orders/s", "per_second"),
    Column("peak MB", "peak_mb"),
)

_PICTURE = """\
<picture>
  <source media="(prefers-color-scheme: dark)" srcset="{folder}/gather-{what}-dark.png">
  <img alt="{alt}" src="{folder}/gather-{what}-light.png">
</picture>
"""
_CPU = "What an order costs the processor, from 1,000 gathered at once to 50,000"
_MEMORY = "What memory a process takes at most, from 1,000 orders gathered at once to 50,000"


def everything(figures: Figures) -> str:
    """Write all tables; the targets first, if there is something that can be held to them."""
    parts = [_part(name, figures.parts[name]) for name in PARTS if name in figures.parts]
    quick = any(part.quick for part in figures.parts.values())
    return "\n\n".join(parts if quick else [_targets.table(figures), *parts])


def fill(figures: Figures, root: Path = ROOT) -> None:
    """Put what was measured into the README, and into that of the benchmarks."""
    own = root / "benchmarks" / "README.md"
    put(own, "targets", _targets.table(figures))
    for name, part in figures.parts.items():
        pictures = ""
        if name == "gather":
            pictures = _picture("results", "cpu", _CPU) + _picture("results", "peak", _MEMORY)
        put(own, name, pictures + _part(name, part))
    if "gather" in figures.parts:
        put(root / "README.md", "figures", _first(figures.parts["gather"]))


def _first(part: Part) -> str:
    chosen = [
        row
        for name in _FIRST
        for row in part.rows
        if row.labels == {"orders": 10_000, "client": name}
    ]
    picture = _picture("benchmarks/results", "cpu", _CPU)
    return f"{picture}{table(chosen, _FIRST_COLUMNS)}\n\n{_where(part)}"


def _picture(folder: str, what: str, alt: str) -> str:
    return _PICTURE.format(folder=folder, what=what, alt=alt) + "\n"


def _part(name: str, part: Part) -> str:
    text = part.printed or table(part.rows, COLUMNS[name])
    return f"{text}\n\n{_where(part)}"


def _where(part: Part) -> str:
    """Tell when and on what it was measured, and with which versions."""
    machine = part.machine
    libraries = ", ".join(f"{name} {version}" for name, version in part.versions.items())
    return (
        f"{part.when}, {machine['system']}, {machine['cores']} cores of {machine['processor']},"
        f" {machine['python']}; {libraries}. Medians (lowest–highest) of the rounds."
    )
