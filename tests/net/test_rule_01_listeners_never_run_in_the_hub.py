"""Rule 1: every listener and callback runs in a greenlet, and may block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import Event
from gevent.local import local
from gevent.queue import Queue
from greenlet import getcurrent

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.counts import greenlets

if TYPE_CHECKING:
    from tests.net.conftest import Net


def blocks(*args: Any) -> None:
    """A listener that blocks, which the hub could not."""
    assert getcurrent() is not gevent.get_hub()
    gevent.sleep(0)


class Gate:
    """A listener that blocks until it is let go.

    ``entered`` is set while a call is inside; ``seen`` has the calls' first arguments.
    """

    def __init__(self) -> None:
        self.entered = Event()
        self.open = Event()
        self.seen: list[Any] = []

    def __call__(self, *args: Any) -> None:
        self.seen.append(args[0] if args else None)
        self.entered.set()
        self.open.wait()


# ---------------------------------------------------------------------------------------------
# Nothing runs in the hub.


def test_a_servers_listeners_may_block(net: Net, must_call: Calls) -> None:
    server = gnet.create_server(must_call(blocks))
    server.on("listening", must_call(blocks))
    server.on("close", must_call(blocks))
    server.listen(*net.place(), listening_listener=must_call(blocks))
    client = net.connect(server)
    server.wait("connection")
    client.destroy()
    server.get_connections(must_call(blocks))
    server.close(must_call(blocks))
    must_call.wait()


def test_a_drop_listener_may_block(tcp: Net, must_call: Calls) -> None:
    server = tcp.server()
    server.max_connections = 0
    server.on("drop", must_call(blocks))
    tcp.peer(server)
    must_call.wait()


def test_an_error_listener_of_a_server_may_block(tcp: Net, must_call: Calls) -> None:
    taken = tcp.server()
    server = gnet.create_server()
    server.on("error", must_call(blocks))
    server.listen(*tcp.target(taken))
    must_call.wait()


def test_a_clients_listeners_may_block(net: Net, must_call: Calls) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener, must_call(blocks))
    for event in ("connect", "ready", "data", "end", "finish", "close"):
        sock.on(event, must_call(blocks))
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"data")
    peer.close()
    must_call.wait()


def test_the_listeners_of_attempts_and_lookups_may_block(tcp: Net, must_call: Calls) -> None:
    port, _host = tcp.refusing()
    sock = tcp.keep(gnet.connect(port, "localhost", family=4))
    sock.on("lookup", must_call(blocks))
    sock.on("connection_attempt", must_call(blocks))
    sock.on("error", must_call(blocks))
    sock.on("close", must_call(blocks))
    must_call.wait()


def test_a_lookup_hook_may_block(tcp: Net, must_call: Calls) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        blocks()
        return [("127.0.0.1", 4)] if options.get("all") else ("127.0.0.1", 4)

    port, _ = tcp.target(tcp.server())
    sock = tcp.keep(gnet.connect(port, "some.name", lookup=must_call(lookup)))
    sock.wait("connect")


@pytest.mark.parametrize("method", ["write", "end"])
def test_a_writes_callback_may_block(net: Net, must_call: Calls, method: str) -> None:
    sock, _ = net.accepted()
    getattr(sock, method)(b"data", callback=must_call(blocks))
    must_call.wait()


def test_a_callback_of_a_write_ahead_of_the_connection_may_block(
    net: Net, must_call: Calls
) -> None:
    sock = net.connect(net.server())
    sock.write(b"data", callback=must_call(blocks))
    must_call.wait()


def test_a_drain_listener_may_block(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sock.on("drain", must_call(blocks))
    assert sock.write(bytes(4_000_000)) is False
    received = 0
    while received < 4_000_000:
        received += len(peer.recv(1_000_000))
    must_call.wait()


def test_timeout_listeners_may_block(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted()
    sock.on("timeout", must_call(blocks))
    sock.set_timeout(0.01, must_call(blocks))
    must_call.wait()


def test_an_onread_callback_may_block(net: Net, must_call: Calls) -> None:
    listener = net.listening_peer()
    onread = gnet.OnRead(bytearray(10), must_call(blocks))
    sock = net.connect(listener, onread=onread)
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"data")
    must_call.wait()
    assert sock.bytes_read == 4


def test_pipe_listeners_may_block(net: Net, must_call: Calls) -> None:
    source, _ = net.accepted()
    sink, _ = net.accepted()
    sink.on("pipe", must_call(blocks))
    sink.on("unpipe", must_call(blocks))
    source.pipe(sink)
    source.unpipe(sink)
    must_call.wait()


def test_pause_and_resume_listeners_may_block(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted()
    sock.on("pause", must_call(blocks))
    sock.on("resume", must_call(blocks))
    sock.resume()
    net.turns()
    sock.pause()
    must_call.wait()


def test_a_listener_that_is_told_of_a_destroyed_socket_may_block(
    net: Net, must_call: Calls
) -> None:
    sock, _ = net.accepted()
    sock.on("error", must_call(blocks))
    sock.on("close", must_call(blocks))
    sock.destroy(ValueError("of the test"))
    must_call.wait()


# ---------------------------------------------------------------------------------------------
# One at a time and in order.


def test_data_and_end_come_one_at_a_time_and_in_order(net: Net) -> None:
    sock, peer = net.accepted()
    log: list[Any] = []
    inside = 0

    def noted(name: str) -> Callable[..., None]:
        def listener(chunk: bytes = b"") -> None:
            nonlocal inside
            inside += 1
            assert inside == 1
            net.turns(2)
            log.append((name, chunk))
            inside -= 1

        return listener

    sock.on("data", noted("first"))
    sock.on("data", noted("second"))
    sock.on("end", noted("end"))
    for each in (b"a", b"b", b"c"):
        peer.sendall(each)
        gevent.sleep(0)
    peer.close()
    net.closed(sock)
    assert b"".join(chunk for name, chunk in log if name == "first") == b"abc"
    assert [chunk for name, chunk in log if name == "first"] == [
        chunk for name, chunk in log if name == "second"
    ]
    assert [name for name, _ in log] == ["first", "second"] * ((len(log) - 1) // 2) + ["end"]


def test_a_blocked_listener_keeps_its_greenlet(net: Net) -> None:
    """The greenlet is the same ahead of the wait and behind it, whatever goes on meanwhile."""
    own = local()
    arrivals: Queue[Any] = Queue()

    def connected(sock: gnet.Socket) -> None:
        @sock.on("data")
        def received(chunk: bytes) -> None:
            before = getcurrent()
            own.chunk = chunk
            net.turns(3)
            arrivals.put((getcurrent() is before, own.chunk == chunk))

    server = net.server(connected)
    peers = [net.peer(server) for _ in range(8)]
    for number, peer in enumerate(peers):
        peer.sendall(b"%d" % number)
    assert [arrivals.get() for _ in peers] == [(True, True)] * 8


def test_while_a_listener_blocks_nothing_more_is_read(net: Net) -> None:
    sock, peer = net.accepted()
    gate = Gate()
    sock.on("data", gate)
    peer.sendall(b"first")
    gate.entered.wait()
    sent = net.fill(peer)
    net.turns(10)
    assert sock.bytes_read == 5
    assert gate.seen == [b"first"]
    gate.open.set()
    peer.close()
    net.closed(sock)
    assert sock.bytes_read == 5 + sent
    assert sum(map(len, gate.seen)) == 5 + sent


def test_a_data_listener_that_sleeps_holds_back_its_own_connection_and_no_other(
    net: Net,
) -> None:
    gate = Gate()

    def connected(sock: gnet.Socket) -> None:
        def received(chunk: bytes) -> None:
            if chunk == b"block":
                gate()
            sock.write(chunk)

        sock.on("data", received)

    server = net.server(connected)
    slow, *others = [net.peer(server) for _ in range(5)]
    slow.sendall(b"block")
    gate.entered.wait()
    slow.sendall(b"late")
    for _ in range(5):
        for peer in others:
            peer.sendall(b"echo")
            assert peer.recv(100) == b"echo"
    assert server.listening
    net.peer(server).sendall(b"newcomer")
    gate.open.set()
    received = b""
    while len(received) < 9:
        received += slow.recv(100)
    assert received == b"blocklate"


def test_an_end_is_held_back_by_a_blocked_data_listener(net: Net) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    gate, ended = Gate(), Event()
    sock.on("data", gate)
    sock.on("end", ended.set)
    peer.sendall(b"data")
    gate.entered.wait()
    peer.shutdown(1)
    net.turns(10)
    assert not ended.is_set()
    gate.open.set()
    ended.wait()


def test_a_blocked_end_listener_keeps_the_writable_side_open(net: Net) -> None:
    sock, peer = net.accepted()
    gate = Gate()
    sock.on("end", gate)
    sock.resume()
    peer.shutdown(1)
    gate.entered.wait()
    net.turns(10)
    assert sock.writable
    sock.write(b"last words")
    gate.open.set()
    assert peer.makefile("rb").read() == b"last words"


def test_a_connection_listener_that_blocks_gets_its_data_meanwhile(net: Net) -> None:
    arrivals: Queue[bytes] = Queue()
    done = Event()

    def connected(sock: gnet.Socket) -> None:
        sock.on("data", arrivals.put)
        done.wait()

    peer = net.peer(net.server(connected))
    peer.sendall(b"meanwhile")
    assert arrivals.get() == b"meanwhile"
    done.set()


def test_a_connection_listener_that_blocks_holds_back_no_other_connection(net: Net) -> None:
    gate = Gate()
    server = net.server(gate)
    for count in range(1, 4):
        net.peer(server)
        net.turns()
        assert len(gate.seen) == count
    gate.open.set()


def test_a_connect_listener_that_blocks_gets_its_data_meanwhile(net: Net) -> None:
    listener = net.listening_peer()
    gate = Gate()
    sock = net.connect(listener, gate)
    arrivals: Queue[bytes] = Queue()
    sock.on("data", arrivals.put)
    peer = net.keep(listener.accept()[0])
    gate.entered.wait()
    peer.sendall(b"meanwhile")
    assert arrivals.get() == b"meanwhile"
    gate.open.set()


# ---------------------------------------------------------------------------------------------
# What is not part of the stream is not held back.


@pytest.fixture
def blocked(net: Net) -> Any:
    """A connection whose 'data' listener blocks, its peer, and the gate that holds it."""
    sock, peer = net.accepted()
    gate = Gate()
    sock.on("data", gate)
    peer.sendall(b"data")
    gate.entered.wait()
    yield sock, peer
    gate.open.set()


def test_timeout_arrives_while_a_data_listener_blocks(blocked: Any, must_call: Calls) -> None:
    sock, _ = blocked
    sock.set_timeout(0.01, must_call())
    must_call.wait()


def test_close_arrives_while_a_data_listener_blocks(blocked: Any, must_call: Calls) -> None:
    sock, _ = blocked
    sock.on("close", must_call())
    sock.destroy()
    must_call.wait()


def test_error_arrives_while_a_data_listener_blocks(
    blocked: Any, must_call: Calls, must_not_call: Callable[..., Call]
) -> None:
    sock, _ = blocked
    sock.on("error", must_call())
    sock.on("close", must_call())
    sock.on("end", must_not_call("end"))
    sock.destroy(ValueError("of the test"))
    must_call.wait()


def test_a_reset_is_told_of_while_a_data_listener_blocks(
    blocked: Any, net: Net, must_call: Calls
) -> None:
    sock, peer = blocked
    error = must_call()
    sock.on("error", error)
    net.reset(sock, peer)
    assert isinstance(error.wait()[0], ConnectionResetError)


def test_a_writes_callback_arrives_while_a_data_listener_blocks(
    blocked: Any, must_call: Calls
) -> None:
    sock, _ = blocked
    sock.write(b"data", callback=must_call())
    must_call.wait()


def test_drain_arrives_while_a_data_listener_blocks(blocked: Any, must_call: Calls) -> None:
    sock, peer = blocked
    sock.on("drain", must_call())
    assert sock.write(bytes(4_000_000)) is False
    received = 0
    while received < 4_000_000:
        received += len(peer.recv(1_000_000))
    must_call.wait()


def test_finish_arrives_while_a_data_listener_blocks(blocked: Any, must_call: Calls) -> None:
    sock, _ = blocked
    sock.on("finish", must_call())
    sock.end()
    must_call.wait()


def test_a_blocked_timeout_listener_holds_back_no_data(net: Net) -> None:
    sock, peer = net.accepted()
    gate = Gate()
    arrivals: Queue[bytes] = Queue()
    sock.on("data", arrivals.put)
    sock.set_timeout(0.01, gate)
    gate.entered.wait()
    peer.sendall(b"data")
    assert arrivals.get() == b"data"
    gate.open.set()


def test_a_data_listener_may_wait_for_its_own_drain(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()

    def received(chunk: bytes) -> None:
        assert sock.write(bytes(4_000_000)) is False
        sock.wait("drain")

    sock.on("data", must_call(received))
    peer.sendall(b"go")
    received_bytes = 0
    while received_bytes < 4_000_000:
        received_bytes += len(peer.recv(1_000_000))
    must_call.wait()
    peer.close()
    net.closed(sock)


def test_a_data_listener_may_block_in_its_own_sendall(net: Net) -> None:
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: sock.sendall(bytes(4_000_000)))
    peer.sendall(b"go")
    received = 0
    while received < 4_000_000:
        received += len(peer.recv(1_000_000))


# ---------------------------------------------------------------------------------------------
# Waits that could only end by themselves.


@pytest.mark.parametrize("event", ["data", "end"])
def test_waiting_in_a_data_listener_for_what_it_holds_back_is_an_error(
    net: Net, must_call: Calls, event: str
) -> None:
    sock, peer = net.accepted()

    def received(chunk: bytes) -> None:
        with pytest.raises(RuntimeError):
            sock.wait(event)

    sock.on("data", must_call(received))
    peer.sendall(b"data")
    must_call.wait()


def test_waiting_in_a_data_listener_for_another_connections_data_is_fine(net: Net) -> None:
    sock, peer = net.accepted()
    other, other_peer = net.accepted()

    def received(chunk: bytes) -> None:
        other_peer.sendall(b"other")
        answers.put(other.wait("data"))

    answers: Queue[Any] = Queue()
    sock.on("data", received)
    peer.sendall(b"data")
    assert answers.get() == (b"other",)


def test_a_greenlet_spawned_by_a_data_listener_may_wait_for_data(net: Net) -> None:
    sock, peer = net.accepted()
    waiters: Queue[gevent.Greenlet[..., Any]] = Queue()
    sock.once("data", lambda chunk: waiters.put(gevent.spawn(sock.wait, "data")))
    sock.on("data", lambda chunk: None)
    peer.sendall(b"one")
    waiter = waiters.get()
    gevent.sleep(0)
    peer.sendall(b"two")
    assert waiter.get() == (b"two",)


def test_a_data_listener_may_pause_and_read_on_by_itself(net: Net) -> None:
    """Such as one that has read a header, and wants the body."""
    sock, peer = net.accepted()

    def received(chunk: bytes) -> None:
        sock.pause()
        peer.sendall(b"body")
        answers.put(sock.recv())

    answers: Queue[Any] = Queue()
    sock.once("data", received)
    peer.sendall(b"header")
    assert answers.get() == b"body"


# ---------------------------------------------------------------------------------------------
# What a connection costs.


def test_idle_connections_in_event_style_cost_no_greenlets(net: Net) -> None:
    echoed = 0

    def connected(sock: gnet.Socket) -> None:
        sock.on("data", sock.write)
        sock.on("end", lambda: None)

    server = net.server(connected)
    before = len(greenlets())
    peers = [net.peer(server) for _ in range(40)]
    for peer in peers:
        peer.sendall(b"x")
        echoed += len(peer.recv(1))
    net.turns()
    assert echoed == 40
    assert len(server.connections) == 40
    assert len(greenlets()) <= before + 1


def test_listeners_that_block_again_and_again_leave_no_greenlets(net: Net) -> None:
    sock, peer = net.accepted()
    arrivals: Queue[bytes] = Queue()

    def received(chunk: bytes) -> None:
        net.turns(1)
        arrivals.put(chunk)

    sock.on("data", received)
    before = len(greenlets())
    for _ in range(20):
        peer.sendall(b"x")
        arrivals.get()
    net.turns()
    assert len(greenlets()) <= before + 1


# ---------------------------------------------------------------------------------------------
# end_on_return


def test_with_end_on_return_the_listener_has_a_greenlet_of_gevents_for_its_connection(
    net: Net,
) -> None:
    running: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        running.put(getcurrent())
        sock.recv()
        running.put(getcurrent())

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    first = running.get()
    assert isinstance(first, gevent.Greenlet)
    other = net.peer(server)
    assert running.get() is not first
    peer.sendall(b"x")
    assert running.get() is first
    first.join()
    other.close()


def test_with_end_on_return_greenlet_locals_belong_to_the_connection(net: Net) -> None:
    own = local()
    answers: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        answers.put(getattr(own, "name", None))
        own.name = sock.recv()
        net.turns(2)
        answers.put(own.name)

    server = net.server(handler, end_on_return=True)
    for name in (b"one", b"two", b"three"):
        peer = net.peer(server)
        assert answers.get() is None
        peer.sendall(name)
        assert answers.get() == name


def test_with_end_on_return_the_greenlets_local_lives_as_long_as_the_connection(
    net: Net,
) -> None:
    """Listeners that the handler attached do not take its greenlet from it."""
    handled: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        mine = getcurrent()
        sock.on("timeout", lambda: None)
        for _ in sock:
            assert getcurrent() is mine
        handled.put(True)

    peer = net.peer(net.server(handler, end_on_return=True))
    for _ in range(3):
        peer.sendall(b"x")
        net.turns(2)
    peer.close()
    assert handled.get()


# ---------------------------------------------------------------------------------------------
# Around a blocked listener.


def test_a_listener_that_blocks_while_its_socket_is_destroyed_gets_nothing_more(
    net: Net,
) -> None:
    sock, peer = net.accepted()
    gate = Gate()
    sock.on("data", gate)
    peer.sendall(b"first")
    gate.entered.wait()
    peer.sendall(b"second")
    sock.destroy()
    net.closed(sock)
    gate.open.set()
    net.turns()
    assert gate.seen == [b"first"]


def test_a_listener_that_blocks_from_an_earlier_connection_holds_back_the_next_no_longer(
    net: Net,
) -> None:
    """The socket has connected again; the data of both comes, one at a time."""
    listener = net.listening_peer()
    sock = net.connect(listener)
    gate = Gate()
    sock.on("data", gate)
    net.keep(listener.accept()[0]).sendall(b"old")
    gate.entered.wait()
    sock.destroy()
    net.closed(sock)
    sock.connect(*net.target(listener))
    net.keep(listener.accept()[0]).sendall(b"new")
    net.turns()
    gate.open.set()
    while len(gate.seen) < 2:
        net.turns(1)
    assert gate.seen == [b"old", b"new"]


def test_a_listener_that_sleeps_is_no_blocked_call_for_the_idle_timeout(net: Net) -> None:
    sock, peer = net.accepted()
    left = Event()

    def received(chunk: bytes) -> None:
        gevent.sleep(0.1)
        left.set()

    sock.on("data", received)
    sock.set_timeout(0.02)
    peer.sendall(b"data")
    left.wait()
    assert not sock.destroyed


def test_a_listener_that_pauses_gets_nothing_more_until_resume(net: Net) -> None:
    sock, peer = net.accepted()
    chunks: list[bytes] = []

    def received(chunk: bytes) -> None:
        chunks.append(chunk)
        sock.pause()

    sock.on("data", received)
    for count in (1, 2):
        # One chunk may be all that the kernel can hold.
        net.fill(peer)
        net.turns(5)
        assert len(chunks) == count
        sock.resume()


def test_what_does_not_block_may_be_called_from_the_hub(net: Net) -> None:
    """As from a signal's handler, or a timer's callback."""
    sock, peer = net.accepted()
    server = net.server()
    loop = gevent.get_hub().loop
    loop.run_callback(sock.write, b"from the hub")
    assert peer.recv(100) == b"from the hub"
    loop.run_callback(sock.end, b"bye")
    assert peer.makefile("rb").read() == b"bye"
    loop.run_callback(sock.destroy)
    assert net.closed(sock) is False
    loop.run_callback(server.close)
    server.wait("close")
