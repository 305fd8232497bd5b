"""The end of a connection whose peer is still to read why."""

from __future__ import annotations

import _socket
from typing import Any

from .._transport.protocol import READ, Transport, Watcher
from .timers import Deadline, IdleTimers

__all__ = ["Farewell"]

#: So long the peer may take, in seconds, as behind close().
LINGER_SECONDS = 2.0
READ_BYTES = 65536


class Farewell:
    """Ends a connection, and closes it when the peer has ended as well, or after two seconds.

    What still arrives is thrown away: a close with that unread would be a reset, which destroys
    what the peer has not read yet. The loop keeps it until then.

    :param loop: gevent's loop.
    :param timers: the timers of the loop.
    :param wire: the connection, with everything sent; from now on nobody else's.
    """

    __slots__ = ("__weakref__", "_deadline", "_watcher", "_wire")

    def __init__(self, loop: Any, timers: IdleTimers, wire: Transport) -> None:
        self._wire = wire
        self._deadline: Deadline | None = None
        try:
            wire.shutdown(_socket.SHUT_WR)
            self._watcher: Watcher = wire.watch(loop, READ)
        except OSError:
            wire.close()
            return
        self._deadline = Deadline(timers, LINGER_SECONDS, self, "_close")
        # Not directly: a signal's exception in it would stop the watcher for ever.
        self._watcher.start(loop.run_callback, self._discard)

    def _discard(self) -> None:
        if self._wire.closed:
            return
        try:
            if self._wire.recv(READ_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            # The peer has reset it.
            pass
        self._close()

    def _close(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._wire.close()
