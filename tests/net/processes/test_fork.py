"""A forked child has nothing of its parent's servers and sockets, and the parent keeps them."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from _socket import close
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.os
import pytest
from gevent import socket, subprocess
from gevent.event import AsyncResult, Event
from gevent.queue import Queue

import gnet
from gnet.errors import DeadlineError, SocketClosedError
from tests.helpers import forks
from tests.helpers.counts import descriptors
from tests.helpers.forks import Child, by_multiprocessing, reap
from tests.net.conftest import Net

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

Fork = Callable[[], int]


@pytest.fixture(params=["os", "gevent"])
def fork(request: pytest.FixtureRequest) -> Fork:
    return gevent.os.fork_gevent if request.param == "gevent" else forks.fork


@pytest.fixture
def child(fork: Fork) -> Callable[[Callable[[], Any]], Any]:
    """Runs a function in a forked child, and gives what it returns."""
    return lambda task: Child(task, fork).result()


class Living:
    """A child that lives, with its loop running, until it is told to end."""

    def __init__(self, fork: Fork, task: Callable[[], Any] = lambda: None) -> None:
        gate, self._gate = os.pipe()
        ready, there = os.pipe()

        def live() -> Any:
            close(self._gate)
            close(there)
            wait_for(gate)
            return task()

        self._child = Child(live, fork)
        close(gate)
        close(there)
        wait_for(ready)

    def end(self) -> Any:
        """Have it run its task and exit; gives what that returned."""
        close(self._gate)
        return self._child.result()


def wait_for(pipe: int) -> None:
    """Block until the other end is closed."""
    gevent.os.make_nonblocking(pipe)
    assert gevent.os.nb_read(pipe, 1) == b""
    close(pipe)


def sockets() -> set[str]:
    """The sockets that this process has open."""
    return {kind for kind in descriptors().values() if kind.startswith("socket:")}


# ---------------------------------------------------------------------------------------------
# Servers


def test_a_server_is_closed_in_the_child(net: Net, child: Any) -> None:
    server = net.server()
    assert child(lambda: (server.listening, server.address(), server.get_connections())) == (
        False, None, 0
    )  # fmt: skip
    assert server.listening


def test_the_child_has_no_descriptor_of_a_server_or_a_connection(net: Net, child: Any) -> None:
    before = sockets()
    _, accepted = net.pair()
    mine = sockets() - before
    assert len(mine) == 3
    assert not child(sockets) & mine
    assert accepted.fileno() in descriptors()


def test_the_parent_answers_its_clients_and_the_child_does_not(net: Net, fork: Fork) -> None:
    server = net.server(lambda sock: sock.end(str(os.getpid())))
    living = Living(fork)
    for _ in range(20):
        assert net.peer(server).makefile().read() == str(os.getpid())
    living.end()


def test_a_server_of_the_child_and_its_clients_work(net: Net, child: Any) -> None:
    net.server()

    def task() -> Any:
        server = gnet.create_server(lambda sock: sock.end("the child")).listen(*net.place())
        with gnet.connect(*net.target(server)) as client:
            received = client.makefile("rb").read()
        server.close()
        return received, gnet.run(5)

    assert child(task) == (b"the child", True)


def test_an_inherited_server_may_listen_anew_in_the_child(net: Net, child: Any) -> None:
    server = net.server(lambda sock: sock.end("hello"))

    def task() -> Any:
        server.listen(*net.place())
        assert not gnet.run(0)
        with gnet.connect(*net.target(server)) as client:
            received = client.makefile("rb").read()
        server.close()
        return received, gnet.run(5)

    assert child(task) == (b"hello", True)


def test_waiting_for_the_close_of_an_inherited_server_returns_at_once(
    tcp: Net, child: Any
) -> None:
    server = tcp.server()

    def task() -> None:
        server.wait_closed()
        server.wait("close")
        with pytest.raises(gnet.errors.NotRunningError):
            server.serve_forever()

    child(task)


def test_the_file_of_a_unix_socket_stays(directory: Path, child: Any) -> None:
    path = str(directory / "server.sock")
    server = gnet.create_server(lambda sock: sock.end("here"))
    server.listen(path)
    child(lambda: server.close() and None)
    with gnet.connect(path) as client:
        assert client.makefile("rb").read() == b"here"
    server.close()
    assert not os.path.exists(path)
    server.wait_closed()


def test_a_socket_that_a_server_was_given_is_the_parents_too(tcp: Net, child: Any) -> None:
    for kind in (socket.socket, sys.modules["socket"].socket):
        bound = kind()
        bound.bind(("127.0.0.1", 0))
        server = tcp.keep(gnet.create_server(lambda sock: sock.end("parent")))
        server.listen(bound)
        mine = descriptors()[bound.fileno()]
        assert mine not in child(sockets)
        assert child(bound.fileno) == -1
        assert tcp.peer(server).makefile().read() == "parent"


def test_nothing_of_the_parent_keeps_run_in_the_child(net: Net, child: Any) -> None:
    net.pair()
    gate = Event()
    blocked = net.server(lambda sock: gate.wait())
    net.peer(blocked)
    net.turns()
    assert child(lambda: gnet.run(5)) is True
    gate.set()


# ---------------------------------------------------------------------------------------------
# Sockets


def test_a_socket_is_closed_in_the_child(net: Net, child: Any) -> None:
    def state(sock: gnet.Socket) -> Any:
        return sock.destroyed, sock.closed, sock.readable, sock.writable, sock.fileno()

    client, accepted = net.pair()
    closed = (True, True, False, False, -1)
    assert child(lambda: (state(client), state(accepted))) == (closed, closed)
    assert state(client)[:4] == state(accepted)[:4] == (False, False, True, True)


def test_calls_of_the_child_raise_socket_closed_error(net: Net, child: Any) -> None:
    client, peer = net.connected()
    peer.sendall(b"the parent's")

    def task() -> None:
        for call in (
            client.recv, lambda: client.recv_into(bytearray(5)), lambda: client.sendall(b"x"),
            client.getsockname, lambda: client.wait("data"), client.__enter__,
        ):  # fmt: skip
            with pytest.raises(SocketClosedError):
                call()
        assert client.write(b"x") is False
        assert client.wait("close") == (True,)
        client.close()
        client.destroy()
        gevent.sleep(0)

    child(task)
    assert client.recv() == b"the parent's"


def test_the_child_neither_ends_nor_resets_a_connection(net: Net, child: Any) -> None:
    client, accepted = net.pair()
    for sock in (client, accepted):
        child(lambda: None)
        child(sock.close)
        child(lambda sock=sock: sock.end("data") and sock.destroy() and None)
    client.sendall(b"still")
    assert accepted.recv() == b"still"
    accepted.sendall(b"here")
    assert client.recv() == b"here"


def test_unread_data_is_not_lost_by_the_childs_close(net: Net, child: Any) -> None:
    client, peer = net.connected()
    peer.sendall(b"x" * 1000)
    child(lambda: None)
    assert client.makefile("rb").read(1000) == b"x" * 1000
    client.sendall(b"y")
    assert peer.recv(1) == b"y"


def test_a_close_of_the_parents_reaches_the_peer_while_the_child_lives(
    net: Net, fork: Fork
) -> None:
    client, peer = net.connected()
    living = Living(fork)
    client.destroy()
    assert peer.recv(1) == b""
    living.end()


def test_a_closed_port_refuses_while_the_child_lives(net: Net, fork: Fork) -> None:
    server = net.server()
    target = net.target(server)
    living = Living(fork)
    server.close()
    with pytest.raises(OSError, match="ECONNREFUSED|ENOENT"):
        gnet.connect(*target).wait("connect")
    living.end()


def test_what_is_queued_is_sent_once(net: Net, fork: Fork) -> None:
    client, peer = net.connected()
    data = os.urandom(32_000_000)
    client.write(data)
    assert client.writable_length
    living = Living(fork)
    client.end()
    assert peer.makefile("rb").read() == data
    living.end()


def test_an_inherited_socket_may_connect_anew_in_the_child(net: Net, child: Any) -> None:
    client, _ = net.connected()
    idle = gnet.Socket()

    def task() -> Any:
        server = gnet.create_server(lambda sock: sock.end("anew")).listen(*net.place()).unref()
        received = []
        for sock in (client, idle):
            sock.connect(*net.target(server))
            assert not gnet.run(0)
            received.append(sock.makefile("rb").read())
            sock.close()
        server.close()
        return received, gnet.run(5)

    assert child(task) == ([b"anew", b"anew"], True)


def test_a_deadline_of_an_inherited_socket_holds_in_the_child(net: Net, child: Any) -> None:
    idle = gnet.Socket(lifetime=0.01)

    def task() -> Any:
        server = gnet.create_server().listen(*net.place()).unref()
        with pytest.raises(DeadlineError):
            idle.connect(*net.target(server)).wait("close", 5)
        server.close()
        return gnet.run(5)

    assert child(task)


def test_an_attempt_to_connect_is_given_up_in_the_child(net: Net, fork: Fork) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    client = net.connect(net.server(arrivals.put))
    assert client.ready_state == "opening"
    living = Living(fork, lambda: (client.ready_state, gnet.run(5)))
    client.wait("connect")
    arrivals.get()
    assert living.end() == ("closed", True)
    net.turns()
    assert arrivals.empty()


def test_descriptors_of_pipes_keep_their_flags(fork: Fork) -> None:
    read, write = os.pipe()
    sock = gnet.Socket(fd=read)
    Child(lambda: None, fork).result()
    assert os.get_blocking(read)
    os.write(write, b"data")
    assert sock.recv() == b"data"
    close(write)
    sock.destroy()
    sock.wait("close")


def test_the_standard_streams_stay_open_in_the_child(fork: Fork) -> None:
    program = """
