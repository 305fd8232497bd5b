"""How late a loop is: what waits for it waits so much longer than it should."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from .._core.dispatcher import Dispatcher

__all__ = ["lag_of", "rest"]

#: How often the loop is asked, and for how long after a look, in seconds.
EVERY_SECONDS = 0.1
LOOK_SECONDS = 10.0
# The worst of so many measurements is told: those of a second.
SAMPLES = 10


class _Meter:
    """Measures a loop. Its timer keeps no program running."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._timer: Any = None
        self._due = 0.0
        self._until = 0.0
        # Whether the loop was asked to begin, and has not yet.
        self._asked = False

    def look(self) -> float | None:
        """The worst of late, in any thread; measure for a while."""
        self._until = monotonic() + LOOK_SECONDS
        if self._timer is None and not self._asked:
            self._asked = True
            # Which it is where the loop was destroyed just now.
            with suppress(ValueError):
                self._loop.run_callback_threadsafe(self._begin)
        return max(list(self._samples), default=None)

    def _begin(self) -> None:
        self._asked = False
        if self._timer is None:
            self._timer = self._loop.timer(EVERY_SECONDS, EVERY_SECONDS, ref=False)
            self._due = monotonic() + EVERY_SECONDS
            self._timer.start(self._fired, update=True)

    def _fired(self) -> None:
        now = monotonic()
        self._samples.append(max(0.0, now - self._due))
        self._due = now + EVERY_SECONDS
        if now >= self._until:
            self.rest()

    def rest(self) -> None:
        """Measure no more until the next look."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.close()
        # What was measured long before the next look says nothing of it.
        self._samples.clear()


_meters: WeakKeyDictionary[Dispatcher, _Meter] = WeakKeyDictionary()


def rest(loop: Dispatcher) -> None:
    """Measure a loop no more until the next look; in its own thread."""
    meter = _meters.get(loop)
    if meter is not None:
        meter.rest()


def lag_of(loop: Dispatcher) -> float | None:
    """By how many seconds a loop was late; ``None`` before the first measurement."""
    meter = _meters.get(loop)
    if meter is None:
        meter = _meters.setdefault(loop, _Meter(loop.loop))
    return meter.look()
