"""for sock in server: the connections, one after another, in blocking style."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import gevent
import pytest

import gnet
from tests.helpers.authority import client_context, server_context
from tests.helpers.servers import LOOPBACK, path_at, place_at, receive_all, serving


@pytest.fixture
def server() -> Iterator[gnet.Server]:
    with serving() as made:
        yield made


def dial(server: gnet.Server, text: bytes) -> gnet.Socket:
    """A client that sends some text and then ends."""
    client = gnet.connect(*place_at(server))
    client.end(text)
    return client


def test_each_connection_comes_once_and_in_order(server: gnet.Server) -> None:
    clients = []
    for number in range(3):
        clients.append(dial(server, b"%d" % number))
        clients[-1].wait("connect")
    texts = []
    for sock in server:
        with sock:
            assert isinstance(sock, gnet.Socket)
            texts.append(b"".join(sock))
            sock.sendall(b"ok")
        if len(texts) == 3:
            break
    assert texts == [b"0", b"1", b"2"]
    for client in clients:
        assert b"".join(client) == b"ok"


def test_a_step_waits_for_a_connection_that_is_still_to_come(server: gnet.Server) -> None:
    steps = iter(server)
    waiting = gevent.spawn(next, steps)
    gevent.idle()
    assert not waiting.ready()
    client = gnet.connect(*place_at(server))
    with waiting.get() as sock, client:
        sock.sendall(b"hello")
        assert client.recv() == b"hello"


def test_it_ends_when_the_server_closes_behind_those_that_have_come(server: gnet.Server) -> None:
    client = dial(server, b"early")
    client.wait("connect")
    while not server.connections:
        gevent.sleep(0)
    server.close()
    texts = []
    for sock in server:
        with sock:
            texts.append(b"".join(sock))
    assert texts == [b"early"]
    client.destroy()


def test_closing_the_server_ends_a_step_that_waits(server: gnet.Server) -> None:
    loops = [gevent.spawn(list, server) for _ in range(2)]
    gevent.idle()
    server.close()
    assert [each.get() for each in loops] == [[], []]


def test_several_iterations_share_the_connections(server: gnet.Server) -> None:
    took: list[gnet.Socket] = []

    def take() -> None:
        took.extend(server)

    loops = [gevent.spawn(take) for _ in range(2)]
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(gnet.connect(*place_at(server)))
        while len(took) < 4:
            gevent.sleep(0)
        assert len(set(took)) == 4
        server.close()
        gevent.joinall(loops, raise_error=True)
        for sock in took:
            sock.close()


def test_an_interrupted_step_loses_no_connection(server: gnet.Server) -> None:
    steps = iter(server)
    with gevent.Timeout(0.02, False):
        next(steps)
    killed, other = gevent.spawn(next, steps), gevent.spawn(next, steps)
    gevent.idle()
    killed.kill()
    with gnet.connect(*place_at(server)), other.get() as sock:
        assert sock.ready_state == "open"


def test_no_more_than_the_backlog_are_accepted_before_the_first_step() -> None:
    server = gnet.Server()
    server.listen(*LOOPBACK, backlog=2)
    with ExitStack() as stack:
        stack.callback(server.shutdown, 0)
        clients = [dial(server, b"%d" % number) for number in range(4)]
        for client in clients:
            stack.callback(client.destroy)
            client.wait("connect")
        while len(server.connections) < 2:
            gevent.sleep(0)
        gevent.sleep(0.01)
        assert len(server.connections) == 2
        texts = set()
        for sock in server:
            with sock:
                texts.add(b"".join(sock))
            if len(texts) == 4:
                break
        assert texts == {b"0", b"1", b"2", b"3"}


def test_a_listener_that_comes_late_has_the_next_ones() -> None:
    server = gnet.Server()
    server.listen(*LOOPBACK, backlog=1)
    with ExitStack() as stack:
        stack.callback(server.shutdown, 0)
        first = gnet.connect(*place_at(server))
        stack.callback(first.destroy)
        while not server.connections:
            gevent.sleep(0)
        second = gnet.connect(*place_at(server))
        stack.callback(second.destroy)
        second.wait("connect")
        heard: list[gnet.Socket] = []
        server.on("connection", heard.append)
        (other,) = server.wait("connection", 5)
        assert heard == [other]


def test_a_peer_that_has_left_unread_is_still_answered(server: gnet.Server) -> None:
    steps = iter(server)
    client = dial(server, b"")
    client.wait("connect")
    while not server.connections:
        gevent.sleep(0)
    gevent.sleep(0.01)
    with next(steps) as sock:
        assert sock.recv() == b""
        sock.sendall(b"bye")
    assert b"".join(client) == b"bye"


def test_over_a_path_and_tls(tmp_path: Path) -> None:
    with serving(at=path_at(tmp_path), tls=server_context()) as server:
        client = gnet.connect(*place_at(server), tls=client_context(), server_hostname="localhost")
        loop = iter(server)
        with next(loop) as sock, client:
            assert sock.encrypted
            sock.sendall(b"secret")
            assert client.recv() == b"secret"


def test_one_that_the_program_forgets_is_closed(server: gnet.Server) -> None:
    client = gnet.connect(*place_at(server))
    with pytest.warns(ResourceWarning, match="unclosed"):
        next(iter(server))
        gc.collect()
        assert receive_all(client) == b""  # type: ignore[arg-type]
    client.destroy()


# -- where it is refused -------------------------------------------------------------------------


def test_a_server_that_never_listened_has_none() -> None:
    with pytest.raises(RuntimeError, match="listens") as caught:
        iter(gnet.Server())
    assert caught.value.code == "ERR_SERVER_NOT_RUNNING"  # type: ignore[attr-defined]


def test_beside_a_listener_it_is_an_error(server: gnet.Server) -> None:
    steps = iter(server)
    waiting = gevent.spawn(next, steps)
    gevent.idle()
    server.on("connection", lambda sock: sock.destroy())
    for call in (lambda: iter(server), lambda: next(steps)):
        with pytest.raises(RuntimeError) as caught:
            call()
        assert caught.value.code == "ERR_SERVER_HAS_LISTENER"  # type: ignore[attr-defined]
    waiting.kill()


def test_with_end_on_return_it_is_an_error() -> None:
    with serving(end_on_return=True) as server, pytest.raises(RuntimeError, match="end_on_return"):
        iter(server)


def test_on_a_closed_server_it_is_at_its_end(server: gnet.Server) -> None:
    server.close()
    assert list(server) == []
