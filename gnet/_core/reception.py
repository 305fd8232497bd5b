"""Where a connection becomes one of a server's: it is set up, and given to its listeners."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._transport.protocol import Transport
from .._transport.tcp_options import NODES_KEEP_ALIVE, begin
from .._values.publish import publish, subscribers
from .connection import Connection
from .ledger import Ledger
from .runners import Runners

__all__ = ["Reception"]


class Reception:
    """Takes in what has passed the entrance of a server, in the hub.

    :param server: the server.
    :param kind: the class of its sockets.
    :param entrance: what they go through before, and where they are while they are open.
    :param ledger: where they are counted.
    :param runners: the greenlets of their listeners.
    :param unclaimed: called with one that no listener is there for.
    :param handled: whether a listener owns its connection.
    :param secure: whether they have TLS.
    :ivar inherited: whether they have ``TCP_NODELAY`` from the listening socket.
    :ivar local: the local address of every connection, in the system's form, where they all have
        the same.
    """

    __slots__ = (
        "_entrance", "_handled", "_keep", "_kind", "_ledger", "_run", "_runners", "_secure",
        "_server", "_unclaimed", "inherited", "local",
    )  # fmt: skip

    def __init__(
        self,
        server: Any,
        kind: type[Connection],
        entrance: Any,
        ledger: Ledger,
        runners: Runners,
        unclaimed: Callable[[Any], object],
        handled: bool,
        secure: bool,
    ) -> None:
        self._server = server
        self._kind = kind
        self._entrance = entrance
        self._keep = entrance.connections.add
        self._ledger = ledger
        self._runners = runners
        # One for all connections: each access would make another one.
        self._run = runners.run
        self._unclaimed = unclaimed
        self._handled = handled
        self._secure = secure
        self.inherited = False
        self.local: Any = None

    def arrive(self, wire: Transport, remote: Any) -> None:
        """A connection was accepted."""
        if self._entrance.stages:
            self._entrance.enter(wire, remote)
        else:
            self.take_in(wire, self.local, remote)

    def take_in(self, wire: Transport, local: Any, remote: Any) -> Any:
        """Have a connection be one of the server's.

        :param local: its local address in the system's form; ``None``: asked for when needed.
        :param remote: the peer's.
        :returns: its socket.
        """
        server = self._server
        kind = self._kind
        sock: Any = kind.__new__(kind)
        loop = server._loop
        sock._come_in(loop, server, wire, local, remote)
        self._keep(sock)
        self._ledger.accept()
        try:
            if server.no_delay or self.inherited:
                sock._remembered = begin(wire, server.no_delay, self.inherited)
            if server.keep_alive:
                sock.set_keep_alive(True, server.keep_alive_initial_delay, *NODES_KEEP_ALIVE)
            if server.pause_on_connect:
                sock.pause()
            if subscribers:
                publish(loop.defer, "ConnectionAccepted", server, sock)
            if self._secure:
                sock._let_in_secure()
            if self._handled:
                sock._step("handle")
                loop.handle(sock, self._runners.spawn(sock))
                # In the hub, as nothing of it is a listener's: that costs no greenlet.
                loop.loop.run_callback(sock._settle)
            else:
                if "connection" in server._listeners:
                    loop.defer(partial(self._run, sock, server.emit))
                else:
                    self._unclaimed(sock)
                loop.defer(sock._settle_flow)
        except BaseException as exc:
            # An option that the kernel does not take, or what a signal's handler has raised.
            sock._listener_failed(exc, sock._generation)
        return sock
