"""The rules of the stream, where TLS makes a difference."""

from __future__ import annotations

import errno
import gc
import socket as std_socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

import gnet
from tests.helpers import forks
from tests.helpers.authority import client_context, server_context
from tests.helpers.calls import Calls
from tests.helpers.servers import echoing, place_at, serving, tls_pair

BIG = bytes(range(256)) * 8_000


def code_of(error: BaseException) -> Any:
    return getattr(error, "code", None)


def receive(sock: gnet.Socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            break
        data += chunk
    return data


# -- what is left in the library -------------------------------------------------------------


def test_small_reads_never_wait_for_what_is_there() -> None:
    with tls_pair() as (client, server):
        server.sendall(b"0123456789" * 3)
        for digit in b"0123456789" * 3:
            assert client.recv(1) == bytes([digit])


def test_a_listener_after_a_small_read_gets_the_rest() -> None:
    with tls_pair() as (client, server):
        server.sendall(b"hello")
        assert client.recv(2) == b"he"
        got = bytearray()
        done = Event()

        @client.on("data")
        def received(data: bytes) -> None:
            got.extend(data)
            if len(got) == 3:
                done.set()

        done.wait()
        assert got == b"llo"


def test_a_peek_and_waitall() -> None:
    with tls_pair() as (client, server):
        server.sendall(b"hello")
        assert client.recv(3, std_socket.MSG_PEEK) == b"hel"
        assert client.recv(2) == b"he"
        gevent.spawn_later(0.01, server.sendall, b" world")
        assert client.recv(9, std_socket.MSG_WAITALL) == b"llo world"


def test_flags_that_tls_has_not_are_refused() -> None:
    with tls_pair() as (client, server):
        server.sendall(b"x")
        with pytest.raises(ValueError, match="MSG_PEEK"):
            client.recv(1, std_socket.MSG_OOB)
        with pytest.raises(OSError) as failure:
            client.send(b"x", std_socket.MSG_OOB)
        assert failure.value.errno == errno.EOPNOTSUPP
        assert client.recv() == b"x"


def test_nobody_reads_and_the_end_is_noticed(must_call: Calls) -> None:
    with tls_pair() as (client, server):
        client.on("end", must_call(None))
        client.on("close", must_call(None))
        server.end()
        must_call.wait()


def test_nobody_reads_and_a_quiet_connection_costs_nothing() -> None:
    with tls_pair() as (client, server):
        assert client.listener_count("data") == 0
        loop = gevent.get_hub().loop
        gevent.sleep(0.02)
        turns = 0
        watcher = loop.check(ref=False)

        def count() -> None:
            nonlocal turns
            turns += 1

        watcher.start(count)
        gevent.sleep(0.1)
        watcher.close()
        assert turns < 20
        assert server.encrypted


# -- sending ---------------------------------------------------------------------------------


def test_backpressure_throttles_a_writer() -> None:
    with tls_pair() as (client, server):
        sender = gevent.spawn(client.sendall, BIG * 4)
        gevent.sleep(0.05)
        assert not sender.ready()
        assert client.writable_length > 0
        assert receive(server, len(BIG) * 4) == BIG * 4
        sender.get()
        assert client.writable_length == 0


def test_drain_follows_a_full_queue(must_call: Calls) -> None:
    with tls_pair() as (client, server):
        assert client.write(BIG * 4) is False
        client.on("drain", must_call(None))
        server.resume()
        must_call.wait()


def test_messages_of_many_greenlets_are_not_torn() -> None:
    with tls_pair() as (client, server):
        messages = [bytes([65 + number]) * 50_000 for number in range(10)]
        senders = [gevent.spawn(client.sendall, each) for each in messages]
        got = receive(server, 500_000)
        gevent.joinall(senders, raise_error=True)
        assert sorted(got[begin : begin + 50_000] for begin in range(0, 500_000, 50_000)) == (
            messages
        )


def test_an_interrupted_sendall_leaves_its_rest_ahead() -> None:
    with tls_pair() as (client, server):
        with gevent.Timeout(0.05, False):
            client.sendall(BIG * 4)
        client.write(b"behind")
        assert receive(server, len(BIG) * 4 + 6) == BIG * 4 + b"behind"


def test_close_sends_what_is_queued_to_a_slow_reader() -> None:
    with tls_pair() as (client, server):
        client.write(BIG)
        client.close()
        got = b""
        while True:
            gevent.sleep(0.002)
            data = server.recv(50_000)
            if not data:
                break
            got += data
        assert got == BIG
        assert not server.truncated


def test_end_comes_behind_what_is_queued() -> None:
    with tls_pair() as (client, server):
        client.write(BIG)
        client.end(b"last")
        assert receive(server, len(BIG) + 5) == BIG + b"last"
        assert server.recv() == b""
        assert not server.truncated


def test_destroy_sends_no_end_of_its_own() -> None:
    with tls_pair() as (client, server):
        server.destroy()
        assert client.recv() == b""
        assert client.truncated


def test_sendfile(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(BIG)
    with tls_pair() as (client, server), path.open("rb") as file:
        sender = gevent.spawn(client.sendfile, file)
        assert receive(server, len(BIG)) == BIG
        assert sender.get() == len(BIG)


def test_a_pipe_between_tls_and_plain(must_call: Calls) -> None:
    with echoing() as inner:

        def relay(sock: gnet.Socket) -> None:
            to = gnet.connect(*place_at(inner))
            sock.pipe(to)
            to.pipe(sock)

        # Half-open, so that it ends when the other way has.
        with serving(relay, tls=server_context(), allow_half_open=True) as outer:
            sock = gnet.connect(
                *place_at(outer), tls=client_context(), server_hostname="localhost"
            )
            sender = gevent.spawn(sock.sendall, BIG)
            assert receive(sock, len(BIG)) == BIG
            sender.get()
            sock.end()
            assert sock.recv() == b""
            sock.close()


# -- the non-blocking mode -------------------------------------------------------------------


def test_a_call_that_must_not_wait_says_so() -> None:
    with tls_pair() as (client, server):
        client.settimeout(0)
        with pytest.raises(BlockingIOError) as failure:
            client.recv(10)
        assert code_of(failure.value) == "EAGAIN"
        server.sendall(b"hello")
        got = b""
        while len(got) < 5:
            try:
                got += client.recv(2)
            except BlockingIOError:
                gevent.sleep(0.001)
        assert got == b"hello"


@pytest.mark.parametrize("size", [1000, 16384, 100_000])
def test_what_a_send_counts_arrives_and_nothing_else(size: int) -> None:
    with tls_pair() as (client, server):
        client.settimeout(0)
        sent = 0
        with pytest.raises(BlockingIOError):
            while True:
                sent += client.send(BIG[sent % 256 : sent % 256 + size])
        assert client.bytes_written == sent
        assert client.writable_length == 0
        got = receive(server, sent)
        assert got == (BIG * (sent // len(BIG) + 2))[:sent]
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.recv(1)
        # Other bytes now.
        client.settimeout(None)
        server.settimeout(None)
        client.sendall(b"other bytes")
        assert server.recv() == b"other bytes"


def test_an_end_behind_a_send_that_counted() -> None:
    with tls_pair() as (client, server):
        client.settimeout(0)
        sent = 0
        with pytest.raises(BlockingIOError):
            while True:
                sent += client.send(BIG)
        client.end()
        assert len(receive(server, sent + 1)) == sent
        assert not server.truncated


# -- time ------------------------------------------------------------------------------------


def test_the_idle_timeout_fires() -> None:
    with tls_pair() as (client, server):
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv()
        server.sendall(b"x")
        assert client.recv() == b"x"


def test_close_wakes_a_reader() -> None:
    with tls_pair() as (client, _server):

        def read() -> Any:
            try:
                return client.recv()
            except OSError as exc:
                return exc

        reading = gevent.spawn(read)
        gevent.sleep(0)
        client.close()
        assert code_of(reading.get()) == "ERR_SOCKET_CLOSED"


def test_to_read_no_more_wakes_the_reader() -> None:
    with tls_pair() as (client, server):
        reading = gevent.spawn(client.recv)
        gevent.sleep(0)
        client.shutdown(std_socket.SHUT_RD)
        assert reading.get() == b""
        client.sendall(b"still sends")
        assert server.recv() == b"still sends"


@pytest.mark.skipif(not hasattr(socket, "MSG_DONTWAIT"), reason="Linux tells")
def test_peer_end_is_the_transports(must_call: Calls) -> None:
    with tls_pair() as (client, server):
        server.sendall(b"unread")
        client.on("peer_end", must_call(None))
        server.end()
        must_call.wait()
        assert client.recv() == b"unread"


# -- what cannot be --------------------------------------------------------------------------


def test_a_live_connection_is_not_given_away() -> None:
    with tls_pair() as (client, server):
        with pytest.raises(OSError) as failure:
            client.detach()
        assert failure.value.errno == errno.ENOTSUP
        server.sendall(b"goes on")
        assert client.recv() == b"goes on"


@pytest.mark.parametrize("event", ["data", "peer_end"])
def test_one_that_was_to_be_given_away_is_heard_as_before(event: str) -> None:
    with tls_pair() as (client, server):
        heard = Event()
        client.on(event, lambda *_: heard.set())
        with pytest.raises(OSError, match="ENOTSUP"):
            client.detach()
        server.end(b"goes on")
        heard.wait()


def test_pythons_own_encrypted_sockets_are_refused() -> None:
    here, there = std_socket.socketpair()
    wrapped = client_context().wrap_socket(
        here, server_hostname="localhost", do_handshake_on_connect=False
    )
    try:
        with pytest.raises(TypeError, match="tls=.*start_tls"):
            gnet.Socket(handle=wrapped)
        with pytest.raises(TypeError, match="tls=.*start_tls"):
            gnet.Server().listen(wrapped)
        assert wrapped.fileno() >= 0
    finally:
        wrapped.close()
        there.close()


def test_gnets_own_plain_sockets_are_taken() -> None:
    here, there = std_socket.socketpair()
    first = gnet.Socket(handle=here)
    second = gnet.Socket(handle=first)
    there.sendall(b"x")
    assert second.recv() == b"x"
    second.destroy()
    there.close()


# -- references ------------------------------------------------------------------------------


def test_a_socket_that_nobody_refers_to_is_collected() -> None:
    with echoing(tls=server_context()) as server:
        sock: Any = gnet.connect(
            *place_at(server), tls=client_context(), server_hostname="localhost"
        )
        sock.sendall(b"x")
        assert sock.recv() == b"x"
        sock.on("session", print)
        sock.remove_all_listeners()
        # What the loop has still to call lets go of it.
        gevent.sleep(0.05)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            del sock
            gc.collect()
            gevent.sleep(0.01)
        assert [each.category for each in caught] == [ResourceWarning]


@pytest.mark.limit(60)
def test_a_forked_child_leaves_the_connection_alone() -> None:
    with tls_pair() as (client, server):

        def let_go() -> bool:
            client.destroy()
            return True

        for run in forks.ways().values():
            assert run(let_go) is True
        client.sendall(b"still here")
        assert server.recv() == b"still here"


def test_the_error_of_a_broken_record_reaches_the_reader() -> None:
    with serving(tls=server_context()) as server:
        failures: list[Any] = []
        got = Event()

        @server.on("connection")
        def connected(sock: gnet.Socket) -> None:
            sock.on("error", lambda error: (failures.append(error), got.set()))
            sock.resume()

        sock = gnet.connect(*place_at(server), tls=client_context(), server_hostname="localhost")
        sock.wait("secure_connect")
        wire: Any = sock._wire
        wire.inner.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        got.wait()
        assert isinstance(failures[0], ssl.SSLError)
        assert code_of(failures[0]) == "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
        assert "bad record mac" in str(failures[0])
        with pytest.raises(ssl.SSLError) as failure:
            sock.recv()
        assert code_of(failure.value) == "ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC"
