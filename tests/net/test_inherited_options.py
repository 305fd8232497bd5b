"""What a connection has from the socket that it was accepted from."""

from __future__ import annotations

import os
import socket
import sys

import pytest
from gevent.queue import Queue

import gnet
from tests.net.conftest import Net


def no_delay(sock: gnet.Socket) -> bool:
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@pytest.mark.parametrize("wanted", [False, True])
def test_each_connection_has_the_no_delay_of_its_server(tcp: Net, wanted: bool) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, no_delay=wanted)
    # The first of a class of sockets is made by Python, and the others are not.
    for _ in range(3):
        tcp.keep(tcp.peer(server))
        sock = tcp.keep(arrived.get())
        assert no_delay(sock) is wanted
        sock.set_no_delay(not wanted)
        assert no_delay(sock) is not wanted


def test_the_option_of_a_server_may_change_while_it_listens(tcp: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, no_delay=True)
    for wanted in (True, False, True):
        server.no_delay = wanted
        tcp.keep(tcp.peer(server))
        assert no_delay(tcp.keep(arrived.get())) is wanted


def test_a_listening_socket_of_somebody_elses_is_left_as_it_is(tcp: Net) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arrived: Queue[gnet.Socket] = Queue()
        server = gnet.create_server(arrived.put, no_delay=True)
        server.listen(fd=socket.dup(listener.fileno()))
        try:
            tcp.keep(tcp.peer(server))
            assert no_delay(tcp.keep(arrived.get()))
            assert not listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        finally:
            server.shutdown(0)


def test_what_was_accepted_is_a_socket_like_any_other(net: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = net.server(arrived.put)
    for _ in range(3):
        peer = net.keep(net.peer(server))
        sock = net.keep(arrived.get())
        assert sock.getpeername() == peer.getsockname()
        fd = sock.fileno()
        if sys.platform == "win32":
            assert not os.get_handle_inheritable(fd)
        else:
            assert not os.get_inheritable(fd)
            assert not os.get_blocking(fd)
        with socket.socket(fileno=socket.dup(fd)) as same:
            assert (same.family, same.type) == (peer.family, socket.SOCK_STREAM)
