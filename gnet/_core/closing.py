"""The end of a socket that its program has no more use for: ``close()`` (contract, rule 8)."""

from __future__ import annotations

import _socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._loop.timers import Deadline
from ..errors import annotate
from .dispatcher import Dispatcher
from .flowing import MAX_READS, READ_BYTES
from .reading import Reading
from .states import CLOSED, CONNECTING, IDLE, OPEN
from .writing import HIGH_WATER_BYTES

__all__ = ["LINGER_SECONDS", "Closing"]

#: How long ``close()`` waits for the peer's end when everything is sent, in seconds.
LINGER_SECONDS = 2.0

# What arrives after close() goes here. One for all: nobody looks at it.
_scratch = bytearray(READ_BYTES)


class Closing(Reading):
    """An endpoint that closes without losing its last words."""

    __slots__ = ("_linger_timer",)

    def __init__(
        self, high_water_mark: int = HIGH_WATER_BYTES, loop: Dispatcher | None = None
    ) -> None:
        super().__init__(high_water_mark, loop)
        self._linger_timer: Any = None

    def _give_up(self) -> None:
        """``close()``: send what is queued, end, and let go of the descriptor in good time."""
        if self._life is CLOSED:
            self._close_failed()
            if self._close_emitted or "error" not in self._listeners:
                # Else 'error' is on its way to who listens.
                self._report_unheard()
            return
        self._given_up = True
        if self._life is IDLE or (self._life is CONNECTING and self._out is None):
            self._shut(None)
            return
        self._interrupt()
        shared = self._wire is not None and self._wire.SHARED
        if (self._read_ended or shared) and self._out is None and not self._ending:
            # Both sides are over: the close itself sends the end, without a shutdown before it.
            self._ending = self._finished = True
            self._loop.defer(self._emit_finish)
            self._shut(None)
            return
        self._update_hold()
        self._end()
        self._rearm()
        if self._finished:
            self._linger()

    def _handle(self) -> None:
        """In a greenlet of its own: the connection is its listener's until that returns."""
        # Here, where it is compiled: in Python each blocked connection has more stack to keep.
        generation = self._generation
        try:
            self.server.emit("connection", self)
            if self._generation == generation:
                self._give_up()
        except BaseException as exc:
            self._listener_failed(exc, generation)
            self._close_failed()
        finally:
            # The connection's own: a forked child gives the server another one.
            self._loop.returned(self)

    def _finish_up(self) -> None:
        """The server shuts down: the connection ends, in a way that leaves time to answer."""
        if not self._handled:
            self._end()
        elif self._wire is not None and not self._read_ended:
            # Its listener reads to the end and then may answer; this is the end.
            self._hide_peer()
            with suppress(OSError):
                self._wire.shutdown(_socket.SHUT_RD)
            self._more = True

    def _linger(self) -> None:
        """Everything is sent: the peer has some time to end as well."""
        if self._life is not OPEN:
            return
        if self._read_ended or self._wire.SHARED:  # type: ignore[union-attr]
            # What comes behind that on a pipe is not the socket's to throw away.
            self._loop.defer(self._linger_over)
        elif self._linger_timer is None:
            timers = self._loop.timers
            self._linger_timer = Deadline(timers, LINGER_SECONDS, self, "_linger_over")

    def _linger_over(self) -> None:
        self._shut(None)

    def _discard(self) -> None:
        """In the hub: something arrived after ``close()``."""
        wire = self._wire
        if wire is None or self._read_ended or not self._given_up:
            return
        try:
            for _ in range(MAX_READS):
                if not wire.recv_into(_scratch):
                    break
            else:
                return
        except BlockingIOError:
            return
        except OSError as exc:
            # Nobody is there to hear of it, unless data of the program's was still to be sent.
            self._shut(self._own(annotate(exc, "read")), heard=self._finished)
            return
        self._read_ended = True
        self._unwatch()
        if self._finished:
            self._linger()

    def _teardown(self) -> list[Callable[..., object]]:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
        return super()._teardown()
