"""The ratios as bars, one panel for each scenario, and their history as lines, by matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

COLUMNS = 2
LONGEST = 4.0  # of the base: one bar beyond that would make dots of all others
LETTERS = 11  # points; the pages of the documentation show a chart at two thirds of its size
OURS, OTHERS, BASE = "#2a7f62", "#b8bec4", "#7d8791"


def require() -> None:
    """Find out before the measuring, and not after it.

    :raises RuntimeError: which says what to install.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RuntimeError(
            "a chart needs matplotlib: pip install matplotlib, or leave --chart away"
        ) from None


def draw(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw all scenarios; the suffix of the path (``.png``, ``.svg``) is the format.

    :param results: the scenarios' parts of the JSON, by their names.
    """
    panels = [*results.values()]
    bars = [max(len(panel["peers"]) for panel in row) for row in _rows(panels)]
    heights = [1.1 + 0.3 * each for each in bars]
    with _style():
        grid = _grid(heights, path)
        for axes, panel in zip(grid.axes, panels, strict=False):
            _draw_panel(axes, panel)
        grid.save(len(panels))


def draw_history(entries: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw how the ratios of gnet's processor time have gone from run to run.

    :param entries: the lines of the history, see :mod:`benchmarks.history`.
    """
    panels: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for number, entry in enumerate(entries):
        for scenario, peers in entry["scenarios"].items():
            for peer, measured in peers.items():
                if peer.startswith("gnet") and "cpu_ratio" in measured:
                    lines = panels.setdefault(f"{scenario}, to {measured['base']}", {})
                    lines.setdefault(peer, []).append((number, measured["cpu_ratio"]))
    commits = [str(entry["commit"]) for entry in entries]
    with _style():
        grid = _grid([2.6 for _ in _rows(panels)], path)
        for axes, (title, lines) in zip(grid.axes, panels.items(), strict=False):
            _draw_lines(axes, title, lines, commits)
        grid.save(len(panels))


def _rows(panels: Iterable[Any]) -> list[list[Any]]:
    every = [*panels]
    return [every[first : first + COLUMNS] for first in range(0, len(every), COLUMNS)]


def _style() -> Any:
    from matplotlib import rc_context

    # The same results give the same file, so that a chart in a repository changes with them only.
    return rc_context({"svg.hashsalt": "gnet", "svg.fonttype": "none", "font.size": LETTERS})


class _Grid:
    """A figure of panels, and where it is written."""

    def __init__(self, figure: Any, axes: list[Any], path: Path) -> None:
        self.axes = axes
        self._figure = figure
        self._path = path

    def save(self, used: int) -> None:
        for axes in self.axes[used:]:
            axes.set_axis_off()
        metadata = {"Date": None} if self._path.suffix == ".svg" else None
        self._figure.savefig(self._path, dpi=110, metadata=metadata)


def _grid(heights: Sequence[float], path: Path) -> _Grid:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.6 * COLUMNS, sum(heights)), layout="constrained")
    axes = figure.subplots(
        len(heights), COLUMNS, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    return _Grid(figure, [*axes.flat], path)


def _draw_panel(axes: Any, panel: dict[str, Any]) -> None:
    names = [*panel["peers"]]
    peers = [panel["peers"][name] for name in names]
    medians = [peer["ratio"]["median"] for peer in peers]
    spreads = [peer["ratio"] for peer in peers]
    below = [spread["median"] - spread["min"] for spread in spreads]
    above = [spread["max"] - spread["median"] for spread in spreads]
    axes.barh(names, medians, color=[_colour(name, panel["base"]) for name in names])
    axes.errorbar(medians, names, xerr=[below, above], fmt="none", ecolor="#555555", lw=0.8)
    axes.axvline(1, color=BASE, lw=0.8, ls=":")
    axes.set_yticks(range(len(names)), [_label(*each, panel) for each in zip(names, peers)])
    axes.invert_yaxis()
    longest = max(spread["max"] for spread in spreads)
    axes.set_xlim(0, 1.05 * min(LONGEST, longest))
    axes.set_title(fill(panel["title"], 42), fontsize=LETTERS + 1, loc="left")
    better = "" if panel["more_is_better"] else " (less is better)"
    axes.set_xlabel(f"ratio to {panel['base']}{better}")
    axes.spines[["top", "right"]].set_visible(False)


def _label(name: str, peer: dict[str, Any], panel: dict[str, Any]) -> str:
    """Who it is, and how it did: the ratio; where less is better, the value as well."""
    ratio = f"{peer['ratio']['median']:.2f}"
    if panel["more_is_better"]:
        return f"{name}  {ratio}"
    return f"{name}  {peer['value']['median']:,.0f} {panel['unit']}  {ratio}"


def _draw_lines(
    axes: Any, title: str, lines: dict[str, list[tuple[int, float]]], commits: list[str]
) -> None:
    for peer, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", ms=4, lw=1.2, label=peer)
    axes.axhline(1, color=BASE, lw=0.8, ls=":")
    highest = max(ratio for points in lines.values() for _, ratio in points)
    axes.set_ylim(0, 1.15 * max(1.0, highest))
    axes.set_xlim(-0.5, len(commits) - 0.5)
    axes.set_xticks(range(len(commits)), commits, rotation=30, ha="right", fontsize=LETTERS - 3)
    axes.set_title(fill(title, 42), fontsize=LETTERS + 1, loc="left")
    axes.set_ylabel("processor time")
    axes.legend(fontsize=LETTERS - 2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(name: str, base: str) -> str:
    if name.startswith("gnet"):
        return OURS
    return BASE if name == base else OTHERS
