"""A socket belongs to the thread that made it (contract, point 31)."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult, Event
from gevent.monkey import get_original
from gevent.queue import Queue
from greenlet import getcurrent

import gnet
from gnet.errors import SocketClosedError
from tests.helpers.forks import Child, fork
from tests.helpers.peers import python, run
from tests.helpers.servers import receive, receive_all
from tests.helpers.threads import Thread, destroy_loops, in_thread, left
from tests.net.conftest import Net

get_ident = get_original("_thread", "get_ident")
Lock = get_original("_thread", "allocate_lock")


@pytest.fixture(autouse=True)
def loops() -> Iterator[None]:
    yield
    destroy_loops()


# -- call_in() -----------------------------------------------------------------------------------


def test_a_function_runs_in_a_greenlet_of_the_owners_thread(net: Net) -> None:
    client, accepted = net.pair()
    ran: AsyncResult[Any] = AsyncResult()

    def function(*args: Any) -> None:
        in_hub = getcurrent() is gevent.get_hub()
        # It may block, and use the socket.
        ran.set((args, get_ident(), in_hub, accepted.recv()))

    assert in_thread(gnet.call_in, accepted, function, 1, "two") is None
    client.sendall(b"hello")
    assert ran.get() == ((1, "two"), get_ident(), False, b"hello")


def test_a_servers_thread_can_be_asked_as_well(tcp: Net) -> None:
    server = tcp.server()
    in_thread(gnet.call_in, server, server.close)
    server.wait_closed()
    assert not server.listening


def test_in_the_owners_own_thread_it_is_the_same(tcp: Net) -> None:
    client, _ = tcp.pair()
    ran: Queue[int] = Queue()
    gnet.call_in(client, ran.put, 1)
    gnet.call_in(client, ran.put, 2)
    assert ran.empty()
    assert [ran.get(), ran.get()] == [1, 2]


def test_the_calls_of_one_thread_begin_in_their_order(tcp: Net) -> None:
    client, _ = tcp.pair()
    begun: list[tuple[int, int]] = []
    all_begun = Event()
    never = Event()

    def function(thread: int, number: int) -> None:
        begun.append((thread, number))
        if len(begun) == 300:
            all_begun.set()
        if number % 10 == 0:
            # One that blocks holds up no other.
            never.wait()

    def ask(thread: int) -> None:
        for number in range(100):
            gnet.call_in(client, function, thread, number)

    threads = [Thread(ask, number) for number in range(3)]
    for thread in threads:
        thread.result()
    all_begun.wait()
    for thread in range(3):
        assert [number for it, number in begun if it == thread] == list(range(100))
    never.set()
    tcp.turns()


def test_what_it_raises_goes_to_the_owners_hub(tcp: Net, hub_errors: list[BaseException]) -> None:
    client, accepted = tcp.pair()
    error = LookupError("in the function")

    def function() -> None:
        raise error

    in_thread(gnet.call_in, client, function)
    tcp.turns(20)
    assert hub_errors == [error]
    hub_errors.clear()
    # Not the connection's error, whose listener this is not.
    client.sendall(b"still there")
    assert accepted.recv() == b"still there"


def test_run_waits_for_what_was_asked(tcp: Net) -> None:
    client, _ = tcp.pair()
    client.destroy()
    client.wait("close")
    ran: list[int] = []
    gnet.call_in(client, ran.append, 1)
    for made in tcp._made:
        made.unref() if hasattr(made, "unref") else None
    assert gnet.run(5)
    assert ran == [1]


@pytest.mark.parametrize("owner", [None, 1, "socket", object(), gnet.EventEmitter()])
def test_an_owner_that_is_none_is_a_type_error(owner: Any) -> None:
    with pytest.raises(TypeError, match="owner") as caught:
        gnet.call_in(owner, print)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


@pytest.mark.parametrize("function", [None, 1, "function"])
def test_a_function_that_is_none_is_a_type_error(function: Any) -> None:
    with pytest.raises(TypeError, match="function"):
        gnet.call_in(gnet.Socket(), function)


# -- any other use -------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Any], object]] = {
    "write": lambda sock: sock.write(b"x"),
    "sendall": lambda sock: sock.sendall(b"x"),
    "send": lambda sock: sock.send(b"x"),
    "sendmsg": lambda sock: sock.sendmsg([b"x"]),
    "recv": lambda sock: sock.recv(),
    "recv with flags": lambda sock: sock.recv(1, socket.MSG_PEEK),
    "recv_into": lambda sock: sock.recv_into(bytearray(1)),
    "iteration": lambda sock: next(iter(sock)),
    "makefile": lambda sock: sock.makefile("rb"),
    "end": lambda sock: sock.end(),
    "close": lambda sock: sock.close(),
    "destroy": lambda sock: sock.destroy(),
    "destroy_soon": lambda sock: sock.destroy_soon(),
    "reset_and_destroy": lambda sock: sock.reset_and_destroy(),
    "shutdown": lambda sock: sock.shutdown(socket.SHUT_WR),
    "detach": lambda sock: sock.detach(),
    "with": lambda sock: sock.__enter__(),
    "pause": lambda sock: sock.pause(),
    "resume": lambda sock: sock.resume(),
    "cork": lambda sock: sock.cork(),
    "uncork": lambda sock: sock.uncork(),
    "pipe": lambda sock: sock.pipe(sock),
    "unpipe": lambda sock: sock.unpipe(),
    "on": lambda sock: sock.on("data", print),
    "once": lambda sock: sock.once("data", print),
    "prepend_listener": lambda sock: sock.prepend_listener("data", print),
    "off": lambda sock: sock.off("data", print),
    "remove_all_listeners": lambda sock: sock.remove_all_listeners(),
    "emit": lambda sock: sock.emit("data", b"x"),
    "wait": lambda sock: sock.wait("data"),
    "wait for what has come": lambda sock: sock.wait("connect"),
    "set_timeout": lambda sock: sock.set_timeout(1),
    "settimeout": lambda sock: sock.settimeout(1),
    "set_encoding": lambda sock: sock.set_encoding("utf-8"),
    "set_no_delay": lambda sock: sock.set_no_delay(),
    "set_keep_alive": lambda sock: sock.set_keep_alive(True),
    "setsockopt": lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    "ref": lambda sock: sock.ref(),
    "unref": lambda sock: sock.unref(),
    "connect": lambda sock: gnet.Socket.connect(sock, 1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_from_another_thread_raises_and_changes_nothing(
    net: Net, call: Callable[[Any], object]
) -> None:
    client, accepted = net.pair()
    with pytest.raises(RuntimeError, match=r"gnet\.call_in\(\)") as caught:
        in_thread(call, client)
    assert caught.value.code == "ERR_WRONG_THREAD"  # type: ignore[attr-defined]
    client.sendall(b"still there")
    accepted.sendall(b"and here")
    assert accepted.recv() == b"still there"
    assert client.recv() == b"and here"


SERVER_CALLS: dict[str, Callable[[Any], object]] = {
    "listen": lambda server: server.listen(0),
    "close": lambda server: server.close(),
    "shutdown": lambda server: server.shutdown(0),
    "serve_forever": lambda server: server.serve_forever(),
    "wait_closed": lambda server: server.wait_closed(),
    "wait": lambda server: server.wait("close"),
    "hand_over": lambda server: server.hand_over("never-made"),
    "on": lambda server: server.on("connection", print),
    "unref": lambda server: server.unref(),
    "max_connections": lambda server: setattr(server, "max_connections", 0),
    "get_connections": lambda server: server.get_connections(print),
}


@pytest.mark.parametrize("call", SERVER_CALLS.values(), ids=SERVER_CALLS)
def test_a_servers_call_from_another_thread_raises_and_changes_nothing(
    tcp: Net, call: Callable[[Any], object]
) -> None:
    server = tcp.server(lambda sock: sock.end(b"hello"))
    with pytest.raises(RuntimeError, match=r"gnet\.call_in\(\)"):
        in_thread(call, server)
    assert tcp.connect(server).recv() == b"hello"


def test_what_changes_nothing_may_be_read_anywhere(tcp: Net) -> None:
    client, _ = tcp.pair()

    def read() -> list[Any]:
        return [
            repr(client), client.remote_address, client.remote_port, client.address(),
            client.bytes_read, client.bytes_written, client.ready_state, client.fileno(),
            client.listeners("data"), client.destroyed, client.timeout,
        ]  # fmt: skip

    assert in_thread(read) == read()


def test_a_socket_that_is_collected_in_another_thread_is_closed(tcp: Net) -> None:
    client, accepted = tcp.pair()
    tcp._made.clear()
    # What the loop has still to do for a new connection refers to it.
    tcp.turns()
    held = [client]
    del client
    with pytest.warns(ResourceWarning, match="unclosed <gnet.Socket"):
        in_thread(lambda: (held.clear(), gc.collect()))
    assert accepted.recv() == b""
    accepted.server.close()
    accepted.destroy()


# -- the end of a thread, or of its hub ----------------------------------------------------------


def thread_ends() -> None:
    pass


def hub_destroyed() -> None:
    gevent.get_hub().destroy(destroy_loop=True)


def hub_destroyed_and_loop_kept() -> None:
    hub = gevent.get_hub()
    left.append(hub.loop)
    hub.destroy(destroy_loop=False)


ENDS = [thread_ends, hub_destroyed, hub_destroyed_and_loop_kept]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("use", ["close", "leave", "listen", "timeout"])
def test_with_its_thread_a_connection_ends(net: Net, end: Callable[[], None], use: str) -> None:
    listener = net.listening_peer()
    kept: list[gnet.Socket] = []

    def work() -> None:
        sock = gnet.connect(*net.target(listener))
        sock.wait("connect")
        sock.sendall(b"hello")
        if use == "close":
            sock.close()
        elif use == "listen":
            sock.on("data", print)
        elif use == "timeout":
            sock.set_timeout(100)
        kept.append(sock)
        end()

    in_thread(work)
    peer = net.keep(listener.accept()[0])
    assert receive(peer, 5) == b"hello"
    assert receive_all(peer) == b""
    sock = kept[0]
    # The thread may have been about to end when it said that it was over.
    while not sock.closed:
        net.turns()
    assert sock.destroyed
    with pytest.raises(SocketClosedError, match="has ended"):
        sock.sendall(b"x")
    assert sock.write(b"x") is False
    sock.close()
    with pytest.raises(RuntimeError) as caught:
        gnet.call_in(sock, print)
    assert caught.value.code == "ERR_THREAD_ENDED"  # type: ignore[attr-defined]


@pytest.mark.parametrize("end", ENDS)
def test_what_was_queued_is_dropped_with_a_reset(tcp: Net, end: Callable[[], None]) -> None:
    listener = tcp.listening_peer()

    def work() -> None:
        sock = gnet.connect(*tcp.target(listener))
        sock.wait("connect")
        sock.write(bytes(20_000_000))
        assert sock.writable_length
        end()

    in_thread(work)
    peer = tcp.keep(listener.accept()[0])
    with pytest.raises(ConnectionResetError):
        receive_all(peer)


@pytest.mark.parametrize("end", ENDS)
def test_with_its_thread_a_server_ends(unix: Net, end: Callable[[], None]) -> None:
    path = unix.place()[0]
    arrived, go_on = Lock(), Lock()
    arrived.acquire()
    go_on.acquire()
    servers: list[gnet.Server] = []

    def work() -> None:
        server = gnet.Server(lambda sock: sock.write(b"hello")).listen(path)
        servers.append(server)
        server.wait("connection")
        gevent.idle()
        arrived.release()
        go_on.acquire()
        end()

    thread = Thread(work)
    peer = unix._peer()
    while not os.path.exists(path):
        unix.turns()
    while peer.connect_ex(path):
        unix.turns()
    assert receive(peer, 5) == b"hello"
    go_on.release()
    thread.result()
    assert receive_all(peer) == b""
    while os.path.exists(path):
        unix.turns()
    server = servers[0]
    while server.connections:
        unix.turns()
    assert not server.listening
    server.close()
    # Nobody's any more, it may listen in another thread.
    server.listen(path)
    assert unix.connect(peer_of(path)).recv() == b"hello"
    for sock in server.connections:
        sock.destroy()
    server.close()
    server.wait_closed()


class peer_of:
    """A path as what ``Net`` connects to."""

    def __init__(self, path: str) -> None:
        self._path = path

    def getsockname(self) -> str:
        return self._path


def test_a_socket_whose_thread_has_ended_may_dial_in_another(tcp: Net) -> None:
    server = tcp.server(lambda sock: sock.end(b"hello"))
    target = tcp.target(server)
    sock = in_thread(lambda: _used_and_left(target))
    assert sock.connect(*target).recv() == b"hello"
    sock.destroy()
    sock.wait("close")


def _used_and_left(target: tuple[Any, ...]) -> gnet.Socket:
    sock = gnet.connect(*target)
    assert sock.recv() == b"hello"
    hub_destroyed()
    return sock


def test_a_thread_that_ends_concerns_no_other_threads_sockets(tcp: Net) -> None:
    client, accepted = tcp.pair()
    for end in ENDS:
        in_thread(lambda end=end: (gnet.Socket(), end()))
    client.sendall(b"still there")
    assert accepted.recv() == b"still there"


# -- forks, and the end of the program -----------------------------------------------------------


@pytest.mark.skipif(fork is None, reason="no fork()")
def test_a_forked_child_runs_nothing_that_its_parent_was_asked(tcp: Net) -> None:
    client, _ = tcp.pair()
    ran: list[str] = []
    gnet.call_in(client, ran.append, "parent's")

    def task() -> list[str]:
        fresh = gnet.Socket()
        gnet.call_in(fresh, ran.append, "child's")
        gevent.sleep(0.01)
        return ran

    assert fork is not None
    assert Child(task, fork).result() == ["child's"]
    tcp.turns()
    assert ran == ["parent's"]


@pytest.mark.skipif(fork is None, reason="no fork()")
def test_a_fork_leaves_alone_what_is_another_threads(tcp: Net) -> None:
    """The child closes its copies, and neither resets nor ends a connection of the parent's."""
    server = tcp.server()
    target = tcp.target(server)
    connected, go_on = Lock(), Lock()
    connected.acquire()
    go_on.acquire()

    def work() -> None:
        sock = gnet.connect(*target)
        sock.wait("connect")
        sock.write(bytes(5_000_000))
        connected.release()
        go_on.acquire()
        sock.end()
        sock.wait("finish")
        sock.destroy()

    arrived: Queue[gnet.Socket] = Queue()
    server.on("connection", arrived.put)
    thread = Thread(work)
    accepted = arrived.get()
    connected.acquire()
    assert fork is not None
    assert Child(lambda: True, fork).result()
    go_on.release()
    received = 0
    for chunk in accepted:
        received += len(chunk)
    thread.result()
    assert received == 5_000_000


ENDING = """
import _thread, sys, time
import gevent, gnet

server = gnet.create_server(lambda sock: sock.pipe(sock)).listen(0, "127.0.0.1")
port = server.address().port
started = []

def ends():
    with gnet.connect(port, "127.0.0.1") as sock:
        sock.write(b"x")
    started.append(1)

def calls():
    started.append(1)
    try:
        while True:
            gnet.call_in(server, int)
            time.sleep(0.001)
    except RuntimeError:
        # The hub has gone. A thread that printed that while the interpreter ends would abort it.
        pass

for work in (ends, calls):
    _thread.start_new_thread(work, ())
while len(started) < 2:
    gevent.sleep(0.001)
if sys.argv[1:] == ["destroy"]:
    gevent.get_hub().destroy()
server.unref()
"""


@pytest.mark.parametrize("how", [(), ("destroy",)], ids=["ends", "destroys its hub first"])
def test_the_end_of_the_program_waits_for_no_thread_and_crashes_nothing(how: Any) -> None:
    done = run(*python(ENDING, *how))
    assert done.status == 0, done.complaints
    assert b"Fatal" not in done.complaints
