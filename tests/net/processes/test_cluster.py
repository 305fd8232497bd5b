"""Workers share what their primary listens at; they come and go, and no client is refused."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket as std_socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent import socket, subprocess
from gevent.event import Event

import gnet
from gnet import cluster
from gnet.cluster import staff, worker_process
from tests.helpers import forks
from tests.helpers.clusters import HOLD, SAY_PID, SERVE, cluster_of, environment, program
from tests.helpers.counts import descriptors

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="descriptors cannot be passed on"),
    pytest.mark.limit(40),
]


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """Every worker has ended, and has been waited for."""
    yield
    with pytest.raises(ChildProcessError):
        forks.waitpid(-1, os.WNOHANG)


@pytest.fixture
def script() -> Iterator[Any]:
    """Starts programs that are primaries themselves; kills those that are left."""
    started = []

    def start(code: str) -> Any:
        process = subprocess.Popen(
            program(code), env=environment(), stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            process.wait()
        process.stdout.close()


# ---------------------------------------------------------------------------------------------
# Sharing


def test_workers_that_listen_on_port_0_share_one_port() -> None:
    with cluster_of(2, SAY_PID) as group:
        (_, first), (_, second) = group.all("listening", 2)
        assert first == second
        assert first.port > 0
        assert group.ask() in group.pids


def test_each_port_0_of_a_worker_is_another_and_the_same_in_every_worker() -> None:
    code = """
    def main():
        for _ in range(2):
            gnet.create_server().listen(0, "127.0.0.1")
    """
    with cluster_of(2, code) as group:
        ports = [address.port for _, address in group.all("listening", 4)]
        assert len(set(ports)) == 2
        assert sorted(ports) == sorted(list(set(ports)) * 2)


def test_every_worker_takes_connections() -> None:
    """One that is full leaves them to the others."""
    code = """
    def main():
        server = gnet.create_server(lambda sock: sock.write(PID))
        server.max_connections = 1
        server.listen(0, "127.0.0.1")
    """
    with cluster_of(2, code) as group:
        group.all("listening", 2)
        clients = [group.connect() for _ in range(2)]
        assert {client.recv(100).decode() for client in clients} == group.pids
        third = group.connect()
        clients.pop().close()
        # There is room again, and it has waited.
        assert third.recv(100).decode() in group.pids
        for client in (*clients, third):
            client.close()


def test_drop_max_connection_closes_what_is_too_much() -> None:
    code = """
    def main():
        server = gnet.create_server(lambda sock: sock.write(PID))
        server.max_connections = 1
        server.drop_max_connection = True
        server.on("drop", lambda info: cluster.worker.send(info.remote_port))
        server.listen(0, "127.0.0.1")
    """
    with cluster_of(1, code) as group:
        group.next("listening")
        with group.connect() as client, group.connect() as second:
            assert client.recv(100)
            assert second.recv(100) == b""
            assert group.next("message")[1] == second.getsockname()[1]


def test_a_full_worker_takes_again_when_its_limit_is_raised() -> None:
    code = """
    def main():
        server = gnet.create_server(lambda sock: sock.write(PID))
        server.max_connections = 1
        server.listen(0, "127.0.0.1")
        cluster.worker.on("message", lambda limit: setattr(server, "max_connections", limit))
    """
    with cluster_of(1, code) as group:
        worker, _ = group.next("listening")
        with group.connect() as client, group.connect() as second:
            assert client.recv(100)
            worker.send(2)
            assert second.recv(100)


def test_a_second_server_of_one_worker_on_a_port_fails() -> None:
    code = """
    def main():
        first = gnet.create_server().listen(0, "127.0.0.1")
        port = first.address().port
        try:
            gnet.create_server().listen(port, "127.0.0.1")
        except OSError as exc:
            cluster.worker.send([exc.code, exc.errno, exc.syscall, exc.address, exc.port - port])
    """
    with cluster_of(1, code) as group:
        _, answer = group.next("message")
        assert answer == ["EADDRINUSE", errno.EADDRINUSE, "listen", "127.0.0.1", 0]


def test_a_port_that_was_given_up_can_be_listened_on_again() -> None:
    code = """
    def main():
        server = gnet.create_server().listen(0, "127.0.0.1")
        port = server.address().port
        server.close()
        server.wait("close")
        server.listen(port, "127.0.0.1")
        cluster.worker.send("again")
    """
    with cluster_of(1, code) as group:
        assert group.next("message")[1] == "again"


def test_an_exclusive_port_is_one_workers() -> None:
    with reserved(socket.SO_REUSEADDR) as port:
        code = f"""
        def main():
            try:
                gnet.create_server().listen({port}, "127.0.0.1", exclusive=True)
            except OSError as exc:
                cluster.worker.send(exc.code)
            else:
                cluster.worker.send("listening")
        """
        with cluster_of(2, code) as group:
            said = [value for _, value in group.all("message", 2)]
            assert sorted(said) == ["EADDRINUSE", "listening"]
            assert group.none("listening")


def test_reuse_port_gives_each_worker_a_socket_of_its_own() -> None:
    with reserved(socket.SO_REUSEPORT) as port:
        code = f"""
        def main():
            gnet.create_server().listen({port}, "127.0.0.1", reuse_port=True)
            cluster.worker.send("listening")
        """
        with cluster_of(2, code) as group:
            assert [value for _, value in group.all("message", 2)] == ["listening"] * 2
            assert group.none("listening")


def test_a_path_is_the_primarys_to_make_and_to_remove(tmp_path: Path) -> None:
    path = str(tmp_path / "shared.sock")
    code = f"""
    def main():
        gnet.create_server(lambda sock: sock.end(PID)).listen({path!r}, writable_all=True)
    """
    with cluster_of(2, code) as group:
        (first, _), _ = group.all("listening", 2)
        assert os.stat(path).st_mode & stat.S_IWOTH
        first.kill(signal.SIGKILL)
        group.next("exit")
        assert group.ask() != str(first.pid)
    assert not os.path.exists(path)


def test_a_descriptor_is_the_primarys() -> None:
    bound = std_socket.socket()
    bound.bind(("127.0.0.1", 0))
    address = bound.getsockname()
    code = f"""
    def main():
        gnet.create_server(lambda sock: sock.end(PID)).listen(fd={bound.fileno()})
    """
    bound.detach()
    with cluster_of(2, code) as group:
        (_, first), (_, second) = group.all("listening", 2)
        assert first == second == ("127.0.0.1", "IPv4", address[1])
        assert group.ask() in group.pids


def test_a_wrong_descriptor_is_an_error_in_the_worker() -> None:
    read, write = os.pipe()
    code = f"""
    def main():
        try:
            gnet.create_server().listen(fd={read})
        except OSError as exc:
            cluster.worker.send(exc.code)
    """
    with cluster_of(1, code) as group:
        assert group.next("message")[1] == "EINVAL"
    forks.close(read)
    forks.close(write)


# ---------------------------------------------------------------------------------------------
# Counting


def test_connections_are_counted_across_the_workers() -> None:
    code = """
    def main():
        server = gnet.create_server(lambda sock: sock.write(PID))
        server.max_connections = 2
        server.listen(0, "127.0.0.1")
        other = gnet.create_server().listen(0, "127.0.0.1")

        def count(_):
            server.get_connections(lambda error, number: cluster.worker.send(
                [number, server.get_connections(), len(server.connections),
                 other.get_connections()]))

        cluster.worker.on("message", count)
    """
    with cluster_of(2, code) as group:
        group.address = group.all("listening", 4)[0][1]
        clients = [group.connect() for _ in range(3)]
        assert {client.recv(100).decode() for client in clients} == group.pids
        assert group.cluster.get_connections() == 3
        counted: list[Any] = []
        told = Event()
        group.cluster.get_connections(lambda *args: (counted.append(args), told.set()))
        told.wait()
        assert counted == [(None, 3)]
        for worker in group.cluster.workers.values():
            worker.send("count")
        numbers = [said for _, said in group.all("message", 2)]
        assert [each[:2] + each[3:] for each in numbers] == [[3, 3, 0]] * 2
        assert sorted(each[2] for each in numbers) == [1, 2]
        for client in clients:
            client.close()


def test_a_worker_that_does_not_answer_makes_counting_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process, "COUNT_SECONDS", 0.1)
    with cluster_of(1, SAY_PID) as group:
        worker, _ = group.next("listening")
        worker.kill(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            group.cluster.get_connections()
        worker.kill(signal.SIGCONT)


# ---------------------------------------------------------------------------------------------
# What goes wrong with a handle


def test_the_handle_that_a_worker_does_not_wait_for_any_more_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "abandoned"
    code = """
    def main():
        # As soon as it blocks, and before an answer can have come.
        gevent.get_hub().loop.run_callback(gevent.getcurrent().throw, InterruptedError)
        try:
            gnet.create_server().listen("PATH")
        except InterruptedError:
            pass
        gnet.create_server().listen(0, "127.0.0.1")
        # By now it has closed the copy that it was sent for the first.
        cluster.worker.send("listening")
    """
    with cluster_of(1, code.replace("PATH", str(path))) as group:
        group.next("listening")
        group.next("message")
        assert group.none("listening")
        assert not path.exists()
        group.connect().close()


def test_the_handle_of_a_worker_that_has_finished_is_closed() -> None:
    code = """
    def main():
        gnet.create_server().listen(0, "127.0.0.1")
        cluster.worker.on("message", lambda value: cluster.worker.disconnect())
    """
    with cluster_of(1, code) as group:
        worker, _ = group.next("listening")
        worker.send("enough")
        assert group.next("exit") == (worker, 0, None)
        with pytest.raises(ConnectionRefusedError):
            group.connect()


def test_a_primary_without_descriptors_left_says_so_to_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = """
    def main():
        try:
            gnet.create_server().listen(0, "127.0.0.1")
        except OSError as exc:
            cluster.worker.send([exc.errno, exc.code, exc.syscall])
        gnet.create_server().listen(0, "127.0.0.1")
    """

    def dup(fd: int) -> int:
        monkeypatch.undo()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with cluster_of(1, code) as group:
        monkeypatch.setattr("gnet._processes.channel.os.dup", dup)
        assert group.next("message")[1] == [errno.EMFILE, "EMFILE", "dup"]
        group.next("listening")
        group.connect().close()


def test_a_worker_without_descriptors_left_does_not_listen() -> None:
    code = """
    def main():
        import resource

        taken = []
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, most))
        # Twice: patched, what was closed before is so when the loop looks for events again.
        for _ in range(2):
            while True:
                try:
                    taken.append(os.dup(0))
                except OSError:
                    break
            gevent.idle()
        try:
            gnet.create_server().listen(0, "127.0.0.1")
        except OSError as exc:
            cluster.worker.send([exc.code, exc.syscall])
        os.close(taken.pop())
        gnet.create_server().listen(0, "127.0.0.1")
        cluster.worker.send("listening")
    """
    with cluster_of(1, code) as group:
        assert group.next("message")[1] == ["EMFILE", "listen"]
        assert group.none("listening")
        group.next("listening")
        assert group.next("message")[1] == "listening"
        assert group.none("listening")


def test_a_port_that_was_closed_while_it_was_asked_for_is_not_listened_on() -> None:
    code = """
    def main():
        server = gnet.create_server()
        gevent.get_hub().loop.run_callback(gevent.spawn, server.close)
        server.listen(0, "127.0.0.1")
        cluster.worker.send(server.listening)
        gnet.create_server().listen(0, "127.0.0.1")
        cluster.worker.send("listening")
    """
    with cluster_of(1, code) as group:
        assert group.next("message")[1] is False
        group.next("listening")
        group.next("message")
        assert group.none("listening")


# ---------------------------------------------------------------------------------------------
# What is no message

PLACE = ["127.0.0.1", 0, None, None, 0]
OPTIONS = [511, False, False, False, False, False]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("listen", {"place": PLACE[:4], "options": OPTIONS}),
        ("listen", {"place": [*PLACE, 0], "options": OPTIONS}),
        ("listen", {"place": PLACE, "options": OPTIONS[:5]}),
        ("listen", {"place": PLACE, "options": [*OPTIONS, False]}),
        ("listen", {"place": [80, *PLACE[1:]], "options": OPTIONS}),
        ("listen", {"place": ["127.0.0.1", 65536, None, None, 0], "options": OPTIONS}),
        ("listen", {"place": ["127.0.0.1", True, None, None, 0], "options": OPTIONS}),
        ("listen", {"place": [None, None, None, 1 << 64, 0], "options": OPTIONS}),
        ("listen", {"place": PLACE, "options": [-1, *OPTIONS[1:]]}),
        ("listen", {"place": PLACE, "options": [511, 2, *OPTIONS[2:]]}),
        ("listen", {"place": {}, "options": OPTIONS}),
        ("listening", {"place": []}),
        ("listening", {}),
        ("close", {"place": [[], [], [], [], []]}),
        ("count", {"place": [1]}),
        ("nothing of ours", {}),
    ],
)
def test_what_a_worker_says_that_is_no_message_ends_its_channel(
    kind: str, fields: dict[str, Any]
) -> None:
    code = f"""
    def main():
        cluster.worker._channel.post({kind!r}, **{{"number": 1, **{fields!r}}})
    """
    with cluster_of(1, code) as group:
        (worker,) = group.next("disconnect")
        assert not worker.is_connected()
        assert group.none("listening")


def test_a_place_that_a_worker_does_not_have_is_not_listened_on() -> None:
    code = f"""
    def main():
        cluster.worker._channel.post("listening", place={PLACE!r})
        cluster.worker._channel.post("close", place={PLACE!r})
        cluster.worker.send("said")
    """
    with cluster_of(1, code) as group:
        group.next("message")
        assert group.none("listening")
        assert group.none("disconnect")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("count", {"number": 1, "place": PLACE[:4]}),
        ("count", {"number": 1, "place": "place"}),
        ("stop", {"grace": "long", "drain": True}),
    ],
)
def test_what_a_primary_says_that_is_no_message_is_as_if_it_had_gone(
    kind: str, fields: dict[str, Any]
) -> None:
    with cluster_of(1, SAY_PID) as group:
        (worker, _) = group.next("listening")
        group.cluster._staff.workers[worker.id].channel.post(kind, **fields)
        assert group.next("exit") == (worker, 1, None)


@pytest.mark.parametrize("answer", [{}, {"count": "many"}, {"count": 1.5}, {"error": {}}])
def test_a_number_of_connections_that_is_none_is_not_counted(answer: dict[str, Any]) -> None:
    code = f"""
    def main():
        channel = cluster.worker._channel
        channel.answer = lambda message, **fields: channel.post(
            "answer", number=message.fields["number"], **{answer!r}
        )
        gnet.create_server().listen(0, "127.0.0.1")
    """
    with cluster_of(1, code) as group:
        worker, _ = group.next("listening")
        assert group.cluster.get_connections() == 0
        assert group.next("disconnect") == (worker,)


# ---------------------------------------------------------------------------------------------
# Dying and being replaced


def test_a_worker_that_was_killed_is_replaced_and_nobody_refused() -> None:
    with cluster_of(1, SAY_PID) as group:
        worker, _ = group.next("listening")
        worker.kill(signal.SIGKILL)
        assert group.next("exit") == (worker, None, signal.SIGKILL)
        # There is no worker at this moment.
        client = group.connect()
        (other, address) = group.next("listening")
        assert address == group.address
        assert client.makefile().read() == str(other.pid)
        assert other.id > worker.id
        client.close()


def test_when_a_worker_is_killed_in_mid_transfer_its_peer_learns_of_it() -> None:
    code = """
    def main():
        def stream(sock):
            while True:
                sock.sendall(bytes(65536))
        gnet.create_server(stream, end_on_return=True).listen(0, "127.0.0.1")
    """
    with cluster_of(2, code) as group:
        group.all("listening", 2)
        with group.connect() as client:
            assert client.recv(65536)
            for worker in group.cluster.workers.values():
                worker.kill(signal.SIGKILL)
            # Silence would be the end of the test's time.
            with contextlib.suppress(ConnectionResetError):
                while client.recv(65536):
                    pass


@pytest.mark.parametrize("code", [HOLD, SERVE], ids=["event", "blocking"])
def test_a_worker_that_gets_sigterm_ends_its_connections_and_is_replaced(code: str) -> None:
    with cluster_of(1, code) as group:
        worker, _ = group.next("listening")
        with group.connect() as client:
            assert client.recv(100) == str(worker.pid).encode()
            worker.kill()
            assert client.recv(100) == b""
        assert group.next("exit") == (worker, 128 + signal.SIGTERM, None)
        other, _ = group.next("listening")
        assert other is not worker


def test_workers_that_die_at_once_are_started_less_and_less_often() -> None:
    code = """
    def main():
        raise SystemExit(3)
    """
    with cluster_of(1, code) as group:
        started = []
        for _ in range(4):
            assert group.next("exit")[1:] == (3, None)
            started.append(monotonic())
    # The pauses are none, 0.1 and 0.2 seconds.
    assert started[2] - started[1] > 0.1
    assert started[3] - started[2] > 0.2


def test_a_worker_that_exits_with_0_has_finished() -> None:
    code = """
    def main():
        cluster.worker.send("done")
    """
    with cluster_of(2, code) as group:
        assert [code for _, code, _ in group.all("exit", 2)] == [0, 0]
        assert group.cluster.workers == {}
        assert gnet.run(5)
        assert group.none("listening")


def test_the_workers_keep_run_from_returning() -> None:
    with cluster_of(1, SAY_PID) as group:
        group.next("listening")
        assert not gnet.run(0)


def test_a_disconnected_worker_lets_its_connections_end_and_is_not_replaced() -> None:
    with cluster_of(2, HOLD) as group:
        group.all("listening", 2)
        with group.connect() as client:
            pid = client.recv(100).decode()
            (worker,) = (each for each in group.cluster.workers.values() if str(each.pid) == pid)
            worker.disconnect()
            assert group.next("message") == (worker, "told to stop")
            for _ in range(5):
                with group.connect() as other:
                    assert other.recv(100).decode() != pid
            assert not worker.is_dead()
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""
        assert group.next("exit") == (worker, 0, None)
        assert group.next("disconnect") == (worker,)
        assert list(group.cluster.workers.values()) != [worker]
        assert len(group.cluster.workers) == 1


def test_a_worker_may_disconnect_itself() -> None:
    code = """
    def main():
        server = gnet.create_server(lambda sock: cluster.worker.disconnect())
        server.listen(0, "127.0.0.1")
    """
    with cluster_of(1, code) as group:
        worker, _ = group.next("listening")
        with group.connect():
            pass
        assert group.next("exit") == (worker, 0, None)
        assert group.cluster.workers == {}


def test_a_handle_that_all_workers_have_closed_is_closed() -> None:
    code = """
    def main():
        server = gnet.create_server(lambda sock: (sock.end(PID), server.close()))
        server.listen(0, "127.0.0.1")
        gnet.create_server().listen(0, "127.0.0.1")
    """
    with cluster_of(1, code) as group:
        group.next("listening")
        group.ask()
        while True:
            try:
                group.connect().close()
            except ConnectionRefusedError:
                break
            except ConnectionResetError:
                continue  # it came at the moment of the close


# ---------------------------------------------------------------------------------------------
# Restarting


def test_a_restart_replaces_every_worker_and_refuses_nobody() -> None:
    with cluster_of(2, SAY_PID) as group:
        group.all("listening", 2)
        before = group.pids
        restart = gevent.spawn(group.cluster.restart)
        answers = set()
        while not restart.ready():
            answers.add(group.ask())
        restart.get()
        answers.add(group.ask())
        assert len(group.pids) == 2
        assert not group.pids & before
        assert answers - group.pids <= before
        assert "" not in answers


def test_a_restart_lets_connections_end_by_themselves() -> None:
    with cluster_of(1, HOLD) as group:
        group.next("listening")
        with group.connect() as client:
            old = client.recv(100)
            restart = gevent.spawn(group.cluster.restart)
            group.next("listening")
            new = old
            while new == old:
                with group.connect() as other:
                    new = other.recv(100)
            assert not restart.ready()
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""
        restart.get()
        assert group.pids == {new.decode()}


def test_after_its_grace_a_restart_ends_what_is_left() -> None:
    with cluster_of(1, HOLD) as group:
        group.next("listening")
        with group.connect() as client:
            assert client.recv(100)
            group.cluster.restart(grace=0.05)
            assert client.recv(100) == b""


def test_a_restart_whose_new_worker_dies_is_given_up() -> None:
    with cluster_of(1, SAY_PID) as group:
        group.next("listening")
        before = group.pids
        group.cluster._staff.argv = program("def main(): raise SystemExit(1)")
        with pytest.raises(RuntimeError, match="has ended before it listened"):
            group.cluster.restart()
        assert group.pids == before
        assert {group.ask()} == before


def test_a_restart_whose_new_worker_does_not_listen_in_time_is_given_up() -> None:
    with cluster_of(1, SAY_PID, start_timeout=1) as group:
        group.next("listening")
        before = group.pids
        group.cluster._staff.argv = program("def main(): gevent.sleep(60)")
        with pytest.raises(RuntimeError, match="has not listened in 1 seconds"):
            group.cluster.restart()
        group.next("exit")
        assert group.pids == before
        assert {group.ask()} == before


def test_a_shutdown_ends_a_restart_whose_new_worker_is_still_starting() -> None:
    with cluster_of(1, SAY_PID) as group:
        group.next("listening")
        group.cluster._staff.argv = program("def main(): gevent.sleep(60)")
        restart = gevent.spawn(group.cluster.restart)
        group.next("online")
        group.cluster.shutdown(0)
        restart.get(timeout=5)
        assert not group.cluster.workers


def test_a_port_that_new_workers_do_not_want_is_closed() -> None:
    with cluster_of(1, SAY_PID) as group:
        group.next("listening")
        former = group.address
        group.cluster._staff.argv = program("def main(): gnet.create_server().listen(0, '::1')")
        group.cluster.restart()
        assert group.next("listening")[1].address == "::1"
        group.address = former
        with pytest.raises(ConnectionRefusedError):
            group.connect()


# ---------------------------------------------------------------------------------------------
# Stopping


def test_shutdown_ends_the_connections_and_the_workers() -> None:
    with cluster_of(2, HOLD) as group:
        group.all("listening", 2)
        with group.connect() as client:
            assert client.recv(100)
            assert group.cluster.shutdown(0.1) == 0
            assert client.recv(100) == b""
        assert group.cluster.workers == {}
        with pytest.raises(ConnectionRefusedError):
            group.connect()
        with pytest.raises(RuntimeError):
            group.cluster.fork()
        assert [code for _, code, _ in group.all("exit", 2)] == [0, 0]


def test_shutdown_kills_who_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "KILL_SECONDS", 0.1)
    with cluster_of(1, SAY_PID) as group:
        worker, _ = group.next("listening")
        worker.kill(signal.SIGSTOP)
        assert group.cluster.shutdown(0) == 1
        assert worker.is_dead()


def test_shutdown_stops_workers_that_have_not_come_to_listen() -> None:
    with cluster_of(2, SAY_PID) as group:
        group.all("online", 2)
        assert group.cluster.shutdown() == 0


def test_a_main_that_blocks_comes_to_its_end() -> None:
    code = """
    def main():
        with gnet.create_server() as server:
            server.listen(0, "127.0.0.1")
            server.serve_forever()
        cluster.worker.send("the last words")
    """
    with cluster_of(1, code) as group:
        group.next("listening")
        assert group.cluster.shutdown() == 0
        assert group.next("message")[1] == "the last words"
        assert group.next("exit")[1:] == (0, None)


def test_a_worker_is_told_that_it_has_to_stop() -> None:
    code = """
    def main():
        over = gevent.event.Event()
        cluster.worker.on("disconnect", over.set)
        gnet.create_server().listen(0, "127.0.0.1")
        over.wait()
        cluster.worker.send("told")
    """
    with cluster_of(1, code) as group:
        group.next("listening")
        group.cluster.shutdown()
        assert group.next("message")[1] == "told"


# ---------------------------------------------------------------------------------------------
# Programs


PROGRAM = """
def main():
    gnet.create_server(lambda sock: sock.end(PID)).listen(0, "127.0.0.1")
    print("listening", PID, flush=True)

