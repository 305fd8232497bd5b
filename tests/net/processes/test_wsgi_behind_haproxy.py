"""gnet.wsgi behind HAProxy: the two agree about where each request ends."""

from __future__ import annotations

import io
import socket
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent import subprocess

import gnet
from tests.helpers.peers import program
from tests.helpers.web import answering

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there is no HAProxy"),
    pytest.mark.limit(30),
]

# Of several threads each would keep connections to the server of its own.
CONFIGURATION = """
    global
        nbthread 1
    defaults
        mode http
        {leniency}
        http-reuse always
        retries 0
        timeout connect 5s
        timeout client 5s
        timeout server 5s
    frontend front
        bind fd@{fd}
        default_backend back
    backend back
        server gnet 127.0.0.1:{port}
"""

HOST = b"Host: here\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKS = b"0\r\n\r\n" + SMUGGLED

#: What stands between the host and a body, which the two could understand differently.
FRAMINGS = [
    b"Content-Length: 0\r\nContent-Length: %d\r\n",
    b"Content-Length: %d\r\nContent-Length: 0\r\n",
    b"Content-Length: 0, %d\r\n",
    b"Content-Length: +%d\r\n",
    b"Content-Length : %d\r\n",
    b"Content-Length:\x0b%d\r\n",
    b"Content_Length: %d\r\n",
    b"X: y\rContent-Length: %d\r\n",
    b"X: y\nContent-Length: %d\r\n",
    b"X: y\r\n Content-Length: %d\r\n",
    b"nonsense\r\nContent-Length: %d\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding : chunked\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding: xchunked\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding:\x0bchunked\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding: identity\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding: chunked, identity\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    b"Content-Length: %d\r\nTransfer_Encoding: chunked\r\n",
    b"Content-Length: %d\r\nConnection: close, Content-Length\r\n",
    b"Content-Length: %d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Content-Length: %d\r\nExpect: 100-continue\r\n",
    b"Transfer-Encoding: chunked\r\nX: %d\r\nConnection: Transfer-Encoding\r\n",
]
METHODS = [b"GET", b"HEAD", b"POST", b"OPTIONS"]


class Application:
    """Answers with the target of the request, and keeps it.

    :ivar targets: of all requests.
    :ivar ports: which connections those came on.
    """

    def __init__(self) -> None:
        self.targets: list[bytes] = []
        self.ports: set[str] = set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read()
        target = environ["REQUEST_URI"].encode()
        self.targets.append(target)
        self.ports.add(environ["REMOTE_PORT"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [target]


@contextmanager
def haproxy(directory: Path, server: gnet.Server, leniency: str) -> Iterator[tuple[str, int]]:
    """A running HAProxy; gives the address that its clients connect to."""
    address = server.address()
    assert isinstance(address, gnet.AddressInfo)
    # It inherits the listening socket: no port is reserved, released and hoped for.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        configuration = directory / "haproxy.cfg"
        settings = textwrap.dedent(CONFIGURATION)
        configuration.write_text(
            settings.format(leniency=leniency, fd=listener.fileno(), port=address.port)
        )
        process = subprocess.Popen(
            [program("haproxy"), "-db", "-q", "-f", str(configuration)],
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            yield listener.getsockname()
        finally:
            process.kill()
            process.wait()


@pytest.fixture(params=["", "option accept-invalid-http-request"], ids=["strict", "lenient"])
def front(
    request: pytest.FixtureRequest, tmp_path: Path, application: Application
) -> Iterator[tuple[str, int]]:
    with (
        answering(application, error_log=io.StringIO()) as server,
        haproxy(tmp_path, server, request.param) as place,
    ):
        yield place


@pytest.fixture
def application() -> Application:
    return Application()


def answers(place: tuple[str, int], request: bytes, method: str) -> list[tuple[int, bytes]]:
    """Send what may be requests, and an end; gives the status and body of all that comes."""
    found = []
    with gevent.socket.create_connection(place, 10) as sock, sock.makefile("rb") as file:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        while file.peek(1):
            response = HTTPResponse(_File(file), method=method)  # type: ignore[arg-type]
            response.begin()
            if response.status >= 400:
                # The end of the connection; HAProxy's own page has a body even for HEAD.
                found.append((response.status, file.read()))
                break
            found.append((response.status, response.read()))
            method = "GET"
    return found


class _File:
    """A file as the socket of a response, of which there may be more in it."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def makefile(self, mode: str) -> _File:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """The next response is in there."""


@pytest.mark.parametrize("method", METHODS, ids=bytes.decode)
def test_no_request_is_smuggled_through_it(
    front: tuple[str, int], application: Application, method: bytes
) -> None:
    wrong = []
    for framing in FRAMINGS:
        for body in (SMUGGLED, CHUNKS):
            # Two bodies: a length covers the whole, or its first line alone.
            for length in (len(body), 3):
                fields = framing % length
                request = method + b" /outer HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body
                application.targets.clear()
                got = answers(front, request, method.decode())
                told = [text for status, text in got if status == 200]
                seen = list(application.targets)
                if method == b"HEAD" and seen[:1] == [b"/outer"]:
                    seen[0] = b""
                # Each request that was served was a request to the proxy as well, in its turn.
                if seen[: len(told)] != told or len(seen) > len(got):
                    wrong.append((request, got, application.targets[:]))
                after = answers(front, b"GET /after HTTP/1.1\r\n" + HOST + b"\r\n", "GET")
                if after != [(200, b"/after")]:
                    wrong.append((request, after, application.targets[:]))
    assert wrong == []


def test_connections_to_the_server_are_kept(
    front: tuple[str, int], application: Application
) -> None:
    for _ in range(3):
        client = HTTPConnection(*front)
        client.sock = gevent.socket.create_connection(front, 10)
        for number in range(3):
            client.request("POST", f"/{number}", body=b"x" * 10)
            response = client.getresponse()
            assert (response.status, response.read()) == (200, b"/%d" % number)
        client.close()
    assert len(application.targets) == 9
    assert len(application.ports) == 1
