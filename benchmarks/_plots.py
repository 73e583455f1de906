"""Lines over the number of orders that are gathered, for pages that are light and dark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks._figures import Figures
from benchmarks.gather import FAST, PLAIN


@frozen
class Theme:
    """The colours of a page; ours stand out, the others are distinguished by their labels."""

    name: str
    paper: str
    ink: str
    faint: str
    ours: Mapping[str, str]
    other: str


_THEMES = (
    Theme("light", "#ffffff", "#1f2328", "#d1d9e0", {PLAIN: "#0969da", FAST: "#1a7f37"}, "#818b98"),
    Theme("dark", "#0d1117", "#f0f6fc", "#30363d", {PLAIN: "#58a6ff", FAST: "#3fb950"}, "#8b949e"),
)
# What of the height one label takes.
_LABEL = 0.062


def draw(figures: Figures, folder: Path) -> None:
    """Draw what an order costs, and what memory it takes, into PNG files."""
    for theme in _THEMES:
        for figure, title in (
            ("cpu_us", "CPU per order (µs, user and system)"),
            ("peak_mb", "Peak memory of the process (MB)"),
        ):
            name = figure.partition("_")[0]
            _draw(figures, figure, title, theme, folder / f"gather-{name}-{theme.name}.png")


def _draw(figures: Figures, figure: str, title: str, theme: Theme, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    lines = _lines(figures, figure)
    canvas, axes = plt.subplots(figsize=(9, 4.5), dpi=110, facecolor=theme.paper)
    axes.set_facecolor(theme.paper)
    axes.set_xscale("log")
    sizes = sorted({size for line in lines.values() for size, _ in line})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], color=theme.ink)
    axes.minorticks_off()
    axes.set_title(title, loc="left", color=theme.ink, fontsize=12)
    axes.set_xlabel("orders gathered at once", color=theme.ink)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(colors=theme.ink, length=0)
    axes.grid(axis="y", color=theme.faint, linewidth=0.8)
    for side in axes.spines.values():
        side.set_visible(False)
    highest = max(value for line in lines.values() for _, value in line) * 1.05
    axes.set_ylim(0, highest)
    places = _apart({name: line[-1][1] for name, line in lines.items()}, highest * _LABEL)
    for name, line in lines.items():
        colour = theme.ours.get(name, theme.other)
        axes.plot(
            *zip(*line, strict=True),
            color=colour,
            linewidth=2.6 if name in theme.ours else 1.6,
            marker="o",
            markersize=4.5,
        )
        axes.annotate(
            f"{name}  {line[-1][1]:,.0f}",
            xy=line[-1],
            xytext=(sizes[-1] * 1.12, places[name]),
            textcoords="data",
            color=colour if name in theme.ours else theme.ink,
            fontsize=9,
            fontweight="bold" if name in theme.ours else "normal",
            verticalalignment="center",
            annotation_clip=False,
        )
    canvas.savefig(path, bbox_inches="tight", facecolor=theme.paper)
    plt.close(canvas)


def _lines(figures: Figures, figure: str) -> Mapping[str, Sequence[tuple[int, float]]]:
    """Return a line for every client that was measured at several sizes, or at the only one."""
    clients: dict[str, dict[int, Any]] = {}
    for row in figures.rows("gather"):
        if row.found:
            size, client = row.labels["orders"], row.labels["client"]
            value = figures.median("gather", figure, orders=size, client=client)
            clients.setdefault(client, {})[size] = value
    several = {size for line in clients.values() for size in line}
    return {
        client: sorted(line.items())
        for client, line in clients.items()
        if len(line) == len(several)
    }


def _apart(values: Mapping[str, float], distance: float) -> Mapping[str, float]:
    """Move labels up until none stands on another."""
    places: dict[str, float] = {}
    lowest = distance / 2
    for name, value in sorted(values.items(), key=lambda item: item[1]):
        places[name] = max(value, lowest)
        lowest = places[name] + distance
    return places
