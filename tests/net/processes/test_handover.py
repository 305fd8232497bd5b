"""Restart without loss: a service manager's listeners, and a listener handed to a successor."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket, subprocess
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet.errors import NotRunningError
from tests.helpers.counts import descriptors
from tests.helpers.forks import Child, fork
from tests.helpers.peers import Peer, python, running
from tests.helpers.servers import receive, receive_all
from tests.net.conftest import Net

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's descriptors")

RESTARTS = 20


# -- the service manager's listeners -----------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_a_service_manager_there_are_none(environment: pytest.MonkeyPatch) -> None:
    assert gnet.inherited_listeners() == []


def test_another_process_descriptors_are_left_alone(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LISTEN_PID", str(os.getppid()))
    environment.setenv("LISTEN_FDS", "1")
    assert gnet.inherited_listeners() == []
    # And no child of ours takes them for its own.
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.parametrize("count", ["-1", "x", "1.5", " 1", "+1", "\u0661"])
def test_a_number_of_descriptors_that_is_none_is_a_value_error(
    environment: pytest.MonkeyPatch, count: str
) -> None:
    environment.setenv("LISTEN_PID", str(os.getpid()))
    environment.setenv("LISTEN_FDS", count)
    with pytest.raises(ValueError, match="LISTEN_FDS") as caught:
        gnet.inherited_listeners()
    assert caught.value.code == "ERR_INVALID_ARG_VALUE"  # type: ignore[attr-defined]


def test_descriptors_that_are_not_open_are_a_value_error(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LISTEN_PID", str(os.getpid()))
    environment.setenv("LISTEN_FDS", "999999999")
    with pytest.raises(ValueError, match="is not open"):
        gnet.inherited_listeners()


INHERITING = """
import os, sys
import gnet

listeners = gnet.inherited_listeners()
print([(each.fd, each.name, os.get_inheritable(each.fd)) for each in listeners], flush=True)
print(sorted(name for name in os.environ if name.startswith("LISTEN_")), flush=True)
print(gnet.inherited_listeners(), flush=True)
servers = []
for each in listeners:
    server = gnet.create_server(lambda sock: sock.end(b"served"))
    servers.append(server.listen(fd=each.fd))
print("listening", flush=True)
sys.stdin.read(0)
command = gnet.Socket(fd=0)
command.recv()
command.close()
for server in servers:
    server.close()
"""


# What systemd does between fork() and exec().
ACTIVATING = """
import ast, os, sys
for number, fd in enumerate(ast.literal_eval(sys.argv[1]), start=3):
    os.dup2(fd, number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def activated(listeners: list[socket.socket], names: str | None) -> Iterator[Any]:
    """A child with listening descriptors from 3 on, as a service manager starts it."""
    settings = {k: v for k, v in os.environ.items() if not k.startswith("GNET_TEST_")}
    settings["LISTEN_FDS"] = str(len(listeners))
    if names is not None:
        settings["LISTEN_FDNAMES"] = names
    fds = [each.fileno() for each in listeners]
    process = subprocess.Popen(
        [*python(ACTIVATING), repr(fds), *python(INHERITING)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=fds,
        env=settings,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def listeners(directory: Path) -> Iterator[list[socket.socket]]:
    """Of TCP and of a path, with numbers that are not those of the child."""
    found = []
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, str(directory / "inherited")),
    ):
        listener = socket.socket(family)
        listener.bind(address)
        listener.listen(8)
        found.append(listener)
    yield found
    for each in found:
        each.close()


@pytest.mark.limit(30)
@pytest.mark.parametrize("names", [None, "web:admin", "web", "web::"])
def test_a_child_serves_on_descriptors_3_and_4(
    directory: Path, listeners: list[socket.socket], names: str | None
) -> None:
    expected = (names.split(":") if names else []) + ["unknown", "unknown"]
    with activated(listeners, names) as child:
        # Who connects before it listens waits for it.
        early = socket.create_connection(listeners[0].getsockname())
        assert child.stdout.readline().decode().strip() == str(
            [(3, expected[0], False), (4, expected[1], False)]
        )
        assert child.stdout.readline() == b"[]\n"
        assert child.stdout.readline() == b"[]\n"
        assert child.stdout.readline() == b"listening\n"
        with early:
            assert receive_all(early) == b"served"
        for listener in listeners:
            with socket.socket(listener.family) as client:
                client.connect(listener.getsockname())
                assert receive_all(client) == b"served"
        child.stdin.write(b"stop\n")
        child.stdin.flush()
        assert child.wait() == 0
    # The file is the service manager's.
    assert stat.S_ISSOCK((directory / "inherited").stat().st_mode)


# -- hand_over(), take_over(): arguments ---------------------------------------------------------


@pytest.mark.parametrize("path", [1, None, b"x", ["x"]])
def test_a_path_of_another_kind_is_a_type_error(tcp: Net, path: Any) -> None:
    server = tcp.server()
    before = descriptors()
    for call in (server.hand_over, gnet.take_over):
        with pytest.raises(TypeError, match="path") as caught:
            call(path)
        assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]
    assert descriptors() == before


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_is_none_is_a_value_error(tcp: Net, path: str) -> None:
    server = tcp.server()
    for call in (server.hand_over, gnet.take_over):
        with pytest.raises(ValueError, match="path"):
            call(path)


