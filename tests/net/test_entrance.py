"""A server's entrance: a stage that takes its time, whatever it is about."""

from __future__ import annotations

from typing import Any

import pytest
from gevent import socket
from gevent.queue import Queue

import gnet
from gnet._server.entrance import Entrant, Stage, Step
from gnet._transport.protocol import READ
from tests.helpers.servers import counted_addresses, receive_all
from tests.net.conftest import Net

PATIENCE = 0.05


class Password(Stage):
    """Lets those in who say one letter; the next one is asked at once."""

    __slots__ = ("seconds",)

    reason = "password"

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds

    def enter(self, entrant: Entrant) -> Step:
        return _Asking(entrant, self.reason, self.seconds)


class _Asking(Step):
    __slots__ = ("_watcher",)

    def __init__(self, entrant: Entrant, reason: str, seconds: float | None) -> None:
        super().__init__(entrant, reason)
        self._watcher: Any = entrant.wire.watch(entrant.entrance.loop.loop, READ)
        self._watcher.start(self._look)
        if seconds is not None:
            entrant.limit(seconds)

    def stop(self) -> None:
        self._watcher.close()

    def _look(self) -> None:
        if self.entrant.wire.recv(1) == b"y":
            self.entrant.go_on()
        else:
            self.entrant.drop(self.reason)


class Guarded:
    """A server that asks for passwords, last of all."""

    def __init__(self, net: Net, *stages: Stage, **options: Any) -> None:
        self.net = net
        self.arrived: Queue[gnet.Socket] = Queue()
        self.dropped: Queue[gnet.DropInfo] = Queue()
        self.server = net.server(self.arrived.put, **options)
        self.server.on("drop", self.dropped.put)
        entrance = self.server._entrance
        entrance.arrange([*entrance.stages, *stages])

    def waiting(self) -> socket.socket:
        """A connection in the entrance."""
        before = len(self.server._entrance.waiting)
        peer = self.net.peer(self.server)
        while len(self.server._entrance.waiting) == before:
            self.net.turns()
        return peer


def test_a_stage_may_take_its_time_and_the_next_one_too(net: Net) -> None:
    guarded = Guarded(net, Password(), Password())
    peer = guarded.waiting()
    for letter in (b"y", b"y"):
        net.turns()
        assert guarded.server.connections == frozenset()
        peer.sendall(letter)
    peer.sendall(b"hello")
    sock = guarded.arrived.get()
    assert sock.recv() == b"hello"
    assert not guarded.server._entrance.waiting


def test_a_stage_may_drop_with_its_reason(net: Net) -> None:
    guarded = Guarded(net, Password(), Password())
    peer = guarded.waiting()
    peer.sendall(b"yn")
    assert receive_all(peer) == b""
    assert guarded.dropped.get().reason == "password"
    assert guarded.arrived.empty()


def test_a_stage_has_a_deadline(net: Net) -> None:
    guarded = Guarded(net, Password(), Password(PATIENCE))
    peer = guarded.waiting()
    peer.sendall(b"y")
    assert receive_all(peer) == b""
    assert guarded.dropped.get().reason == "password"


def test_a_deadline_ends_with_its_stage(net: Net) -> None:
    # So long that a busy machine has both in the entrance before it is over.
    guarded = Guarded(net, Password(1), Password())
    peer, other = guarded.waiting(), guarded.waiting()
    peer.sendall(b"y")
    # The deadline of who came later is over, so that of the first one would be, too.
    assert receive_all(other) == b""
    guarded.dropped.get()
    peer.sendall(b"y")
    guarded.arrived.get()


@pytest.mark.parametrize("call", ["close", "shutdown"])
def test_the_end_of_the_server_ends_what_is_in_the_entrance(net: Net, call: str) -> None:
    guarded = Guarded(net, Password(), Password())
    peers = [guarded.waiting(), guarded.waiting()]
    peers[0].sendall(b"y")
    net.turns()
    getattr(guarded.server, call)()
    guarded.server.wait_closed()
    for peer in peers:
        assert receive_all(peer) == b""
        assert guarded.dropped.get().reason == "password"
    assert not guarded.server._entrance.waiting


def test_what_is_in_the_entrance_counts_for_the_limits(tcp: Net) -> None:
    guarded = Guarded(tcp, Password(), max_connections=2, max_connections_per_address=1)
    peer = guarded.waiting()
    assert guarded.server.get_connections() == 0
    other = tcp.peer(guarded.server)
    assert receive_all(other) == b""
    assert guarded.dropped.get().reason == "per_address"
    peer.sendall(b"n")
    assert receive_all(peer) == b""
    assert guarded.dropped.get().reason == "password"
    # One that has gone from the entrance counts no more, nor does one that was in and has closed.
    for _ in range(2):
        assert counted_addresses(guarded.server) == 0
        peer = guarded.waiting()
        peer.sendall(b"y")
        sock = guarded.arrived.get()
        assert counted_addresses(guarded.server) == 1
        sock.destroy()
        tcp.closed(sock)


def test_a_full_entrance_is_a_full_server(net: Net) -> None:
    guarded = Guarded(net, Password(), max_connections=1)
    guarded.waiting()
    assert receive_all(net.peer(guarded.server)) == b""
    assert guarded.dropped.get().reason == "max_connections"


def test_a_stage_may_put_another_wire_in_the_place_of_the_first(net: Net) -> None:
    class Exchange(Stage):
        def enter(self, entrant: Entrant) -> None:
            former, entrant.wire = entrant.wire, entrant.wire.duplicate()
            former.close()

    guarded = Guarded(net, Exchange(), Password())
    peer = guarded.waiting()
    peer.sendall(b"yhello")
    assert guarded.arrived.get().recv() == b"hello"


def test_a_stage_that_raises_costs_that_connection_alone(
    net: Net, hub_errors: list[BaseException]
) -> None:
    class Broken(Stage):
        def enter(self, entrant: Entrant) -> None:
            if not hub_errors:
                raise ZeroDivisionError

    guarded = Guarded(net, Broken())
    assert receive_all(net.peer(guarded.server)) == b""
    net.peer(guarded.server)
    guarded.arrived.get()
    assert [type(each) for each in hub_errors] == [ZeroDivisionError]
    hub_errors.clear()