import os, sys, gevent, gnet
out = gnet.Socket(fd=1, readable=False)
out.write("parent\\n")
if os.fork() == 0:
    os.write(1, b"child\\n")
    os._exit(0)
os.wait()
out.end()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.check_output([sys.executable, "-c", program], env=environment)
    assert output == b"parent\nchild\n"


# ---------------------------------------------------------------------------------------------
# What the parent was doing


def test_no_listener_of_the_parent_is_called_in_the_child(net: Net, fork: Fork) -> None:
    called: list[str] = []
    client, peer = net.connected()
    server = net.server()
    for event in ("close", "error", "end", "data", "timeout"):
        client.on(event, lambda *args, event=event: called.append(event))
    client.set_timeout(0.01)
    server.on("close", lambda: called.append("server"))
    client.wait("timeout")
    called.clear()
    # Under way at the moment of the fork: one turn of the loop later it would be called.
    doomed, _ = net.connected()
    doomed.on("close", lambda had_error: called.append("doomed"))
    doomed.destroy()
    living = Living(fork, lambda: called)
    peer.sendall(b"data")
    client.wait("data")
    assert set(called) >= {"doomed", "data"}
    assert living.end() == []


def test_a_blocked_greenlet_of_the_parent_does_not_run_on_in_the_child(
    net: Net, fork: Fork
) -> None:
    woken: list[str] = []
    client, peer = net.connected()
    other, _ = net.connected()
    server = net.server()

    def block(name: str, call: Callable[..., Any], *args: Any) -> None:
        try:
            call(*args)
        finally:
            woken.append(name)

    def await_departure() -> None:
        with other.interrupt_on_peer_end():
            Event().wait()

    blocked = [
        net.keep(gevent.spawn(block, "recv", client.recv)),
        net.keep(gevent.spawn(block, "departure", await_departure)),
        net.keep(gevent.spawn(block, "sendall", other.sendall, bytes(8_000_000))),
        net.keep(gevent.spawn(block, "wait", client.wait, "end")),
        net.keep(gevent.spawn(block, "serve", server.serve_forever)),
    ]
    net.turns()
    living = Living(fork, lambda: (gnet.run(5), list(woken)))
    peer.sendall(b"x")
    blocked[0].join()
    assert woken == ["recv"]
    assert living.end() == (True, [])


