"""Greenlets that are blocked in reads go on one after another when their data has come in one turn
of the loop, whatever each of them does then to itself and to the others.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

import gnet
from tests.net.conftest import Net, Peer

READERS = 5


class Reader:
    """A connection, and a greenlet that is blocked in a read of it.

    :ivar got: what it has received.
    """

    def __init__(self, net: Net, then: Callable[[Reader], object] = lambda reader: None) -> None:
        self.sock, self.peer = net.accepted()
        self.got: list[bytes] = []
        self._then = then
        self.greenlet = net.start(self._run)

    def _run(self) -> None:
        while data := self.sock.recv():
            self.got.append(data)
            self._then(self)


def send(readers: list[Reader], data: bytes) -> None:
    """All of it is there before the loop looks."""
    for reader in readers:
        reader.peer.send(data)


def test_each_has_its_own(net: Net) -> None:
    readers = [Reader(net) for _ in range(READERS)]
    for data in (b"one", b"two", b"three"):
        send(readers, data)
        net.turns(5)
    assert [reader.got for reader in readers] == [[b"one", b"two", b"three"]] * READERS


def test_one_that_waits_elsewhere_holds_up_nobody(net: Net) -> None:
    go_on = Event()
    readers = [Reader(net, lambda reader: go_on.wait()), *(Reader(net) for _ in range(READERS))]
    send(readers, b"one")
    net.turns(5)
    assert [reader.got for reader in readers] == [[b"one"]] * (READERS + 1)
    send(readers, b"two")
    net.turns(5)
    assert [reader.got for reader in readers] == [[b"one"]] + [[b"one", b"two"]] * READERS
    go_on.set()
    net.turns(5)
    assert readers[0].got == [b"one", b"two"]


def test_one_that_ends_holds_up_nobody(net: Net) -> None:
    readers = [Reader(net, lambda reader: gevent.kill(reader.greenlet)) for _ in range(READERS)]
    send(readers, b"last")
    net.turns(5)
    assert [reader.got for reader in readers] == [[b"last"]] * READERS
    assert all(reader.greenlet.dead for reader in readers)


def test_one_may_be_closed_by_another_that_goes_on_first(net: Net) -> None:
    readers: list[Reader] = []

    def close_the_others(reader: Reader) -> None:
        for other in readers:
            if other is not reader:
                other.sock.destroy()

    readers += [Reader(net, close_the_others) for _ in range(READERS)]
    send(readers, b"data")
    net.turns(5)
    # Which one that is, the loop decides.
    assert sorted(reader.got for reader in readers) == [[]] * (READERS - 1) + [[b"data"]]
    for reader in readers:
        if not reader.got:
            assert type(reader.greenlet.get()) is gnet.errors.SocketClosedError


def test_one_that_is_interrupted_loses_nothing(net: Net) -> None:
    readers: list[Reader] = []
    readers.append(Reader(net, lambda reader: readers[1].greenlet.kill(block=False)))
    readers.append(Reader(net))
    send(readers, b"data")
    net.turns(5)
    # It had its turn in any case.
    assert readers[1].got == [b"data"]
    readers[1].greenlet.join()
    readers[1].peer.send(b"more")
    assert readers[1].sock.recv() == b"more"


def test_a_greenlet_that_dies_of_an_exception_holds_up_nobody(
    net: Net, hub_errors: list[Any]
) -> None:
    (sock, peer), others = net.accepted(), [Reader(net) for _ in range(READERS)]

    def fail() -> None:
        sock.recv()
        raise LookupError("of the test")

    # None of gevent's: its exception goes to the hub, wherever that is.
    gevent.spawn_raw(fail)
    gevent.sleep(0)
    peer.send(b"data")
    send(others, b"data")
    net.turns(5)
    assert [reader.got for reader in others] == [[b"data"]] * READERS
    assert [str(error) for error in hub_errors] == ["of the test"]
    hub_errors.clear()


class Told(gevent.Greenlet):  # type: ignore[type-arg]
    """gevent tells a greenlet that it is left, if its class wants that."""

    left = 0

    def switch_out(self) -> None:
        self.left += 1


def test_a_greenlet_is_told_that_it_is_left(net: Net) -> None:
    sock, peer = net.accepted()
    readers = [Reader(net)]
    told = Told(sock.recv)
    told.start()
    gevent.sleep(0)
    assert told.left == 1
    send(readers, b"data")
    peer.send(b"data")
    assert told.get() == b"data"
    assert readers[0].got == [b"data"]


def test_a_blocking_call_in_the_hub_is_refused(net: Net, hub_errors: list[Any]) -> None:
    sock, _ = net.accepted()
    gevent.get_hub().loop.run_callback(sock.recv)
    net.turns(5)
    assert [type(error).__mro__[1] for error in hub_errors] == [AssertionError]
    hub_errors.clear()


def test_a_connection_that_its_reader_drops_is_not_kept_by_the_others(net: Net) -> None:
    listener = net.listening_peer()
    dead: list[bool] = []
    peers: list[Peer] = []

    def read_and_drop() -> None:
        sock = gnet.connect(*net.target(listener))
        sock.wait("connect")
        peers.append(net.keep(listener.accept()[0]))
        sock.recv()
        sock.destroy()
        sock.wait("close")
        gone = weakref.ref(sock)
        del sock
        gc.collect()
        dead.append(gone() is None)

    greenlets = [gevent.spawn(read_and_drop) for _ in range(READERS)]
    net.turns(20)
    assert len(peers) == READERS
    for peer in peers:
        peer.send(b"data")
    gevent.joinall(greenlets, raise_error=True)
    assert dead == [True] * READERS


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 65536, 262143, 262144, 300_000])
@pytest.mark.parametrize("bufsize", [1, 5000, 262144, 1_000_000])
def test_a_chunk_is_as_it_was_received_whatever_comes_then(
    net: Net, size: int, bufsize: int
) -> None:
    sock, peer = net.accepted()
    pattern = bytes(range(251)) * (3 * size // 251 + 1)
    sent = pattern[:size] + pattern[1 : size + 1] + pattern[2 : size + 2]
    writer = gevent.spawn(peer.sendall, sent)
    chunks: list[bytes] = []
    count = 0
    # With one byte a call, the beginning tells enough.
    while count < min(3 * size, 2000 * bufsize):
        chunk = sock.recv(bufsize)
        assert 0 < len(chunk) <= bufsize
        chunks.append(chunk)
        count += len(chunk)
    assert b"".join(chunks) == sent[:count]
    sock.destroy()
    writer.kill()
