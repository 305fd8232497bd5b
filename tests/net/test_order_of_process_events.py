"""The events of a whole process come in the order of what they tell."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
import zope.event
from gevent.event import Event

import gnet
from gnet import events
from tests.net.conftest import Net


@pytest.fixture
def published() -> list[Any]:
    """The names of the published events, and whatever a test adds."""
    seen: list[Any] = []
    zope.event.subscribers.append(
        lambda event: (
            seen.append(type(event).__name__)
            if not isinstance(event, events.LookupFinished)
            else 0
        )
    )
    return seen


def test_opened_comes_ahead_of_connect_and_closed_behind_opened(
    net: Net, published: list[Any]
) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener, lambda: published.append("connect"))
    sock.on("connect", sock.destroy)
    net.closed(sock)
    gevent.sleep(0)
    assert published == ["ConnectionOpened", "connect", "ConnectionClosed"]


def test_a_connect_listener_may_block(net: Net, published: list[Any]) -> None:
    go_on = Event()
    sock = net.connect(net.listening_peer())

    def session() -> None:
        go_on.wait()
        published.append("session")
        sock.destroy()

    sock.on("connect", session)
    while not published:
        net.turns()
    assert published == ["ConnectionOpened"]
    go_on.set()
    net.closed(sock)
    gevent.sleep(0)
    assert published == ["ConnectionOpened", "session", "ConnectionClosed"]


def test_a_socket_destroyed_ahead_of_connect_publishes_both_or_neither(
    net: Net, published: list[Any]
) -> None:
    with net.connect(net.listening_peer()) as sock:
        sock.destroy()
    gevent.sleep(0)
    assert published == ["ConnectionOpened", "ConnectionClosed"]
    published.clear()
    if net.is_tcp:
        sock = net.connect(net.listening_peer())
        sock.reset_and_destroy()
        net.closed(sock)
        gevent.sleep(0)
        assert published == ["ConnectionOpened", "ConnectionClosed"]


def test_a_server_is_told_of_ahead_of_all_that_is_its_own(net: Net, published: list[Any]) -> None:
    server = gnet.Server(lambda sock: published.append("connection"))
    go_on = Event()
    server.on("listening", lambda: (published.append("listening"), go_on.wait()))
    server.listen(*net.place())
    peer = net.peer(server)
    while "connection" not in published:
        net.turns()
    go_on.set()
    peer.close()
    server.close()
    server.wait("close")
    gevent.sleep(0)
    assert published == [
        "ServerListening",
        "listening",
        "ConnectionAccepted",
        "connection",
        "ConnectionClosed",
        "ServerClosed",
    ]


def test_a_listening_listener_that_closes_comes_between(net: Net, published: list[Any]) -> None:
    server = gnet.Server()
    server.on("listening", server.close)
    server.listen(*net.place())
    server.wait("close")
    gevent.sleep(0)
    assert published == ["ServerListening", "ServerClosed"]


def test_a_server_that_listens_again_in_close_has_closed_before(
    net: Net, published: list[Any]
) -> None:
    server = net.server()
    server.once("close", lambda: server.listen(*net.place()))
    server.close()
    server.wait("close")
    net.turns()
    assert published == ["ServerListening", "ServerClosed", "ServerListening"]
    server.close()
    server.wait("close")
