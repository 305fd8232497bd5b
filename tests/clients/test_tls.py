"""TLS on a gnet socket: ``SSLContext.wrap_socket`` takes it over.

The socket that comes out is that of the context's module: gevent's is cooperative, and
``gevent.monkey.patch_all()`` makes ``ssl.SSLContext`` gevent's. Without it, the standard library's
own blocks its thread, so its peers here are other processes.
"""

from __future__ import annotations

import ssl
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import pywsgi
from gevent import ssl as gevent_ssl

import gnet
from gnet import monkey
from tests.clients.conftest import PROGRAMS
from tests.conftest import PATCHED
from tests.helpers.peers import running
from tests.helpers.servers import place_at, serving

trustme = pytest.importorskip("trustme")

LARGE = bytes(range(256)) * 4000


class Certificates:
    """A certificate for ``localhost``, and contexts that present it and trust it."""

    def __init__(self, directory: Path) -> None:
        self.chain, self.authority = directory / "chain.pem", directory / "authority.pem"
        authority = trustme.CA()
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(self.chain)
        authority.cert_pem.write_to_path(self.authority)

    def server(self, kind: Any = gevent_ssl.SSLContext) -> Any:
        context = kind(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain)
        return context

    def client(self, kind: Any = gevent_ssl.SSLContext) -> Any:
        context = kind(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


def echo(tls: Any) -> None:
    with tls:
        while chunk := tls.recv(65536):
            tls.sendall(chunk)


@pytest.fixture
def port(certificates: Certificates) -> Iterator[int]:
    """A TLS echo server's, on gnet."""
    context = certificates.server()

    def serve(sock: gnet.Socket) -> None:
        try:
            tls = context.wrap_socket(sock, server_side=True)
        except ssl.SSLError:
            # The client does not trust it.
            return
        echo(tls)

    with serving(serve, end_on_return=True) as server:
        yield place_at(server)[0]


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "connecting"])
def test_both_ends_speak_tls_and_nobody_blocks(
    connected: bool, port: int, certificates: Certificates
) -> None:
    sock = gnet.connect(port, "127.0.0.1", timeout=5)
    if connected:
        sock.wait("connect")
    with certificates.client().wrap_socket(sock, server_hostname="localhost") as tls:
        assert isinstance(tls, gevent_ssl.SSLSocket)
        assert tls.gettimeout() == 5
        assert sock.fileno() == -1
        sending = gevent.spawn(tls.sendall, LARGE)
        received = b""
        while len(received) < len(LARGE):
            received += tls.recv(65536)
        assert received == LARGE
        sending.get()


def test_starttls_begins_in_the_middle_of_a_connection(certificates: Certificates) -> None:
    context = certificates.server()

    def serve(sock: gnet.Socket) -> None:
        assert sock.recv() == b"STARTTLS\r\n"
        sock.sendall(b"go on\r\n")
        echo(context.wrap_socket(sock, server_side=True))

    with (
        serving(serve, end_on_return=True) as server,
        gnet.connect(*place_at(server)) as sock,
    ):
        with sock.makefile("rb") as file:
            sock.sendall(b"STARTTLS\r\n")
            assert file.readline() == b"go on\r\n"
        with certificates.client().wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(b"secret")
            assert tls.recv(6) == b"secret"


def test_a_certificate_for_another_name_is_refused(port: int, certificates: Certificates) -> None:
    sock = gnet.connect(port, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        certificates.client().wrap_socket(sock, server_hostname="another.example")


@pytest.mark.parametrize("role", ["client", "server"])
def test_the_standard_librarys_context_takes_it_too(role: str, certificates: Certificates) -> None:
    """Each end in a process of its own, so that both may block."""
    arguments = [str(certificates.chain), str(certificates.authority)]
    command = gnet_python("tls_echo.py", *arguments)
    with running(*command, "server") as server:
        port = server.line().decode()
        if role == "client":
            context = certificates.client(ssl.SSLContext)
            sock = gnet.connect(int(port), "127.0.0.1", timeout=5)
            with context.wrap_socket(sock, server_hostname="localhost") as tls:
                tls.sendall(b"echo")
                assert tls.recv(4) == b"echo"
            assert isinstance(tls, gevent_ssl.SSLSocket) is PATCHED
        else:
            with running(*command, "client", port) as client:
                assert client.line() == b"b'echo'"


def gnet_python(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(PROGRAMS / name), *arguments)


@pytest.mark.skipif(not PATCHED, reason="urllib's own ssl would block the server of this process")
def test_https_of_urllib_connects_through_gnet(certificates: Certificates) -> None:
    context = certificates.server()

    def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Connection", "close")])
        return [b"hello"]

    def lookup(hostname: str, *, all: bool = False, **options: Any) -> Any:
        return [("127.0.0.1", 4)] if all else ("127.0.0.1", 4)

    # gevent's, which speaks over whatever socket it is given; it never listens itself.
    application = pywsgi.WSGIServer(("127.0.0.1", 0), hello, log=None)

    def serve(sock: gnet.Socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            pywsgi.WSGIHandler(tls, tls.getpeername(), application).handle()

    with serving(serve, end_on_return=True) as server, monkey.patch(lookup=lookup):
        url = f"https://localhost:{place_at(server)[0]}/"
        with urllib.request.urlopen(url, timeout=5, context=certificates.client()) as response:
            assert response.read() == b"hello"
