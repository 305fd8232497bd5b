"""How long things have taken: counted always, and told to those who record each of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = [
    "DURATION_BOUNDS",
    "SHORT_BOUNDS",
    "Histogram",
    "record",
    "record_later",
    "watchers",
]

#: The upper bounds of a connection's duration, in seconds: those of OpenTelemetry's conventions.
DURATION_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
#: Those of a connect, a handshake and a lookup.
SHORT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class Histogram:
    """How often something has taken how long.

    :param bounds: the upper bounds of the buckets, in seconds.
    :ivar counts: how often each bucket was met; the last one has no bound.
    :ivar seconds: all that was taken.
    """

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds: tuple[float, ...] = bounds
        self.counts: list[int] = [0] * (len(bounds) + 1)
        self.seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """It has taken so long."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds


#: Called, in a greenlet, with the kind of what has ended, the seconds that it has taken, and what
#: else is known of it.
watchers: list[Callable[[str, float, dict[str, Any]], object]] = []


def record_later(
    defer: Callable[[Callable[[], object]], object], kind: str, seconds: float, **labels: Any
) -> None:
    """Have the watchers be told of what has ended, in the next turn of the loop.

    :param defer: the dispatcher's ``defer``.
    """
    if watchers:
        defer(partial(record, kind, seconds, **labels))


def record(kind: str, seconds: float, **labels: Any) -> None:
    """Tell the watchers of what has ended; to be called in a greenlet, which may block."""
    for watcher in list(watchers):
        watcher(kind, seconds, labels)
