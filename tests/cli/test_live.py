"""The verbs that look at a running program: ps, top and live."""

from __future__ import annotations

import json
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

import gnet
import gnet.live
from tests.helpers.commands import ROOT, Terminal, gnet_command, on_terminal, run_gnet
from tests.helpers.peers import python, running
from tests.helpers.servers import closing, echoing, place_at, serving

SIZE = 170, 44
HOSTILE = "a<b>[bold red]\x1b[2J\x07\u202e"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the default paths are, for this test alone."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        monkeypatch.setenv("TMPDIR", directory)
        # They go before what the terminal says.
        monkeypatch.setenv("COLUMNS", str(SIZE[0]))
        monkeypatch.setenv("LINES", str(SIZE[1]))
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield Path(directory)


@pytest.fixture
def live() -> Iterator[str]:
    path = gnet.live.enable()
    assert path is not None
    yield path
    gnet.live.disable()


@contextmanager
def connected() -> Iterator[tuple[gnet.Server, gnet.Socket]]:
    """A connection on which something has come and gone."""
    with echoing("blocking") as server, gnet.connect(*place_at(server)) as client:
        client.sendall(b"hello")
        client.recv()
        yield server, client


# -- ps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["nothing", "path", "pid"])
def test_ps_prints_the_connections_of_a_program(live: str, by: str) -> None:
    which = {"nothing": (), "path": (live,), "pid": (str(os.getpid()),)}[by]
    with connected() as (server, client):
        output, complaints, status = run_gnet("ps", *which)
        port = server.port
    assert (complaints, status) == (b"", 0)
    heading, *lines = output.decode().splitlines()
    assert re.split(r"  +", heading) == [
        "AGE", "PEER", "PROXY", "LOCAL", "SERVER", "STATE", "STYLE", "IN", "OUT", "QUEUED",
        "RATE", "WAITS IN",
    ]  # fmt: skip
    [line] = [each for each in lines if each.split()[1] == f"127.0.0.1:{client.local_port}"]
    cells = line.split()
    assert cells[1:4] == [
        f"127.0.0.1:{client.local_port}", f"127.0.0.1:{port}", f"127.0.0.1:{port}"
    ]  # fmt: skip
    assert cells[4:8] == ["open", "blocking", "5", "5"]
    assert cells[-1] == "recv"


def test_ps_prints_json_for_programs(live: str) -> None:
    with connected() as (server, client):
        output, _, status = run_gnet("ps", "--json")
        port = server.port
    told = json.loads(output)
    assert status == 0
    assert (told["version"], told["pid"]) == (1, os.getpid())
    assert [each["address"] for each in told["servers"]] == [f"127.0.0.1:{port}"]
    [row] = [each for each in told["connections"] if each["server"]]
    assert set(row) == {
        "id", "age", "peer", "proxy", "local", "server", "state", "style", "bytes_in",
        "bytes_out", "queued", "rate", "waits_in", "name",
    }  # fmt: skip
    assert row["peer"] == f"127.0.0.1:{client.local_port}"


def test_without_a_program_it_says_how_to_have_one() -> None:
    output, complaints, status = run_gnet("ps")
    assert (output, status) == (b"", 1)
    assert b"GNET_LIVE" in complaints
    output, complaints, status = run_gnet("ps", os.getpid())
    assert (output, status) == (b"", 1)
    assert b"no live view" in complaints
    output, complaints, status = run_gnet("ps", "/nowhere")
    assert (output, status) == (b"", 1)
    assert complaints.startswith(b"gnet: /nowhere cannot be asked: ")


def test_several_programs_are_listed(live: str) -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import gnet, gnet.live\n"
    script += "print(gnet.live.enable(), flush=True); sys.stdin.read()"
    with running(*python(script)) as other:
        place = other.line()
        output, complaints, status = run_gnet("ps")
        assert (output, status) == (b"", 1)
        *listed, error = complaints.splitlines()
        assert {tuple(each.split()) for each in listed} == {
            (str(os.getpid()).encode(), live.encode()),
            (str(other.pid).encode(), place),
        }
        assert error.startswith(b"gnet: several programs")
        other.end()


