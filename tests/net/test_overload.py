"""More clients than there is room for: of descriptors, of places, of one address."""

from __future__ import annotations

import copy
import errno
import logging
import os
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import zope.event
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet._transport import stream_socket
from tests.helpers.calls import Calls
from tests.helpers.peers import python, running
from tests.helpers.servers import counted_addresses, receive_all
from tests.helpers.turns import turns_of_the_loop
from tests.net.conftest import Net

EXHAUSTED = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]
ONE_PEERS = [
    "ECONNABORTED", "ECONNRESET", "EPERM", "EPROTO", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN",
    "ENETUNREACH", "ENONET", "ENOPROTOOPT", "EOPNOTSUPP", "EINTR",
]  # fmt: skip


class Accepting:
    """Has the next calls of ``accept()`` fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._numbers: list[int] = []
        self.calls = 0
        self.last = Event()
        accepting = self

        class Failing(stream_socket.TcpWire):
            def accept_wire(self) -> Any:
                accepting.calls += 1
                accepting.fail_once()
                return super().accept_wire()

        # A class of its own: connections of the usual one are not made by its method.
        monkeypatch.setattr(stream_socket, "_class_of", lambda family, proto: Failing)

    def fail_once(self) -> None:
        if self._numbers:
            number = self._numbers.pop(0)
            if not self._numbers:
                self.last.set()
            raise OSError(number, os.strerror(number))

    def fail(self, *names: str) -> None:
        for name in names:
            if not hasattr(errno, name):
                pytest.skip(f"this system has no {name}")
            self._numbers.append(getattr(errno, name))


@pytest.fixture
def accepting(monkeypatch: pytest.MonkeyPatch) -> Accepting:
    return Accepting(monkeypatch)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What gnet has logged."""
    return [record.getMessage() for record in caplog.records if record.name == "gnet"]


