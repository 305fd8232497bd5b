"""The ratios as bars, one panel for each scenario, by matplotlib."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

COLUMNS = 3
LONGEST = 4.0  # of the base: one bar beyond that would make dots of all others
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
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    panels = [*results.values()]
    rows = -(-len(panels) // COLUMNS)
    bars = max(len(panel["peers"]) for panel in panels)
    # The same results give the same file, so that a chart in a repository changes with them only.
    with rc_context({"svg.hashsalt": "gnet", "svg.fonttype": "none", "font.size": 8}):
        size = (4.2 * COLUMNS, rows * (0.9 + 0.19 * bars))
        figure = Figure(figsize=size, layout="constrained")
        grid = [*figure.subplots(rows, COLUMNS, squeeze=False).flat]
        for axes, panel in zip(grid, panels, strict=False):
            _draw_panel(axes, panel)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_panel(axes: Any, panel: dict[str, Any]) -> None:
    names = [*panel["peers"]]
    ratios = [panel["peers"][name]["ratio"] for name in names]
    medians = [ratio["median"] for ratio in ratios]
    below = [ratio["median"] - ratio["min"] for ratio in ratios]
    above = [ratio["max"] - ratio["median"] for ratio in ratios]
    axes.barh(names, medians, color=[_colour(name, panel["base"]) for name in names])
    axes.errorbar(medians, names, xerr=[below, above], fmt="none", ecolor="#555555", lw=0.8)
    axes.axvline(1, color=BASE, lw=0.8, ls=":")
    labels = [f"{name}  {value:.2f}" for name, value in zip(names, medians, strict=True)]
    axes.set_yticks(range(len(names)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, min(LONGEST, 1.05 * max(ratio["max"] for ratio in ratios)))
    axes.set_title(fill(panel["title"], 48), fontsize=8.5, loc="left")
    better = "" if panel["more_is_better"] else " (less is better)"
    axes.set_xlabel(f"ratio to {panel['base']}{better}")
    axes.spines[["top", "right"]].set_visible(False)


def _colour(name: str, base: str) -> str:
    if name.startswith("gnet"):
        return OURS
    return BASE if name == base else OTHERS
