"""Waiting for a socket: until an event has come, and for no longer than its idle timeout."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gevent.event import AsyncResult

from .._loop.timers import IdleTimer
from .._values import arguments
from ..errors import coded
from .emitter import Listener, fail
from .held import Held
from .host import Host
from .ledger import Ledger
from .states import CLOSED, END_TOLD, FINISH_TOLD, SHUT, UNMADE

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Waiting"]

# Events that never come again once the socket has closed: nobody should wait for them.
_OF_THE_CONNECTION = frozenset(
    (
        "connect", "ready", "data", "end", "finish", "drain", "timeout", "lookup", "pipe",
        "unpipe", "pause", "resume", "secure_connect", "session", "peer_end", "fds",
        "reconnecting",
        "connection_attempt", "connection_attempt_failed", "connection_attempt_timeout",
    )
)  # fmt: skip


class Waiting(Host):
    """A host that can be waited for."""

    __slots__ = ("_active", "_begun", "_ended")

    # When a byte came or went, the connection was begun, and it was over, by time.monotonic();
    # 0.0: not yet.
    _active: float
    _begun: float
    _ended: float

    def _counted(self) -> Ledger:
        """Where what happens to the connection is counted."""
        ledger: Ledger = self._loop.ledger if self.server is None else self.server._ledger
        return ledger

    def _came(self, event: str) -> tuple[Any, ...] | None:
        """What an event that comes once was emitted with, if it was."""
        if (
            (event in ("connect", "ready") and self._receiving != UNMADE)
            or (event == "end" and self._receiving == END_TOLD)
            or (event == "finish" and self._sending == FINISH_TOLD)
        ):
            return ()
        if event == "close" and self._life == CLOSED:
            return (self._error is not None,)
        return None

    def wait(self, event: str, timeout: float | None = None) -> tuple[Any, ...]:
        """Block the calling greenlet until the event is emitted.

        ``'connect'``, ``'ready'``, ``'end'``, ``'finish'`` and ``'close'`` come once: if the
        event has come already, the call returns at once.

        :param event: the name of the event.
        :param timeout: how long to wait at the most, in seconds; ``None`` for no limit.
        :returns: what the event was emitted with.
        :raises TimeoutError: the time is over, or the socket's idle timeout fired and
            ``'timeout'`` has no listener.
        :raises OSError: the connection has failed, or was closed and the event cannot come.
        :raises RuntimeError: the wait could never end, as only this greenlet makes the event
            come.
        """
        self._check_thread()
        came = self._came(event)
        if came is not None:
            return came
        if self._life == CLOSED and event in _OF_THE_CONNECTION:
            self._heard = True
            raise self._closed_error()
        return Held.wait(self, event, timeout)

    def _endings(self, event: str, waiter: AsyncResult[Any]) -> dict[str, Listener]:
        endings = Held._endings(self, event, waiter)
        if event in _OF_THE_CONNECTION:
            endings["close"] = lambda had_error: fail(waiter, self._closed_error())
        return endings

    def _await(self, waiter: AsyncResult[Any], limit: float | None, event: str) -> Any:
        self._touch()
        if self._waits is None:
            self._waits = []
        self._waits.append(waiter)
        try:
            return Held._await(self, waiter, limit, event)
        finally:
            self._waits.remove(waiter)
            if not self._waits:
                self._waits = None

    # -- idle timeout (rule 4) ----------------------------------------------------------------

    @property
    def timeout(self) -> float | None:
        """The idle timeout in seconds, or ``None``."""
        return self._timeout or None

    def set_timeout(self, seconds: float | None, callback: Listener | None = None) -> Self:
        """Notice when nothing was sent or received for some time.

        ``'timeout'`` is emitted then. If that has no listener, a blocked call raises
        :class:`TimeoutError`. The connection stays open. From Node's ``socket.setTimeout()``.

        :param seconds: the time; ``0`` and ``None``, the default of a socket, switch it off.
        :param callback: added as a listener of ``'timeout'``, once; with ``0`` removed.
        :returns: the socket.
        """
        self._check_thread()
        limit = arguments.seconds("timeout", seconds)
        function = arguments.optional_function("callback", callback)
        self._timeout = limit
        if limit is None:
            self._stop_idle_timer()
            if function is not None:
                self.off("timeout", function)
            return self
        if self._life < SHUT:
            self._start_idle_timer(limit)
        if function is not None:
            self.once("timeout", function)
        return self

    def _start_idle_timer(self, seconds: float) -> None:
        if self._idle is None:
            self._idle = IdleTimer(self._loop.timers, self, seconds)
        else:
            self._idle.restart(seconds)

    def _stop_idle_timer(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _idle_expired(self) -> None:
        """In the hub: nothing was sent or received for the time of the timeout."""
        if "timeout" in self._listeners:
            self._loop.defer(partial(self._deliver, "timeout"))
            return
        error = self._timeout_error()
        self._throw(error)
        for waiter in self._waits or ():
            fail(waiter, error)

    def _timeout_error(self) -> BaseException:
        # The text is the interpreter's own for a socket: legacy code compares it.
        return self._own(coded(TimeoutError("timed out"), "ETIMEDOUT"))
