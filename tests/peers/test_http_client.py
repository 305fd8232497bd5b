"""Python's http.client: against servers of gnet's in both styles, and on a socket of gnet's."""

from __future__ import annotations

import http.client
import io
import sys
from typing import Any

import pytest

import gnet
from tests.helpers.peers import run
from tests.helpers.servers import Place, place_at, serving
from tests.peers.conftest import PROGRAMS


def answer_by_events(sock: gnet.Socket) -> None:
    """Answer each request as soon as all of it has come."""
    received = bytearray()

    @sock.on("data")
    def some(chunk: bytes) -> None:
        received.extend(chunk)
        head, end, body = received.partition(b"\r\n\r\n")
        if end:
            request, _, lines = head.partition(b"\r\n")
            length = body_length(io.BytesIO(lines + end))
            if len(body) >= length:
                del received[: len(head) + len(end) + length]
                sock.write(response(bytes(request), length))


def answer_by_calls(sock: gnet.Socket) -> None:
    """Read one request after the other."""
    with sock.makefile("rb") as requests:
        while request := requests.readline():
            body = requests.read(body_length(requests))
            sock.sendall(response(request, len(body)))


def body_length(headers: Any) -> int:
    return int(http.client.parse_headers(headers).get("Content-Length", 0))


def response(request: bytes, length: int) -> bytes:
    method, path, _ = request.split()
    body = b"%s %s %d" % (method, path, length)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.fixture
def server_options(style: str) -> dict[str, Any]:
    if style == "event":
        return {"listener": answer_by_events}
    return {"listener": answer_by_calls, "end_on_return": True}


def test_http_client_is_answered(server_options: dict[str, Any], at: Place) -> None:
    with serving(at=at, **server_options) as server:
        outcome = run(
            sys.executable, str(PROGRAMS / "http_requests.py"), *map(str, place_at(server))
        )
    assert outcome.output.decode().splitlines() == [
        "200 GET /place 0",
        "200 POST /place 1000000",
        "200 GET /place 0",
    ]
    assert outcome.status == 0


def test_http_client_takes_a_gnet_socket(server_options: dict[str, Any], at: Place) -> None:
    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = gnet.connect(*place_at(server))

    with serving(at=at, **server_options) as server:
        connection = Connection("localhost")
        for method, body in ("GET", None), ("POST", b"x" * 1_000_000), ("GET", None):
            connection.request(method, "/place", body)
            answer = connection.getresponse().read().decode()
            assert answer == f"{method} /place {len(body or b'')}"
        connection.close()
