"""What comes of itself over TLS: tickets, new keys, renegotiation. It is no data, and no harm."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

import gnet
from tests.helpers.authority import (
    authority,
    certificate,
    client_context,
    server_context,
    write_pair,
)
from tests.helpers.peers import Peer as Program
from tests.helpers.peers import running
from tests.helpers.servers import STYLES, echoing, place_at, place_of_raw, raw_listener, serving
from tests.helpers.tls_peer import Peer, connected

#: OpenSSL's ``SSL_OP_ALLOW_CLIENT_RENEGOTIATION``, which Python has no name for.
ALLOW_CLIENT_RENEGOTIATION = 1 << 8


# -- the end of a connection whose tickets stand unread ----------------------------------------


@contextmanager
def before_the_tickets() -> Iterator[tuple[gnet.Socket, Peer, bytes]]:
    """A client behind its handshake, its server, and the tickets that this has still to send."""
    with raw_listener() as listener:
        port, host = place_of_raw(listener)
        sock = gnet.connect(port, host, tls=client_context(), server_hostname="localhost")
        plain, _ = listener.accept()
        with plain:
            peer = Peer(plain._sock, server_context(), server_side=True)
            finish(peer)
            tickets = peer.take()
            sock.wait("secure_connect")
            try:
                yield sock, peer, tickets
            finally:
                sock.destroy()


def finish(peer: Peer) -> None:
    """Shake hands, and keep the last answer back."""
    while True:
        socket.wait_read(peer.socket.fileno())
        peer.hear()
        try:
            peer.tls.do_handshake()
            return
        except ssl.SSLWantReadError:
            peer.deliver()


@pytest.mark.parametrize("end", ["close", "destroy", "destroy_soon"])
def test_a_close_with_tickets_unread_is_no_reset(end: str) -> None:
    with before_the_tickets() as (sock, peer, tickets):
        assert tickets
        sock.sendall(b"hello")
        # The client's loop has no turn between this and its close.
        peer.deliver(tickets)
        getattr(sock, end)()
        assert peer.rest() == b"hello"


def test_a_reset_is_one_whatever_stands_unread() -> None:
    with before_the_tickets() as (sock, peer, tickets):
        peer.deliver(tickets)
        sock.reset_and_destroy()
        socket.wait_read(peer.socket.fileno())
        with pytest.raises(ConnectionResetError):
            peer.socket.recv(1)


@pytest.mark.parametrize("strict", [False, True])
def test_a_client_that_ends_behind_its_handshake_has_ended_cleanly(strict: bool) -> None:
    """Its end comes with its last step, and the tickets find nobody."""
    ends: list[Any] = []
    closed = Event()

    def serve(sock: gnet.Socket) -> None:
        sock.on("error", ends.append)
        sock.on(
            "close", lambda had_error: (ends.append((had_error, sock.truncated)), closed.set())
        )
        sock.resume()

    with serving(serve, tls=server_context(), tls_strict=strict) as server:
        sock = gnet.connect(*place_at(server), tls=client_context(), server_hostname="localhost")
        sock.wait("secure_connect")
        sock.destroy_soon()
        closed.wait()
    assert ends == [(False, False)]


def test_an_alert_that_was_received_explains_a_reset() -> None:
    wire, peer = connected(False)
    with closing(wire), closing(peer.socket):
        data = peer.encrypted(b"hello")
        with pytest.raises(ssl.SSLError):
            peer.decrypted(b"\x17\x03\x03\x00\x20" + bytes(32))
        peer.deliver(data + peer.take())
        # Nobody has looked at the alert yet, which was received with the data.
        assert wire.recv(1) == b"h"
        peer.socket.close()
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            for _ in range(3):
                wire.send(b"hello")


# -- what a peer of another make may ask for ---------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    """The loop has next to nothing to do meanwhile."""
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1

    with gevent.get_hub().loop.check(ref=False) as watcher:
        watcher.start(count)
        yield
    assert turns < 20


def is_quiet() -> None:
    with quiet():
        gevent.sleep(0.05)


@contextmanager
def openssls_client(server: gnet.Server, version: str) -> Iterator[Program]:
    port, _ = place_at(server)
    with (
        authority().cert_pem.tempfile() as cafile,
        running(
            "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
            "-CAfile", cafile, version, "-brief",
        ) as client,
    ):  # fmt: skip
        yield client


def await_complaint(program: Program, text: bytes) -> None:
    """Read its standard error up to a line."""
    while text not in program.complaint():
        assert program.runs


COMMANDS = pytest.mark.parametrize(
    "version, command, answer",
    [("-tls1_2", b"R", b"RENEGOTIATING"), ("-tls1_3", b"K", b"KEYUPDATE"),
     ("-tls1_3", b"k", b"KEYUPDATE")],
    ids=["renegotiation", "new keys for both", "new keys"],
)  # fmt: skip


@COMMANDS
@pytest.mark.parametrize("style", STYLES)
def test_a_client_may_ask_for_new_keys(
    style: str, version: str, command: bytes, answer: bytes
) -> None:
    context = server_context()
    context.options |= ALLOW_CLIENT_RENEGOTIATION
    with echoing(style, tls=context) as server, openssls_client(server, version) as client:
        client.send(b"before\n")
        assert client.line() == b"before"
        for _ in range(2):
            client.send(command + b"\n")
            await_complaint(client, answer)
            is_quiet()
        client.send(b"behind\n")
        assert client.line() == b"behind"


@COMMANDS
def test_a_socket_that_nobody_reads_stays_usable(
    version: str, command: bytes, answer: bytes
) -> None:
    context = server_context()
    context.options |= ALLOW_CLIENT_RENEGOTIATION
    with serving(tls=context) as server, openssls_client(server, version) as client:
        (sock,) = server.wait("connection")
        sock.sendall(b"hello\n")
        assert client.line() == b"hello"
        client.send(command + b"\n")
        await_complaint(client, answer)
        is_quiet()
        sock.sendall(b"again\n")
        assert client.line() == b"again"
        client.send(b"now\n")
        assert sock.recv() == b"now\n"


def test_a_renegotiation_that_is_not_allowed_ends_with_a_clear_error() -> None:
    """OpenSSL's default: it answers that it does not want to, and its own client gives up."""
    with serving(tls=server_context()) as server, openssls_client(server, "-tls1_2") as client:
        (sock,) = server.wait("connection")
        client.send(b"R\n")
        with pytest.raises(ssl.SSLError) as failure:
            sock.recv()
        assert getattr(failure.value, "code", "").startswith("ERR_SSL_")


