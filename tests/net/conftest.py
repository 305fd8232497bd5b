"""Servers, sockets and peers for the tests, over each of the transports."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult
from gevent.queue import Queue

import gnet
from tests.helpers.servers import path_at
from tests.helpers.windows import needs_resets

Peer = socket.socket
HOSTS = {"ipv4": "127.0.0.1", "ipv6": "::1"}


class Net:
    """Makes servers, sockets and peers of one transport, and ends them with the test.

    A *peer* is a socket of gevent's: the other end of what is tested.
    """

    def __init__(self, kind: str, directory: Path | None = None) -> None:
        self.kind = kind
        self._directory = directory
        self._made: list[Any] = []
        self._paths = 0

    @property
    def is_tcp(self) -> bool:
        return self.kind != "unix"

    def place(self) -> tuple[Any, ...]:
        """Arguments for ``listen()``: a port of the system's choice, or a new path."""
        if self.is_tcp:
            return 0, HOSTS[self.kind]
        assert self._directory is not None
        self._paths += 1
        return path_at(self._directory, f"{self._paths}.sock")

    @staticmethod
    def target(server: Any) -> tuple[Any, ...]:
        """Arguments for ``connect()`` to a server or a peer that listens."""
        address = server.address() if isinstance(server, gnet.Server) else server.getsockname()
        if isinstance(address, str):
            return (address,)
        if isinstance(address, gnet.AddressInfo):
            return address.port, address.address
        return address[1], address[0]

    def server(self, listener: Callable[..., Any] | None = None, **options: Any) -> gnet.Server:
        """A server that listens."""
        server = gnet.create_server(listener, **options)
        self._made.append(server)
        server.listen(*self.place())
        return server

    def connect(self, server: Any, *listener: Any, **options: Any) -> gnet.Socket:
        """A client that has begun to connect."""
        return self.keep(gnet.connect(*self.target(server), *listener, **options))

    def keep(self, made: Any) -> Any:
        """Have ``made`` ended with the test."""
        self._made.append(made)
        return made

    def peer(self, server: Any) -> Peer:
        """A peer that has connected to a server."""
        target = self.target(server)
        peer = self._peer()
        peer.connect(target[0] if len(target) == 1 else (target[1], target[0]))
        return peer

    def listening_peer(self, backlog: int = 16) -> Peer:
        """A peer that listens."""
        place = self.place()
        peer = self._peer()
        peer.bind(place[0] if len(place) == 1 else (place[1], place[0]))
        peer.listen(backlog)
        return peer

    def accepted(self, **options: Any) -> tuple[gnet.Socket, Peer]:
        """A server's connection, and the peer it is with."""
        arrivals: Queue[gnet.Socket] = Queue()
        server = self.server(arrivals.put, **options)
        peer = self.peer(server)
        # The server does not keep one that is read by blocking calls.
        return self.keep(arrivals.get()), peer

    def connected(self, **options: Any) -> tuple[gnet.Socket, Peer]:
        """A client that is connected, and the peer it is with."""
        listener = self.listening_peer()
        sock = self.connect(listener, **options)
        peer = self.keep(listener.accept()[0])
        sock.wait("connect")
        return sock, peer

    def pair(self) -> tuple[gnet.Socket, gnet.Socket]:
        """A client and the server's connection, both gnet's."""
        arrivals: Queue[gnet.Socket] = Queue()
        server = self.server(arrivals.put)
        client = self.connect(server)
        accepted = self.keep(arrivals.get())
        client.wait("connect")
        return client, accepted

    def refusing(self) -> tuple[Any, ...]:
        """Arguments for ``connect()`` that nobody listens to: the place is bound, and no more."""
        place = self.place()
        peer = self._peer()
        peer.bind(place[0] if len(place) == 1 else (place[1], place[0]))
        return self.target(peer)

    def reset(self, sock: gnet.Socket, peer: Peer) -> None:
        """Have the peer reset the connection.

        A Unix socket does that when it is closed with something unread, so ``sock`` sends.
        """
        if self.is_tcp:
            needs_resets()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            sock.write(b"unread")
            peer.recv(1, socket.MSG_PEEK)
        peer.close()

    @staticmethod
    def closed(sock: gnet.Socket) -> bool:
        """Block until the socket has closed; gives whether it had an error."""
        if not sock.closed:
            closed = AsyncResult()
            sock.once("close", closed.set)
            return bool(closed.get())
        return bool(sock.wait("close")[0])

    def resolving(self, lookup: Callable[..., Any]) -> gnet.Socket:
        """A TCP client that is connecting, for as long as ``lookup()`` blocks."""

        def hook(hostname: str, **options: Any) -> Any:
            lookup()
            address = HOSTS[self.kind], 6 if self.kind == "ipv6" else 4
            return [address] if options.get("all") else address

        port, _ = self.target(self.server())
        return self.keep(gnet.connect(port, "some.name", lookup=hook))  # type: ignore[no-any-return]

    @staticmethod
    def fill(peer: Peer) -> int:
        """Send until the kernel takes no more; gives the number of bytes it took."""
        # The limit is the peer's own: its reader may make room meanwhile.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sent = 0
        timeout = peer.gettimeout()
        peer.setblocking(False)
        try:
            while True:
                sent += peer.send(bytes(65536))
        except BlockingIOError:
            return sent
        finally:
            peer.settimeout(timeout)

    def start(self, function: Callable[..., Any], *args: Any) -> gevent.Greenlet[..., Any]:
        """Run a call that blocks in a greenlet of its own, which gives its error or its value."""

        def run() -> Any:
            try:
                return function(*args)
            except Exception as exc:
                return exc

        greenlet = self.keep(gevent.spawn(run))
        gevent.sleep(0)
        return greenlet  # type: ignore[no-any-return]

    def turns(self, count: int = 5) -> None:
        """Let the loop turn, with input and output in each turn."""
        here, there = socket.socketpair()
        with here, there:
            for _ in range(count):
                gevent.spawn(there.sendall, b"x")
                here.recv(1)
                gevent.sleep(0)

    def end_all(self) -> None:
        for made in reversed(self._made):
            if isinstance(made, gnet.Server):
                for connection in made.connections:
                    connection.destroy()
                if made.listening:
                    made.close()
            elif isinstance(made, gnet.Socket):
                made.destroy()
            elif isinstance(made, gevent.Greenlet):
                made.kill()
            else:
                made.close()

    def _peer(self) -> Peer:
        if not self.is_tcp and not hasattr(socket, "AF_UNIX"):
            pytest.skip("no plain socket is the peer of a named pipe")
        family = {"ipv4": "AF_INET", "ipv6": "AF_INET6", "unix": "AF_UNIX"}[self.kind]
        return self.keep(socket.socket(getattr(socket, family)))  # type: ignore[no-any-return]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as name:
        yield Path(name)
    # Where os.close() is patched, the loop closes the last descriptor, in its next turn.
    gevent.sleep(0.001)


@pytest.fixture(params=["ipv4", "ipv6", "unix"])
def net(request: pytest.FixtureRequest) -> Iterator[Net]:
    """Every transport in its turn."""
    directory = request.getfixturevalue("directory") if request.param == "unix" else None
    net = Net(request.param, directory)
    yield net
    net.end_all()


@pytest.fixture
def tcp() -> Iterator[Net]:
    """TCP over IPv4, for what does not depend on the transport."""
    net = Net("ipv4")
    yield net
    net.end_all()


@pytest.fixture
def unix(directory: Path) -> Iterator[Net]:
    """Unix sockets, for what is theirs."""
    net = Net("unix", directory)
    yield net
    net.end_all()
