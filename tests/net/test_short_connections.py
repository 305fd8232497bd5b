"""Connections that last for one message: read as they come in, and closed in few steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import AsyncResult, Event

import gnet
from tests.helpers.calls import Calls
from tests.helpers.turns import until

if TYPE_CHECKING:
    from tests.net.conftest import Net

ANSWER = b"answer" * 400_000


def spoken(net: Net, server: gnet.Server) -> Any:
    """A peer whose message, and end, are there before the server looks."""
    peer = net.peer(server)
    peer.sendall(b"question")
    peer.shutdown(1)
    return peer


def test_one_message_is_heard_and_its_connection_closes_once(net: Net, must_call: Calls) -> None:
    log: list[Any] = []
    closed = must_call(lambda had_error: log.append(had_error))

    def listen(sock: gnet.Socket) -> None:
        sock.on("data", log.append)
        sock.on("close", closed)

    server = net.server(listen)
    peer = spoken(net, server)
    assert peer.recv(1) == b""
    closed.wait()
    assert log == [b"question", False]
    until(lambda: not server.connections)


@pytest.mark.parametrize("style", ["listeners", "handler"])
def test_what_is_queued_at_the_peers_end_arrives_whole(net: Net, style: str) -> None:
    def listen(sock: gnet.Socket) -> None:
        sock.on("data", lambda chunk: sock.write(ANSWER))

    def handle(sock: gnet.Socket) -> None:
        while sock.recv():
            sock.write(ANSWER)

    handler = style == "handler"
    server = net.server(handle if handler else listen, end_on_return=handler)
    assert spoken(net, server).makefile("rb").read() == ANSWER


@pytest.mark.parametrize("event", ["end", "finish", "close"])
def test_a_listener_that_data_brings_hears_of_the_end(
    net: Net, must_call: Calls, event: str
) -> None:
    heard = must_call()
    server = net.server(
        lambda sock: sock.on("data", lambda chunk: sock.on(event, lambda *args: heard()))
    )
    assert spoken(net, server).recv(1) == b""
    heard.wait()


def test_a_connection_that_may_stay_half_open_does(net: Net) -> None:
    accepted: AsyncResult[gnet.Socket] = AsyncResult()

    def listen(sock: gnet.Socket) -> None:
        sock.on("data", lambda chunk: accepted.set(sock))

    server = net.server(listen, allow_half_open=True)
    peer = spoken(net, server)
    sock = accepted.get()
    net.turns()
    assert not sock.destroyed
    sock.end("late")
    assert peer.makefile("rb").read() == b"late"


def test_a_callback_of_the_end_is_called(net: Net, must_call: Calls) -> None:
    ended = must_call()
    server = net.server(lambda sock: sock.on("data", lambda chunk: sock.end(chunk, ended)))
    assert spoken(net, server).makefile("rb").read() == b"question"
    ended.wait()


def test_a_close_listener_that_raises_is_nobody_elses_matter(net: Net) -> None:
    class Oops(Exception):
        pass

    def listen(sock: gnet.Socket) -> None:
        sock.resume()

        @sock.on("close")
        def fail(had_error: bool) -> None:
            raise Oops

    hub = gevent.get_hub()
    reported: list[Any] = []
    before = hub.handle_error
    hub.handle_error = lambda context, *args: reported.append(args[0])
    try:
        server = net.server(listen)
        for _ in range(3):
            assert spoken(net, server).recv(1) == b""
        until(lambda: not server.connections and len(reported) == 3)
    finally:
        hub.handle_error = before
    assert reported == [Oops] * 3


@pytest.mark.parametrize("later", ["data", "recv", "pause"])
def test_what_has_come_waits_for_who_asks_later(net: Net, must_call: Calls, later: str) -> None:
    accepted: AsyncResult[gnet.Socket] = AsyncResult()

    def listen(sock: gnet.Socket) -> None:
        if later == "pause":
            sock.on("data", heard)
            sock.pause()
        accepted.set(sock)

    heard = must_call() if later != "recv" else None
    server = net.server(listen)
    peer = net.peer(server)
    peer.sendall(b"question")
    sock = net.keep(accepted.get())
    net.turns()
    if later == "recv":
        assert sock.recv() == b"question"
    elif later == "data":
        sock.on("data", heard)
    else:
        sock.resume()
    if heard is not None:
        assert heard.wait() == (b"question",)


def test_a_listener_that_blocks_holds_back_no_other_connection(net: Net) -> None:
    gate = Event()
    first = [True]

    def listen(sock: gnet.Socket) -> None:
        if first:
            first.clear()
            gate.wait()
        sock.on("data", sock.write)

    server = net.server(listen)
    slow, quick = net.peer(server), net.peer(server)
    slow.sendall(b"slow")
    quick.sendall(b"quick")
    assert quick.recv(5) == b"quick"
    gate.set()
    assert slow.recv(4) == b"slow"
