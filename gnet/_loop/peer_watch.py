"""Noticing that a peer has ended although input is still unread.

A read watcher cannot tell: the socket is readable, and stays so. Linux' ``EPOLLRDHUP`` can. The
loop's watchers do not offer it, so one epoll descriptor per hub has it, which the loop watches.
Elsewhere an end is noticed when everything before it has been read.
"""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from typing import Any, Protocol
from weakref import ref

from .._transport.protocol import READ, Transport
from .._values.originals import original

__all__ = ["AVAILABLE", "PeerWatch"]

AVAILABLE = sys.platform == "linux"


class _Watched(Protocol):
    def _peer_has_ended(self) -> None: ...


class PeerWatch:
    """The sockets of one hub whose peers' ends are awaited."""

    __slots__ = ("_epoll", "_loop", "_sockets", "_watcher")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._epoll: Any = None
        self._watcher: Any = None
        # Weakly: to be told of an end is no reason to live (rule 11).
        self._sockets: dict[int, ref[_Watched]] = {}

    def add(self, wire: Transport, socket: _Watched) -> None:
        """Call ``socket._peer_has_ended()``, once, in the hub."""
        # Where no descriptor is left, it is as on a system that cannot tell.
        if AVAILABLE:
            with suppress(OSError):
                self._add(wire.fileno(), ref(socket))

    def _add(self, fd: int, socket: ref[_Watched]) -> None:
        if self._epoll is None:
            # A patched program has none: it would block the hub, where it is asked to wait.
            self._epoll = original("select", "epoll")()
            self._watcher = self._loop.io(self._epoll.fileno(), READ, ref=False)
            # Not directly: a signal's exception in it would stop the watcher for ever.
            self._watcher.start(self._loop.run_callback, self._look)
        self._epoll.register(fd, select.EPOLLRDHUP | select.EPOLLONESHOT)  # type: ignore[attr-defined,unused-ignore]
        self._sockets[fd] = socket

    def remove(self, wire: Transport) -> None:
        """Await no more; to be called before the descriptor is closed."""
        fd = wire.fileno()
        if self._sockets.pop(fd, None) is None:
            return
        self._epoll.unregister(fd)
        if not self._sockets:
            self._watcher.close()
            self._epoll.close()
            self._watcher = self._epoll = None

    def abandon(self) -> None:
        """In a forked child: what is done to the set, and read from it, is the parent's loss."""
        self._sockets.clear()
        if self._epoll is not None:
            self._watcher.close()
            self._epoll.close()
            self._watcher = self._epoll = None

    def _look(self) -> None:
        """In the hub: some have ended."""
        ended = self._epoll.poll(0) if self._epoll is not None else ()
        for fd, _ in ended:
            watched = self._sockets.get(fd)
            socket = watched() if watched is not None else None
            if socket is not None:
                socket._peer_has_ended()