def test_what_strangers_have_chosen_does_nothing_to_the_terminal(live: str) -> None:
    with closing(gnet.connect(80, HOSTILE, lookup=lambda *a, **k: gevent.sleep(9))):
        output, _, _ = run_gnet("ps")
        as_json, _, _ = run_gnet("ps", "--json")
    assert b"\x1b" not in output + as_json
    assert b"a<b>[bold red]\\x1b[2J\\x07\\u202e" in output


# -- top ------------------------------------------------------------------------------------------


class Screen:
    """What a terminal shows.

    :ivar text: all of it, in lines.
    """

    def __init__(self, terminal: Terminal) -> None:
        pyte = pytest.importorskip("pyte")
        self._terminal = terminal
        self._screen = pyte.Screen(*SIZE)
        self._stream = pyte.ByteStream(self._screen)
        self._fed = 0

    @property
    def text(self) -> str:
        shown = self._terminal.shown
        self._stream.feed(shown[self._fed :])
        self._fed = len(shown)
        return "\n".join(self._screen.display)

    def wait_for(self, *texts: str) -> None:
        """Wait until all of them are shown."""
        self._wait(lambda: all(each in self.text for each in texts), texts)

    def wait_for_match(self, pattern: str) -> None:
        """Wait until something is shown that it matches."""
        self._wait(lambda: re.search(pattern, self.text) is not None, [pattern])

    def wait_without(self, text: str) -> None:
        """Wait until it is not shown."""
        self._wait(lambda: text not in self.text, [f"no {text}"])

    def _wait(self, condition: Callable[[], bool], what: Sequence[str]) -> None:
        try:
            while not condition():
                assert self._terminal.read_on(), self.text
        except gevent.Timeout:
            raise AssertionError(f"not shown: {what}\n{self.text}") from None

    def press(self, keys: str) -> None:
        self._terminal.type(keys)


@contextmanager
def top(*arguments: str) -> Iterator[tuple[Screen, Terminal]]:
    pytest.importorskip("textual")
    with on_terminal("top", "--interval", "0.2", *arguments, size=SIZE) as terminal:
        yield Screen(terminal), terminal


def test_top_ends_in_good_order_while_its_program_hangs(tmp_path: Path) -> None:
    path = str(tmp_path / "live")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with top(path) as (screen, terminal):
            peer, _ = listener.accept()
            with peer:
                assert peer.recv(1024)
                screen.press("q")
                assert terminal.wait() == 0
    assert b"Traceback" not in terminal.shown


def test_top_shows_sorts_searches_and_filters(live: str) -> None:
    with echoing() as first, echoing() as second, top() as (screen, terminal):
        clients = [socket.create_connection(("127.0.0.1", each.port)) for each in (first, second)]
        ports = [each.getsockname()[1] for each in clients]
        screen.wait_for("Age ▲", *(f"127.0.0.1:{port}" for port in ports))
        screen.press("s")
        screen.wait_for("Peer ▲")
        screen.press("r")
        screen.wait_for("Peer ▼")
        places = [screen.text.index(f"127.0.0.1:{port} ") for port in ports]
        assert (places[0] < places[1]) == (ports[0] > ports[1])
        screen.press("/")
        screen.wait_for("every part of a row counts")
        screen.press(f":{ports[0]}\r")
        screen.wait_for(f"search: :{ports[0]}", "1 match")
        screen.wait_without(f"127.0.0.1:{ports[1]} ")
        screen.press("\x1b")
        screen.wait_for(f"127.0.0.1:{ports[1]} ")
        screen.press("f")
        screen.wait_for("server: 127.0.0.1:")
        screen.press("q")
        assert terminal.wait() == 0
        for each in clients:
            each.close()


