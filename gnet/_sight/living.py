"""The servers and connections that there are.

Nothing is registered for this that was not there before: a loop refers to its servers, a server to
its connections, and the others are in a set that keeps none of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .._core.dispatcher import Dispatcher, dispatchers
from .._server.server import Server
from .._values.weak_sets import members

__all__ = ["Living", "counted_sockets", "living", "loops", "servers_of"]


class Living(NamedTuple):
    """The servers and connections of a process, of all its threads.

    :ivar servers: the servers that listen, or still have connections.
    :ivar sockets: the connections: those of these servers, which a socket's ``server`` tells, and
        those that the program has made, or is making.
    """

    servers: list[Server]
    sockets: list[Any]


def living() -> Living:
    """All servers and connections, but those that serve what shows the others.

    May be called from any thread. The lists are the caller's, and keep alive what is in them: they
    should not be kept for long. A member may close meanwhile; one of another thread is to be
    touched with :func:`gnet.call_in` only, except for its ``stats()``.
    """
    servers: list[Server] = []
    sockets: list[Any] = []
    for loop in loops():
        servers += servers_of(loop)
        sockets += counted_sockets(loop)
    return Living(servers, sockets)


def loops() -> list[Dispatcher]:
    """The dispatchers of all threads."""
    return members(dispatchers)


def servers_of(loop: Dispatcher) -> list[Server]:
    """The servers of a thread that are counted."""
    kept = list(loop.kept)
    return [each for each in kept if isinstance(each, Server) and each._is_counted()]


def counted_sockets(loop: Dispatcher) -> list[Any]:
    """The connections of a thread that are counted."""
    sockets = members(loop.others)
    for server in servers_of(loop):
        sockets += server._entrance.connections.snapshot()
    return sockets
