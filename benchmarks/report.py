"""Medians, ratios to a base with their spread, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .runner import Run
from .scenarios import Scenario

#: Ratios are to the first of these that has taken part, where no base was chosen.
BASES = ("uvloop-protocol", "uvloop", "node-pipe", "gevent", "node")

#: The key of a message's cost in a run: microseconds of the processor, of the server's user time
#: and its system time together.
COST = "cpu_us_per_message"

#: Up to this part of a core may go to other programs, and to the inaccuracy of its measurement.
QUIET = 0.15


@dataclass(frozen=True)
class Spread:
    """A median, and how far the single rounds lie from it."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.min:.2f}..{self.max:.2f})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Round by round: what both met in the same minute is compared."""
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True)])


def base_among(names: Sequence[str], chosen: str | None) -> str:
    """The peer that the others are compared with."""
    return next(name for name in (chosen or "", *BASES, *names) if name in names)


def results(scenario: Scenario, runs: dict[str, list[Run]], chosen: str | None) -> dict[str, Any]:
    """One scenario's part of the JSON.

    :param runs: each peer's, all of the same number of rounds, and at least one peer's.
    :param chosen: the base, where it has taken part.
    """
    base = base_among([*runs], chosen)
    values = {name: [run[scenario.value] for run in theirs] for name, theirs in runs.items()}
    costs = {name: [run.get(COST) for run in theirs] for name, theirs in runs.items()}
    peers = {
        name: {
            "value": asdict(Spread.of(values[name])),
            "ratio": asdict(ratios(values[name], values[base])),
            **_cost(costs[name], costs[base]),
            "runs": theirs,
        }
        for name, theirs in runs.items()
    }
    return {**asdict(scenario), "base": base, "peers": peers}


def _cost(ours: list[float | None], theirs: list[float | None]) -> dict[str, Any]:
    """What a message costs of the processor, and as a ratio; nothing where nobody measured it."""
    mine = [each for each in ours if each]
    others = [each for each in theirs if each]
    if not mine or not len(mine) == len(others) == len(ours):
        return {}
    return {"cpu_us": asdict(Spread.of(mine)), "cpu_ratio": asdict(ratios(mine, others))}


def _median(runs: list[Run], key: str, form: str) -> str:
    """What the runs have under a key; empty where none has it."""
    found = [run[key] for run in runs if key in run]
    return format(median(found), form) if found else ""


def _row(name: str, peer: dict[str, Any]) -> str:
    runs = peer["runs"]
    latencies = [run["latency_us"] for run in runs if "latency_us" in run]
    cells = (
        f"{name:18}",
        f"{peer['value']['median']:>15,.1f}",
        f"{Spread(**peer['ratio'])!s:>22}",
        f"{_median(latencies, 'p50', ',.0f'):>10}",
        f"{_median(latencies, 'p99', ',.0f'):>10}",
        f"{_median(runs, 'server_cpu', '.0%'):>6}",
        f"{_median(runs, COST, ',.2f'):>10}",
        f"{Spread(**peer['cpu_ratio'])!s:>26}" if "cpu_ratio" in peer else "",
    )
    return "".join(cells).rstrip()


def _head(result: dict[str, Any], under_load: bool) -> str:
    better = "" if result["more_is_better"] else "  (less is better)"
    columns = better
    if under_load:
        cpu = "CPU to " + result["base"]
        columns = f"{'p50 us':>10}{'p99 us':>10}{'busy':>6}{'CPU us':>10}{cpu:>26}"
    return f"{'':18}{result['unit']:>15}{'to ' + result['base']:>22}{columns}"


def table(result: dict[str, Any]) -> str:
    """One scenario in text, and a warning where the machine was not quiet."""
    runs = [run for peer in result["peers"].values() for run in peer["runs"]]
    lines = [
        f"{result['name']}: {result['title']}",
        _head(result, any(COST in run for run in runs)),
        *(_row(*each) for each in result["peers"].items()),
    ]
    others = max(run.get("others_cpu", 0) for run in runs)
    if others > QUIET:
        lines.append(f"Other programs took up to {others:.0%} of a core: do not trust this.")
    return "\n".join(lines)
