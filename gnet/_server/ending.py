"""How each time that a server listens comes to its end."""

from __future__ import annotations

from collections.abc import Set
from time import monotonic

from gevent.event import Event

from .._loop.timers import wait_patiently
from .._socket.socket import Socket
from .connections import Connections

__all__ = ["Ending"]


class Ending:
    """How often a server has listened, whether that is ending, and who waits for it.

    :param connections: the open connections of the server.
    :ivar closing: whether it listens no more, and its ``'close'`` waits for connections.
    :ivar period: how often it has listened.
    :ivar closed_period: which of these times was the last to emit its ``'close'``.
    :ivar drained: what a shutdown waits in for one connection less; ``None``: none does.
    :ivar leaving: the connections whose listeners are in ``shutdown()``.
    """

    __slots__ = ("_connections", "closed_period", "closing", "drained", "leaving", "period")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.drained: Event | None = None
        self.closing = False
        self.period = 0
        self.closed_period = -1
        self.leaving: set[Socket] = set()

    def begin(self) -> None:
        """The server listens."""
        self.closing = False
        self.period += 1

    @property
    def is_ahead(self) -> bool:
        """Whether the server has listened, and the ``'close'`` of that is still to come."""
        return self.closing or 0 < self.period > self.closed_period

    def wait(self, limit: float | None, leaving: Set[Socket] = frozenset()) -> set[Socket]:
        """Block until the connections have closed; gives those that are left after the limit.

        :param limit: in seconds; ``None`` for no limit.
        :param leaving: those not to wait for.
        """
        deadline = None if limit is None else monotonic() + limit
        while left := set(self._connections) - leaving:
            seconds = None if deadline is None else max(0.0, deadline - monotonic())
            if self.drained is None:
                self.drained = Event()
            if not wait_patiently(self.drained, seconds):
                return set(self._connections) - leaving
        return left

    def wake(self) -> None:
        """A shutdown may have one connection less to wait for."""
        drained, self.drained = self.drained, None
        if drained is not None:
            drained.set()

    def forget(self) -> None:
        """Nobody waits any more, nor is there a ``'close'`` to come."""
        self.closing = False
        if self.period:
            self.closed_period = self.period
        self.leaving.clear()
        self.drained = None