def test_top_shows_a_connection_as_it_goes_on_and_closes_it(live: str) -> None:
    def answers(sock: gnet.Socket) -> None:
        for chunk in sock:
            sock.sendall(chunk)

    with serving(answers, end_on_return=True) as server, top() as (screen, terminal):
        client = socket.create_connection(("127.0.0.1", server.port))
        port = client.getsockname()[1]
        screen.press("/")
        screen.wait_for("every part of a row counts")
        screen.press(f":{port}\r")
        screen.wait_for("1 match")
        screen.press("\r")
        screen.wait_for("What happens", "in answers", "bytes in")
        screen.wait_for_match(r"\d\d:\d\d:\d\d open")
        client.sendall(b"hello")
        screen.wait_for("data 5", "write 5")
        screen.press("k")
        screen.wait_for("Close 127.0.0.1")
        screen.press("n")
        screen.wait_without("Close 127.0.0.1")
        screen.press("k")
        screen.wait_for("Close 127.0.0.1")
        screen.press("y")
        assert client.recv(10) == b"hello"
        assert client.recv(10) == b""
        screen.wait_for_match(r"\d\d:\d\d:\d\d close")
        screen.press("\x1b")
        screen.wait_for("0 match")
        screen.press("\x1b")
        screen.wait_without("search:")
        screen.press("d")
        screen.wait_for(f"Have 127.0.0.1:{server.port} accept no more")
        screen.press("y")
        while server.listening:
            gevent.sleep(0.01)
        screen.press("q")
        assert terminal.wait() == 0
        client.close()


def test_top_shows_text_without_effects_and_says_when_the_program_has_gone(live: str) -> None:
    hostile = gnet.connect(80, HOSTILE, lookup=lambda *a, **k: gevent.sleep(30))
    with closing(hostile), top() as (screen, terminal):
        screen.wait_for("a<b>[bold red]\\x1b[2J")
        gnet.live.disable()
        screen.wait_for("cannot be asked")
        screen.press("q")
        assert terminal.wait() == 0


def test_top_ends_by_a_signal(live: str) -> None:
    with top() as (screen, terminal):
        screen.wait_for("Waits in")
        terminal.signal(15)
        assert terminal.wait() == 143


def test_top_needs_a_terminal(live: str) -> None:
    pytest.importorskip("textual")
    assert run_gnet("top") == (
        b"",
        b"gnet: top needs a terminal; gnet ps prints the same once\n",
        1,
    )


# -- live -----------------------------------------------------------------------------------------


@contextmanager
def serving_the_page(*arguments: str) -> Iterator[str]:
    pytest.importorskip("httptools")
    with running(*gnet_command("live", *arguments)) as process:
        yield process.line().decode()


def fetch(url: str, **options: Any) -> tuple[int, bytes]:
    def get() -> tuple[int, bytes]:
        request = urllib.request.Request(url, **options)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request) as response:
                return response.status, response.readline()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read()

    return gevent.get_hub().threadpool.apply(get)


@pytest.mark.parametrize("arguments", [("0",), ("{pid}", "0"), ("{path}", "--control", "0")])
def test_live_prints_where_the_page_is(live: str, arguments: tuple[str, ...]) -> None:
    given = [each.format(pid=os.getpid(), path=live) for each in arguments]
    with connected(), serving_the_page(*given) as url:
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/\?token=[\w-]{43}", url)
        assert fetch(url) == (200, b"<!doctype html>\n")
        assert fetch(url.replace("/?", "/events?"))[1] == b"event: list\n"
        assert fetch(url.partition("?")[0])[0] == 403
        origin = url.partition("/?")[0]
        act = url.replace("/?", "/close?id=1-1&")
        status, text = fetch(act, method="POST", headers={"Origin": origin})
        refused = "--control" not in arguments
        assert status == (403 if refused else 409)
        assert (b"--control" if refused else b"none of that id") in text


def test_live_says_what_is_wrong_with_its_arguments() -> None:
    _, complaints, status = run_gnet("live")
    assert (status, b"TARGET" in complaints) == (2, True)
    _, complaints, status = run_gnet("live", "1", "port")
    assert (status, b"argument TARGET: 'port'" in complaints) == (2, True)
    _, complaints, status = run_gnet("live", "0")
    assert (status, b"no program of yours" in complaints) == (1, True)
