"""The command over TLS."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import gnet
from tests.helpers.commands import gnet_server, run_gnet, target_of
from tests.helpers.servers import echoing, place_at, serving

authority = pytest.importorskip("tests.helpers.authority")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A certificate for ``localhost``, its key, and the authority's."""
    cert, key = authority.write_pair(
        authority.certificate(), tmp_path / "cert.pem", tmp_path / "key.pem"
    )
    ca = tmp_path / "ca.pem"
    authority.authority().cert_pem.write_to_path(ca)
    return {"cert": str(cert), "key": str(key), "ca": str(ca)}


def said(sock: gnet.Socket, data: bytes) -> bytes:
    """What an echo server sends back."""
    sock.sendall(data)
    answer = b""
    while len(answer) < len(data):
        chunk = sock.recv()
        assert chunk
        answer += chunk
    return answer


# -- connect --------------------------------------------------------------------------------------


def test_connect_encrypts(files: dict[str, str], large: bytes) -> None:
    with echoing(tls=authority.server_context(), allow_half_open=True) as server:
        target = target_of(place_at(server))
        outcome = run_gnet("connect", target, "--tls", "--ca", files["ca"], data=large)
    assert outcome == (large, b"", 0)


def test_connect_believes_nobody_else(files: dict[str, str]) -> None:
    with echoing(tls=authority.server_context()) as server:
        target = target_of(place_at(server))
        output, complaints, status = run_gnet("connect", target, "--tls", data=b"hello")
        assert (output, status) == (b"", 1)
        assert b"certificate" in complaints
        assert complaints.count(b"\n") == 1
        assert run_gnet("connect", target, "--insecure", "--tls", data=b"hello") == (
            b"hello", b"", 0,
        )  # fmt: skip


def test_connect_tells_what_was_agreed_on(files: dict[str, str]) -> None:
    context = authority.server_context()
    context.set_alpn_protocols(["echo"])
    with echoing(tls=context) as server:
        target = target_of(place_at(server))
        outcome = run_gnet(
            "-v", "connect", target, "--tls", "--ca", files["ca"], "--alpn", "http/1.1,echo",
            data=b"hello",
        )  # fmt: skip
        assert outcome.output == b"hello"
    (line,) = [each for each in outcome.complaints.splitlines() if b"encrypted" in each]
    assert b"TLSv1.3, TLS_" in line
    assert b"certificate of localhost" in line


def test_connect_shows_a_certificate_of_its_own(files: dict[str, str]) -> None:
    def greet(sock: gnet.Socket) -> None:
        sock.sendall(f"{sock.authorized}".encode())

    tls = authority.server_context(clients=True)
    with serving(greet, end_on_return=True, tls=tls) as server:
        outcome = run_gnet(
            "connect", target_of(place_at(server)), "--tls", "--ca", files["ca"],
            "--cert", files["cert"], "--key", files["key"],
        )  # fmt: skip
    assert outcome == (b"True", b"", 0)


DIALOGUES: dict[str, list[tuple[bytes, bytes]]] = {
    "smtp": [
        (b"", b"220-hello\r\n220 there\r\n"),
        (b"EHLO gnet\r\n", b"250-me\r\n250 STARTTLS\r\n"),
        (b"STARTTLS\r\n", b"220 go on\r\n"),
    ],
    "imap": [(b"", b"* OK hello\r\n"), (b"a STARTTLS\r\n", b"* note\r\na OK go on\r\n")],
    "pop3": [(b"", b"+OK hello\r\n"), (b"STLS\r\n", b"+OK go on\r\n")],
    "ftp": [(b"", b"220 hello\r\n"), (b"AUTH TLS\r\n", b"234 go on\r\n")],
    "postgres": [(b"\0\0\0\x08\x04\xd2\x16\x2f", b"S")],
    "mysql": [
        (b"", b"\x20\0\0\0\x0a11\0" + bytes(13) + b"\xff\xff" + bytes(13)),
        (
            b"\x20\0\0\x01\0\x8a\0\0\0\0\0\x01\x2d" + bytes(23),
            b"",
        ),
    ],
}


def speaking(turns: list[tuple[bytes, bytes]]) -> Callable[[gnet.Socket], None]:
    """A server's handler: says these things, shakes hands, and sends back what comes."""

    def speak(sock: gnet.Socket) -> None:
        for question, answer in turns:
            heard = b""
            while len(heard) < len(question):
                heard += sock.recv(len(question) - len(heard))
            assert heard == question
            sock.sendall(answer)
        sock.start_tls(authority.server_context(), server_side=True)
        for chunk in sock:
            sock.sendall(chunk)

    return speak


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_starttls(protocol: str, files: dict[str, str]) -> None:
    with serving(speaking(DIALOGUES[protocol]), end_on_return=True) as server:
        outcome = run_gnet(
            "connect", target_of(place_at(server)), "--starttls", protocol, "--ca", files["ca"],
            data=b"hello",
        )  # fmt: skip
    assert outcome == (b"hello", b"", 0)


def test_starttls_that_is_refused_is_told_and_nothing_is_sent() -> None:
    def refuse(sock: gnet.Socket) -> None:
        sock.sendall(b"+OK hello\r\n")
        assert sock.recv() == b"STLS\r\n"
        sock.sendall(b"-ERR \x1b[2Jno\r\n")
        assert sock.recv() == b""

    with serving(refuse, end_on_return=True) as server:
        outcome = run_gnet(
            "connect", target_of(place_at(server)), "--starttls", "pop3", data=b"secret"
        )
    told = b"gnet: the server does not begin TLS: -ERR \\x1b[2Jno\n"
    assert outcome == (b"", told, 1)


