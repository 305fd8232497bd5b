"""``shutdown()`` called by a listener of one of the server's own connections."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

import gnet
from tests.helpers.servers import receive, receive_all
from tests.net.conftest import Net

LATER = 60.0
GRACES = [None, LATER]


@pytest.mark.parametrize("grace", GRACES)
def test_a_handler_does_not_wait_for_its_own_connection(net: Net, grace: float | None) -> None:
    returned: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        sock.recv(4)
        returned.put(sock.server.shutdown(grace))
        sock.sendall(b"last words")

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    peer.sendall(b"stop")
    assert returned.get() == 0
    assert receive_all(peer) == b"last words"
    peer.close()
    server.wait("close")


@pytest.mark.parametrize("grace", GRACES)
@pytest.mark.parametrize("event", ["connection", "data", "end"])
def test_a_listener_does_not_wait_for_its_own_connection(
    net: Net, event: str, grace: float | None
) -> None:
    returned: Queue[Any] = Queue()

    def stop(sock: gnet.Socket) -> None:
        sock.write(b"stopping")
        returned.put(sock.server.shutdown(grace))

    def connected(sock: gnet.Socket) -> None:
        if event == "connection":
            stop(sock)
        else:
            sock.on("data", lambda data: None)
            sock.on(event, lambda *args: stop(sock))

    server = net.server(connected)
    peer = net.peer(server)
    if event == "data":
        peer.sendall(b"stop")
    elif event == "end":
        peer.shutdown(gevent.socket.SHUT_WR)
    assert returned.get() == 0
    assert receive(peer, 8) == b"stopping"
    peer.close()
    server.wait("close")


def test_its_own_connection_has_the_same_time(net: Net) -> None:
    never = Event()
    returned: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        sock.recv(4)
        returned.put(sock.server.shutdown(0.02))
        never.wait()

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    peer.sendall(b"stop")
    assert returned.get() == 0
    server.wait("close")
    # The handler has not returned, and is not waited for.
    assert gnet.run(5)
    never.set()


def test_handlers_that_all_shut_down_do_not_wait_for_each_other(net: Net) -> None:
    together = Event()
    returned: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        sock.recv(4)
        together.wait()
        returned.put(sock.server.shutdown())

    server = net.server(handler, end_on_return=True)
    peers = [net.peer(server) for _ in range(3)]
    for peer in peers:
        peer.sendall(b"stop")
    net.turns()
    together.set()
    assert [returned.get() for _ in peers] == [0, 0, 0]
    for peer in peers:
        peer.close()
    server.wait("close")


def test_a_handler_waits_for_the_others(net: Net) -> None:
    go_on = Event()
    returned: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        if sock.recv(4) == b"stop":
            returned.put(sock.server.shutdown())
        else:
            go_on.wait()

    server = net.server(handler, end_on_return=True)
    other, peer = net.peer(server), net.peer(server)
    other.sendall(b"work")
    net.turns()
    peer.sendall(b"stop")
    net.turns()
    assert not server.listening
    assert returned.empty()
    go_on.set()
    other.close()
    assert returned.get() == 0
    peer.close()
    server.wait("close")


def test_a_handler_destroys_the_others_when_the_grace_is_over(net: Net) -> None:
    returned: Queue[Any] = Queue()
    kept = Event()

    def handler(sock: gnet.Socket) -> None:
        if sock.recv(4) == b"stop":
            returned.put(sock.server.shutdown(0.05))
            sock.sendall(b"x")
        else:
            kept.wait()

    server = net.server(handler, end_on_return=True)
    other, peer = net.peer(server), net.peer(server)
    other.sendall(b"work")
    net.turns()
    peer.sendall(b"stop")
    assert returned.get() == 1
    assert receive_all(peer) == b"x"
    peer.close()
    server.wait("close")
    kept.set()


def test_who_is_outside_waits_for_those_that_shut_down_themselves(net: Net) -> None:
    go_on = Event()

    def handler(sock: gnet.Socket) -> None:
        sock.recv(4)
        sock.server.shutdown()
        go_on.wait()

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    peer.sendall(b"stop")
    net.turns()
    outside = net.start(server.shutdown)
    net.turns()
    assert not outside.ready()
    go_on.set()
    peer.close()
    assert outside.get() == 0


# -- gnet.run() behind a shutdown that has forced ----------


@pytest.mark.parametrize("style", ["handler", "connection", "data"])
def test_run_does_not_wait_for_those_whose_connections_were_destroyed(
    net: Net, style: str
) -> None:
    never, began = Event(), Event()

    def block(*args: Any) -> None:
        began.set()
        never.wait()

    def connected(sock: gnet.Socket) -> None:
        sock.on("data", block)

    handled = style == "handler"
    server = net.server(connected if style == "data" else block, end_on_return=handled)
    peer = net.peer(server)
    peer.sendall(b"x")
    began.wait()
    # Something else holds the loop: run() would not end by itself.
    with gevent.get_hub().loop.timer(LATER) as other:
        other.start(lambda: None)
        assert not gnet.run(0.05)
        assert server.shutdown(0) == 1
        assert gnet.run(5)
    never.set()
    net.turns()
    # Whoever has returned by now is counted once: the next server is waited for.
    server.listen(*net.place())
    assert not gnet.run(0.05)
    server.close()
    assert gnet.run(5)


def test_run_waits_for_a_handler_whose_connection_ended_otherwise(net: Net) -> None:
    go_on, began = Event(), Event()

    def handler(sock: gnet.Socket) -> None:
        sock.destroy()
        began.set()
        go_on.wait()

    server = net.server(handler, end_on_return=True)
    net.peer(server)
    began.wait()
    assert server.shutdown(0) == 0
    running = net.start(gnet.run)
    net.turns()
    assert not running.ready()
    go_on.set()
    assert running.get() is True
