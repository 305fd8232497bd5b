"""A connection that nobody can use any more is closed, and its server does not keep it."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

import gnet
from tests.helpers.servers import counted_addresses, receive, receive_all, send_end
from tests.net.conftest import Net


@contextmanager
def resource_warnings() -> Iterator[list[Any]]:
    caught: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", ResourceWarning)

        def show(message: Any, category: Any, *rest: Any) -> None:
            # A recorded warning would keep the socket that it is about. Peers are of no interest.
            if "gnet.Socket" in str(message):
                caught.append(category)

        warnings.showwarning = show
        yield caught


class Arrivals:
    """A listener of ``'connection'`` that keeps nothing, and tells when it has returned."""

    def __init__(self, act: Callable[[gnet.Socket], Any]) -> None:
        self._act = act
        self.returned: Queue[weakref.ref[gnet.Socket]] = Queue()

    def __call__(self, sock: gnet.Socket) -> None:
        self._act(sock)
        self.returned.put(weakref.ref(sock))


def read_to_the_end(sock: gnet.Socket) -> None:
    while sock.recv():
        pass


def send_something(sock: gnet.Socket) -> None:
    sock.sendall(b"hello")


def read_a_line_of_a_file(sock: gnet.Socket) -> None:
    with sock.makefile("rb") as file:
        file.readline()


def read_in_a_greenlet(sock: gnet.Socket) -> None:
    gevent.spawn(read_to_the_end, sock)


def look(sock: gnet.Socket) -> None:
    with gevent.Timeout(0.001, False):
        sock.recv_into(bytearray(4))


ACTS = [read_to_the_end, send_something, read_a_line_of_a_file, read_in_a_greenlet, look]


@pytest.mark.parametrize("act", ACTS)
def test_a_connection_that_nobody_refers_to_is_closed(net: Net, act: Any) -> None:
    arrivals = Arrivals(act)
    server = net.server(arrivals, max_connections_per_address=100)
    with resource_warnings() as caught:
        for _ in range(3):
            peer = net.peer(server)
            peer.sendall(b"line\n")
            send_end(peer)
            sock = arrivals.returned.get()
            while sock() is not None:
                net.turns()
                gc.collect()
            # A reset, where something was left unread.
            try:
                receive_all(peer)
            except ConnectionResetError:
                assert act in (send_something, look)
        net.turns()
        assert server.get_connections() == 0
    assert caught == [ResourceWarning] * 3
    assert counted_addresses(server) == 0


def test_a_server_that_closes_does_not_wait_for_it(net: Net) -> None:
    arrivals = Arrivals(send_something)
    server = net.server(arrivals)
    with resource_warnings():
        peer = net.peer(server)
        assert receive(peer, 5) == b"hello"
        arrivals.returned.get()
        server.close()
        gc.collect()
        server.wait("close")


def keeps_a_listener(sock: gnet.Socket) -> None:
    send_something(sock)
    sock.on("data", sock_echo(weakref.ref(sock)))


def sock_echo(sock: Any) -> Callable[[bytes], Any]:
    return lambda data: sock().write(data)


def pipes(sock: gnet.Socket) -> None:
    send_something(sock)
    sock.pipe(sock)


def blocks_in_a_greenlet(sock: gnet.Socket) -> None:
    send_something(sock)

    def echo(end: gnet.Socket) -> None:
        with suppress(gnet.errors.SocketClosedError):
            for chunk in end:
                end.sendall(chunk)

    gevent.spawn(echo, sock)


def waits(sock: gnet.Socket) -> None:
    send_something(sock)

    def echo(end: gnet.Socket) -> None:
        with suppress(gnet.errors.SocketClosedError):
            while True:
                end.write(end.wait("data")[0])

    gevent.spawn(echo, sock)


@pytest.mark.parametrize("act", [keeps_a_listener, pipes, blocks_in_a_greenlet, waits])
def test_one_that_is_still_used_stays(net: Net, act: Any) -> None:
    server = net.server(act)
    peer = net.peer(server)
    assert receive(peer, 5) == b"hello"
    net.turns()
    gc.collect()
    assert server.get_connections() == len(server.connections) == 1
    peer.sendall(b"more")
    assert receive(peer, 4) == b"more"


def test_what_is_queued_is_sent_first(net: Net) -> None:
    size = 5_000_000
    arrivals = Arrivals(lambda sock: (send_something(sock), sock.write(bytes(size))))
    server = net.server(arrivals)
    peer = net.peer(server)
    sock = arrivals.returned.get()
    gc.collect()
    assert sock() is not None
    with resource_warnings() as caught:
        assert len(receive(peer, size + 5)) == size + 5
        while sock() is not None:
            net.turns()
            gc.collect()
        assert peer.recv(1) == b""
        net.turns()
    assert len(caught) == 1


def test_one_that_the_program_refers_to_counts(net: Net) -> None:
    socks: Queue[gnet.Socket] = Queue()
    server = net.server(lambda sock: (send_something(sock), socks.put(sock)))
    peer = net.peer(server)
    sock = socks.get()
    net.turns()
    gc.collect()
    assert server.connections == {sock}
    # A listener makes it the server's again.
    sock.on("data", sock_echo(weakref.ref(sock)))
    del sock
    gc.collect()
    peer.sendall(b"x")
    assert receive(peer, 6) == b"hellox"
    server.shutdown(grace=0)
    assert server.get_connections() == 0


def test_close_leaves_it_its_time(net: Net) -> None:
    arrivals = Arrivals(lambda sock: (send_something(sock), sock.close()))
    server = net.server(arrivals)
    peer = net.peer(server)
    arrivals.returned.get()
    gc.collect()
    peer.sendall(b"late")
    send_end(peer)
    assert receive_all(peer) == b"hello"
    server.close()
    server.wait("close")


def test_one_in_event_style_stays(net: Net) -> None:
    arrived = Event()
    server = net.server(lambda sock: (sock.write(b"hello"), arrived.set()))
    peer = net.peer(server)
    arrived.wait()
    gc.collect()
    net.turns()
    assert server.get_connections() == 1
    assert receive(peer, 5) == b"hello"