# -- servers --------------------------------------------------------------------------------------


@contextmanager
def connected(place: Any, context: ssl.SSLContext | None = None) -> Iterator[gnet.Socket]:
    tls = context or authority.client_context()
    with gnet.connect(*place, tls=tls, timeout=10) as sock:
        yield sock


def test_listen_encrypts(files: dict[str, str]) -> None:
    pair = ["--tls", "--cert", files["cert"], "--key", files["key"]]
    with gnet_server("listen", "0", "--echo", *pair) as (_, place), connected(place) as sock:
        assert said(sock, b"hello") == b"hello"


def test_listen_talks_over_tls(files: dict[str, str]) -> None:
    pair = ["--tls", "--cert", files["cert"], "--key", files["key"]]
    with gnet_server("listen", "0", *pair) as (process, place), connected(place) as sock:
        process.send(b"from here\n")
        assert sock.recv() == b"from here\n"
        sock.sendall(b"from there\n")
        assert process.line() == b"from there"


def test_a_certificate_of_its_own_making() -> None:
    pytest.importorskip("cryptography")
    with gnet_server("listen", "0", "--echo", "--tls", "--self-signed") as (_, place):
        with pytest.raises(ssl.SSLCertVerificationError), connected(place):
            pass
        with connected(place, authority.unverified_context()) as sock:
            assert said(sock, b"hello") == b"hello"
            shown = ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True))
        # Whoever is given it believes it.
        with connected(place, ssl.create_default_context(cadata=shown)) as sock:
            assert sock.authorized


def test_proxy_takes_tls_off_and_puts_it_on(files: dict[str, str]) -> None:
    pair = ["--cert", files["cert"], "--key", files["key"]]
    with echoing(tls=authority.server_context()) as server:
        out = ["--tls-out", "--ca", files["ca"]]
        with gnet_server("proxy", "0", target_of(place_at(server)), *out) as (_, plain):
            with gnet.connect(*plain, timeout=10) as sock:
                assert said(sock, b"hello") == b"hello"
            within = gnet_server("proxy", "0", target_of(plain), "--tls-in", *pair)
            with within as (_, place), connected(place) as sock:
                assert said(sock, b"hello") == b"hello"


def test_proxys_header_goes_ahead_of_tls(files: dict[str, str]) -> None:
    trusted = gnet.BlockList()
    trusted.add_address("127.0.0.1")
    seen: list[Any] = []

    def serve(sock: gnet.Socket) -> None:
        seen.append(sock.remote_port)
        sock.pipe(sock)

    options = {"proxy_protocol": "require", "trusted_proxies": trusted}
    with serving(serve, tls=authority.server_context(), **options) as server:
        out = ["--tls-out", "--ca", files["ca"], "--send-proxy"]
        proxy = gnet_server("proxy", "0", target_of(place_at(server)), *out)
        with proxy as (_, place), gnet.connect(*place, timeout=10) as sock:
            assert said(sock, b"hello") == b"hello"
            assert seen == [sock.local_port]


def test_wsgi_speaks_https(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("httptools")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [environ['wsgi.url_scheme'].encode()]\n"
    )
    pair = ["--cert", files["cert"], "--key", files["key"]]
    serving_it = gnet_server("wsgi", "shop:application", "0", "--patch", *pair)
    with serving_it as (_, place), connected(place) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"".join(sock).endswith(b"\r\n\r\nhttps")


# -- what does not go together --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("listen 0 --tls", "argument --tls: it needs --cert, or --self-signed"),
        ("listen 0 --cert x", "argument --cert: it goes with --tls"),
        ("listen 0 --tls --key x", "argument --key: it goes with --cert"),
        ("listen 0 --tls --cert x --self-signed", "argument --self-signed: it does not go with"),
        ("proxy 0 1 --tls-in", "argument --tls-in: it needs --cert, or --self-signed"),
        ("proxy 0 1 --ca x", "argument --ca: it goes with --tls-out"),
        ("proxy 0 unix:/x --tls-out", "argument --tls-out: unix:/x has no name to verify"),
        ("wsgi a:b 0 --key x", "argument --key: it goes with --cert"),
        ("wsgi a:b 0 --self-signed --workers 2", "argument --self-signed: with --workers"),
        ("connect 1 --insecure", "argument --insecure: it goes with --tls"),
        ("connect 1 --alpn x", "argument --alpn: it goes with --tls"),
        ("connect 1 --tls --key x", "argument --key: it goes with --cert"),
        ("connect 1 2 -z --tls", "argument --tls: it does not go with -z/--zero"),
        ("connect unix:/x --tls", "argument --tls: unix:/x has no name to verify"),
        ("connect 1 --starttls gopher", "argument --starttls: invalid choice: 'gopher'"),
    ],
)
def test_options_that_do_not_go_together(arguments: str, complaint: str) -> None:
    output, complaints, status = run_gnet(*arguments.split())
    assert (output, status) == (b"", 2)
    assert complaint in complaints.decode()
    assert complaints.count(b"\n") == 1


def test_a_file_that_is_no_certificate_is_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    for arguments in (
        ["listen", "0", "--tls", "--cert", str(bad)],
        ["listen", "0", "--tls", "--cert", str(tmp_path / "missing")],
    ):
        output, complaints, status = run_gnet(*arguments)
        assert (output, status) == (b"", 1)
        assert complaints.count(b"\n") == 1, complaints


def test_nothing_of_tls_is_imported_without_it() -> None:
    from tests.helpers.peers import python, run

    program = "import sys, gnet.cli; assert 'ssl' not in sys.modules, 'ssl'"
    assert run(*python(program)).status == 0
    assert sys.modules
