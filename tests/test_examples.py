"""Each of the examples, run as its docstring says, with clients that are not gnet."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

from tests.helpers.peers import Outcome, Peer, netcat, run, running
from tests.helpers.servers import (
    LOOPBACK,
    Place,
    echoing,
    place_at,
    raw_client,
    raw_listener,
    receive,
    receive_all,
    send_end,
    send_reset,
    serving,
)

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
LARGE = bytes(range(256)) * 16384


@pytest.fixture(autouse=True)
def gnet_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def path() -> Iterator[str]:
    """A path that is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        yield str(Path(directory) / "socket")


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]


@contextmanager
def example_server(name: str, *arguments: object) -> Iterator[tuple[Peer, Place]]:
    """Run an example that serves; gives the process and where to connect."""
    with running(*command(name, *arguments)) as process:
        text, _, place = process.line().decode().rpartition(" ")
        assert text == "listening on", process.wait().complaints.decode()
        yield process, (int(place), "127.0.0.1") if place.isdigit() else (place,)


def end_by(process: Peer, number: int) -> Outcome:
    process.signal(number)
    return process.wait()


def lines_of(sock: socket.socket) -> Any:
    return sock.makefile("r", encoding="utf-8", newline="\n")


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "chat", "echo", "line_client", "proxy", "quickstart", "rooms",
    }  # fmt: skip


# -- quickstart ---------------------------------------------------------------------------------

SAID = {"event": "hello from an event listener", "blocking": "hello from a blocking call"}


def test_the_quick_start_holds_eight_conversations_and_exits() -> None:
    outcome = run(*command("quickstart"))
    assert (outcome.status, outcome.complaints) == (0, b"")
    lines = iter(outcome.output.decode().splitlines())
    servers = list(product(("event", "blocking"), ("TCP", "Unix")))
    for style, kind in servers:
        assert re.match(rf"{style} server, {kind} +listens on <gnet.Server .+>$", next(lines))
    for (style, kind), client in product(servers, SAID):
        name = f"{client} client > {style} server, {kind}"
        said = SAID[client]
        for words in f"sends     {said}", f"receives  {said.upper()}":
            assert next(lines) == f"{name:39} {words}"
    assert next(lines) == "8 conversations, all closed"


def test_the_quick_start_ends_with_what_to_try_next() -> None:
    _, _, hints = run(*command("quickstart")).output.decode().partition("all closed\n")
    python = os.path.relpath(sys.executable)
    commands = re.findall(rf"^  {re.escape(python)} (\S+ \S+)", hints, re.MULTILINE)
    assert commands == ["-m gnet", "-m gnet", "examples/chat.py 8124"]
    for path in re.findall(r"\b(?:docs|examples)/\w+\.\w+", hints):
        assert (ROOT / path).exists()


# -- echo ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["event", "blocking"])
def test_the_echo_server_answers_netcat_on_a_port(style: str) -> None:
    with example_server("echo", style) as (process, (port, host)):
        assert run(*netcat("-N", host, str(port)), data=b"one\ntwo\n").output == b"one\ntwo\n"
        assert end_by(process, signal.SIGINT) == Outcome(b"", b"", 0)


@pytest.mark.parametrize("style", ["event", "blocking"])
def test_the_echo_server_answers_netcat_on_a_path(style: str, path: str) -> None:
    with example_server("echo", style, path) as (process, place):
        assert place == (path,)
        assert run(*netcat("-NU", path), data=LARGE).output == LARGE
        assert end_by(process, signal.SIGTERM) == Outcome(b"", b"", 0)
    assert not Path(path).exists()


@pytest.mark.parametrize("style", ["event", "blocking"])
def test_the_echo_server_survives_a_reset(style: str) -> None:
    with example_server("echo", style) as (process, place):
        with raw_client(place) as first:
            first.sendall(b"x")
            assert first.recv(1) == b"x"
            send_reset(first)
        with raw_client(place) as second:
            second.sendall(b"y")
            assert second.recv(1) == b"y"
        complaints = end_by(process, signal.SIGINT).complaints
        assert b"Traceback" not in complaints


@pytest.mark.parametrize("style", ["event", "blocking"])
def test_the_echo_server_ends_although_a_client_stays(style: str) -> None:
    with example_server("echo", style) as (process, place), raw_client(place) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert end_by(process, signal.SIGINT) == Outcome(b"", b"", 0)


# -- chat ---------------------------------------------------------------------------------------


@contextmanager
def member(name: str, place: Place) -> Iterator[tuple[socket.socket, Any]]:
    """Somebody who has come in."""
    with raw_client(place) as sock, lines_of(sock) as lines:
        sock.sendall(name.encode() + b"\n")
        assert lines.readline() == "* your name?\n"
        assert lines.readline().startswith("* here: ")
        yield sock, lines


def test_the_chat_tells_everybody_else_what_one_says() -> None:
    with example_server("chat") as (process, place):
        with member("ann", place) as (ann, anns), member("bob", place) as (_, bobs):
            assert anns.readline() == "* bob has come\n"
            with member("cy", place) as (cy, _):
                assert anns.readline() == bobs.readline() == "* cy has come\n"
                # One line in two parts, one of them within a character; then two lines at once.
                word = "grüß".encode()
                cy.sendall(word[:3])
                cy.sendall(word[3:] + b"\nbye\n")
                for lines in anns, bobs:
                    assert [lines.readline(), lines.readline()] == ["cy: grüß\n", "cy: bye\n"]
            assert anns.readline() == bobs.readline() == "* cy has left\n"
            ann.sendall(b"still here\n")
            assert bobs.readline() == "ann: still here\n"
        assert end_by(process, signal.SIGTERM).status == 0