def test_a_path_that_is_too_long_names_the_limit(tcp: Net, directory: Path) -> None:
    server = tcp.server()
    for call in (server.hand_over, gnet.take_over):
        with pytest.raises(OSError, match="the system's limit is"):
            call(str(directory / ("x" * 200)))


@pytest.mark.parametrize("timeout", ["1", -1, True])
def test_a_bad_timeout_is_refused(directory: Path, timeout: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="timeout"):
        gnet.take_over(str(directory / "nobody"), timeout)


def test_what_does_not_listen_has_nothing_to_hand_over(directory: Path) -> None:
    with pytest.raises(NotRunningError):
        gnet.Server().hand_over(directory / "path")
    assert not (directory / "path").exists()


def test_where_nobody_offers_there_is_nothing_to_take(directory: Path) -> None:
    before = descriptors()
    with pytest.raises(FileNotFoundError) as caught:
        gnet.take_over(str(directory / "nobody"))
    assert caught.value.code == "ENOENT"  # type: ignore[attr-defined]
    assert descriptors() == before


def test_a_path_where_somebody_else_listens_is_not_taken_away(tcp: Net, directory: Path) -> None:
    path = str(directory / "taken")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        server = tcp.server()
        with pytest.raises(OSError) as caught:
            server.hand_over(path)
        assert caught.value.code == "EADDRINUSE"  # type: ignore[attr-defined]
        assert server.listening


def test_whoever_does_not_answer_is_not_waited_for(directory: Path) -> None:
    path = str(directory / "silent")
    before = descriptors()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        with pytest.raises(TimeoutError):
            gnet.take_over(path, 0.05)
    assert descriptors() == before


# -- within one process: predecessor and successor are servers -----------------------------------


@pytest.fixture(params=["ipv4", "unix"])
def place(request: pytest.FixtureRequest, directory: Path) -> Iterator[Net]:
    net = Net(request.param, directory)
    yield net
    net.end_all()


def succeed(net: Net, listener: Any, path: Path) -> gnet.Server:
    """A successor that has taken over."""
    server = net.keep(gnet.Server(listener))
    taken = gnet.take_over(path)  # type: ignore[arg-type]
    server.listen(taken)
    return server  # type: ignore[no-any-return]


def test_the_successor_serves_and_the_predecessor_closes(place: Net, directory: Path) -> None:
    old: Queue[gnet.Socket] = Queue()
    new: Queue[gnet.Socket] = Queue()
    first = place.server(old.put)
    address = first.address()
    target = place.target(first)
    path = directory / "handover"
    assert first.hand_over(path) is first
    second = succeed(place, new.put, path)
    first.wait_closed()
    assert not first.listening
    assert second.address() == address
    assert not path.exists()
    client = place._peer()
    client.connect(target[0] if len(target) == 1 else target[::-1])
    new.get()
    assert old.empty()


