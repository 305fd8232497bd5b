"""What the workers' sockets come to: each tells its primary, for :func:`gnet.stats` there."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .._core.dispatcher import Dispatcher
from .._processes.channel import Channel
from .._processes.neighbours import Figures
from .._sight.process import own_stats
from ..errors import late_import

if TYPE_CHECKING:
    from .._values.stats import ProcessStats

__all__ = ["Account", "Reporter"]

#: How often a worker tells, where anything has changed, in seconds.
EVERY_SECONDS = 1.0


class Reporter:
    """In a worker: tells the primary, and keeps no program running by that.

    :param channel: the connection to the primary.
    :param loop: the worker's.
    """

    def __init__(self, channel: Channel, loop: Dispatcher) -> None:
        self._channel = channel
        self._told: ProcessStats | None = None
        self._timer: Any = loop.loop.timer(EVERY_SECONDS, EVERY_SECONDS, ref=False)
        self._timer.start(self._tell)
        # However it ends: what its last second has brought is told, too.
        atexit.register(self._tell)

    def close(self) -> None:
        """Tell no more."""
        atexit.unregister(self._tell)
        self._timer.close()

    def _tell(self) -> None:
        if self._channel.closed:
            return
        # Nobody has asked how late the loop is.
        told = own_stats(look=False)
        if told != self._told:
            self._told = told
            self._channel.post("stats", told=asdict(told))


class Account:
    """In the primary: what the workers have told.

    :ivar figures: all of it. It is replaced as a whole, so that a thread that reads it never sees
        a worker in none of both, or in both.
    """

    def __init__(self) -> None:
        self.figures: Figures = Figures({}, [])

    def told(self, pid: int, told: Mapping[str, Any]) -> None:
        """A worker has told its numbers."""
        with late_import():
            from .._sight.sums import read

        try:
            known = read(told)
        except (TypeError, ValueError, LookupError):
            # It is of a release that counts something else.
            return
        self.figures = self.figures._replace(living={**self.figures.living, pid: known})

    def ended(self, pid: int) -> None:
        """A worker has ended, and has told all that it will."""
        with late_import():
            from .._sight.sums import added, settled

        living = dict(self.figures.living)
        last = living.pop(pid, None)
        if last is not None:
            self.figures = Figures(living, [added([settled(last), *self.figures.ended])])
