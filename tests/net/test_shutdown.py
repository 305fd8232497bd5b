"""Shutting down: from anywhere, more than once, and on the signals of a service manager."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Calls
from tests.helpers.peers import Outcome, Peer, python, running
from tests.helpers.servers import receive, receive_all
from tests.net.conftest import Net

# A grace that is over soon, and one that is not, in seconds.
SOON = 0.1
LATER = 60.0

# -- Server.shutdown() --------------------------------------------------------------------------


@pytest.mark.parametrize("grace", ["1", True, b"", []])
def test_a_grace_of_another_kind_is_a_type_error(tcp: Net, grace: Any) -> None:
    server = tcp.server()
    with pytest.raises(TypeError, match="grace") as caught:
        server.shutdown(grace)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]
    assert server.listening


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf")])
def test_a_grace_out_of_range_is_a_value_error(tcp: Net, grace: float) -> None:
    server = tcp.server()
    with pytest.raises(ValueError, match="grace") as caught:
        server.shutdown(grace)
    assert caught.value.code == "ERR_OUT_OF_RANGE"  # type: ignore[attr-defined]
    assert server.listening


def test_who_finishes_in_time_is_not_forced(net: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = net.server(arrived.put)
    peers = [net.peer(server) for _ in range(3)]
    for _ in peers:
        arrived.get()
    stopping = net.start(server.shutdown, LATER)
    for peer in peers:
        assert receive_all(peer) == b""
        peer.close()
    assert stopping.get() == 0


def test_those_that_are_left_after_the_grace_are_forced_and_counted(net: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = net.server(arrived.put)
    peers = [net.peer(server) for _ in range(5)]
    for _ in peers:
        arrived.get()
    stopping = net.start(server.shutdown, SOON)
    for peer in peers[:2]:
        assert receive_all(peer) == b""
        peer.close()
    assert stopping.get() == 3
    assert not server.connections
    assert not server.listening


def test_nobody_new_is_accepted_meanwhile(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    place = tcp.target(server)
    tcp.peer(server)
    arrived.get()
    stopping = tcp.start(server.shutdown, LATER)
    with socket.socket() as late, pytest.raises(ConnectionRefusedError):
        late.connect(place[::-1])
    assert not stopping.ready()
    assert server.shutdown(0) == 1
    stopping.get()


def test_what_is_queued_is_sent_within_the_grace(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    peer = tcp.peer(server)
    data = bytes(1 << 24)
    arrived.get().write(data)
    stopping = tcp.start(server.shutdown, LATER)
    assert receive_all(peer) == data
    peer.close()
    assert stopping.get() == 0


def test_a_handler_reads_an_end_and_may_answer(net: Net) -> None:
    heard: Queue[bytes] = Queue()

    def handler(sock: gnet.Socket) -> None:
        heard.put(sock.recv(6))
        heard.put(b"".join(sock))
        sock.sendall(b"last words")

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    peer.sendall(b"before")
    assert heard.get() == b"before"
    stopping = net.start(server.shutdown, LATER)
    assert heard.get() == b""
    assert receive(peer, 11) == b"last words"
    peer.close()
    assert stopping.get() == 0


def test_a_handler_that_does_not_look_is_forced(net: Net) -> None:
    began = Event()

    def handler(sock: gnet.Socket) -> None:
        with sock.interrupt_on_peer_end():
            began.set()
            Event().wait()

    server = net.server(handler, end_on_return=True)
    net.peer(server)
    began.wait()
    assert server.shutdown(SOON) == 1


def test_it_may_be_called_by_many_at_once_and_again(tcp: Net, must_call: Calls) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    for _ in range(4):
        tcp.peer(server)
        arrived.get()
    server.on("close", must_call())
    patient = [tcp.start(server.shutdown, grace) for grace in (None, LATER, LATER)]
    tcp.turns()
    assert server.shutdown(0) == 4
    assert [each.get() for each in patient] == [0, 0, 0]
    assert server.shutdown() == 0
    assert server.shutdown(0) == 0


def test_a_shorter_grace_later_overrides_a_longer_one(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    tcp.peer(server)
    arrived.get()
    patient = tcp.start(server.shutdown, LATER)
    assert server.shutdown(SOON) == 1
    assert patient.get() == 0


def test_in_the_hub_it_does_not_wait(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    tcp.peer(server)
    arrived.get()
    returned: list[Any] = []
    hub = gevent.get_hub()
    hub.loop.run_callback(lambda: returned.append(server.shutdown(SOON)))
    server.wait_closed()
    assert returned == [0]
    assert not server.connections


def test_a_connections_own_listener_may_call_it_and_is_not_waited_for(tcp: Net) -> None:
    forced: Queue[int] = Queue()
    server = tcp.server()
    server.on("connection", lambda sock: sock.on("data", stop))

    def stop(chunk: bytes) -> None:
        forced.put(server.shutdown(SOON))

    peer = tcp.peer(server)
    peer.sendall(b"stop")
    assert forced.get() == 0
    assert not server.listening
    # Its time is the others', however: the peer does not end.
    server.wait_closed()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's signals")
def test_a_signal_handler_may_call_it(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    tcp.peer(server)
    arrived.get()
    before = signal.signal(signal.SIGUSR1, lambda *_: gevent.spawn(server.shutdown, 0))
    try:
        gevent.spawn(os.kill, os.getpid(), signal.SIGUSR1)
        server.wait_closed()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not server.connections


def test_a_shutdown_of_what_never_listened_returns() -> None:
    assert gnet.Server().shutdown() == 0
    assert gnet.Server().shutdown(0) == 0


def test_a_server_may_listen_again_after_it(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put)
    tcp.peer(server)
    arrived.get()
    assert server.shutdown(0) == 1
    server.listen(0, "127.0.0.1")
    tcp.peer(server)
    arrived.get()
    assert server.shutdown(0) == 1


# -- gnet.serve() on signals ----------------------------------------------------------------------

SERVING = """
import sys

