"""TLS over named pipes."""

from __future__ import annotations

import ssl
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet.errors import DeadlineError, code_of
from tests.helpers.authority import client_context, server_context
from tests.helpers.servers import STYLES, echoing, receive, serving

DATA = bytes(range(256)) * 1000
VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)


def connect(name: str, **options: Any) -> gnet.Socket:
    """A client that knows whom it means."""
    options = {"tls": client_context(), "server_hostname": "localhost", **options}
    return gnet.connect(name, **options)


@VERSIONS
@pytest.mark.parametrize("style", STYLES)
def test_an_echo_goes_encrypted(name: str, style: str, version: ssl.TLSVersion) -> None:
    context = client_context()
    context.minimum_version = context.maximum_version = version
    with echoing(style, (name,), tls=server_context()), connect(name, tls=context) as sock:
        sender = gevent.spawn(sock.sendall, DATA)
        assert receive(sock, len(DATA)) == DATA
        sender.get()
        assert sock.encrypted
        assert sock.authorized
        assert (sock.bytes_read, sock.bytes_written) == (len(DATA), len(DATA))


def test_an_end_comes_behind_the_last_byte_and_is_not_truncated(name: str) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    with serving(arrivals.put, (name,), tls=server_context()), connect(name) as sock:
        served = arrivals.get()
        sock.end(DATA)
        assert receive(served, len(DATA) + 1) == DATA
        assert served.recv() == b""
        assert not served.truncated


def test_destroy_sends_no_end_of_its_own(name: str) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    with serving(arrivals.put, (name,), tls=server_context()), connect(name) as sock:
        served = arrivals.get()
        sock.destroy()
        assert served.recv() == b""
        assert served.truncated


def test_starttls(name: str) -> None:
    def serve(sock: gnet.Socket) -> None:
        assert sock.recv() == b"STARTTLS\r\n"
        sock.sendall(b"go on\r\n")
        sock.start_tls(server_context(), server_side=True)
        sock.sendall(b"secret: " + sock.recv())

    with serving(serve, (name,), end_on_return=True), gnet.connect(name) as sock:
        sock.sendall(b"STARTTLS\r\n")
        assert sock.recv() == b"go on\r\n"
        sock.start_tls(client_context(), server_hostname="localhost")
        sock.sendall(b"hello")
        assert receive(sock, 13) == b"secret: hello"
        assert sock.recv() == b""


def test_a_server_that_is_not_believed_is_told_why(name: str) -> None:
    failures: Queue[Any] = Queue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with serving(at=(name,), tls=server_context()) as server:
        server.on("tls_client_error", lambda error, info: failures.put(error))
        with pytest.raises(ssl.SSLCertVerificationError), connect(name, tls=context):
            pass
        assert code_of(failures.get()) == "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"


def test_a_client_that_says_nothing_is_dropped_in_time(name: str) -> None:
    failures: Queue[Any] = Queue()
    options = {"tls": server_context(), "handshake_timeout": 0.1}
    with serving(at=(name,), **options) as server, gnet.connect(name) as sock:
        server.on("tls_client_error", lambda error, info: failures.put(error))
        closed = Event()
        sock.on("error", lambda error: None)
        sock.on("close", lambda had_error: closed.set())
        sock.resume()
        assert isinstance(failures.get(), DeadlineError)
        closed.wait()


def test_a_path_needs_a_name_to_verify(name: str) -> None:
    with pytest.raises(ValueError, match="server_hostname"):
        gnet.connect(name, tls=client_context())
