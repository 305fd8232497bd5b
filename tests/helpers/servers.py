"""Servers of gnet in both styles, pairs of its sockets, and plain sockets as peers."""

from __future__ import annotations

import errno
import socket as std_socket
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from gevent import socket

import gnet
from gnet._server.limits import PerAddress, Rates
from tests.helpers.authority import client_context, server_context
from tests.helpers.windows import needs_resets

TRANSPORTS = ("ipv4", "ipv6", "unix")
STYLES = ("event", "blocking")

# The arguments of listen() and of connect(): (port, host) or (path,).
Place = tuple[Any, ...]

LOOPBACK: Place = (0, "127.0.0.1")

# Whose connections pair() makes where it is not told: "kernel", "memory" or "tls".
carrier = "kernel"

MOST_PORTS = 20


def place_of(transport: str, directory: Path) -> Place:
    """Where a server may listen; skips the test on a system that has no such place."""
    if transport == "ipv4":
        return LOOPBACK
    if transport == "ipv6":
        if not has_ipv6():
            pytest.skip("no IPv6 on this machine's loopback")
        return (0, "::1")
    return path_at(directory)


def path_at(directory: Path, name: str = "socket") -> Place:
    """A path where nobody listens: of a Unix socket, or of a named pipe where those are."""
    if sys.platform == "win32":
        return (rf"\\.\pipe\gnet-test-{uuid4()}",)
    return (str(directory / name),)


