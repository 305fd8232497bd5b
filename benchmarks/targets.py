"""What gnet promises about its speed, and whether a run has kept it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .report import Spread

Results = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Reading:
    """One series of measurements: a value of a peer in each round of a scenario."""

    scenario: str
    peer: str
    key: str = "value"

    def values(self, results: Results) -> list[float] | None:
        """The values, or ``None`` where it was not measured."""
        result = results.get(self.scenario)
        if result is None or self.peer not in result["peers"]:
            return None
        runs = result["peers"][self.peer]["runs"]
        if self.key == "value":
            return [run[result["value"]] for run in runs]
        return [KEYS[self.key](run) for run in runs]


KEYS: dict[str, Callable[[dict[str, Any]], float]] = {
    "p99": lambda run: run["latency_us"]["p99"],
    "cpu": lambda run: run["cpu_us_per_message"],
}


@dataclass(frozen=True)
class Target:
    """A bound on one reading in terms of another.

    :ivar ours: what is bound.
    :ivar theirs: what it is compared with.
    :ivar bound: of the ratio, or of the difference.
    :ivar at_least: whether the bound is a lower one.
    :ivar difference: whether it bounds the difference, in the reading's unit.
    """

    ours: Reading
    theirs: Reading
    bound: float
    at_least: bool = True
    difference: bool = False

    def measured(self, results: Results) -> Spread | None:
        """The ratio or difference, round by round, or ``None`` where one was not measured."""
        ours, theirs = self.ours.values(results), self.theirs.values(results)
        if ours is None or theirs is None:
            return None
        pairs = zip(ours, theirs, strict=True)
        return Spread.of([a - b if self.difference else a / b for a, b in pairs])

    def met(self, spread: Spread) -> bool:
        """Whether the median keeps the bound."""
        return spread.median >= self.bound if self.at_least else spread.median <= self.bound


def _faster(scenarios: str, peer: str, **bounds: float) -> Iterator[Target]:
    """At least these multiples of other peers' values."""
    for scenario in scenarios.split():
        for other, bound in bounds.items():
            theirs = Reading(scenario, other.replace("_", "-"))
            yield Target(Reading(scenario, peer), theirs, bound)


def _smaller(scenario: str, peer: str, other: str, bound: float, key: str = "value") -> Target:
    """At most this multiple of another peer's value."""
    return Target(Reading(scenario, peer, key), Reading(scenario, other, key), bound, False)


TARGETS = (
    *_faster("echo-1k-10 echo-1k-1000", "gnet-event", uvloop_protocol=0.95, node=1.4, gevent=1.7),
    *_faster("echo-10k-10 echo-100k-10 echo-1m-10", "gnet-event", uvloop_protocol=0.95, node=1.3),
    *_faster("echo-1k-10", "gnet-blocking", gevent=1.35, asyncio_streams=1.0, uvloop_streams=0.95),
    *_faster("echo-1k-1000", "gnet-blocking", gevent=1.3),
    *_faster("proxy", "gnet-pipe", node_pipe=1.3, c_splice=0.9),
    *_faster("churn", "gnet-event", gevent=1.2),
    *_faster("churn", "gnet-blocking", gevent=1.0),
    _smaller("memory", "gnet-event", "uvloop-protocol", 1.2),
    _smaller("memory", "gnet-blocking", "gevent", 1.0),
    *_faster("sink-100k", "gnet-onread", gnet_event=1.2),
    _smaller("echo-1k-1000", "gnet-event", "uvloop-protocol", 1.3, "p99"),
    Target(Reading("import", "gnet"), Reading("import", "gevent"), 25.0, False, True),
    Target(
        Reading("echo-1k-10000", "gnet-event", "cpu"),
        Reading("echo-1k-10", "gnet-event", "cpu"),
        2.0,
        False,
    ),
)


def _row(target: Target, spread: Spread) -> str:
    ours, theirs = target.ours, target.theirs
    key = "" if ours.key == "value" else f" {ours.key}"
    over = theirs.peer if theirs.scenario == ours.scenario else theirs.scenario
    bound = f"{'>=' if target.at_least else '<='} {target.bound:g}"
    return (
        f"{ours.scenario + key:18}{ours.peer:15}{'minus ' if target.difference else 'to '}"
        f"{over:18}{bound:>8}  {spread!s:>22}  {'met' if target.met(spread) else 'MISSED'}"
    )


def table(results: Results) -> str:
    """Each target that the results tell something about: bound, median, spread, verdict."""
    measured = ((target, target.measured(results)) for target in TARGETS)
    return "\n".join(_row(target, spread) for target, spread in measured if spread)
