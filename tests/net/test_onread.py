"""The ``onread`` option, and what its callback may do to the buffer."""

from __future__ import annotations

import array
from typing import Any

import pytest
from gevent.event import AsyncResult
from gevent.queue import Queue

import gnet
from tests.helpers.servers import send_end
from tests.net.conftest import Net


def nothing(size: int, buffer: Any) -> None:
    pass


@pytest.mark.parametrize(
    "buffer",
    [memoryview(bytearray(10))[::2], memoryview(bytearray(10))[::-1], b"bytes", "text", 5, None],
)
def test_a_buffer_that_cannot_be_read_into_is_refused(buffer: Any) -> None:
    with pytest.raises(TypeError, match="contiguous"):
        gnet.OnRead(buffer, nothing)


@pytest.mark.parametrize("buffer", [memoryview(bytearray(10))[::2], b"bytes"])
def test_such_a_buffer_is_refused_by_recv_into(net: Net, buffer: Any) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"data")
    with pytest.raises(TypeError, match="contiguous"):
        sock.recv_into(buffer)
    assert sock.recv() == b"data"


@pytest.mark.parametrize("bad", [memoryview(bytearray(10))[::2], b"bytes", bytearray()])
def test_such_a_buffer_of_a_functions_is_the_connections_error(net: Net, bad: Any) -> None:
    sock, peer = net.connected(onread=gnet.OnRead(lambda: bad, nothing))
    errors: Queue[Any] = Queue()
    sock.on("error", errors.put)
    peer.sendall(b"data")
    assert isinstance(errors.get(), (TypeError, ValueError))
    assert net.closed(sock) is True


@pytest.mark.parametrize("buffer", [array.array("i", [0] * 4), memoryview(bytearray(16))[2:14]])
def test_any_contiguous_buffer_is_read_into(net: Net, buffer: Any) -> None:
    chunks: Queue[bytes] = Queue()

    def received(size: int, given: Any) -> None:
        assert given is buffer
        chunks.put(memoryview(given).cast("B")[:size].tobytes())

    _, peer = net.connected(onread=gnet.OnRead(buffer, received))
    peer.sendall(b"hello")
    assert chunks.get() == b"hello"


@pytest.mark.parametrize("inside", [True, False])
def test_a_buffer_that_is_read_into_cannot_be_shortened(net: Net, inside: bool) -> None:
    """It would pass for the end of the stream."""
    buffer = bytearray(8)
    chunks: Queue[bytes] = Queue()

    def received(size: int, given: bytearray) -> None:
        chunks.put(bytes(given[:size]))
        if inside:
            given.clear()

    sock, peer = net.connected(onread=gnet.OnRead(buffer, received))
    errors: Queue[Any] = Queue()
    ended: list[str] = []
    sock.on("error", errors.put).on("end", lambda: ended.append("end"))
    peer.sendall(b"hello")
    assert chunks.get() == b"hello"
    if inside:
        assert isinstance(errors.get(), BufferError)
        assert net.closed(sock) is True
    else:
        with pytest.raises(BufferError):
            buffer.clear()
        peer.sendall(b"world")
        assert chunks.get() == b"world"
    assert ended == []


def test_the_buffer_of_a_function_is_let_go_of_with_the_next_one(net: Net) -> None:
    buffers: list[bytearray] = []
    chunks: Queue[bytes] = Queue()

    def make() -> bytearray:
        for used in buffers:
            used[:] = bytes(len(used))
        buffers.append(bytearray(8))
        return buffers[-1]

    def received(size: int, given: bytearray) -> None:
        chunks.put(bytes(given[:size]))

    _, peer = net.connected(onread=gnet.OnRead(make, received))
    for number in range(3):
        peer.sendall(b"%d" % number)
        assert chunks.get() == b"%d" % number
    buffers[0].clear()


def test_a_callback_reads_itself_pauses_and_blocks(net: Net) -> None:
    chunks: Queue[bytes] = Queue()
    go_on: AsyncResult[None] = AsyncResult()

    def received(size: int, given: bytearray) -> bool:
        chunks.put(bytes(given[:size]) + sock.recv(4))
        go_on.get()
        return False

    sock, peer = net.connected(onread=gnet.OnRead(bytearray(4), received))
    peer.sendall(b"head")
    net.turns()
    peer.sendall(b"bodymore")
    assert chunks.get() == b"headbody"
    go_on.set()
    net.turns()
    assert sock.is_paused()
    sock.resume()
    peer.sendall(b"body")
    assert chunks.get() == b"morebody"
    sock.resume()
    send_end(peer)
    sock.wait("end")


def test_a_callback_that_raises_is_not_called_again(net: Net) -> None:
    calls: list[int] = []

    def received(size: int, given: bytearray) -> None:
        calls.append(size)
        raise ZeroDivisionError

    sock, peer = net.connected(onread=gnet.OnRead(bytearray(2), received))
    errors: Queue[Any] = Queue()
    sock.on("error", errors.put)
    peer.sendall(b"many bytes")
    assert isinstance(errors.get(), ZeroDivisionError)
    assert calls == [2]