def test_run_of_the_parent_does_not_return_in_the_child(net: Net, fork: Fork) -> None:
    returned: list[bool] = []
    server = net.server()
    running = net.keep(gevent.spawn(lambda: returned.append(gnet.run())))
    net.turns()
    living = Living(fork, lambda: returned)
    assert living.end() == []
    server.close()
    running.join()
    assert returned == [True]


def test_a_listener_may_fork(net: Net, fork: Fork) -> None:
    def task() -> Any:
        server = gnet.create_server(lambda sock: sock.end("grandchild")).listen(*net.place())
        with gnet.connect(*net.target(server)) as client:
            received = client.makefile("rb").read()
        server.close()
        return received, gnet.run(5)

    results: AsyncResult[Any] = AsyncResult()
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: results.set(Child(task, fork).result()))
    peer.sendall(b"go")
    assert results.get() == (b"grandchild", True)
    sock.write(b"on")
    assert peer.recv(2) == b"on"


def test_a_handler_may_fork_and_return_in_the_child(tcp: Net, fork: Fork) -> None:
    """Where the child goes on as the parent would, nothing of gnet's is left to do."""
    here, there = os.pipe()

    def handler(sock: gnet.Socket) -> None:
        sock.recv()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = fork()
        if pid == 0:
            gevent.spawn(lambda: (os.write(there, b"done"), os._exit(0)))
            return
        sock.sendall(b"parent")
        reap(pid)

    server = tcp.server(handler, end_on_return=True)
    peer = tcp.peer(server)
    peer.sendall(b"go")
    assert peer.makefile().read() == "parent"
    close(there)
    assert os.read(here, 10) == b"done"
    close(here)


