"""The end of a socket that its program has no more use for: ``close()`` (contract, rule 8)."""

from __future__ import annotations

import _socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._loop.timers import Deadline
from .._transport.protocol import Transport
from ..errors import annotate
from .dispatcher import Dispatcher
from .flowing import MAX_READS, READ_BYTES
from .reading import Reading
from .states import (
    CLOSED,
    END_MET,
    FAILED,
    HALF_OPEN,
    HASTY,
    LEFT,
    OPEN,
    QUEUED,
    SENT,
    SHARED,
    SHUT,
)
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
        if self._life >= SHUT:
            self._close_failed()
            if self._life == CLOSED or "error" not in self._listeners:
                # Else 'error' is on its way to who listens.
                self._report_unheard()
            return
        self._step("close")

    def _abandon(self, error: BaseException, let_go: Callable[[Transport], object]) -> None:
        """Close without an event: nobody is left to hear of it.

        :param error: what blocking calls raise from now on.
        :param let_go: closes a wire.
        """
        failed, self._failed_wire = self._failed_wire, None
        if failed is not None:
            let_go(failed)
        if self._life < SHUT:
            # Not for _teardown() to close.
            wire, self._wire = self._wire, None
            # Who waits for the peer to leave is not told that there is none any more.
            self._peer = None
            self._stop_timers()
            try:
                self._teardown()
            finally:
                if wire is not None:
                    let_go(wire)
            self._error = error
            self._heard = True
        self._step("abandon")

    def _facts(self) -> int:
        facts = 0
        if self._out is not None:
            facts |= QUEUED
        if self.allow_half_open:
            facts |= HALF_OPEN
        if self._wire is not None and self._wire.SHARED:
            facts |= SHARED
        if self._destroy_when_sent:
            facts |= HASTY
        if self._error is not None:
            facts |= FAILED
        return facts

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
        if not self._is_handlers():
            self._step("end")
        elif self._wire is not None and self._receiving < END_MET:
            # Its listener reads to the end and then may answer; this is the end.
            self._hide_peer()
            with suppress(OSError):
                self._wire.shutdown(_socket.SHUT_RD)
            self._more = True

    def _linger(self) -> None:
        """Everything is sent: the peer has some time to end as well."""
        if self._life == OPEN and self._linger_timer is None:
            timers = self._loop.timers
            self._linger_timer = Deadline(timers, LINGER_SECONDS, self, "_shut")

    def _discard(self) -> None:
        """In the hub: something arrived after ``close()``."""
        wire = self._wire
        if wire is None or self._receiving >= END_MET or self._owner < LEFT:
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
            self._shut(self._own(annotate(exc, "read")), heard=self._sending >= SENT)
            return
        self._step("meet_end")

    def _teardown(self) -> list[Callable[..., object]]:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
        return super()._teardown()
