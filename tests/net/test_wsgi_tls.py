"""gnet.wsgi over TLS: what the application is told, and real clients."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import gnet
from gnet.wsgi import WSGIServer
from tests.helpers.authority import authority, client_context, issue, server_context
from tests.helpers.peers import run


@contextmanager
def serving(tls: Any, **options: Any) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A WSGI server; gives its port, and the environ of each request."""
    seen: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello ", environ["wsgi.input"].read()]

    server = WSGIServer(application, tls=tls, **options)
    server.listen(0, "127.0.0.1")
    address: Any = server.address()
    try:
        yield address.port, seen
    finally:
        server.shutdown(grace=0)


def request(port: int, context: ssl.SSLContext, body: bytes = b"") -> bytes:
    """The body of an answer."""
    with gnet.connect(port, "localhost", tls=context) as sock:
        sock.sendall(
            b"POST /path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        response = http.client.HTTPResponse(sock)  # type: ignore[arg-type]
        response.begin()
        assert response.status == 200
        data = response.read()
        response.close()
        return data


def test_the_application_is_told_that_it_is_encrypted() -> None:
    with serving(server_context()) as (port, seen):
        assert request(port, client_context(), b"world") == b"hello world"
        [environ] = seen
        assert (environ["wsgi.url_scheme"], environ["HTTPS"]) == ("https", "on")
        assert environ["SSL_CLIENT_VERIFY"] == "NONE"
        assert "SSL_CLIENT_CERT" not in environ
        assert environ["SERVER_PORT"] == str(port)
        assert environ["gnet.socket"].encrypted


def test_the_client_certificate_is_in_the_environ() -> None:
    leaf = issue("me")
    with serving(server_context(clients=True)) as (port, seen):
        assert request(port, client_context(leaf)) == b"hello "
        [environ] = seen
        assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
        shown = ssl.PEM_cert_to_DER_cert(environ["SSL_CLIENT_CERT"])
        assert shown == ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def test_what_the_program_says_wins() -> None:
    with serving(server_context(), environ={"wsgi.url_scheme": "http"}) as (port, seen):
        request(port, client_context())
        assert seen[0]["wsgi.url_scheme"] == "http"


def test_without_tls_nothing_is_said() -> None:
    with serving(None) as (port, seen):
        with gnet.connect(port, "localhost") as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"".join(sock).endswith(b"hello ")
        assert seen[0]["wsgi.url_scheme"] == "http"
        assert not {"HTTPS", "SSL_CLIENT_VERIFY", "SSL_CLIENT_CERT"} & seen[0].keys()


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_curl_posts_and_reads(size: int, tmp_path: Path) -> None:
    ca, body = tmp_path / "ca.pem", tmp_path / "body"
    ca.write_bytes(authority().cert_pem.bytes())
    body.write_bytes(b"x" * size)
    with serving(server_context()) as (port, _):
        outcome = run(
            "curl", "-s", "--cacert", str(ca), "--data-binary", f"@{body}",
            f"https://localhost:{port}/", "--resolve", f"localhost:{port}:127.0.0.1",
        )  # fmt: skip
        assert outcome.output == b"hello " + b"x" * size


@pytest.mark.limit(30)
def test_wrk_finds_no_error() -> None:
    with serving(server_context()) as (port, seen):
        url = f"https://127.0.0.1:{port}/"
        outcome = run("wrk", "-t1", "-c20", "-d1s", url, limit=25).output.decode()
    count = re.search(r"(\d+) requests in", outcome)
    assert count is not None
    # What was under way at its end it does not count.
    assert 20 < int(count[1]) <= len(seen)
    assert "Socket errors" not in outcome
    assert "Non-2xx" not in outcome
