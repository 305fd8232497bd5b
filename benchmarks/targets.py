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


def _cheaper(scenarios: str, peer: str, **bounds: float) -> Iterator[Target]:
    """At most these multiples of what a message costs other peers of the processor's time."""
    for scenario in scenarios.split():
        for other, bound in bounds.items():
            yield _smaller(scenario, peer, other.replace("_", "-"), bound, "cpu")


def _smaller(scenario: str, peer: str, other: str, bound: float, key: str = "value") -> Target:
    """At most this multiple of another peer's value."""
    return Target(Reading(scenario, peer, key), Reading(scenario, other, key), bound, False)


TARGETS = (
    *_cheaper("echo-1k-10", "gnet-event", uvloop_protocol=0.88, node=0.55, gevent=0.42),
    *_cheaper("echo-1k-1000", "gnet-event", uvloop_protocol=0.9, node=0.65, gevent=0.45),
    *_cheaper("echo-100k-10 echo-1m-10", "gnet-event", uvloop_protocol=0.9, node=0.4, gevent=0.55),
    *_cheaper("churn", "gnet-event", uvloop_protocol=1.05, node=0.65, gevent=0.6),
    *_cheaper("churn", "gnet-blocking", uvloop_streams=0.95, gevent=0.8),
    *_cheaper("echo-1k-10", "gnet-blocking", uvloop_streams=0.7, gevent=0.48),
    *_cheaper("client", "gnet", uvloop=1.0, gevent=0.8),
    *_cheaper("fanout pipelined-10 line", "gnet-event", uvloop_protocol=0.9, node=0.55),
    *_cheaper("echo-1k-10", "gnet-event-pure", uvloop_protocol=1.1),
    *_cheaper("tls-echo-1k", "gnet-event", uvloop_protocol=1.0, node=0.9, gevent=0.65),
    *_cheaper("echo-1k-1000", "gnet-cluster", gnet_event=1.05),
    _smaller("memory", "gnet-event", "uvloop-protocol", 1.0),
    _smaller("memory", "gnet-blocking", "gevent", 0.95),
    _smaller("tls-memory", "gnet-event", "uvloop-protocol", 1.0),
    *_faster("proxy", "gnet-pipe", node_pipe=1.3, c_splice=0.9),
    *_faster("sink-100k", "gnet-onread", gnet_event=1.2),
    _smaller("echo-1k-1000", "gnet-event", "uvloop-protocol", 1.3, "p99"),
    Target(Reading("import", "gnet"), Reading("import", "gevent"), 20.0, False, True),
    Target(
        Reading("echo-1k-10000", "gnet-event", "cpu"),
        Reading("echo-1k-10", "gnet-event", "cpu"),
        1.15,
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