def test_who_does_not_read_in_the_chat_misses_some_and_slows_nobody(path: str) -> None:
    with (
        example_server("chat", path) as (_, place),
        member("sleepy", place) as (_, sleepys),
        member("ear", place) as (_, ears),
        member("mouth", place) as (mouth, _),
    ):
        assert ears.readline() == "* mouth has come\n"
        said = [f"{number} {'.' * 200}\n" for number in range(4000)]
        for start in range(0, len(said), 100):
            some = said[start : start + 100]
            mouth.sendall("".join(some).encode())
            assert [ears.readline() for _ in some] == [f"mouth: {line}" for line in some]
        # Only now does sleepy read.
        assert sleepys.readline() == "* ear has come\n"
        assert sleepys.readline() == "* mouth has come\n"
        heard = 0
        while (line := sleepys.readline()) == f"mouth: {said[heard]}":
            heard += 1
        assert line == f"* you were slow, and missed {len(said) - heard}\n"
        mouth.sendall(b"awake?\n")
        assert sleepys.readline() == "mouth: awake?\n"


def test_the_chat_shows_out_who_sends_no_end_of_line() -> None:
    with example_server("chat") as (_, place), member("ann", place) as (ann, anns):
        ann.sendall(b"x" * 5000)
        assert anns.readline() == "* no line is that long\n"
        assert anns.readline() == ""


# -- proxy --------------------------------------------------------------------------------------


@contextmanager
def proxied() -> Iterator[tuple[Peer, socket.socket, socket.socket]]:
    """Connect through the proxy; gives its process, the client and the server's connection."""
    with (
        raw_listener() as listener,
        example_server("proxy", *listener.getsockname()) as (process, place),
        raw_client(place) as client,
        listener.accept()[0] as upstream,
    ):
        yield process, client, upstream


def test_the_proxy_passes_on_both_directions_and_each_end() -> None:
    with proxied() as (_, client, upstream):
        sender = gevent.spawn(client.sendall, LARGE)
        assert receive(upstream, len(LARGE)) == LARGE
        sender.get()
        send_end(client)
        assert upstream.recv(1) == b""
        sender = gevent.spawn(upstream.sendall, LARGE)
        assert receive(client, len(LARGE)) == LARGE
        sender.get()
        send_end(upstream)
        assert client.recv(1) == b""


def test_the_proxy_does_not_lose_the_last_bytes_to_a_slow_server() -> None:
    with proxied() as (_, client, upstream):
        sender = gevent.spawn(client.sendall, LARGE)
        send_end(upstream)
        assert client.recv(1) == b""
        assert receive(upstream, len(LARGE)) == LARGE
        sender.get()
        send_end(client)
        assert receive_all(upstream) == b""


def test_the_proxy_passes_on_a_reset_of_the_server() -> None:
    with proxied() as (process, client, upstream):
        send_reset(upstream)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert b"Traceback" not in end_by(process, signal.SIGINT).complaints


def test_the_proxy_passes_on_a_reset_of_the_client() -> None:
    with proxied() as (process, client, upstream):
        send_reset(client)
        with pytest.raises(ConnectionResetError):
            upstream.recv(1)
        assert b"Traceback" not in end_by(process, signal.SIGINT).complaints


def test_the_proxy_resets_a_client_when_nobody_serves() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with example_server("proxy", "127.0.0.1", port) as (process, place):
            with pytest.raises(ConnectionResetError), raw_client(place) as client:
                client.recv(1)
            outcome = end_by(process, signal.SIGINT)
    assert outcome.status == 0
    assert outcome.complaints.decode().endswith(f"connect ECONNREFUSED 127.0.0.1:{port}\n")


def test_the_proxy_ends_with_its_connections() -> None:
    with proxied() as (process, client, upstream):
        client.sendall(b"x")
        assert upstream.recv(1) == b"x"
        assert end_by(process, signal.SIGINT) == Outcome(b"", b"", 0)
        assert client.recv(1) == upstream.recv(1) == b""


# -- line client --------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["event", "blocking"])
def test_the_line_client_prints_the_answers(style: str, path: str) -> None:
    for at in LOOPBACK, (path,):
        with echoing(style, at) as server:
            outcome = run(*command("line_client", *place_at(server)), data=b"one\ntwo\n")
            assert outcome == Outcome(b"one\ntwo\n", b"", 0)


def test_the_line_client_talks_and_listens_at_once() -> None:
    with echoing() as server, running(*command("line_client", *place_at(server))) as client:
        for line in b"one", b"two":
            client.send(line + b"\n")
            assert client.line() == line


def test_the_line_client_ends_when_the_server_does() -> None:
    with (
        serving(lambda sock: sock.end("bye\n")) as server,
        running(*command("line_client", *place_at(server))) as client,
    ):
        assert client.wait() == Outcome(b"bye\n", b"", 0)


def test_the_line_client_says_why_it_cannot_connect() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        outcome = run(*command("line_client", port, "127.0.0.1"))
    assert outcome.status == 1
    assert f"ECONNREFUSED 127.0.0.1:{port}" in outcome.complaints.decode()
