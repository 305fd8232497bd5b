"""How often a server asks the kernel for connections."""

from __future__ import annotations

from typing import Any

import pytest
from gevent.queue import Queue

import gnet
from gnet._core import acceptor
from gnet._transport import stream_socket
from tests.net.conftest import Net


class Asked:
    """Counts what ``accept()`` gives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given = self.empty = 0
        asked = self

        class Counting(stream_socket.TcpWire):
            def accept_wire(self) -> Any:
                try:
                    made = super().accept_wire()
                except BlockingIOError:
                    asked.empty += 1
                    raise
                asked.given += 1
                return made

        monkeypatch.setattr(stream_socket, "_class_of", lambda family, proto: Counting)


def test_after_some_that_came_alone_a_second_one_is_seldom_looked_for(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    arrived: Queue[gnet.Socket] = Queue()
    server = net.server(arrived.put)
    count = 4 * acceptor.MAX_ALONE
    for _ in range(count):
        net.keep(net.peer(server))
        net.keep(arrived.get())
    assert asked.given == count
    # After one, three, seven, and then fifteen each.
    assert asked.empty <= 4 + count // acceptor.MAX_ALONE


def test_a_burst_behind_those_comes_in_whole(net: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = net.server(arrived.put)
    for _ in range(2 * acceptor.MAX_ALONE):
        net.keep(net.peer(server))
        net.keep(arrived.get())
    for _ in range(3 * acceptor.MAX_ALONE):
        net.keep(net.peer(server))
    for _ in range(3 * acceptor.MAX_ALONE):
        net.keep(arrived.get())
    assert len(server.connections) == 5 * acceptor.MAX_ALONE