import gevent
import zope.event

import gnet

def tell(event):
    if isinstance(event, gnet.events.ServerListening):
        print(event.address.port, flush=True)

zope.event.subscribers.append(tell)

def polite(sock):
    sock.sendall(b"hello")
    for chunk in sock:
        sock.sendall(chunk)
    sock.sendall(b"bye")

def deaf(sock):
    sock.sendall(b"hello")
    while True:
        gevent.sleep(60)

handler = {"polite": polite, "deaf": deaf}[sys.argv[1]]
forced = gnet.serve(handler, 0, "127.0.0.1", grace=float(sys.argv[2]))
print("forced", forced, flush=True)
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's signals")


def greeted(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    assert receive(client, 5) == b"hello"
    return client


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def end_of(program: Peer) -> tuple[bytes, Outcome]:
    return program.line(), program.finish()


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_and_lets_the_handlers_finish(number: signal.Signals) -> None:
    with running(*python(SERVING, "polite", "30")) as program:
        clients = [greeted(int(port)) for port in [program.line()] * 2]
        program.signal(number)
        for client in clients:
            with client:
                assert receive_all(client) == b"bye"
        line, outcome = end_of(program)
    assert line == b"forced 0"
    assert (outcome.status, outcome.complaints) == (0, b"")


@posix
def test_after_the_grace_it_forces_and_says_how_many() -> None:
    with running(*python(SERVING, "deaf", "0.2")) as program:
        port = int(program.line())
        clients = [greeted(port) for _ in range(3)]
        program.signal(signal.SIGTERM)
        line, outcome = end_of(program)
        for client in clients:
            client.close()
    assert line == b"forced 3"
    assert (outcome.status, outcome.complaints) == (0, b"")


@posix
def test_a_second_signal_does_not_wait() -> None:
    with running(*python(SERVING, "deaf", "600")) as program:
        port = int(program.line())
        clients = [greeted(port) for _ in range(2)]
        program.signal(signal.SIGTERM)
        # The first signal has arrived when the port is free.
        while not is_free(port):
            gevent.sleep(0.001)
        program.signal(signal.SIGTERM)
        line, outcome = end_of(program)
        for client in clients:
            client.close()
    assert line == b"forced 2"
    assert (outcome.status, outcome.complaints) == (0, b"")


@posix
def test_an_idle_server_ends_at_once() -> None:
    with running(*python(SERVING, "polite", "600")) as program:
        program.line()
        program.signal(signal.SIGTERM)
        line, outcome = end_of(program)
    assert line == b"forced 0"
    assert (outcome.status, outcome.complaints) == (0, b"")


@posix
def test_the_handlers_of_before_are_put_back(tcp: Net) -> None:
    def mine(*_: Any) -> None:
        raise AssertionError("a signal")

    before = signal.signal(signal.SIGTERM, mine)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        stop = Event()
        serving = tcp.start(lambda: gnet.serve(print, 0, "127.0.0.1", signal=stop))
        tcp.turns()
        assert signal.getsignal(signal.SIGTERM) is not mine
        stop.set()
        assert serving.get() == 0
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("grace", ["1", -1, True])
def test_a_bad_grace_of_serve_is_refused_before_anything_is_opened(grace: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="grace"):
        gnet.serve(print, 0, "127.0.0.1", grace=grace)


def test_outside_the_main_thread_serve_needs_no_signals() -> None:
    def serve() -> int:
        stop = Event()
        gevent.spawn(stop.set)
        try:
            return gnet.serve(print, 0, "127.0.0.1", signal=stop)
        finally:
            gevent.get_hub().destroy(destroy_loop=True)

    assert gevent.get_hub().threadpool.apply(serve) == 0