def test_the_end_of_a_peer_is_the_parents_to_notice(net: Net, fork: Fork) -> None:
    sock, peer = net.accepted()
    left = Event()
    sock.on("peer_end", left.set)
    peer.sendall(b"unread")
    living = Living(fork, lambda: (gnet.run(5), left.is_set()))
    # The child has the peer's descriptor, too: a close would end nothing.
    peer.shutdown(socket.SHUT_WR)
    left.wait()
    assert living.end() == (True, False)


def test_a_proxys_header_is_the_parents_to_read(tcp: Net, fork: Fork) -> None:
    dropped: list[Any] = []
    arrivals: Queue[gnet.Socket] = Queue()
    trusted = gnet.BlockList()
    trusted.add_address("127.0.0.1")
    server = tcp.server(arrivals.put, proxy_protocol="require", trusted_proxies=trusted)
    server.on("drop", dropped.append)
    peer = tcp.peer(server)
    peer.sendall(b"PROXY TCP4 192.0.2.7 ")
    tcp.turns()
    living = Living(fork, lambda: (gnet.run(5), dropped))
    peer.sendall(b"192.0.2.8 1111 2222\r\n")
    assert arrivals.get().remote_address == "192.0.2.7"
    assert living.end() == (True, [])


def test_who_has_still_to_say_who_it_is_is_closed_also_behind_a_handover(
    tcp: Net, directory: Path, child: Any
) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    trusted = gnet.BlockList()
    trusted.add_address("127.0.0.1")
    server = tcp.server(arrivals.put, proxy_protocol="require", trusted_proxies=trusted)
    others = sockets()
    peer = tcp.peer(server)
    others.add(descriptors()[peer.fileno()])
    peer.sendall(b"PROXY TCP4 192.0.2.7 ")
    while not sockets() - others:
        tcp.turns(1)
    [waiting] = sockets() - others
    server.hand_over(directory / "handover")
    successor = tcp.keep(gnet.Server()).listen(gnet.take_over(directory / "handover"))
    assert not server.listening

    def task() -> Any:
        with gevent.Timeout(5):
            server.wait("close")
        return waiting in sockets(), successor.listening

    assert child(task) == (False, False)
    peer.sendall(b"192.0.2.8 1111 2222\r\n")
    assert arrivals.get().remote_address == "192.0.2.7"


