"""Applications of PEP 3333 on a gnet server, and what asks them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

import gnet
from gnet import wsgi
from tests.helpers.servers import LOOPBACK, closing, place_at

Environ = dict[str, Any]


def hello(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def echo(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body]


class Recorder:
    """An application that reads what it is sent, and keeps it.

    :ivar requests: the method, target and body of each request.
    :ivar environs: their environs.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.environs: list[Environ] = []

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        self.requests.append((environ["REQUEST_METHOD"], environ["REQUEST_URI"], body))
        self.environs.append(environ)
        start_response("200 OK", [("Content-Length", "0")])
        return []


@contextmanager
def answering(
    application: Callable[..., Any] = hello, at: Any = LOOPBACK, **options: Any
) -> Iterator[wsgi.WSGIServer]:
    server = wsgi.WSGIServer(application, **options)
    server.listen(*at)
    try:
        yield server
    finally:
        server.shutdown(grace=0)


@contextmanager
def asking(server: gnet.Server) -> Iterator[gnet.Socket]:
    """A connection to the server; its blocking calls have a limit."""
    sock = gnet.connect(*place_at(server))
    with closing(sock):
        yield sock


def answer(sock: gnet.Socket, request: bytes = b"", method: str = "GET") -> HTTPResponse:
    """Send a request; gives the response, whose ``body`` has been read."""
    if request:
        sock.sendall(request)
    response = HTTPResponse(sock, method=method)  # type: ignore[arg-type]
    response.begin()
    response.body = response.read()  # type: ignore[attr-defined]
    response.close()
    return response


def body(response: HTTPResponse) -> bytes:
    return response.body  # type: ignore[attr-defined, no-any-return]


def ended(sock: gnet.Socket) -> bool:
    """Block until the peer ends; there must be nothing before that."""
    return sock.recv() == b""


def exchange(server: gnet.Server, *pieces: bytes) -> list[int]:
    """Send what may be requests, and an end; gives the statuses of all that comes."""
    with asking(server) as sock:
        for piece in pieces:
            sock.sendall(piece)
        sock.end()
        return statuses(b"".join(sock))


def statuses(received: bytes) -> list[int]:
    """The statuses of the responses to requests that were not HEAD."""
    found = []
    file = io.BytesIO(received)
    while line := file.readline():
        found.append(int(line.split()[1]))
        length = 0
        while (field := file.readline()) not in (b"\r\n", b""):
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        file.read(length)
    return found
