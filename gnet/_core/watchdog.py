"""Limits on what a peer may cost: bytes that wait for it, and deadlines.

A deadline is a timer of :mod:`gnet._loop.timers`, so ten thousand of them share one watcher.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import ref

from .._loop.timers import IdleTimer, IdleTimers
from .._values import arguments
from ..errors import DeadlineError

__all__ = ["Limits", "Watchdog", "limits"]

#: What the objects around queued bytes may take whatever the ``write_limit``: those of 128.
LEAST_OVERHEAD = 16384

WHEN_OVER = ("block", "raise", "destroy")


class Limits(NamedTuple):
    """The limits of a socket, or of all sockets of a server; times in seconds.

    :ivar write_limit: so many bytes may be queued by ``write()``, and so many taken by the objects
        around them.
    :ivar when_over: what becomes of a ``write()`` beyond that.
    :ivar first_byte_timeout: the peer must have sent something by then.
    :ivar write_timeout: the peer must have taken something of what is queued by then.
    :ivar lifetime: the connection is over by then.
    """

    write_limit: int | None = None
    when_over: str = "destroy"
    first_byte_timeout: float | None = None
    write_timeout: float | None = None
    lifetime: float | None = None


NO_LIMITS = Limits()


def limits(
    write_limit: int | None,
    when_over: str,
    first_byte_timeout: float | None,
    write_timeout: float | None,
    lifetime: float | None,
) -> Limits | None:
    """The validated limits; ``None`` where there is none."""
    if write_limit is not None:
        arguments.integer("write_limit", write_limit, 1, 2**62)
    if not isinstance(when_over, str):
        raise arguments.wrong_kind("when_over", when_over, "a str")
    if when_over not in WHEN_OVER:
        raise arguments.wrong_value("when_over", when_over, "'block', 'raise' or 'destroy'")
    made = Limits(
        write_limit,
        when_over,
        arguments.seconds("first_byte_timeout", first_byte_timeout),
        arguments.seconds("write_timeout", write_timeout),
        arguments.seconds("lifetime", lifetime),
    )
    return None if made._replace(when_over=NO_LIMITS.when_over) == NO_LIMITS else made


class _Deadline:
    """One deadline of a socket: what the timer tells when it is over."""

    __slots__ = ("__weakref__", "_name", "_socket", "_timer", "seconds")

    def __init__(
        self, timers: IdleTimers, socket: ref[Any], name: str, seconds: float, spent: float
    ) -> None:
        self._socket = socket
        self._name = name
        self.seconds = seconds
        self._timer = IdleTimer(timers, self, max(0.0, seconds - spent))

    def touch(self) -> None:
        self._timer.touch()

    def cancel(self) -> None:
        self._timer.cancel()

    def _idle_expired(self) -> None:
        socket = self._socket()
        if socket is None or (self._name == "first_byte_timeout" and socket._has_been_spoken_to()):
            return
        socket._fail(DeadlineError(self._name, self.seconds))


class Watchdog:
    """Watches over one socket's limits.

    :ivar limits: the limits.
    :ivar turns: the ``write()`` calls that are blocked until there is room, in their order.
    """

    __slots__ = ("_deadlines", "_socket", "limits", "turns")

    def __init__(self, socket: Any, limits: Limits) -> None:
        self._socket = ref(socket)
        self.limits = limits
        self.turns: list[object] = []
        self._deadlines: dict[str, _Deadline] = {}

    def _start(self, name: str, seconds: float | None, spent: float = 0.0) -> None:
        if seconds is not None:
            self.cancel(name)
            socket = self._socket()
            # A socket may belong to another loop than before, in a forked child for example.
            timers = socket._loop.timers  # type: ignore[union-attr]
            self._deadlines[name] = _Deadline(timers, self._socket, name, seconds, spent)

    def connecting(self, seconds: float | None) -> None:
        """A connection is being made."""
        self._start("connect_timeout", seconds)

    def opened(self) -> None:
        """The connection is made."""
        self.cancel("connect_timeout")
        self._start("first_byte_timeout", self.limits.first_byte_timeout)
        self._start("lifetime", self.limits.lifetime)

    def lived(self, seconds: float) -> None:
        """The connection was there for so long before it was let in."""
        self._start("lifetime", self.limits.lifetime, seconds)

    def stalled(self) -> None:
        """Something waits for the peer to take it, or still does."""
        if "write_timeout" not in self._deadlines:
            self._start("write_timeout", self.limits.write_timeout)

    def progressed(self) -> None:
        """The peer has taken something."""
        stalled = self._deadlines.get("write_timeout")
        if stalled is not None:
            stalled.touch()

    def unstalled(self) -> None:
        """Nothing waits for the peer any more."""
        self.cancel("write_timeout")

    def over(self, size: int, overhead: int) -> bool:
        """Whether so many bytes, or what they take beside that, are too much to be queued."""
        limit = self.limits.write_limit
        return limit is not None and (size > limit or overhead > max(limit, LEAST_OVERHEAD))

    def in_force(self) -> dict[str, float]:
        """The deadlines that are running, in seconds."""
        return {name: each.seconds for name, each in list(self._deadlines.items())}

    def cancel(self, name: str) -> None:
        """Drop a deadline, if there is that one."""
        deadline = self._deadlines.pop(name, None)
        if deadline is not None:
            deadline.cancel()

    def stop(self) -> None:
        """The socket has closed."""
        for name in list(self._deadlines):
            self.cancel(name)
