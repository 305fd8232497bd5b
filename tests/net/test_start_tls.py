"""STARTTLS from both sides, and back to plain."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

import gnet
from gnet.errors import DeadlineError
from gnet.tls import Certificates
from tests.helpers.authority import (
    certificate,
    client_context,
    expired,
    server_context,
    unverified_context,
    write_pair,
)
from tests.helpers.calls import Calls
from tests.helpers.servers import pair, serving

LOCALHOST = "localhost"
SERVER = {"server_side": True}


def code_of(error: BaseException) -> Any:
    return getattr(error, "code", None)


def failure_of(call: Callable[[], object]) -> BaseException | None:
    """What a call raises."""
    try:
        call()
    except OSError as exc:
        return exc
    return None


def upgrade(client: gnet.Socket, server: gnet.Socket) -> None:
    """Start TLS at both ends."""
    server.start_tls(server_context(), server_side=True)
    client.start_tls(client_context(), server_hostname=LOCALHOST)


def starttls_server(sock: gnet.Socket) -> None:
    """A handler that speaks a line protocol with STARTTLS."""
    file = sock.makefile("rb")
    sock.sendall(b"220 ready\n")
    while True:
        line = file.readline()
        if not line:
            return
        if line == b"STARTTLS\n":
            file.close()
            sock.sendall(b"220 go ahead\n")
            sock.start_tls(server_context(), server_side=True)
            file = sock.makefile("rb")
        elif line == b"STOP\n":
            file.close()
            sock.sendall(b"220 going back\n")
            sock.stop_tls()
            file = sock.makefile("rb")
        else:
            sock.sendall((b"secure " if sock.encrypted else b"plain ") + line)


@contextmanager
def starttls() -> Iterator[gnet.Socket]:
    with serving(starttls_server, end_on_return=True) as server:
        address: Any = server.address()
        with gnet.connect(address.port, LOCALHOST) as sock:
            yield sock


# -- to TLS ----------------------------------------------------------------------------------


def test_starttls_in_blocking_style() -> None:
    with starttls() as sock:
        assert sock.recv() == b"220 ready\n"
        sock.sendall(b"hello\n")
        assert sock.recv() == b"plain hello\n"
        sock.sendall(b"STARTTLS\n")
        assert sock.recv() == b"220 go ahead\n"
        # The name is the host's that connect() was given.
        assert sock.start_tls(client_context()) is sock
        sock.sendall(b"hello\n")
        assert sock.recv() == b"secure hello\n"
        assert sock.encrypted and sock.authorized
        assert sock.servername == LOCALHOST


def test_starttls_in_event_style(must_call: Calls) -> None:
    with serving(starttls_server, end_on_return=True) as server:
        address: Any = server.address()
        sock = gnet.connect(address.port, LOCALHOST)
        lines: list[bytes] = []

        def received(data: bytes) -> None:
            lines.append(data)
            if data == b"220 ready\n":
                sock.write(b"STARTTLS\n")
            elif data == b"220 go ahead\n":
                sock.pause()
                sock.start_tls(client_context())
                sock.write(b"hello\n")
                sock.resume()
            elif b"".join(lines).endswith(b"secure hello\n"):
                sock.end()

        sock.on("data", received)
        sock.on("secure_connect", must_call(None))
        sock.on("close", must_call(None))
        must_call.wait()
        assert sock.bytes_read == len(b"220 ready\n220 go ahead\nsecure hello\n")


def test_what_was_written_before_goes_plain_and_what_follows_encrypted() -> None:
    with pair() as (client, server):
        big = bytes(range(256)) * 20_000
        client.write(big)
        client.start_tls(client_context(), server_hostname=LOCALHOST)
        client.write(b"encrypted")
        assert not client.encrypted
        got = b""
        while len(got) < len(big):
            got += server.recv(len(big) - len(got))
        assert got == big
        server.start_tls(server_context(), server_side=True)
        assert server.recv() == b"encrypted"
        assert client.wait("secure_connect") == ()


def test_both_ends_wait_and_both_go_on() -> None:
    with pair() as (client, server):
        upgrade(client, server)
        reading = gevent.spawn(server.recv)
        client.sendall(b"hello")
        assert reading.get() == b"hello"
        server.sendall(b"answer")
        assert client.recv() == b"answer"
        client.do_handshake()
        assert client.wait("secure_connect") == server.wait("secure_connect") == ()
        assert (client.bytes_written, server.bytes_read) == (5, 5)


def test_what_stands_unread_is_the_handshakes() -> None:
    with pair() as (client, server):
        client.start_tls(client_context(), server_hostname=LOCALHOST)
        # The client's first message is in the kernel by now.
        gevent.sleep(0.01)
        server.start_tls(server_context(), server_side=True)
        client.sendall(b"hello")
        assert server.recv() == b"hello"


def test_the_server_may_choose_by_name(tmp_path: Path) -> None:
    write_pair(certificate("a.example"), tmp_path / "a.pem")
    write_pair(certificate("b.example"), tmp_path / "b.pem")
    with pair() as (client, server):
        server.start_tls(Certificates(tmp_path, watch=False), server_side=True)
        client.start_tls(client_context(), server_hostname="B.example")
        client.do_handshake()
        assert ("DNS", "b.example") in client.getpeercert()["subjectAltName"]
        server.do_handshake()
        assert server.servername == "b.example"


def test_tls_in_tls() -> None:
    with pair() as (client, server):
        upgrade(client, server)
        client.sendall(b"outer")
        assert server.recv() == b"outer"
        upgrade(client, server)
        client.sendall(b"inner")
        assert server.recv() == b"inner"
        server.sendall(b"back")
        assert client.recv() == b"back"
        client.stop_tls()
        server.stop_tls()
        client.sendall(b"outer again")
        assert server.recv() == b"outer again"
        assert client.encrypted and server.encrypted


def test_a_big_message_right_behind_it() -> None:
    data = bytes(range(256)) * 10_000
    with pair() as (client, server):
        upgrade(client, server)
        sender = gevent.spawn(client.sendall, data)
        got = b""
        while len(got) < len(data):
            got += server.recv()
        sender.get()
        assert got == data


def test_an_end_written_meanwhile_goes_behind_the_handshake() -> None:
    with pair() as (client, server):
        client.start_tls(client_context(), server_hostname=LOCALHOST)
        client.end(b"last words")
        server.start_tls(server_context(), server_side=True)
        assert [server.recv(), server.recv()] == [b"last words", b""]
        assert not server.truncated


# -- failures --------------------------------------------------------------------------------


def test_who_waits_hears_of_a_failure() -> None:
    with pair() as (client, server):
        server.start_tls(server_context(expired(LOCALHOST)), server_side=True)
        client.start_tls(client_context(), server_hostname=LOCALHOST)
        waiting = [gevent.spawn(failure_of, call) for call in (client.recv, client.do_handshake)]
        for each in waiting:
            error = each.get()
            assert isinstance(error, ssl.SSLCertVerificationError)
            assert code_of(error) == "CERT_HAS_EXPIRED"
        with pytest.raises(ssl.SSLError) as other:
            server.recv()
        assert code_of(other.value) == "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED"


def test_a_peer_that_goes_on_in_plain_is_an_error() -> None:
    with pair() as (client, server):
        client.start_tls(client_context(), server_hostname=LOCALHOST)
        server.sendall(b"500 what is this?\n")
        with pytest.raises(ssl.SSLError) as failure:
            client.recv()
        assert code_of(failure.value) == "ERR_SSL_WRONG_VERSION_NUMBER"


def test_a_peer_that_leaves_is_a_reset() -> None:
    with pair() as (client, server):
        client.start_tls(client_context(), server_hostname=LOCALHOST)
        server.destroy()
        with pytest.raises(OSError) as failure:
            client.recv()
        assert code_of(failure.value) == "ECONNRESET"


@pytest.mark.parametrize("options", [{"server_hostname": LOCALHOST}, SERVER])
def test_a_peer_that_says_nothing_is_given_up(options: dict[str, Any]) -> None:
    context = server_context() if options is SERVER else client_context()
    with pair() as (client, _server):
        client.start_tls(context, handshake_timeout=0.05, **options)
        with pytest.raises(DeadlineError) as failure:
            client.recv()
        assert failure.value.deadline == "handshake_timeout"
        assert code_of(failure.value) == "ERR_TLS_HANDSHAKE_TIMEOUT"


def test_destroy_ends_it() -> None:
    with pair() as (client, _server):
        client.start_tls(client_context(), server_hostname=LOCALHOST)
        reading = gevent.spawn(failure_of, client.recv)
        gevent.sleep(0)
        client.destroy()
        assert code_of(reading.get()) == "ERR_SOCKET_CLOSED"


# -- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"tls": "yes"}, TypeError, '"tls"'),
        ({"tls": False}, TypeError, '"tls"'),
        ({"server_side": "yes"}, TypeError, '"server_side"'),
        ({"server_side": True, "tls": True}, TypeError, '"tls"'),
        ({"server_side": True}, ValueError, "context for servers"),
        ({"server_side": True, "server_hostname": "x"}, TypeError, "are for a client"),
        ({"server_hostname": "a\0b"}, ValueError, "server_hostname"),
        ({"server_hostname": None}, ValueError, "server_hostname"),
        ({"handshake_timeout": "soon"}, TypeError, "handshake_timeout"),
    ],
)
def test_bad_arguments_change_nothing(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pair() as (client, server):
        options = {"tls": client_context(), **options}
        if not options.get("server_side"):
            options = {"server_hostname": LOCALHOST, **options}
        # The server's end, as no host was named there.
        with pytest.raises(error, match=text):
            server.start_tls(**options)
        assert not server.encrypted
        server.sendall(b"x")
        assert client.recv() == b"x"


def test_a_socket_that_flows_is_refused() -> None:
    with pair() as (client, _server):
        client.on("data", lambda data: None)
        with pytest.raises(RuntimeError, match="pause\\(\\)"):
            client.start_tls(client_context(), server_hostname=LOCALHOST)


def test_a_socket_that_is_read_is_refused() -> None:
    with pair() as (client, server):
        reading = gevent.spawn(client.recv)
        gevent.sleep(0)
        with pytest.raises(RuntimeError, match="another greenlet"):
            client.start_tls(client_context(), server_hostname=LOCALHOST)
        server.sendall(b"x")
        assert reading.get() == b"x"


def test_a_file_with_unread_bytes_is_refused() -> None:
    with pair() as (client, server):
        server.sendall(b"220 go ahead\ninjected\n")
        with client.makefile("rb") as file:
            assert file.readline() == b"220 go ahead\n"
            with pytest.raises(RuntimeError, match="makefile"):
                client.start_tls(client_context(), server_hostname=LOCALHOST)
            assert file.readline() == b"injected\n"


@pytest.mark.parametrize("call", ["start_tls", "stop_tls"])
def test_a_socket_that_is_over_is_refused(call: str) -> None:
    with pair() as (client, _server):
        options: dict[str, Any] = (
            {"tls": client_context(), "server_hostname": LOCALHOST} if call == "start_tls" else {}
        )
        client.end()
        with pytest.raises(BrokenPipeError, match="ended"):
            getattr(client, call)(**options)
        client.destroy()
        with pytest.raises(OSError) as failure:
            getattr(client, call)(**options)
        assert code_of(failure.value) == "ERR_SOCKET_CLOSED"
    with pytest.raises(OSError) as failure:
        getattr(gnet.Socket(), call)(**options)
    assert code_of(failure.value) == "ENOTCONN"


def test_one_change_at_a_time() -> None:
    with pair() as (client, _server):
        client.start_tls(client_context(), server_hostname=LOCALHOST)
        with pytest.raises(RuntimeError, match="another change"):
            client.start_tls(client_context(), server_hostname=LOCALHOST)
        with pytest.raises(RuntimeError, match="another change"):
            client.stop_tls()


def test_stop_tls_needs_tls() -> None:
    with pair() as (client, _server), pytest.raises(RuntimeError, match="needs a connection"):
        client.stop_tls()


# -- back to plain ---------------------------------------------------------------------------


def test_there_and_back_again() -> None:
    with starttls() as sock:
        file = sock.makefile("rb")
        assert file.readline() == b"220 ready\n"
        for _ in range(2):
            sock.sendall(b"STARTTLS\n")
            assert file.readline() == b"220 go ahead\n"
            sock.start_tls(client_context())
            sock.sendall(b"hello\n")
            assert file.readline() == b"secure hello\n"
            sock.sendall(b"STOP\n")
            assert file.readline() == b"220 going back\n"
            assert sock.stop_tls() is sock
            sock.sendall(b"hello\n")
            assert file.readline() == b"plain hello\n"
            assert not sock.encrypted
        file.close()


def test_what_was_written_before_stop_tls_is_encrypted_and_what_follows_is_plain() -> None:
    with pair() as (client, server):
        upgrade(client, server)
        client.do_handshake()
        client.write(b"encrypted")
        client.stop_tls()
        client.write(b"plain")
        assert server.recv() == b"encrypted"
        server.stop_tls()
        assert server.recv() == b"plain"
        assert not (client.encrypted or server.encrypted)


def test_what_the_peer_still_sends_encrypted_is_kept_for_the_reader() -> None:
    with pair() as (client, server):
        upgrade(client, server)
        client.do_handshake()
        client.stop_tls()
        server.sendall(b"still encrypted")
        server.stop_tls()
        server.sendall(b", now plain")
        got = b""
        while len(got) < 26:
            got += client.recv(4)
        assert got == b"still encrypted, now plain"


def test_a_reader_that_waits_reads_on() -> None:
    with pair() as (client, server):
        upgrade(client, server)
        server.do_handshake()
        reading = gevent.spawn(client.recv)
        gevent.sleep(0)
        client.stop_tls()
        server.stop_tls()
        server.sendall(b"plain")
        assert reading.get() == b"plain"


def test_the_model_of_both_styles_with_unverified_names(must_call: Calls) -> None:
    with pair() as (client, server):
        server.start_tls(server_context(), server_side=True)
        client.start_tls(unverified_context(), server_hostname="")
        got = Event()
        server.on("data", lambda data: got.set() if data == b"x" else None)
        client.on("secure_connect", must_call(lambda: client.write(b"x")))
        got.wait()
        must_call.wait()
