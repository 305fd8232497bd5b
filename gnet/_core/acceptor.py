"""Accepting: which errors are passed over, which make it pause, how much in one turn."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from .._loop.timers import start_timer
from .._transport import stream_socket
from .._transport.protocol import READ, Listener, Transport
from .._values.backoff import Backoff
from ..errors import annotate
from .dispatcher import Dispatcher

__all__ = ["Acceptor"]

# So many connections are accepted in one turn of the loop; then the others get theirs.
MAX_ACCEPTS = 100
# The same where other processes accept from the wire, too: one that took a whole burst would have
# all the work, and its connections all the waiting.
MAX_SHARED_ACCEPTS = 1

# Connections mostly come one by one. After looks that have found no second one, nobody looks for
# it so many times at the most: a look that finds nothing is a system call and an exception. A
# second one that is there has the watcher fire in the next turn.
MAX_ALONE = 15

# So many at the most in the end, however fast they come.
MAX_DRAINED = 4096

# What accept() may find: the error of one peer that has gone already, or of its network, which
# Linux passes on through accept(2). The next connection has nothing to do with it.
PASSED_OVER = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED", "ECONNRESET", "EPERM", "EPROTO", "EHOSTDOWN", "EHOSTUNREACH",
        "ENETDOWN", "ENETUNREACH", "ENONET", "ENOPROTOOPT", "EOPNOTSUPP", "EINTR",
        "ENOTCONN",  # Windows' of a peer that has reset
    )
    if hasattr(errno, name)
)  # fmt: skip

# No descriptor or memory is left. The listener stays readable: without a pause, the loop would
# spin.
EXHAUSTED = frozenset(
    getattr(errno, name)
    for name in ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "WSAEMFILE")
    if hasattr(errno, name)
)

#: After such an error, in seconds until the next try: doubled from the first to the longest.
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 1.0


class Acceptor:
    """Accepts from a listening wire, in the hub.

    :param loop: the dispatcher.
    :param wire: the listening wire; it stays its owner's.
    :param admit: called with the wire and the peer's address of every connection.
    :param failed: called with an error that is the listening wire's own.
    :param exhausted: called, once a burst, when no descriptor or memory is left: the connections
        wait in the kernel's queue until there is.
    :param full: tells whether the next connection is left waiting, for room or for another
        process. :meth:`resume` must be called when it may not be any more.
    :param shared: other processes accept from the wire, too.
    """

    __slots__ = (
        "_admit", "_alone", "_backed_off", "_backoff", "_exhausted", "_failed", "_full",
        "_in_burst", "_loop", "_max", "_pause_timer", "_unsought", "_watcher", "_wire", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        loop: Dispatcher,
        wire: Listener,
        admit: Callable[[Transport, Any], object],
        failed: Callable[[OSError], object],
        exhausted: Callable[[OSError], object],
        full: Callable[[], bool] | None = None,
        shared: bool = False,
    ) -> None:
        self._loop = loop
        self._wire = wire
        self._admit = admit
        self._failed = failed
        self._full = full
        self._exhausted = exhausted
        self._max = MAX_SHARED_ACCEPTS if shared else MAX_ACCEPTS
        #: Whether it accepts nothing until :meth:`resume`, or the end of a pause.
        self.waiting = False
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._in_burst = False
        self._backed_off = False
        # How often no second one is looked for, and how often that is still to be.
        self._alone = self._unsought = 0
        self._pause_timer: Any = None
        self._watcher: Any = wire.watch(loop.loop, READ)
        self._watch()

    def _watch(self) -> None:
        # gevent stops a watcher whose callback has raised, be it what a signal's handler raises
        # somewhere in it. This callback is in C, and what it has called later may raise: the
        # watcher fires again.
        self._watcher.start(self._loop.loop.run_callback, self._loop.gather, self._accept)

    def stop(self) -> None:
        """Accept no more."""
        for watcher in (self._watcher, self._pause_timer):
            if watcher is not None:
                watcher.close()
        self._watcher = self._pause_timer = None

    def drain(self) -> None:
        """Accept what waits, before nobody does any more; clients take it for accepted."""
        for _ in range(MAX_DRAINED):
            if self._watcher is None or (self._full is not None and self._full()):
                return
            try:
                wire, remote = stream_socket.accept(self._wire)
            except OSError as exc:
                if exc.errno in PASSED_OVER:
                    continue
                return
            try:
                self._admit(wire, remote)
            except BaseException:
                wire.close()
                raise

    def ask(self, full: Callable[[], bool]) -> None:
        """From now on ask whether the next connection is left waiting."""
        self._full = full

    def resume(self) -> None:
        """Look again whether the next connection can be had: a place or a descriptor is free."""
        if self._watcher is not None and self.waiting:
            self._accept_again()

    def _accept(self) -> None:
        """In the hub: connections are waiting. Their listeners run in this turn."""
        for number in range(self._max):
            if self._watcher is None:
                return
            if self._full is not None and self._full():
                self.waiting = True
                self._watcher.stop()
                return
            try:
                wire, remote = stream_socket.accept(self._wire)
            except BlockingIOError:
                self._in_burst = False
                if number == 1:
                    self._alone = self._unsought = min(self._alone * 2 + 1, MAX_ALONE)
                return
            except OSError as exc:
                if exc.errno in PASSED_OVER:
                    continue
                if exc.errno not in EXHAUSTED:
                    self._failed(annotate(exc, "accept"))
                elif not self._in_burst:
                    # A burst lasts until the queue is empty, however often there was a
                    # descriptor meanwhile.
                    self._in_burst = True
                    self._exhausted(exc)
                self._back_off()
                return
            except MemoryError:
                self._back_off()
                raise
            if self._backed_off:
                self._backed_off = False
                self._backoff.reset()
            try:
                self._admit(wire, remote)
            except BaseException:
                # It costs this connection only.
                wire.close()
                raise
            if number:
                self._alone = 0
            elif self._unsought and not self._in_burst:
                self._unsought -= 1
                return

    def _back_off(self) -> None:
        """Leave the connections in the kernel's queue for a while."""
        self._backed_off = self.waiting = True
        if self._pause_timer is not None:
            self._pause_timer.close()
        self._pause_timer = start_timer(self._loop.loop, self._backoff.pause(), self._accept_again)
        self._watcher.stop()

    def _accept_again(self) -> None:
        if self._watcher is None:
            return
        self.waiting = False
        self._watch()
        if self._pause_timer is not None:
            self._pause_timer.close()
            self._pause_timer = None