# -- one dead peer ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_PEERS)
def test_the_error_of_one_dead_peer_is_passed_over(
    tcp: Net, accepting: Accepting, caplog: pytest.LogCaptureFixture, name: str, must_not_call: Any
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    server.on("error", must_not_call("an error"))
    server.on("drop", must_not_call("a drop"))
    accepting.fail(*[name] * 5)
    tcp.peer(server)
    arrived.get()
    assert accepting.calls >= 6
    assert not lines(caplog)


# -- nothing left -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXHAUSTED)
def test_what_is_exhausted_is_told_once_and_accepting_goes_on(
    tcp: Net, accepting: Accepting, caplog: pytest.LogCaptureFixture, name: str, must_call: Calls,
    must_not_call: Any,
) -> None:  # fmt: skip
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    server.on("error", must_not_call("an error"))
    server.on("drop", dropped := must_call())
    seen: list[Any] = []
    zope.event.subscribers.append(seen.append)
    accepting.fail(*[name] * 4)
    tcp.peer(server)
    arrived.get()
    (info,) = dropped.wait()
    assert info.reason == "emfile"
    assert info == (None,) * 6
    reasons = [each.reason for each in seen if isinstance(each, gnet.events.ConnectionDropped)]
    assert reasons == ["emfile"]
    (line,) = lines(caplog)
    assert os.strerror(getattr(errno, name)) in line
    assert repr(server) in line
    assert server.listening


def test_every_burst_has_its_line(
    tcp: Net, accepting: Accepting, caplog: pytest.LogCaptureFixture
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    for bursts in (1, 2):
        accepting.fail("EMFILE", "EMFILE")
        tcp.peer(server)
        arrived.get()
        # The queue is empty: the burst is over.
        tcp.turns()
        assert len(lines(caplog)) == bursts


def test_a_descriptor_now_and_then_makes_no_new_burst(
    tcp: Net, accepting: Accepting, caplog: pytest.LogCaptureFixture, must_call: Calls
) -> None:
    server = tcp.server()
    server.on("drop", must_call())
    server.on("connection", must_call(lambda sock: accepting.fail("EMFILE"), times=4))
    accepting.fail("EMFILE")
    for _ in range(4):
        tcp.peer(server)
    must_call.wait()
    assert len(lines(caplog)) == 1


def test_a_log_that_blocks_holds_up_nothing(
    tcp: Net, accepting: Accepting, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            finished.wait()

    finished = Event()
    slow = Slow()
    logging.getLogger("gnet").addHandler(slow)
    try:
        arrived: Queue[gnet.Socket] = Queue()
        server = tcp.server(arrived.put)
        accepting.fail("EMFILE")
        tcp.peer(server)
        arrived.get()
    finally:
        finished.set()
        tcp.turns()
        logging.getLogger("gnet").removeHandler(slow)


def test_the_loop_does_not_spin_meanwhile(tcp: Net, accepting: Accepting) -> None:
    server = tcp.server()
    accepting.fail(*["EMFILE"] * 1000)
    tcp.peer(server)
    assert turns_of_the_loop(0.3) < 100
    # 10, 20, 40, 80, 160 milliseconds.
    assert accepting.calls < 10


def test_a_connection_that_closes_gives_its_descriptor_to_the_next_at_once(
    tcp: Net, accepting: Accepting
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    tcp.peer(server)
    first = arrived.get()
    # The pause is a second by now.
    accepting.fail(*["EMFILE"] * 8)
    accepting.last.clear()
    tcp.peer(server)
    accepting.last.wait()
    with gevent.Timeout(0.9):
        first.destroy()
        arrived.get()


def test_closing_the_server_meanwhile_leaves_nothing(tcp: Net, accepting: Accepting) -> None:
    server = tcp.server()
    accepting.fail("EMFILE")
    peer = tcp.peer(server)
    server.wait("drop")
    server.close()
    server.wait_closed()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_an_error_of_the_listening_socket_itself_is_emitted_and_does_not_spin(
    tcp: Net, accepting: Accepting, must_call: Calls
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    server.on("error", errored := must_call(times=3))
    accepting.fail("EINVAL", "EINVAL", "EINVAL")
    tcp.peer(server)
    arrived.get()
    (error,) = errored.wait()
    assert (error.code, error.syscall) == ("EINVAL", "accept")
    assert turns_of_the_loop(0.1) < 50


@pytest.mark.skipif(not hasattr(socket, "SHUT_RD") or sys.platform == "win32", reason="POSIX's")
def test_a_listener_that_somebody_has_shut_down_does_not_spin(tcp: Net) -> None:
    # Whoever shares the socket can do that to us.
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = gnet.Server().listen(fd=listener.fileno())
    errors: Queue[OSError] = Queue()
    server.on("error", errors.put)
    twin = socket.socket(fileno=os.dup(listener.detach()))
    twin.shutdown(socket.SHUT_RDWR)
    twin.close()
    assert errors.get().errno == errno.EINVAL
    assert turns_of_the_loop(0.2) < 100
    assert errors.qsize() < 10
    server.close()


CLIENTS = 1000
DESCRIPTORS = 64

CROWDED = f"""
import resource
import sys
import time

import gevent
from gevent.event import Event

import gnet

resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
go, done = Event(), Event()
drops, served = [], 0

def handler(sock):
    global served
    go.wait()
    sock.sendall(sock.recv())
    served += 1
    if served == {CLIENTS}:
        done.set()

server = gnet.Server(handler, end_on_return=True)
server.on("drop", drops.append)
command = gnet.Socket(fd=0)
server.listen(0, "127.0.0.1", 4096)
print(server.address().port, flush=True)
server.wait("drop")
while command.recv() != b"all are here\\n":
    pass
started, used = time.monotonic(), time.process_time()
gevent.sleep(2)
print((time.process_time() - used) / (time.monotonic() - started), flush=True)
go.set()
done.wait()
print(served, sorted(set(drop.reason for drop in drops)), len(drops), server.listening, flush=True)
server.shutdown()
"""


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Room for the clients in this process."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS + 512
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this system allows {hard} descriptors")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answer_of(client: socket.socket) -> bytes:
    with client:
        return receive_all(client)


@pytest.mark.limit(60)
def test_1000_clients_at_a_server_of_64_descriptors_are_all_served(many_descriptors: None) -> None:
    with running(*python(CROWDED), limit=60) as program:
        port = int(program.line())
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]
        try:
            for number, client in enumerate(clients):
                client.sendall(f"{number}".encode())
            program.send(b"all are here\n")
            used = float(program.line())
            print(f"CPU while full: {used:.1%} of a core")
            assert used < 0.2
            readers = [gevent.spawn(answer_of, client) for client in clients]
            answers = [reader.get() for reader in readers]
        finally:
            for client in clients:
                client.close()
        assert answers == [f"{number}".encode() for number in range(CLIENTS)]
        summary = program.line().decode()
        outcome = program.finish()
    print(f"served: {summary}")
    # One drop, and one line, for all of it.
    assert summary == f"{CLIENTS} ['emfile'] 1 True"
    assert outcome.status == 0
    (line,) = outcome.complaints.decode().splitlines()
    assert os.strerror(errno.EMFILE) in line


# -- full -------------------------------------------------------------------------------------


def test_when_full_others_are_closed_by_default(net: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    dropped: Queue[gnet.DropInfo] = Queue()
    server = net.server(arrived.put, max_connections=1)
    server.on("drop", dropped.put)
    net.peer(server)
    first = arrived.get()
    assert receive_all(net.peer(server)) == b""
    assert dropped.get().reason == "max_connections"
    first.destroy()
    net.closed(first)
    net.peer(server)
    arrived.get()


def test_when_full_others_wait_if_they_shall(net: Net, must_not_call: Any) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = net.server(arrived.put, max_connections=2, when_full="wait")
    server.on("drop", must_not_call("a drop"))
    peers = [net.peer(server) for _ in range(6)]
    for number, peer in enumerate(peers):
        peer.sendall(f"{number}".encode())
    most = 0
    for number in range(6):
        sock = arrived.get()
        most = max(most, len(server.connections))
        assert sock.recv() == f"{number}".encode()
        net.turns()
        assert len(server.connections) <= 2
        sock.destroy()
    assert most == 2


def test_a_full_server_does_not_spin(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, max_connections=1, when_full="wait")
    for _ in range(3):
        tcp.peer(server)
    arrived.get()
    assert turns_of_the_loop(0.1) < 50


def test_more_room_lets_in_who_waits(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, max_connections=0, when_full="wait")
    tcp.peer(server)
    tcp.peer(server)
    tcp.turns()
    assert arrived.empty()
    server.max_connections = 1
    arrived.get()
    tcp.turns()
    assert arrived.empty()
    server.max_connections = None
    arrived.get()


def test_a_full_server_can_be_closed(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, max_connections=1, when_full="wait")
    tcp.peer(server)
    waiting = tcp.peer(server)
    sock = arrived.get()
    server.close()
    with pytest.raises(ConnectionResetError):
        waiting.recv(1)
    sock.destroy()
    server.wait_closed()


# -- one address ------------------------------------------------------------------------------


def test_of_one_address_only_so_many_are_kept(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    dropped: Queue[gnet.DropInfo] = Queue()
    server = tcp.server(arrived.put, max_connections_per_address=2)
    server.on("drop", dropped.put)
    seen: list[Any] = []
    zope.event.subscribers.append(seen.append)
    kept = []
    for _ in range(2):
        tcp.peer(server)
        kept.append(arrived.get())
    peer = tcp.peer(server)
    assert receive_all(peer) == b""
    info = dropped.get()
    assert (info.reason, info.remote_address) == ("per_address", "127.0.0.1")
    assert info.remote_port == peer.getsockname()[1]
    tcp.turns()
    reasons = [each.reason for each in seen if isinstance(each, gnet.events.ConnectionDropped)]
    assert reasons == ["per_address"]
    # Another address is not touched by that.
    other = tcp.keep(socket.socket())
    other.bind(("127.0.0.2", 0))
    other.connect(("127.0.0.1", server.address().port))  # type: ignore[union-attr]
    assert arrived.get().remote_address == "127.0.0.2"
    # And one that closes makes room for one.
    kept[0].destroy()
    tcp.closed(kept[0])
    tcp.peer(server)
    arrived.get()
    assert receive_all(tcp.peer(server)) == b""


def test_an_address_is_the_same_whichever_family_says_it(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    dropped: Queue[gnet.DropInfo] = Queue()
    with gnet.Server(arrived.put, max_connections_per_address=1) as server:
        server.on("drop", dropped.put)
        server.listen(0, "::")
        port = server.address().port  # type: ignore[union-attr]
        first = tcp.keep(socket.create_connection(("127.0.0.1", port)))
        assert arrived.get().remote_address == "::ffff:127.0.0.1"
        second = tcp.keep(socket.create_connection(("::ffff:127.0.0.1", port)))
        assert receive_all(second) == b""
        third = tcp.keep(socket.create_connection(("::1", port)))
        arrived.get()
        first.close()
        third.close()
        for sock in server.connections:
            sock.destroy()


def test_addresses_that_have_gone_are_forgotten(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, max_connections_per_address=3)
    for last in range(2, 30):
        peer = tcp.keep(socket.socket())
        peer.bind((f"127.0.0.{last}", 0))
        peer.connect(("127.0.0.1", server.address().port))  # type: ignore[union-attr]
        peer.close()
        sock = arrived.get()
        sock.resume()
        tcp.closed(sock)
    assert counted_addresses(server) == 0


def test_paths_have_no_addresses_to_count(unix: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = unix.server(arrived.put, max_connections_per_address=1)
    for _ in range(3):
        unix.peer(server)
        arrived.get()


def test_a_drop_says_which_rule_it_was(tcp: Net) -> None:
    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.1")
    dropped: Queue[gnet.DropInfo] = Queue()
    server = tcp.server(block_list=blocked, max_connections=1, max_connections_per_address=1)
    server.on("drop", dropped.put)
    assert receive_all(tcp.peer(server)) == b""
    info = dropped.get()
    assert (info.reason, info.local_address, info.remote_address) == (
        "block_list", "127.0.0.1", "127.0.0.1"
    )  # fmt: skip


def test_what_is_told_of_a_drop_can_be_copied_and_shows_its_reason() -> None:
    info = gnet.DropInfo("127.0.0.1", 80, "IPv4", "127.0.0.2", 1234, "IPv4", reason="block_list")
    for twin in (copy.copy(info), pickle.loads(pickle.dumps(info))):
        assert twin == info
        assert twin.reason == "block_list"
    assert "reason='block_list'" in repr(info)


# -- arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max_connections", "max_connections_per_address"])
@pytest.mark.parametrize("value", ["1", 1.0, True, []])
def test_a_number_of_connections_is_an_int(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name) as caught:
        gnet.Server(**{name: value})
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "value"), [("max_connections", -1), ("max_connections_per_address", 0)]
)
def test_a_number_of_connections_that_makes_no_sense_is_a_value_error(
    name: str, value: int
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        gnet.Server(**{name: value})  # type: ignore[arg-type]
    assert caught.value.code == "ERR_OUT_OF_RANGE"  # type: ignore[attr-defined]


def test_when_full_is_one_of_two_words() -> None:
    with pytest.raises(ValueError, match="'drop' or 'wait'") as caught:
        gnet.Server(when_full="queue")
    assert caught.value.code == "ERR_INVALID_ARG_VALUE"  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="when_full"):
        gnet.Server(when_full=None)  # type: ignore[arg-type]


def test_counting_survives_any_order_of_coming_and_going(tcp: Net) -> None:
    outcomes: Queue[Any] = Queue()
    server = tcp.server(outcomes.put, max_connections=3, max_connections_per_address=2)
    server.on("drop", outcomes.put)
    for _ in range(20):
        peers = [tcp.peer(server) for _ in range(4)]
        came = [outcomes.get() for _ in range(4)]
        kept = [each for each in came if isinstance(each, gnet.Socket)]
        assert len(kept) == 2
        reasons = [each.reason for each in came if isinstance(each, gnet.DropInfo)]
        assert reasons == ["per_address"] * 2
        for sock in kept:
            sock.resume()
        for peer in peers:
            peer.close()
        for sock in kept:
            tcp.closed(sock)
    assert counted_addresses(server) == 0
