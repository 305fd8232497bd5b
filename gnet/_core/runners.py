"""Which greenlet runs the ``'connection'`` listeners of which connection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from greenlet import getcurrent, greenlet

from .connection import Connection
from .dispatcher import Dispatcher
from .emitter import EventEmitter
from .held import Held
from .reading import Handler

__all__ = ["Runners"]


def _handle(sock: Connection) -> None:
    """In a greenlet of its own: the connection is its listener's until that returns.

    While that is blocked, this frame and those between it and the listener's are kept in memory:
    it does by hand what the server's emit() does, and what follows has a frame of its own.
    """
    generation = sock._generation
    failure = None
    server: EventEmitter = sock.server
    try:
        listener = server._listeners.get("connection")
        if listener is None or type(listener) is tuple or type(server).emit is not Held.emit:
            server.emit("connection", sock)
        else:
            listener(sock)  # type: ignore[operator]
    except BaseException as exc:
        failure = exc
    try:
        _handled(sock, generation, failure)
    finally:
        # Its traceback refers to this frame, which would keep the socket.
        failure = None


def _handled(sock: Connection, generation: int, failure: BaseException | None) -> None:
    """The listener that owns a connection has returned, or failed."""
    try:
        try:
            left = failure is None and sock._generation == generation
            if left and not sock._ends_unheard("return_unheard"):
                sock._give_up()
        except BaseException as exc:
            failure = exc
        if failure is not None:
            sock._listener_failed(failure, generation)
            sock._close_failed()
    finally:
        failure = None
        # The connection's own: a forked child gives the server another one.
        sock._loop.returned(sock)


class Runners:
    """The greenlets that run the listeners of a server's connections.

    :param connections: the open connections of the server.
    """

    __slots__ = ("_borrowed", "_connections", "_running")

    def __init__(self, connections: Collection[Any]) -> None:
        self._connections = connections
        # Those that are borrowed, and whose they are.
        self._borrowed: dict[greenlet, Connection] = {}
        self._running: dict[Connection, greenlet] = {}

    def run(self, sock: Connection, emit: Callable[..., object]) -> None:
        """In a borrowed greenlet: run the listeners.

        :param emit: the server's.
        """
        generation = sock._generation
        me = getcurrent()
        self._borrowed[me] = sock
        self._running[sock] = me
        try:
            emit("connection", sock)
        except BaseException as exc:
            sock._listener_failed(exc, generation)
        finally:
            del self._borrowed[me]
            self._running.pop(sock, None)

    @staticmethod
    def spawn(sock: Connection) -> greenlet:
        """Run the listeners in a greenlet that is the connection's for its whole life."""
        runner = Handler.spawn(_handle, sock)
        runner.socket = sock
        return runner

    def runner_of(self, sock: Connection) -> greenlet | None:
        """The borrowed greenlet that runs the listeners of a connection."""
        return self._running.get(sock)

    def connection_of(self, caller: greenlet) -> Any:
        """The open connection whose listener the calling greenlet runs, if it does."""
        mine = caller.socket if isinstance(caller, Handler) else self._borrowed.get(caller)
        if mine is not None:
            return mine if mine in self._connections else None
        for sock in self._connections:
            if sock._serving is caller:
                return sock
        return None

    def force(self, loop: Dispatcher, left: Iterable[Connection]) -> int:
        """Destroy connections, and do not wait for their listeners; gives how many were open."""
        forced = 0
        for sock in left:
            forced += not sock.destroyed
            loop.forsake(sock, self._running.get(sock), sock._serving)
            sock.destroy()
        return forced

    def forget(self) -> None:
        """The greenlets are not this process', or are never run again."""
        self._borrowed.clear()
        self._running.clear()