@COMMANDS
@pytest.mark.parametrize("style", STYLES)
def test_a_server_may_ask_for_new_keys(
    style: str, version: str, command: bytes, answer: bytes, tmp_path: Path
) -> None:
    cert, key = write_pair(certificate(), tmp_path / "cert.pem", tmp_path / "key.pem")
    with running(
        "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(cert), "-key", str(key),
        version,
    ) as server:  # fmt: skip
        line = b""
        while not line.startswith(b"ACCEPT"):
            line = server.line()
        sock = gnet.connect(
            int(line.rsplit(b":", 1)[1]), "127.0.0.1", tls=client_context(),
            server_hostname="localhost",
        )  # fmt: skip
        try:
            got = Event()
            if style == "event":
                sock.on("data", lambda data: got.set() if data == b"behind\n" else None)
            sock.wait("secure_connect")
            is_quiet()
            server.send(command + b"\n")
            gevent.sleep(0.05)
            is_quiet()
            server.send(b"behind\n")
            if style == "event":
                got.wait()
            else:
                assert sock.recv() == b"behind\n"
            sock.sendall(b"answer\n")
            while server.line() != b"answer":
                pass
        finally:
            sock.destroy()


# -- by hand, so that the moment is the test's -------------------------------------------------


def test_a_ticket_for_a_quiet_socket_wakes_nobody(
    must_not_call: Callable[..., Any],
) -> None:
    with before_the_tickets() as (sock, peer, tickets):
        for event in "data", "end", "error", "timeout":
            sock.on(event, must_not_call(event))
        sock.pause()
        is_quiet()
        peer.deliver(tickets)
        gevent.sleep(0.01)
        is_quiet()
        sock.remove_all_listeners()
        peer.deliver(peer.encrypted(b"data"))
        assert sock.recv() == b"data"


def test_a_ticket_does_not_wake_a_reader_that_waits() -> None:
    with before_the_tickets() as (sock, peer, tickets):
        reading = gevent.spawn(sock.recv)
        gevent.sleep(0)
        peer.deliver(tickets)
        gevent.sleep(0.01)
        assert not reading.ready()
        peer.deliver(peer.encrypted(b"data"))
        assert reading.get() == b"data"


def test_a_ticket_is_no_activity_to_a_read_timeout() -> None:
    with before_the_tickets() as (sock, peer, tickets):
        sock.settimeout(0.05)
        gevent.spawn_later(0.03, peer.deliver, tickets)
        with gevent.Timeout(2), pytest.raises(TimeoutError):
            sock.recv()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_tickets_may_come_in_pieces(size: int) -> None:
    with before_the_tickets() as (sock, peer, tickets):
        reading = gevent.spawn(sock.recv)
        for begin in range(0, len(tickets), size):
            peer.deliver(tickets[begin : begin + size])
            gevent.sleep(0)
        peer.deliver(peer.encrypted(b"data"))
        assert reading.get() == b"data"


def test_half_a_ticket_and_a_close_is_no_reset() -> None:
    with before_the_tickets() as (sock, peer, tickets):
        peer.deliver(tickets[:20])
        sock.destroy()
        assert peer.rest() == b""
