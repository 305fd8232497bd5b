"""``gnet connect --proxy``: real SOCKS5 and HTTP proxies, and what a proxy may do wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import gnet_command, run_gnet, target_of
from tests.helpers.peers import Peer, running
from tests.helpers.proxies import http_proxy, scripted, socks_proxy
from tests.helpers.servers import place_of_raw, raw_listener, receive

Opener = Callable[..., AbstractContextManager[int]]
USER, PASSWORD = "anna", "s3cr:t@"
LOGIN = "anna:s3cr%3At%40@"
GRANTED = b"\5\0\0\1\177\0\0\1\0\1"
# The target is 192.0.2.1:80, in both protocols.
TARGET = "192.0.2.1:80"
REQUEST = b"\5\1\0\1\300\0\2\1\0P"


@pytest.fixture(params=["socks5", "socks5h", "http"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opener(scheme: str, tmp_path: Path) -> Opener:
    if scheme == "http":
        return lambda *login: http_proxy(tmp_path, *login)
    return socks_proxy


@contextmanager
def connected(proxy: str, *options: str, host: str = "127.0.0.1") -> Iterator[tuple[Peer, Any]]:
    """The command, connected through a proxy, and the plain socket at the other end."""
    with raw_listener() as listener:
        target = f"{host}:{place_of_raw(listener)[0]}"
        with running(*gnet_command("connect", target, "--proxy", proxy, *options)) as process:
            peer, _ = listener.accept()
            with peer:
                yield process, peer


def test_it_connects_through_the_proxy(scheme: str, opener: Opener, large: bytes) -> None:
    with opener() as port, connected(f"{scheme}://127.0.0.1:{port}") as (process, peer):
        process.send(b"question")
        assert receive(peer, 8) == b"question"
        peer.sendall(large)
        # These proxies close both ways at the first end, and so that comes behind all else.
        assert process.read(len(large)) == large
        peer.close()
        assert process.finish() == (b"", b"", 0)


def test_it_has_the_proxy_look_the_name_up(scheme: str, opener: Opener) -> None:
    with opener() as port:
        proxy = f"{scheme}://127.0.0.1:{port}"
        with connected(proxy, "-v", host="localhost") as (process, peer):
            peer.sendall(b"hello\n")
            assert process.line() == b"hello"
            peer.close()
            outcome = process.finish()
    assert b"looked up" not in outcome.complaints


def test_it_logs_in(scheme: str, opener: Opener) -> None:
    # tinyproxy takes no colon in a password.
    password = "s3cr3t" if scheme == "http" else PASSWORD
    login = f"{USER}:s3cr3t@" if scheme == "http" else LOGIN
    with (
        opener(USER, password) as port,
        connected(f"{scheme}://{login}127.0.0.1:{port}") as (process, peer),
    ):
        peer.sendall(b"hello\n")
        assert process.line() == b"hello"


@pytest.mark.parametrize("login", ["", "anna:wrong@"])
def test_a_login_that_is_refused_is_an_error_of_one_line(
    scheme: str, opener: Opener, login: str
) -> None:
    with opener(USER, "right") as port:
        proxy = f"{scheme}://{login}127.0.0.1:{port}"
        outcome = run_gnet("connect", "127.0.0.1:9", "--proxy", proxy)
    complaint = outcome.complaints.decode()
    assert complaint.startswith("gnet: the proxy ")
    assert (complaint.count("\n"), outcome.status, outcome.output) == (1, 1, b"")
    assert "wrong" not in complaint


def test_a_target_that_the_proxy_cannot_reach_is_an_error_of_one_line(
    scheme: str, opener: Opener
) -> None:
    with raw_listener() as listener:
        target = target_of(place_of_raw(listener))
    with opener() as port:
        proxy = f"{scheme}://127.0.0.1:{port}"
        outcome = run_gnet("connect", target, "--proxy", proxy)
    assert outcome.complaints.startswith(b"gnet: the proxy ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 1)


# -- on the wire ----------------------------------------------------------------------------------


def test_what_is_sent_to_a_socks_proxy() -> None:
    expected = [b"\5\2\0\2", b"\1\4anna\7s3cr:t@", REQUEST]
    answers = zip(map(len, expected), (b"\5\2", b"\1\0", GRANTED + b"hello"))
    with scripted(*answers) as (port, asked):
        proxy = f"socks5://{LOGIN}127.0.0.1:{port}"
        assert run_gnet("connect", TARGET, "--proxy", proxy) == (b"hello", b"", 0)
    assert asked == expected


def test_a_name_is_sent_in_the_form_of_idna() -> None:
    reply = b"\5\0\0\3\4name\0\1"
    request = b"\5\1\0\3\x15xn--bcher-kva.example\0P"
    with scripted((3, b"\5\0"), (len(request), reply)) as (port, asked):
        proxy = f"socks5://127.0.0.1:{port}"
        assert run_gnet("connect", "bücher.example:80", "--proxy", proxy) == (b"", b"", 0)
    assert asked[1] == request


def test_what_is_sent_to_an_http_proxy() -> None:
    expected = (
        b"CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n"
        b"Proxy-Authorization: Basic YW5uYTpzM2NyOnRA\r\n\r\n"
    )
    answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nhello"
    with scripted((len(expected), answer)) as (port, asked):
        proxy = f"http://{LOGIN}127.0.0.1:{port}"
        outcome = run_gnet("connect", "2001:db8::1", "80", "--proxy", proxy)
    assert (asked, outcome.output) == ([expected], b"hello")


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([(3, b"")], "the proxy has ended the connection"),
        ([(3, b"\4\0")], "the proxy speaks no SOCKS5"),
        ([(3, b"\5\2")], "the proxy wants a user and a password"),
        ([(3, b"\5\xff")], "the proxy wants a user and a password"),
        ([(3, b"\5\0"), (10, b"\5\0\0")], "the proxy has ended the connection"),
        ([(3, b"\5\0"), (10, b"\5\0\0\7")], "the proxy speaks no SOCKS5"),
        ([(3, b"\5\0"), (10, b"\5\5\0\1")], f"{TARGET}: connection refused"),
        ([(3, b"\5\0"), (10, b"\5\x63\0\1")], f"{TARGET}: reply 99"),
    ],
)
def test_what_a_socks_proxy_may_do_wrong(answers: list[tuple[int, bytes]], why: str) -> None:
    with scripted(*answers) as (port, _):
        outcome = run_gnet("connect", TARGET, "--proxy", f"socks5://127.0.0.1:{port}")
    assert outcome.complaints.decode().startswith("gnet: the proxy ")
    assert outcome.complaints.decode().endswith(f"{why}\n")
    assert (outcome.output, outcome.status) == (b"", 1)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "the proxy has ended the connection"),
        (b"HTTP/1.1 503 \x1b[2JAway\r\n\r\n", "the proxy refuses: 503 \\x1b[2JAway"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the proxy speaks no HTTP: SSH-2.0-OpenSSH"),
        (b"HTTP/1.1 200 x\r\n" + b"x" * 70_000, "the proxy's answer is too long"),
    ],
)
def test_what_an_http_proxy_may_do_wrong(answer: bytes, why: str) -> None:
    request = f"CONNECT {TARGET} HTTP/1.1\r\nHost: {TARGET}\r\n\r\n"
    with scripted((len(request), answer)) as (port, _):
        outcome = run_gnet("connect", TARGET, "--proxy", f"http://127.0.0.1:{port}")
    assert outcome == (b"", f"gnet: {why}\n".encode(), 1)


def test_a_proxy_that_says_nothing_is_given_up() -> None:
    with raw_listener() as listener:
        port = place_of_raw(listener)[0]
        proxy = f"socks5://127.0.0.1:{port}"
        outcome = run_gnet("connect", TARGET, "--proxy", proxy, "-w", "0.3")
    assert outcome.complaints.startswith(b"gnet: ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 1)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:1080",
        "ftp://localhost",
        "socks5://",
        "socks5://localhost:0x50",
        "socks5://localhost:99999",
        "socks5://anna@localhost",
        "http://a%3Ab:c@localhost",
        "http://localhost/path",
        "http://[::1",
    ],
)
def test_what_is_no_proxy_is_an_error_that_names_the_option(url: str) -> None:
    outcome = run_gnet("connect", TARGET, "--proxy", url)
    assert outcome.complaints.startswith(b"gnet connect: argument --proxy: ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)