def has_ipv6() -> bool:
    """Whether this machine has ``::1``."""
    try:
        with socket.socket(std_socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def counted_addresses(server: gnet.Server) -> int:
    """How many addresses a server remembers for its limits per address."""
    stages = server._entrance.stages
    return sum(len(each) for each in stages if isinstance(each, (PerAddress, Rates)))


def place_at(server: gnet.Server) -> Place:
    """Where to reach a server: what ``connect()`` takes."""
    address = server.address()
    if isinstance(address, gnet.AddressInfo):
        return (address.port, address.address)
    return (address,)


# -- gnet's own ---------------------------------------------------------------------------------


@contextmanager
def serving(
    listener: Callable[[gnet.Socket], object] | None = None,
    at: Place = LOOPBACK,
    **options: Any,
) -> Iterator[gnet.Server]:
    """A server that listens; in the end it and its connections are closed."""
    server = gnet.Server(listener, **options)
    server.listen(*at)
    try:
        yield server
    finally:
        server.shutdown(grace=0)


@contextmanager
def echoing(style: str = "event", at: Place = LOOPBACK, **options: Any) -> Iterator[gnet.Server]:
    """A server that sends back what it gets, in one of the :data:`STYLES`."""
    if style == "event":
        with serving(lambda sock: sock.pipe(sock), at, **options) as server:
            yield server
    else:
        with serving(_echo_blocking, at, end_on_return=True, **options) as server:
            yield server


def _echo_blocking(sock: gnet.Socket) -> None:
    for chunk in sock:
        sock.sendall(chunk)


@contextmanager
def pair(
    at: Place | None = None, *, allow_half_open: bool = False, **options: Any
) -> Iterator[tuple[gnet.Socket, gnet.Socket]]:
    """The client's and the server's end of one connection, both of gnet.

    ``allow_half_open`` is for both, further options for the client's. A test that is about the
    kernel says where.
    """
    if at is None and carrier == "tls":
        with tls_pair(allow_half_open=allow_half_open, **options) as ends:
            yield ends
        return
    place = gnet.testing.Place(("127.0.0.1", 8124)) if at is None and carrier == "memory" else None
    where = (place,) if place is not None else at or LOOPBACK
    with serving(at=where, allow_half_open=allow_half_open) as server:
        if place is not None:
            client = place.connect(
                ("127.0.0.1", 40000), allow_half_open=allow_half_open, **options
            )
        else:
            client = gnet.connect(*place_at(server), allow_half_open=allow_half_open, **options)
        try:
            (served,) = server.wait("connection")
            client.wait("connect")
            yield client, served
        finally:
            client.destroy()


@contextmanager
def tls_pair(**options: Any) -> Iterator[tuple[gnet.Socket, gnet.Socket]]:
    """:func:`pair`, with TLS between the two."""
    half_open = options.pop("allow_half_open", False)
    with serving(allow_half_open=half_open, tls=server_context()) as server:
        client = gnet.connect(
            *place_at(server), allow_half_open=half_open, tls=client_context(),
            server_hostname="localhost", **options,
        )  # fmt: skip
        try:
            (served,) = server.wait("connection")
            client.wait("secure_connect")
            yield client, served
        finally:
            client.destroy()


@contextmanager
def memory_pair(**options: Any) -> Iterator[tuple[gnet.Socket, gnet.Socket]]:
    """The two ends of a connection in memory; the options are those of both."""
    here, there = gnet.testing.pair(**options)
    with closing(here, there):
        yield here, there


@contextmanager
def closing(*sockets: gnet.Socket) -> Iterator[None]:
    """Destroy the sockets in the end."""
    try:
        yield
    finally:
        for each in sockets:
            each.destroy()


@contextmanager
def on_one_port(
    *openers: Callable[[int], AbstractContextManager[Any]],
) -> Iterator[list[Any]]:
    """What the openers open: the first one on a port of the system's choice, the others on it too.

    A port that is free on one address may be in use on another, be it by a connection that is
    over but not yet forgotten; then another port is tried.
    """
    for _ in range(MOST_PORTS):
        with ExitStack() as stack:
            try:
                opened = _open_all(openers, stack)
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE:
                    raise
                continue
            yield opened
            return
    raise AssertionError(f"none of {MOST_PORTS} ports is free on all addresses")


def _open_all(
    openers: Sequence[Callable[[int], AbstractContextManager[Any]]], stack: ExitStack
) -> list[Any]:
    first, *others = openers
    opened = [stack.enter_context(first(0))]
    port = port_of(opened[0])
    opened += [stack.enter_context(opener(port)) for opener in others]
    return opened


def port_of(opened: Any) -> int:
    """The port of a server of gnet's, of a plain socket, or of a blackhole."""
    if isinstance(opened, gnet.Server):
        return opened.address().port
    return opened.getsockname()[1] if isinstance(opened, socket.socket) else opened.port


# -- plain sockets, for what a peer of gnet's would not do ----------------------------------------


@contextmanager
def raw_bound(at: Place = LOOPBACK) -> Iterator[socket.socket]:
    """A plain socket that has a place and does not listen: who connects there is refused."""
    family, address = _plain(at)
    with socket.socket(family) as bound:
        bound.bind(address)
        yield bound


@contextmanager
def raw_listener(at: Place = LOOPBACK, backlog: int = 16) -> Iterator[socket.socket]:
    """A listening plain socket."""
    with raw_bound(at) as listener:
        listener.listen(backlog)
        yield listener


@contextmanager
def raw_client(at: Place) -> Iterator[socket.socket]:
    """A connected plain socket."""
    family, address = _plain(at)
    with socket.socket(family) as client:
        client.connect(address)
        yield client


@contextmanager
def raw_peer(at: Place = LOOPBACK, **options: Any) -> Iterator[tuple[gnet.Socket, socket.socket]]:
    """A client of gnet's, and the plain socket at the other end. ``options``: the client's."""
    with ExitStack() as stack:
        listener = stack.enter_context(raw_listener(at))
        client = gnet.connect(*place_of_raw(listener), **options)
        stack.enter_context(closing(client))
        peer, _ = listener.accept()
        stack.enter_context(peer)
        client.wait("connect")
        yield client, peer


def place_of_raw(listener: socket.socket) -> Place:
    """Where to reach a plain listener: what ``connect()`` takes."""
    name = listener.getsockname()
    return (name,) if isinstance(name, str) else (name[1], name[0])


def send_end(sock: socket.socket) -> None:
    """FIN: end the writable side, and go on reading."""
    sock.shutdown(std_socket.SHUT_WR)


def send_reset(sock: socket.socket) -> None:
    """RST: close at once; the peer's next call fails."""
    needs_resets()
    sock.setsockopt(std_socket.SOL_SOCKET, std_socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def receive_all(sock: socket.socket) -> bytes:
    """Everything up to the peer's end."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def receive(sock: socket.socket, size: int) -> bytes:
    """Exactly ``size`` bytes, or what came before the peer's end."""
    chunks = []
    # A buffer of the whole size for every read would take most of the time.
    while size > 0 and (chunk := sock.recv(min(size, 1 << 18))):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _plain(at: Place) -> tuple[int, Any]:
    if len(at) == 1:
        return std_socket.AF_UNIX, at[0]
    port, host = at
    return (std_socket.AF_INET6 if ":" in host else std_socket.AF_INET), (host, port)
