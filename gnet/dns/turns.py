"""Long work in a greenlet, in turns with everything else."""

from __future__ import annotations

from time import monotonic

import gevent

# gevent gives its callbacks 5 ms before it looks for events, on top of this.
_LONGEST_TURN = 0.002


class Turns:
    """The turns of one greenlet that has much to do.

    Looking at the clock costs some 50 ns: once for every few microseconds of work is enough.
    """

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = monotonic()

    def pause(self) -> None:
        """Let the others run, if this turn has been long enough."""
        if monotonic() - self._since > _LONGEST_TURN:
            gevent.sleep(0)
            self._since = monotonic()