if cluster.is_primary:
    cluster.run(main, workers=2)
    print("the end", flush=True)
    sys.exit()
"""


def test_sigterm_shuts_a_program_down(script: Any) -> None:
    primary = script(PROGRAM)
    workers = {primary.stdout.readline() for _ in range(2)}
    assert all(line.startswith("listening ") for line in workers)
    primary.terminate()
    # The workers have the pipe, too: it ends with the last of them.
    assert primary.stdout.read() == "the end\n"
    assert primary.wait() == 0


def test_a_service_manager_may_signal_all_processes(script: Any) -> None:
    """The connections have their time all the same."""
    primary = script(
        """
        def main():
            signalled = gevent.event.Event()
            gevent.signal_handler(signal.SIGTERM, signalled.set)

            def answer(sock):
                print("connected", flush=True)
                request = sock.makefile("rb").readline()
                signalled.wait()
                for _ in range(100):
                    gevent.sleep(0)
                sock.end(request)

            server = gnet.create_server(answer, end_on_return=True).listen(0, "127.0.0.1")
            print(PID, server.address().port, flush=True)
            cluster.worker.on("disconnect", lambda: print("told", flush=True))

        if cluster.is_primary:
            cluster.run(main, workers=1)
            sys.exit()
        """
    )
    pid, port = map(int, primary.stdout.readline().split())
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"half a request")
        assert primary.stdout.readline() == "connected\n"
        primary.terminate()
        assert primary.stdout.readline() == "told\n"
        os.kill(pid, signal.SIGTERM)
        assert client.makefile("rb").read() == b"half a request"
    assert primary.stdout.read() == ""
    assert primary.wait() == 0


def test_ctrl_c_which_all_processes_get_is_the_primarys(script: Any) -> None:
    primary = script(PROGRAM)
    workers = [int(primary.stdout.readline().split()[1]) for _ in range(2)]
    for pid in (*workers, primary.pid):
        os.kill(pid, signal.SIGINT)
    assert primary.stdout.read() == "the end\n"
    assert primary.wait() == 0


def test_sighup_restarts_the_workers(script: Any) -> None:
    primary = script(PROGRAM)
    before = {primary.stdout.readline() for _ in range(2)}
    primary.send_signal(signal.SIGHUP)
    after = {primary.stdout.readline() for _ in range(2)}
    assert len(before | after) == 4
    primary.terminate()
    assert primary.stdout.read() == "the end\n"
    assert primary.wait() == 0


def test_workers_end_when_their_primary_was_killed(script: Any) -> None:
    primary = script(PROGRAM)
    for _ in range(2):
        primary.stdout.readline()
    primary.kill()
    assert primary.stdout.read() == ""
    assert primary.wait() == -signal.SIGKILL


def test_a_program_starts_itself_again_as_it_was_started(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(
        """
