"""Too little memory: the call or its connection fails with that, and no byte is lost unheard."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import receive_all
from tests.net.conftest import Net

resource = pytest.importorskip("resource")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux' limit")

# Some arenas of the interpreter's, of a megabyte each: the test has small objects, too.
ROOM = 1 << 22
# What there is no room for, however much was freed before; nobody touches most of it.
MUCH = 1 << 33


@contextmanager
def little_memory() -> Iterator[None]:
    """No more memory than this process has, and a little."""
    with open("/proc/self/statm") as sizes:
        pages = int(sizes.read().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


READS: dict[str, Callable[[gnet.Socket], Any]] = {
    "recv": lambda sock: sock.recv(2**31 - 1),
    "recvmsg": lambda sock: sock.recvmsg(2**31 - 1),
    "makefile": lambda sock: sock.makefile("rb").read(2**31 - 1),
    "raw": lambda sock: sock.makefile("rb", 0).read(2**31 - 1),
    "text": lambda sock: sock.makefile("r", encoding="ascii").buffer.read(2**31 - 1),
}


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("read", READS)
def test_a_read_that_there_is_no_room_for(net: Net, read: str, waits: bool) -> None:
    sock, peer = net.accepted()
    if not waits:
        peer.sendall(b"hello ")
        net.turns()

    def fails() -> None:
        with pytest.raises(MemoryError):
            READS[read](sock)

    with little_memory():
        reader = net.start(fails)
        if waits:
            net.turns()
            peer.sendall(b"hello ")
        reader.get()
    # It is the call's alone: the bytes are there still, and the connection goes on.
    peer.sendall(b"world")
    peer.close()
    assert b"".join(sock) == b"hello world"


def test_a_message_of_which_a_part_is_sent_ends_its_connection(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted()
    other, other_peer = net.accepted()
    sock.on("error", errored := must_call())
    data = memoryview(mmap.mmap(-1, MUCH))
    with little_memory():
        sock.write(data, callback=(called := must_call()))
    (error,) = errored.wait()
    assert isinstance(error, MemoryError)
    assert called.wait() == (error,)
    assert net.closed(sock) is True
    other.end(b"hello")
    assert receive_all(other_peer) == b"hello"


def test_a_message_of_which_nothing_is_sent_is_refused_alone(net: Net) -> None:
    sock, peer = net.accepted()
    sock.cork()
    sock.write(b"hello ")
    data = memoryview(mmap.mmap(-1, MUCH))
    with little_memory(), pytest.raises(MemoryError):
        sock.write(data)
    assert sock.bytes_written == len(b"hello ")
    sock.end(b"world")
    assert receive_all(peer) == b"hello world"


def test_the_rest_of_an_interrupted_sendall(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted()
    sock.on("error", errored := must_call())
    data = memoryview(mmap.mmap(-1, MUCH))
    with little_memory(), pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        sock.sendall(data)
    (error,) = errored.wait()
    assert isinstance(error, MemoryError)
    assert net.closed(sock) is True


# A bytearray of so much that grows takes an eighth more, which is twice the room.
AHEAD = 1 << 26


@pytest.mark.parametrize("way", ["ahead", "back"])
def test_what_was_received_and_cannot_be_kept_ends_its_connection(
    net: Net, way: str, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    sock.on("error", errored := must_call())
    file = sock.makefile("rb")
    sock._put_back(bytes(AHEAD))
    peer.sendall(b"hello")
    with little_memory(), pytest.raises(MemoryError):
        if way == "ahead":
            file.read(AHEAD + 5)
        else:
            file.give_back(b"hello")
    (error,) = errored.wait()
    assert isinstance(error, MemoryError)
    # Whoever reads on hears that there is a hole.
    with pytest.raises(MemoryError):
        file.read(AHEAD + 5)


def test_a_flow_without_memory_ends_and_the_others_go_on(
    net: Net, monkeypatch: pytest.MonkeyPatch, must_call: Calls
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = net.server(arrived.put)
    peers = [net.peer(server) for _ in range(2)]
    first, second = arrived.get(), arrived.get()

    def no_room(view: Any) -> None:
        raise MemoryError

    first.on("error", errored := must_call())
    first.on("data", no_room)
    second.on("data", second.end)
    for peer in peers:
        peer.sendall(b"hello")
    (error,) = errored.wait()
    assert isinstance(error, MemoryError)
    assert receive_all(peers[1]) == b"hello"
