"""The other end of a TLS connection, by the standard library, byte by byte in the test's hand."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

from gevent.socket import wait_read

from gnet._core.tls_wire import TLSWire
from gnet._transport.stream_socket import Wire
from tests.helpers.authority import client_context, server_context


class Peer:
    """An end whose encrypted bytes the test delivers.

    :ivar tls: the standard library's object.
    :ivar socket: where the wire under test is at the other side.
    :ivar ended: whether the transport's end has come.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, **options: Any) -> None:
        self.socket = sock
        self.ended = False
        sock.setblocking(False)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, **options)

    def take(self) -> bytes:
        """The encrypted bytes that it would send now."""
        return self._outgoing.read()

    def deliver(self, data: bytes | None = None) -> None:
        """Send encrypted bytes, by default all that it would send now."""
        self.socket.sendall(self.take() if data is None else data)

    def hear(self) -> int:
        """Have it have what was sent to it; gives how many encrypted bytes that were."""
        total = 0
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except BlockingIOError:
                return total
            if not data:
                self._incoming.write_eof()
                self.ended = True
                return total
            self._incoming.write(data)
            total += len(data)

    def handshake(self) -> bool:
        """Take a step of the handshake; tells whether it is done."""
        self.hear()
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.deliver()
        return True

    def encrypted(self, *messages: bytes) -> bytes:
        """Messages as they would be sent, a record each."""
        for message in messages:
            self.tls.write(message)
        return self.take()

    def farewell(self) -> bytes:
        """Its ``close_notify``."""
        # The peer's is awaited.
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.take()

    def decrypted(self, data: bytes) -> bytes:
        """What stands in encrypted bytes that were sent to it."""
        self._incoming.write(data)
        return self._read()

    def read(self) -> bytes:
        """All that was sent to it."""
        self.hear()
        return self._read()

    def rest(self) -> bytes:
        """All that is sent to it up to the transport's end, which may be no reset."""
        while not self.ended:
            wait_read(self.socket.fileno())
            self.hear()
        return self._read()

    def _read(self) -> bytes:
        parts = []
        try:
            while True:
                part = self.tls.read(1 << 20)
                if not part:
                    break
                parts.append(part)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        return b"".join(parts)


def wire_and_peer(
    server_side: bool = True,
    *,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    context: ssl.SSLContext | None = None,
    peers: ssl.SSLContext | None = None,
) -> tuple[TLSWire, Peer]:
    """A wire and its peer, connected; nothing of a handshake has happened.

    :param server_side: whether the wire is the server.
    :param version: the only one that the peer speaks.
    :param context: the wire's; by default one that fits.
    :param peers: the peer's.
    """
    here, there = socket.socketpair()
    if context is None:
        context = server_context() if server_side else client_context()
    if peers is None:
        peers = client_context() if server_side else server_context()
        peers.minimum_version = peers.maximum_version = version
    inner = Wire.adopt(here.detach())
    if server_side:
        wire = TLSWire(inner, context, True)
        return wire, Peer(there, peers, server_hostname="localhost")
    wire = TLSWire(inner, context, False, "localhost")
    return wire, Peer(there, peers, server_side=True)


def shake_hands(wire: TLSWire, peer: Peer) -> None:
    """Have both be done with the handshake."""
    mine = theirs = False
    for _ in range(20):
        theirs = theirs or peer.handshake()
        try:
            wire.handshake()
            mine = True
        except BlockingIOError:
            pass
        if mine and theirs:
            # The tickets, which are no data.
            peer.read()
            return
    raise AssertionError("the handshake does not end")


def connected(server_side: bool = True, **options: Any) -> tuple[TLSWire, Peer]:
    """A wire and its peer, behind the handshake."""
    wire, peer = wire_and_peer(server_side, **options)
    shake_hands(wire, peer)
    return wire, peer
