"""The live view of a program: its control socket, who may ask there, and what is answered."""

from __future__ import annotations

import gc
import json
import os
import signal
import ssl
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.ssl
import pytest
from gevent import socket
from gevent.event import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gnet
import gnet.live
from gnet.live import control, folder
from gnet.live.client import LiveError, SeveralProgramsError, There, choose
from gnet.live.table import Listing, Rates, View
from tests.helpers.authority import server_context
from tests.helpers.forks import ways
from tests.helpers.peers import python, run, running
from tests.helpers.servers import closing, echoing, pair, path_at, place_at, serving
from tests.helpers.threads import Thread
from tests.helpers.turns import until
from tests.helpers.windows import needs_resets

posix = pytest.mark.skipif(sys.platform == "win32", reason="a Unix socket's file")
ROOT = Path(__file__).resolve().parents[2]
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import gnet\n"


@pytest.fixture
def place() -> Iterator[str]:
    """A path that is short enough for a control socket; on Windows the name of a pipe."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        yield path_at(Path(directory))[0]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the default paths are, for this test alone."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield directory


@pytest.fixture
def live(place: str) -> Iterator[There]:
    """This process, as another one sees it."""
    gnet.live.enable(place)
    try:
        yield There(place)
    finally:
        gnet.live.disable()


def anybody() -> gnet.BlockList:
    """All proxies of this machine."""
    proxies = gnet.BlockList()
    proxies.add_cidr("127.0.0.0/8")
    return proxies


def raw_tcp(server: gnet.Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port))


def listing(program: There, **view: Any) -> Listing:
    return Listing.of(program.ask("list"), View(**view), Rates())


def rows(program: There) -> list[dict[str, Any]]:
    """The connections, but for that which asks."""
    return [each for each in listing(program).shown() if each["peer"] != program.path]


def row_of(program: There, sock: gnet.Socket) -> dict[str, Any]:
    """What the list has of a connection that has this local address."""
    local = f"{sock.local_address}:{sock.local_port}"
    [row] = [each for each in listing(program).shown() if each["local"] == local]
    return row


def raw(place: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(place)
    return client


def answer(client: socket.socket) -> list[dict[str, Any]]:
    """The lines of an answer, up to the last, or to the end."""
    lines = []
    for text in client.makefile("rb"):
        lines.append(json.loads(text))
        if "end" in lines[-1] or "error" in lines[-1]:
            break
    return lines


# -- what is told ---------------------------------------------------------------------------------


def test_it_tells_of_servers_and_connections(live: There) -> None:
    with echoing("blocking") as server, gnet.connect(*place_at(server)) as client:
        client.sendall(b"hello")
        assert client.recv() == b"hello"
        told = listing(live)
        address = f"127.0.0.1:{server.port}"
        [found] = told.servers
        assert (found["address"], found["active"], found["accepted"]) == (address, 1, 1)
        assert (found["bytes_in"], found["bytes_out"]) == (5, 5)
        [process] = told.processes
        assert process["pid"] == os.getpid()
        assert process["process"]["connects"]["made"] >= 1
        row = row_of(live, client)
        assert (row["peer"], row["server"], row["style"]) == (address, "", "blocking")
        assert (row["bytes_in"], row["bytes_out"], row["queued"]) == (5, 5, 0)
        (served,) = server.connections
        row = row_of(live, served)
        assert (row["server"], row["state"], row["waits_in"]) == (address, "open", "recv")
        assert row["age"] > 0


def test_what_shows_the_others_is_not_shown(live: There) -> None:
    assert listing(live).servers == []
    assert rows(live) == []
    assert gnet.stats().active == 0


def test_a_connection_that_is_being_made_is_told_of_by_its_host(live: There) -> None:
    with closing(gnet.connect(80, "<b>a.example</b>", lookup=lambda *a, **k: gevent.sleep(9))):
        [row] = rows(live)
        assert (row["state"], row["peer"], row["name"]) == ("opening", "", "<b>a.example</b>")


def test_a_client_of_tls_is_told_of_by_the_name_it_has_asked_for(live: There) -> None:
    name = "<img src=x onerror=alert(1)>"
    with serving(tls=server_context()) as server:
        plain = socket.create_connection(("127.0.0.1", server.port))
        context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain, server_hostname=name):
            (served,) = server.connections or server.wait("connection")
            row = row_of(live, served)
            assert row["name"] == name
            [line] = live.ask("details", id=row["id"])
            assert line["connection"]["tls_protocol"] == served.version()


def test_a_connection_behind_a_proxy_is_told_of_with_both(live: There) -> None:
    proxied = serving(proxy_protocol="require", trusted_proxies=anybody())
    with proxied as server, raw_tcp(server) as client:
        client.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 4000 80\r\n")
        server.wait("connection")
        [row] = [each for each in listing(live).shown() if each["server"]]
        host, port = client.getsockname()
        assert (row["peer"], row["proxy"]) == ("192.0.2.7:4000", f"{host}:{port}")


def test_the_details_of_a_connection_have_the_stack_of_its_greenlet(live: There) -> None:
    def waits_for_more(sock: gnet.Socket) -> None:
        sock.recv()
        sock.recv()

    waiting = serving(waits_for_more, end_on_return=True)
    with waiting as server, gnet.connect(*place_at(server)) as client:
        client.sendall(b"hello")
        (served,) = server.connections or server.wait("connection")
        until(lambda: served.bytes_read == 5)
        [line] = live.ask("details", id=row_of(live, served)["id"])
        told = line["connection"]
        assert any("in waits_for_more" in each for each in told["stack"])
        assert told["waits_in"] == "recv"
        assert (told["bytes_in"], told["server"]) == (5, f"127.0.0.1:{server.port}")


def test_what_happens_to_a_connection_is_told_as_it_happens(live: There) -> None:
    with pair() as (client, served):
        served.on("data", lambda data: served.write(data * 2))
        events = live.ask("events", id=row_of(live, served)["id"])
        heard = (line["event"] for line in events if "event" in line)
        assert next(heard)["name"] == "open"
        client.write(b"hello")
        found = [next(heard), next(heard)]
        assert [(each["name"], each["bytes"]) for each in found] == [("data", 5), ("write", 10)]
        assert found[0]["time"] > 0
        served.pause()
        assert next(heard)["name"] == "pause"
        served.set_timeout(50)
        assert next(heard) | {"time": 0} == {"name": "set_timeout", "seconds": 50, "time": 0}
        served.resume()
        assert next(heard)["name"] == "resume"
        served.on("error", lambda error: None)
        served.destroy(OSError("tired"))
        assert [each["name"] for each in heard] == ["close", "error"]


def test_looking_on_changes_nothing(live: There) -> None:
    with pair() as (client, served):
        number = row_of(live, served)["id"]
        before = served.event_names(), served.is_paused()
        events = live.ask("events", id=number)
        next(events)
        client.write(b"unread")
        assert (served.event_names(), served.is_paused()) == before
        assert served.bytes_read == 0
        events.close()


# -- what can be done -----------------------------------------------------------------------------


def test_a_connection_is_closed_when_what_is_queued_has_been_sent(live: There) -> None:
    with pair() as (client, served):
        served.write(b"the rest")
        assert [each["done"] for each in live.ask("close", id=row_of(live, served)["id"])] == [
            True
        ]
        assert client.recv() == b"the rest"
        assert client.recv() == b""
        served.wait("close")


def test_a_connection_is_reset(live: There) -> None:
    needs_resets()
    with pair() as (client, served):
        # It may be noticed ahead of the call.
        client.on("error", lambda error: None)
        list(live.ask("reset", id=row_of(live, served)["id"]))
        with pytest.raises(ConnectionResetError):
            client.recv()


def test_a_drained_server_accepts_no_more_and_its_connections_go_on(live: There) -> None:
    with echoing() as server, gnet.connect(*place_at(server)) as client:
        client.sendall(b"a")
        client.recv()
        [found] = listing(live).servers
        list(live.ask("drain", id=found["id"]))
        until(lambda: not server.listening)
        [found] = listing(live).servers
        assert (found["listening_since"], found["active"]) == (None, 1)
        client.sendall(b"b")
        assert client.recv() == b"b"


def test_the_connection_of_another_thread_is_closed_there(live: There) -> None:
    port: list[int] = []
    began, over = Event(), Event()

    def serve() -> None:
        server = gnet.create_server(lambda sock: sock.resume()).listen(0, "127.0.0.1")
        port.append(server.port)
        gevent.get_hub().loop.run_callback(lambda: None)
        main.loop.run_callback_threadsafe(began.set)
        server.once("connection", lambda sock: sock.once("close", lambda _: server.close()))
        gnet.run()
        main.loop.run_callback_threadsafe(over.set)
        gevent.get_hub().destroy(destroy_loop=True)

    main = gevent.get_hub()
    thread = Thread(serve)
    began.wait()
    with socket.create_connection(("127.0.0.1", port[0])) as client:
        until(lambda: any(each["server"] for each in listing(live).shown()))
        [row] = [each for each in listing(live).shown() if each["server"]]
        list(live.ask("close", id=row["id"]))
        assert client.recv(1) == b""
    over.wait()
    thread.result()


def test_what_is_gone_is_nobodys_any_more(live: There) -> None:
    with pair() as (_client, served):
        number = row_of(live, served)["id"]
        [server] = listing(live).servers
    del served, _client
    gc.collect()
    for verb, which in (("close", number), ("details", "1-1"), ("drain", number), ("close", None)):
        with pytest.raises(LiveError, match="none of that id"):
            list(live.ask(verb, id=which))
    with pytest.raises(LiveError, match="none of that id"):
        list(live.ask("close", id=server["id"]))


# -- where, and who -------------------------------------------------------------------------------


@posix
def test_the_default_path_is_this_users_alone(home: str) -> None:
    path = gnet.live.enable()
    try:
        assert path == f"{home}/gnet-{os.geteuid()}/{os.getpid()}.sock"
        assert gnet.live.enable() == path
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
        assert choose(None).path == path
        assert choose(str(os.getpid())).path == path
    finally:
        gnet.live.disable()
    assert not os.path.exists(path)
    gnet.live.disable()


@posix
def test_a_folder_that_others_may_enter_is_not_trusted(home: str) -> None:
    os.mkdir(f"{home}/gnet-{os.geteuid()}", 0o755)
    with pytest.raises(PermissionError):
        gnet.live.enable()
    assert folder.programs() == []


@posix
def test_a_path_elsewhere_is_found_by_the_number_of_the_process(home: str, place: str) -> None:
    assert gnet.live.enable(place) == place
    try:
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
        program = choose(str(os.getpid()))
        assert os.path.samefile(program.path, place)
        assert listing(program).servers == []
    finally:
        gnet.live.disable()
    assert folder.programs() == []
    with pytest.raises(LiveError, match="no program of yours"):
        choose(None)
    with pytest.raises(LiveError, match="has no live view"):
        choose(str(os.getpid()))


@posix
def test_of_several_programs_one_has_to_be_named(home: str, place: str) -> None:
    first = gnet.live.enable()
    assert first is not None
    other = os.path.join(os.path.dirname(first), "1.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(other)
        listener.listen()
        with pytest.raises(SeveralProgramsError) as caught:
            choose(None)
        assert [each.pid for each in caught.value.programs] == sorted([1, os.getpid()])
    gnet.live.disable()


@posix
def test_a_stale_file_is_replaced_and_what_was_killed_leaves_nothing_for_long(
    home: str, place: str
) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(place)
    gnet.live.enable(place)
    gnet.live.disable()
    left = os.path.join(os.path.dirname(folder.default_path()), "1.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(left)
    os.utime(left, (0, 0))
    gnet.live.enable()
    gnet.live.disable()
    assert not os.path.exists(left)


@posix
def test_a_live_one_is_not_replaced(live: There) -> None:
    script = START + "import sys, gnet.live; gnet.live.enable(sys.argv[1])"
    outcome = run(*python(script, live.path))
    assert outcome.status == 1
    assert b"EADDRINUSE" in outcome.complaints
    assert rows(live) == []


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="only root can be another")
def test_another_user_is_refused(live: There) -> None:
    script = (
        "import os, socket, sys\nos.setgid(65534); os.setuid(65534)\n"
        "client = socket.socket(socket.AF_UNIX)\n"
        "try:\n    client.connect(sys.argv[1])\n"
        "except PermissionError:\n    print('not let in')\n"
        "else:\n    print(client.recv(1))\n"
    )
    os.chmod(os.path.dirname(live.path), 0o755)
    assert run(*python(script, live.path)).output == b"not let in\n"
    # And where the file would let them in.
    os.chmod(live.path, 0o666)
    assert run(*python(script, live.path)).output == b"b''\n"


def test_it_keeps_no_program_running(live: There) -> None:
    list(live.ask("list"))
    assert gnet.run(timeout=1)


@posix
def test_it_goes_with_the_program(place: str) -> None:
    script = START + "import sys, gnet.live; print(gnet.live.enable(sys.argv[1]))"
    outcome = run(*python(script, place))
    assert (outcome.output.decode().strip(), outcome.complaints) == (place, b"")
    assert not os.path.lexists(place)


@posix
def test_a_forked_child_has_none(live: There) -> None:
    def look() -> Any:
        gnet.live.disable()
        return os.path.exists(live.path)

    assert ways()["os"](look)
    assert rows(live) == []


SERVE = """
server = gnet.create_server().listen(0, "127.0.0.1")
print(server.port, flush=True)
gnet.run()
"""


@posix
def test_the_environment_switches_it_on(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNET_LIVE", place)
    with running(*python(START + SERVE)) as program:
        port = int(program.line())
        # A path that nobody listens at yet is not enough.
        until(lambda: folder.answers(place))
        [server] = listing(There(place)).servers
        assert server["address"] == f"127.0.0.1:{port}"
        assert os.path.samefile(choose(str(program.pid)).path, place)


@posix
def test_a_path_that_cannot_be_bound_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNET_LIVE", str(tmp_path / "nowhere" / "live"))
    script = START + "a, b = gnet.Server(), gnet.Server()\nfor each in (a, b):\n"
    script += "    each.listen(0, '127.0.0.1')\n    each.wait('listening')\n    each.close()\n"
    outcome = run(*python(script + "gnet.run()"))
    assert outcome.status == 0
    assert outcome.complaints.count(b"\n") == 1
    assert outcome.complaints.startswith(b"GNET_LIVE: listen ENOENT: no such file or directory /")


@posix
def test_a_signal_switches_it_on(home: str) -> None:
    script = START + "import signal, gnet.live; gnet.live.enable_on(signal.SIGUSR2)\n"
    with running(*python(script + SERVE)) as program:
        program.line()
        assert folder.path_of(program.pid) is None
        for _ in range(2):
            program.signal(signal.SIGUSR2)
        # A path that nobody listens at yet is not enough.
        until(lambda: (path := folder.path_of(program.pid)) and folder.answers(path))
        assert len(listing(choose(None)).servers) == 1


@pytest.mark.parametrize("value", [1, b"bytes", ["list"]])
def test_what_is_no_path_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="path"):
        gnet.live.enable(value)


# -- how much -------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"x\n", "ERR_INVALID_REQUEST"),
        (b"[]\n", "ERR_INVALID_REQUEST"),
        (b"[" * 30_000 + b"\n", "ERR_INVALID_REQUEST"),
        (b'{"verb":"list"}\n', "ERR_PROTOCOL_VERSION"),
        (b'{"version":2,"verb":"list"}\n', "ERR_PROTOCOL_VERSION"),
        (b'{"version":1}\n', "ERR_UNKNOWN_REQUEST"),
        (b'{"version":1,"verb":["list"]}\n', "ERR_UNKNOWN_REQUEST"),
        (b'{"version":1,"verb":"close","id":{}}\n', "ERR_UNKNOWN_ID"),
        (b" " * 65536, "ERR_REQUEST_TOO_LONG"),
        (b" " * 65536 + b"\n", "ERR_REQUEST_TOO_LONG"),
    ],
)
def test_what_is_no_request_is_answered_with_an_error(
    live: There, request_: bytes, code: str
) -> None:
    with raw(live.path) as client:
        client.sendall(request_)
        [line] = answer(client)
    assert (line["version"], line["code"]) == (1, code)


@posix
def test_several_requests_are_answered_in_turn(live: There) -> None:
    with raw(live.path) as client:
        client.sendall(b'{"version":1,"verb":"list"}\n{"version":1,"verb":"list"}\n')
        file = client.makefile("rb")
        for _ in range(2):
            lines = [json.loads(file.readline()) for _ in range(4)]
            assert all(each["version"] == 1 for each in lines)
            assert lines[-1]["end"]


@posix
def test_a_request_takes_its_time_only_once(live: There, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REQUEST_SECONDS", 0.1)
    with raw(live.path) as client:
        client.sendall(b'{"version"')
        [line] = answer(client)
        assert line["code"] == "ERR_REQUEST_TIMEOUT"
        assert client.recv(1) == b""


@posix
def test_there_are_at_most_32_clients(live: There) -> None:
    clients = [raw(live.path) for _ in range(control.MAX_CLIENTS)]
    for each in clients:
        each.sendall(b'{"version":1,"verb":"list"}\n')
        answer(each)
    with pytest.raises(LiveError, match="32 clients"):
        list(live.ask("list"))
    clients.pop().close()
    until(lambda: _is_answered(live))
    for each in clients:
        each.close()


def _is_answered(program: There) -> bool:
    try:
        return bool(list(program.ask("list")))
    except LiveError:
        return False


@posix
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: st.dictionaries(
                st.sampled_from(["version", "verb", "id", "more"]), inner | st.just(1), max_size=4
            ),
            max_leaves=6,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_whatever_is_asked_is_answered_with_lines_of_json(live: There, data: bytes) -> None:
    with raw(live.path) as client:
        client.sendall(data + b"\n")
        client.shutdown(socket.SHUT_WR)
        lines = [json.loads(text) for text in client.makefile("rb")]
    assert lines
    assert all(each["version"] == 1 for each in lines)
    assert {"error", "end"} & set(lines[-1])
    # It was there at once.
    assert lines[-1].get("code") != "ERR_REQUEST_TIMEOUT"


@posix
def test_an_answer_of_many_lines_leaves_the_loop_its_turns(live: There) -> None:
    with echoing() as server:
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(60)]
        until(lambda: len(server.connections) == 60)
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1

        watcher = gevent.get_hub().loop.check(ref=False)
        with watcher:
            watcher.start(count)
            pieces = [len(line.get("connections", ())) for line in live.ask("list")]
        assert sum(pieces) == 60 + 1
        assert max(pieces) <= 50
        assert turns >= len(pieces)
        for each in clients:
            each.close()
