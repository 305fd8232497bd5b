"""A connection that fails between two blocking calls keeps its descriptor.

Connection pools ask a descriptor whether it is still good: with ``select``, before they use it.
"""

from __future__ import annotations

import errno
import gc
import os
import select
from contextlib import suppress

import gevent
import pytest
from gevent import monkey
from gevent.event import AsyncResult

import gnet
from tests.helpers import forks
from tests.helpers.checks import catch
from tests.helpers.counts import descriptors
from tests.helpers.servers import closing, place_of_raw, raw_listener, raw_peer, send_reset
from tests.net.conftest import Net

# The one of gevent's, where it is patched in, would switch.
plain_select = monkey.get_original("select", "select")


def failed(sock: gnet.Socket) -> None:
    """Block until the socket has closed."""
    if not sock.closed:
        closed = AsyncResult()
        sock.once("close", closed.set)
        closed.get()


def used(net: Net) -> gnet.Socket:
    """A socket that blocking calls were made on, and whose peer has reset while it was idle."""
    sock, peer = net.connected()
    peer.sendall(b"answer")
    assert sock.recv() == b"answer"
    net.reset(sock, peer)
    failed(sock)
    return sock


def test_it_is_ready_for_whoever_asks(net: Net) -> None:
    sock = used(net)
    fd = sock.fileno()
    assert fd >= 0
    assert plain_select([sock], [], [], 0)[0] == [sock]
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        assert poll.poll(0)
    sock.close()
    assert sock.fileno() == -1
    with pytest.raises(OSError):
        os.fstat(fd)


@pytest.mark.parametrize("end", ["close", "destroy", "detach", "connect", "del"])
def test_nothing_of_it_is_left(end: str, net: Net) -> None:
    listener = net.listening_peer()
    sock = used(net)
    before = descriptors()
    fd = sock.fileno()
    assert fd in before
    if end == "detach":
        assert sock.detach() == fd
        forks.close(fd)
    elif end == "connect":
        sock.connect(*net.target(listener))
        with sock:
            assert sock.ready_state == "open"
        sock.destroy()
        failed(sock)
    elif end == "del":
        net._made.remove(sock)
        del sock
        gc.collect()
    else:
        getattr(sock, end)()
    after = descriptors()
    assert fd not in after or after[fd] != before[fd]


def test_its_calls_raise_what_it_failed_with(tcp: Net) -> None:
    sock = used(tcp)
    for call in sock.recv, lambda: sock.sendall(b"x"), sock.getpeername:
        with pytest.raises(ConnectionResetError):
            call()
        # Whoever knows of the error need not ask any more.
        assert sock.fileno() == -1
    sock.close()


def test_one_that_fails_under_a_call_is_closed_at_once(net: Net) -> None:
    sock, peer = net.connected()
    reading = gevent.spawn(catch, sock.recv)
    gevent.sleep(0)
    net.reset(sock, peer)
    assert isinstance(reading.get(), ConnectionResetError)
    assert sock.fileno() == -1


def test_in_event_style_the_descriptor_goes_with_the_connection() -> None:
    with raw_peer() as (client, peer):
        client.on("error", lambda error: None)
        client.on("data", lambda chunk: None)
        send_reset(peer)
        failed(client)
        assert client.fileno() == -1


def test_what_is_destroyed_is_gone_at_once() -> None:
    with raw_peer() as (client, _):
        reading = gevent.spawn(catch, client.recv)
        gevent.sleep(0)
        client.destroy()
        assert client.fileno() == -1
        assert getattr(reading.get(), "errno", None) == errno.EBADF


def test_a_deadlines_connection_is_closed_for_the_peer_as_well() -> None:
    with raw_listener() as listener:
        client = gnet.connect(*place_of_raw(listener), lifetime=0.05)
        peer, _ = listener.accept()
        with closing(client), peer:
            with pytest.raises(TimeoutError):
                client.recv()
            assert client.fileno() == -1
            assert peer.recv(1) == b""


def test_a_handlers_connection_is_closed_when_the_handler_fails() -> None:
    arrived: AsyncResult[gnet.Socket] = AsyncResult()

    def handler(sock: gnet.Socket) -> None:
        arrived.set(sock)
        sock.wait("end")

    with gnet.create_server(handler, end_on_return=True).listen(0, "127.0.0.1") as server:
        peer = gevent.socket.create_connection(("127.0.0.1", server.address().port))
        sock = arrived.get()
        send_reset(peer)
        failed(sock)
        assert sock.fileno() == -1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
def test_a_child_has_nothing_of_it(tcp: Net) -> None:
    sock = used(tcp)
    fd = sock.fileno()
    here = os.fstat(fd)

    def in_the_child() -> bool:
        # The loop of the child's own may have got the number.
        with suppress(OSError):
            if os.path.samestat(os.fstat(fd), here):
                return False
        return sock.fileno() == -1

    assert forks.Child(in_the_child, forks.fork).result()
    sock.close()