import sys
from gnet import cluster

def main():
    print(__package__, sys.argv[1:], cluster.is_worker, cluster.is_primary, cluster.worker.id)

cluster.run(main, workers=1)
"""
    )
    output = subprocess.check_output(
        [sys.executable, "-B", "-m", "package", "one", "-two"], env=environment(), cwd=tmp_path
    )
    assert output == b"package ['one', '-two'] True False 1\n"


def test_without_a_program_there_is_nothing_to_start_again() -> None:
    process = subprocess.run(
        [sys.executable], input="from gnet import cluster\ncluster.fork()", text=True,
        env=environment(), stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    assert "there is no program to start again: give argv" in process.stderr


def test_a_worker_has_no_workers() -> None:
    code = """
    def main():
        try:
            cluster.fork()
        except RuntimeError as exc:
            cluster.worker.send(str(exc))
    """
    with cluster_of(1, code) as group:
        assert group.next("message")[1] == "a worker of a cluster cannot have workers"


def test_a_test_is_no_worker() -> None:
    assert cluster.is_primary
    assert not cluster.is_worker
    assert cluster.worker is None
    assert gnet.cluster is cluster


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"n": 0}, ValueError),
        ({"n": True}, TypeError),
        ({"n": 1, "grace": -1}, ValueError),
        ({"n": 1, "start_timeout": 0}, ValueError),
        ({"n": 1, "unknown": 1}, TypeError),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        cluster.fork(argv=program(SAY_PID), **options)


def test_a_program_that_does_not_exist_is_an_error_and_leaves_nothing() -> None:
    with pytest.raises(FileNotFoundError):
        cluster.fork(argv=["/nonexistent/program"])


# ---------------------------------------------------------------------------------------------
# What is not the cluster's


def test_a_forked_child_of_a_worker_is_no_worker() -> None:
    code = """
    def main():
        server = gnet.create_server().listen(0, "127.0.0.1")
        pid = os.fork()
        if pid == 0:
            mine = gnet.create_server().listen(0, "127.0.0.1")
            alone = mine.address() != server.address()
            os._exit(cluster.is_worker + 2 * (cluster.worker is not None) + 4 * (not alone))
        cluster.worker.send(os.waitpid(pid, 0)[1])
    """
    with cluster_of(1, code) as group:
        group.next("listening")
        assert group.next("message")[1] == 0
        assert group.none("listening")
        assert group.none("exit")


def test_a_forked_child_of_a_worker_does_not_give_the_handle_back() -> None:
    code = """
    def main():
        server = gnet.create_server().listen(0, "127.0.0.1")
        pid = os.fork()
        if pid == 0:
            os._exit(server.listening)
        cluster.worker.send(os.waitpid(pid, 0)[1])
    """
    with cluster_of(1, code) as group:
        worker, address = group.next("listening")
        assert group.next("message")[1] == 0
        worker.kill(signal.SIGKILL)
        # The replacement finds the handle where the worker has left it.
        assert group.next("listening")[1] == address
        assert group.next("message")[1] == 0


def test_a_forked_child_of_the_primary_has_no_workers() -> None:
    with cluster_of(1, SAY_PID) as group:
        group.next("listening")
        pids = group.pids

        def task() -> Any:
            return group.cluster.workers, group.cluster.shutdown(0), gnet.run(5)

        assert forks.Child(task, forks.fork).result() == ({}, 0, True)
        assert {group.ask()} == pids


def test_workers_inherit_nothing_but_their_own_channel() -> None:
    code = """
    def main():
        own = "/proc/self/fd/"
        paths = [own + fd for fd in os.listdir(own)]
        cluster.worker.send([os.readlink(path) for path in paths if os.path.exists(path)])
    """
    with cluster_of(2, code) as group:
        for _, links in group.all("message", 2):
            kinds = [link for link in links if link.startswith("socket:")]
            assert len(kinds) == 1
            assert not set(kinds) & set(descriptors().values())


@contextmanager
def reserved(option: int) -> Iterator[int]:
    """A port that is bound, so that only sockets with the same option can have it, too."""
    with std_socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, option, 1)
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]