def test_an_inherited_server_counts_its_clients_anew(tcp: Net, child: Any) -> None:
    server = tcp.server(lambda sock: sock.end("hello"), max_connections_per_address=1)
    tcp.peer(server)
    tcp.turns()

    def task() -> Any:
        server.listen(*tcp.place())
        with gnet.connect(*tcp.target(server)) as client:
            return client.makefile("rb").read()

    assert child(task) == b"hello"


# ---------------------------------------------------------------------------------------------
# Ways to fork, and to be found


def test_children_of_multiprocessing_have_nothing_either(net: Net) -> None:
    before = sockets()
    client, accepted = net.pair()
    mine = sockets() - before
    assert not by_multiprocessing(sockets) & mine
    client.sendall(b"still")
    assert accepted.recv() == b"still"


def test_a_socket_that_only_the_program_knows_is_closed(net: Net, child: Any) -> None:
    client, _ = net.connected()
    client.remove_all_listeners()
    assert child(lambda: client.destroyed)
    assert not client.destroyed


def test_a_frozen_heap_is_searched_as_well(net: Net, child: Any) -> None:
    client, _ = net.connected()
    gc.freeze()
    assert child(lambda: client.destroyed and gc.get_freeze_count() > 0)


def test_sockets_of_a_subclass_are_closed(net: Net, child: Any) -> None:
    class Mine(gnet.Socket):
        pass

    listener = net.listening_peer()
    mine = net.keep(Mine())
    mine.connect(*net.target(listener)).wait("connect")
    assert child(lambda: mine.destroyed)
    assert not mine.destroyed


def test_a_server_of_another_thread_is_closed(fork: Fork) -> None:
    made: list[gnet.Server] = []
    ready, tell_ready = os.pipe()
    over, tell_over = os.pipe()

    def serve() -> None:
        made.append(gnet.create_server(lambda sock: sock.end("thread")).listen(0, "127.0.0.1"))
        close(tell_ready)
        wait_for(over)
        made[0].close().wait_closed()
        gevent.get_hub().destroy(destroy_loop=True)

    # A thread of the system's, also where Python's are greenlets.
    thread = gevent.get_hub().threadpool.spawn(serve)
    wait_for(ready)
    (server,) = made
    before = sockets()
    assert Child(lambda: (server.listening, server.address()), fork).result() == (False, None)
    assert len(before - Child(sockets, fork).result()) == 1
    with socket.create_connection(("127.0.0.1", server.address().port)) as peer:
        assert peer.makefile().read() == "thread"
    close(tell_over)
    thread.get()


def test_a_program_that_is_started_inherits_no_socket(net: Net) -> None:
    before = sockets()
    net.pair()
    mine = sockets() - before
    code = "import os; print([os.readlink('/proc/self/fd/' + n) for n in '3456789'\
 if os.path.exists('/proc/self/fd/' + n)])"
    output = subprocess.check_output([sys.executable, "-c", code]).decode()
    assert not [each for each in mine if each in output]


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """Every child has been waited for."""
    yield
    with pytest.raises(ChildProcessError):
        forks.waitpid(-1, os.WNOHANG)
