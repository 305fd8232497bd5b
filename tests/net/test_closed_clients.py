"""Clients that have closed, and whose peers end behind that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import AsyncResult

import gnet
from gnet._sight.living import living
from tests.helpers.calls import Calls
from tests.helpers.turns import until

if TYPE_CHECKING:
    from tests.net.conftest import Net


def left(net: Net, **options: Any) -> tuple[gnet.Socket, Any]:
    """A client that has closed its side, and its peer, which has not."""
    client, peer = net.connected(**options)
    client.sendall(b"question")
    client.close()
    assert peer.makefile("rb").read() == b"question"
    net.turns()
    assert not client.destroyed
    return client, peer


def test_it_closes_with_its_peer(net: Net) -> None:
    client, peer = left(net)
    peer.close()
    until(lambda: client.closed)
    assert client.wait("close") == (False,)
    # What it has not read, it has not heard the end of.
    assert not client.readable_ended
    with pytest.raises(OSError, match="closed"):
        client.wait("end")


def test_what_still_comes_is_thrown_away(net: Net) -> None:
    client, peer = left(net)
    peer.sendall(b"late" * 1000)
    net.turns()
    assert not client.destroyed
    peer.close()
    until(lambda: client.closed)
    assert client.bytes_read == 0


@pytest.mark.parametrize("event", ["finish", "close"])
def test_a_listener_that_comes_behind_the_close_hears_it(
    net: Net, must_call: Calls, event: str
) -> None:
    client, peer = net.connected()
    client.close()
    heard = must_call()
    client.on(event, lambda *args: heard())
    peer.close()
    heard.wait()
    until(lambda: client.closed)


def test_a_listener_of_its_close_may_block(net: Net) -> None:
    client, peer = left(net)
    slept: AsyncResult[bool] = AsyncResult()

    @client.on("close")
    def sleep(had_error: bool) -> None:
        gevent.sleep(0)
        slept.set(gevent.getcurrent() is not gevent.get_hub())

    peer.close()
    assert slept.get()


def test_its_place_among_the_living_is_free_when_it_has_closed(net: Net) -> None:
    before = gnet.stats()
    client, peer = left(net)
    assert client in living().sockets
    peer.close()
    until(lambda: client.closed)
    after = gnet.stats()
    assert client not in living().sockets
    assert after.closed - before.closed == 1
    assert after.bytes_out - before.bytes_out == len(b"question")


def test_many_that_connect_at_once_are_all_connected(net: Net) -> None:
    server = net.server(lambda sock: sock.on("data", sock.write))

    def ask(number: int) -> bytes:
        with net.connect(server) as client:
            client.sendall(bytes([number]))
            return client.recv()

    asking = [gevent.spawn(ask, number) for number in range(20)]
    assert [each.get() for each in asking] == [bytes([number]) for number in range(20)]


def test_one_that_is_killed_while_it_connects_holds_up_no_other(net: Net) -> None:
    server = net.server(lambda sock: sock.on("error", lambda error: None).end(b"welcome"))

    def ask() -> bytes:
        with net.connect(server) as client:
            return client.recv()

    asking = [gevent.spawn(ask) for _ in range(4)]
    # They are inside connect() now, all in the same turn of the loop.
    gevent.spawn(asking[1].kill).join()
    gevent.joinall(asking)
    assert isinstance(asking[1].value, gevent.GreenletExit)
    assert [each.value for each in (asking[0], *asking[2:])] == [b"welcome"] * 3