def test_connections_of_the_predecessor_go_on_to_their_end(place: Net, directory: Path) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    first = place.server(arrived.put)
    peer = place.peer(first)
    sock = arrived.get()
    first.hand_over(directory / "handover")
    succeed(place, None, directory / "handover")
    assert not first.listening
    peer.sendall(b"still there?")
    assert sock.recv() == b"still there?"
    sock.sendall(b"yes")
    assert receive(peer, 3) == b"yes"
    waiting = place.start(first.wait_closed)
    place.turns()
    assert not waiting.ready()
    sock.destroy()
    assert waiting.get() is None


def test_who_waits_in_the_queue_is_the_successors(tcp: Net, directory: Path) -> None:
    old: Queue[gnet.Socket] = Queue()
    new: Queue[gnet.Socket] = Queue()
    first = tcp.server(old.put, max_connections=1, when_full="wait")
    tcp.peer(first)
    old.get()
    waiting = tcp.peer(first)
    waiting.sendall(b"in the queue")
    first.hand_over(directory / "handover")
    succeed(tcp, new.put, directory / "handover")
    sock = new.get()
    assert sock.recv() == b"in the queue"
    assert old.empty()
    sock.close()


def test_who_has_still_to_say_who_it_is_is_served_by_the_predecessor(
    tcp: Net, directory: Path
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    trusted = gnet.BlockList()
    trusted.add_address("127.0.0.1")
    first = tcp.server(arrived.put, proxy_protocol="require", trusted_proxies=trusted)
    peer = tcp.peer(first)
    peer.sendall(b"PROXY TCP4 192.0.2.1 ")
    tcp.turns()
    first.hand_over(directory / "handover")
    succeed(tcp, None, directory / "handover")
    waiting = tcp.start(first.wait_closed)
    tcp.turns()
    assert not waiting.ready()
    peer.sendall(b"192.0.2.2 1 2\r\nhello")
    sock = arrived.get()
    assert sock.recv() == b"hello"
    sock.destroy()
    assert waiting.get() is None


def test_the_file_of_a_path_is_the_last_successors_to_remove(directory: Path) -> None:
    net = Net("unix", directory)
    servers = [net.server()]
    file = Path(net.target(servers[0])[0])
    inode = file.stat().st_ino
    for generation in range(3):
        servers[-1].hand_over(directory / f"handover{generation}")
        servers.append(succeed(net, None, directory / f"handover{generation}"))
        servers[-2].wait_closed()
        assert file.stat().st_ino == inode
    servers[-1].close()
    servers[-1].wait_closed()
    assert not file.exists()
    net.end_all()


def test_the_path_is_free_for_the_successors_own_offer(tcp: Net, directory: Path) -> None:
    path = directory / "handover"
    server = tcp.server()
    for _ in range(5):
        server.hand_over(path)
        server = succeed(tcp, None, path)
    server.hand_over(path)
    assert stat.S_ISSOCK(path.stat().st_mode)


def test_an_offer_can_be_made_elsewhere(tcp: Net, directory: Path) -> None:
    server = tcp.server()
    server.hand_over(directory / "first")
    server.hand_over(directory / "second")
    assert not (directory / "first").exists()
    succeed(tcp, None, directory / "second")
    assert not (directory / "second").exists()


def test_a_server_that_closes_withdraws_its_offer(tcp: Net, directory: Path) -> None:
    server = tcp.server()
    server.hand_over(directory / "handover")
    server.close()
    assert not (directory / "handover").exists()
    server.wait_closed()
    with pytest.raises(FileNotFoundError):
        gnet.take_over(str(directory / "handover"))


def test_a_descriptor_that_is_not_wanted_after_all_changes_nothing(
    tcp: Net, directory: Path
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    server.hand_over(directory / "handover")
    before = descriptors()
    taken = gnet.take_over(str(directory / "handover"))
    taken.close()
    taken.close()
    tcp.turns()
    assert descriptors() == before
    tcp.peer(server)
    arrived.get()
    # And somebody else may still have it.
    succeed(tcp, None, directory / "handover")
    assert not server.listening


def test_an_offer_is_for_the_same_user_only(
    tcp: Net, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tcp.server()
    server.hand_over(directory / "handover")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if os.getuid() == 0:
        # Root may everything; here it is made somebody else.
        from gnet._server import handover

        monkeypatch.setattr(handover, "_same_user", lambda wire: False)
    with pytest.raises(OSError):
        gnet.take_over(str(directory / "handover"))
    assert server.listening


def test_nonsense_on_the_offers_path_harms_nothing(
    tcp: Net, directory: Path, hub_errors: list[BaseException]
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    server.hand_over(directory / "handover")
    for nonsense in (b"", b"nonsense\n", b"{}\n", b"[1]\n", b'{"kind": "x"}\n', b"\xff\n"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(directory / "handover"))
            client.sendall(nonsense)
            client.shutdown(socket.SHUT_WR)
            assert receive_all(client) == b""
    hub_errors.clear()
    tcp.peer(server)
    arrived.get()
    succeed(tcp, None, directory / "handover")


@pytest.mark.skipif(fork is None, reason="no fork()")
def test_a_forked_child_offers_nothing(tcp: Net, directory: Path) -> None:
    before = set(descriptors().values())
    server = tcp.server()
    server.hand_over(directory / "handover")
    made = set(descriptors().values()) - before
    assert len(made) == 2
    assert fork is not None
    assert Child(lambda: made & set(descriptors().values()), fork).result() == set()
    assert (directory / "handover").exists()
    succeed(tcp, None, directory / "handover")
    assert not server.listening


# -- between processes, under load ----------------------------------------------------------------

GENERATION = """
import os, sys
import gevent
import gnet

place, path = sys.argv[1:]

def handler(sock):
    for line in sock.makefile("rb"):
        sock.sendall(b"%d %s" % (os.getpid(), line))

server = gnet.Server(handler, end_on_return=True)
try:
    taken = gnet.take_over(path)
except OSError:
    server.listen(int(place), "127.0.0.1") if place.isdigit() else server.listen(place)
else:
    server.listen(taken)
server.hand_over(path)
address = server.address()
print(getattr(address, "port", address), flush=True)
server.wait_closed()
"""


class Clients:
    """Clients that connect, ask and leave, again and again.

    :ivar answers: the processes that have answered.
    :ivar failures: what went wrong.
    """

    def __init__(self, family: int, address: Any) -> None:
        self.answers: dict[int, int] = {}
        self.failures: list[BaseException] = []
        self._family = family
        self._address = address
        self._over = False
        # So few that the processes of the next generation get to start.
        self._greenlets = [gevent.spawn(self._run) for _ in range(3)]

    def _run(self) -> None:
        number = 0
        while not self._over:
            try:
                with socket.socket(self._family) as client:
                    client.connect(self._address)
                    client.sendall(b"%d\n" % number)
                    answer = b""
                    while not answer.endswith(b"\n"):
                        chunk = client.recv(100)
                        assert chunk, f"an end after {answer!r}"
                        answer += chunk
                pid, said = map(int, answer.split())
                assert said == number
            except (OSError, AssertionError) as exc:
                self.failures.append(exc)
            else:
                self.answers[pid] = self.answers.get(pid, 0) + 1
            number += 1
            # The next generation needs some of the processors for its start.
            gevent.sleep(0.005)

    def finish(self) -> int:
        self._over = True
        gevent.joinall(self._greenlets)
        return sum(self.answers.values())

    def answered_by(self, count: int) -> bool:
        return len(self.answers) >= count or bool(self.failures)


@pytest.mark.limit(120)
@pytest.mark.parametrize("kind", ["ipv4", "unix"])
def test_20_restarts_under_load_refuse_nobody(directory: Path, kind: str) -> None:
    path = str(directory / "handover")
    place = "0" if kind == "ipv4" else str(directory / "service")
    processes = [Peer([*python(GENERATION), place, path])]
    try:
        address = processes[0].line().decode()
        clients = (
            Clients(socket.AF_INET, ("127.0.0.1", int(address)))
            if kind == "ipv4"
            else Clients(socket.AF_UNIX, address)
        )
        for restart in range(1, RESTARTS + 1):
            processes.append(Peer([*python(GENERATION), place, path]))
            assert processes[-1].line().decode() == address
            # The predecessor ends by itself, and in peace.
            outcome = processes[-2].wait()
            assert (outcome.status, outcome.complaints) == (0, b"")
            while not clients.answered_by(restart + 1):
                gevent.sleep(0.001)
        served = clients.finish()
        print(f"{served} connections over {RESTARTS} restarts, {len(clients.failures)} refused")
        assert clients.failures == []
        assert len(clients.answers) == RESTARTS + 1
        if kind == "unix":
            assert stat.S_ISSOCK(os.stat(place).st_mode)
    finally:
        for process in processes:
            process.close()


@pytest.mark.limit(30)
def test_a_successor_that_is_killed_before_it_listens_costs_nothing(
    tcp: Net, directory: Path
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    path = str(directory / "handover")
    server.hand_over(path)
    script = "import sys, gnet; t = gnet.take_over(sys.argv[1]); print(1, flush=True); input()"
    with running(*python(script, path)) as successor:
        assert successor.line() == b"1"
        successor.signal(signal.SIGKILL)
        successor.wait()
    assert server.listening
    tcp.peer(server)
    arrived.get()
    # The next successor gets it.
    succeed(tcp, None, Path(path))
    assert not server.listening


PREDECESSOR = """
import sys, gnet
server = gnet.create_server(lambda sock: sock.end(b"old"))
server.listen(*([int(sys.argv[1]), "127.0.0.1"] if sys.argv[1].isdigit() else [sys.argv[1]]))
server.hand_over(sys.argv[2])
print(getattr(server.address(), "port", server.address()), flush=True)
server.wait_closed()
"""


@pytest.mark.limit(30)
@pytest.mark.parametrize("kind", ["ipv4", "unix"])
@pytest.mark.parametrize("moment", ["taken", "listening"])
def test_a_predecessor_that_is_killed_leaves_a_successor_that_serves(
    directory: Path, kind: str, moment: str
) -> None:
    net = Net(kind, directory)
    path = str(directory / "handover")
    place = "0" if kind == "ipv4" else str(directory / "service")
    arrived: Queue[gnet.Socket] = Queue()
    with running(*python(PREDECESSOR, place, path)) as predecessor:
        address = predecessor.line().decode()
        taken = gnet.take_over(path)
        successor = net.keep(gnet.Server(arrived.put))
        if moment == "listening":
            successor.listen(taken)
        predecessor.signal(signal.SIGKILL)
        predecessor.wait()
        if moment == "taken":
            successor.listen(taken)
    assert successor.listening
    peer = net.peer(successor)
    arrived.get().end(b"new")
    assert receive_all(peer) == b"new"
    # A killed process leaves the file of its offer; the successor's own replaces it.
    successor.hand_over(path)
    successor.close()
    successor.wait_closed() if not successor.connections else None
    if kind == "unix":
        assert not os.path.exists(address)
    net.end_all()


@pytest.mark.limit(30)
def test_a_predecessor_that_hangs_is_not_waited_for_long(
    tcp: Net, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gnet._server import handover

    monkeypatch.setattr(handover, "ANSWER_SECONDS", 0.1)
    path = str(directory / "handover")
    arrived: Queue[gnet.Socket] = Queue()
    with running(*python(PREDECESSOR, "0", path)) as predecessor:
        predecessor.line()
        taken = gnet.take_over(path)
        predecessor.signal(signal.SIGSTOP)
        successor = tcp.keep(gnet.Server(arrived.put))
        successor.listen(taken)
        assert successor.listening
        predecessor.signal(signal.SIGKILL)
        predecessor.wait()
    peer = tcp.peer(successor)
    arrived.get().end(b"new")
    assert receive_all(peer) == b"new"


def test_handing_over_works_from_a_listener_while_it_blocks(tcp: Net, directory: Path) -> None:
    finished = Event()

    def connected(sock: gnet.Socket) -> None:
        server.hand_over(directory / "handover")
        begun.set()
        finished.wait()
        sock.end(b"done")

    begun = Event()
    server = tcp.server(connected)
    peer = tcp.peer(server)
    begun.wait()
    succeed(tcp, None, directory / "handover")
    assert not server.listening
    finished.set()
    assert receive_all(peer) == b"done"
