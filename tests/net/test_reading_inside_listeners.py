"""A listener of the stream may read the stream itself, pause it and block: nothing gets lost,
nothing comes out of order, nobody is deaf afterwards, and no processor time is used meanwhile.
"""

from __future__ import annotations

import socket as std_socket
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import send_end
from tests.net.conftest import Net, Peer

Read = Callable[[gnet.Socket], bytes]


def exactly(sock: gnet.Socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += sock.recv(size - len(data))
    return data


def recv(sock: gnet.Socket) -> bytes:
    return exactly(sock, 4)


def recv_into(sock: gnet.Socket) -> bytes:
    buffer = bytearray(4)
    count = 0
    while count < 4:
        count += sock.recv_into(memoryview(buffer)[count:])
    return bytes(buffer)


def recv_all(sock: gnet.Socket) -> bytes:
    return sock.recv(4, std_socket.MSG_WAITALL)


def recv_all_into(sock: gnet.Socket) -> bytes:
    buffer = bytearray(4)
    assert sock.recv_into(buffer, 0, std_socket.MSG_WAITALL) == 4
    return bytes(buffer)


def file_read(sock: gnet.Socket) -> bytes:
    with sock.makefile("rb") as file:
        return bytes(file.read(4))


def unbuffered_read(sock: gnet.Socket) -> bytes:
    with sock.makefile("rb", 0) as file:
        data = b""
        while len(data) < 4:
            data += file.read(4 - len(data))
        return data


def iteration(sock: gnet.Socket) -> bytes:
    # The peer sends no more than this before it has an answer.
    data = b""
    for chunk in sock:
        data += chunk
        if len(data) == 4:
            break
    return data


READS: list[Read] = [
    recv, recv_into, recv_all, recv_all_into, file_read, unbuffered_read, iteration,
]  # fmt: skip


class Pausing:
    """How a listener gets the stream for itself, and gives it back."""

    @staticmethod
    def not_at_all(sock: gnet.Socket, listener: Any, read: Read) -> bytes:
        return read(sock)

    @staticmethod
    def pause_and_resume(sock: gnet.Socket, listener: Any, read: Read) -> bytes:
        sock.pause()
        data = read(sock)
        sock.resume()
        return data

    @staticmethod
    def off_and_on(sock: gnet.Socket, listener: Any, read: Read) -> bytes:
        sock.off("data", listener)
        data = read(sock)
        sock.on("data", listener)
        return data


PAUSINGS = [Pausing.not_at_all, Pausing.pause_and_resume, Pausing.off_and_on]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("pausing", PAUSINGS)
def test_what_a_listener_reads_is_not_emitted_and_what_follows_is(
    net: Net, pausing: Any, read: Read, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    messages: Queue[bytes] = Queue()

    def head(data: bytes) -> None:
        messages.put(data + pausing(sock, head, read))

    sock.on("data", head)
    sock.on("end", must_call())
    for number in range(3):
        peer.sendall(b"len%d" % number)
        net.turns()
        peer.sendall(b"bo")
        net.turns()
        peer.sendall(b"dy")
        assert messages.get() == b"len%dbody" % number
    send_end(peer)
    must_call.wait()
    # The event style's rule: the listener's end is answered.
    assert peer.recv(1) == b""


@pytest.mark.parametrize("read", READS)
def test_a_once_listener_reads_on(net: Net, read: Read) -> None:
    sock, peer = net.accepted()
    messages: Queue[bytes] = Queue()
    sock.once("data", lambda data: messages.put(data + read(sock)))
    peer.sendall(b"head")
    net.turns()
    peer.sendall(b"body")
    assert messages.get() == b"headbody"
    sock.once("data", messages.put)
    peer.sendall(b"more")
    assert messages.get() == b"more"


def test_what_a_file_has_read_ahead_in_a_listener_is_emitted_next(net: Net) -> None:
    sock, peer = net.accepted()
    chunks: Queue[Any] = Queue()
    files = []

    def first(data: bytes) -> None:
        file = sock.makefile("rb")
        files.append(file)
        chunks.put((data, file.readline()))
        sock.on("data", chunks.put)

    sock.once("data", first)
    peer.sendall(b"x")
    net.turns()
    peer.sendall(b"line\nand what stands behind it")
    assert chunks.get() == (b"x", b"line\n")
    assert chunks.get() == b"and what stands behind it"
    files[0].close()


def test_an_end_that_a_listener_reads_is_emitted_when_it_has_returned(net: Net) -> None:
    sock, peer = net.accepted()
    order: list[Any] = []
    go_on = Event()

    def data(chunk: bytes) -> None:
        order.append(chunk)
        order.append(sock.recv())
        sock.write(b"answer")
        go_on.wait()
        order.append("returned")

    sock.on("data", data)
    sock.on("end", lambda: order.append("end"))
    peer.sendall(b"question")
    net.turns()
    send_end(peer)
    assert peer.recv(100) == b"answer"
    net.turns()
    assert order == [b"question", b""]
    go_on.set()
    assert peer.recv(100) == b""
    assert order == [b"question", b"", "returned", "end"]


def test_an_end_that_another_greenlet_reads_waits_for_the_listener_as_well(net: Net) -> None:
    sock, peer = net.accepted()
    order: list[Any] = []

    def data(chunk: bytes) -> None:
        sock.pause()
        gevent.spawn(lambda: order.append(sock.recv())).join()
        net.turns()
        order.append("returned")

    sock.on("data", data)
    sock.on("end", lambda: order.append("end"))
    peer.sendall(b"question")
    send_end(peer)
    sock.wait("end")
    assert order == [b"", "returned", "end"]


def test_a_listener_writes_with_every_call(net: Net) -> None:
    sock, peer = net.accepted()

    def data(chunk: bytes) -> None:
        sock.write(b"write ")
        sock.sendall(b"sendall ")
        sock.send(b"send ")
        with sock.makefile("wb") as file:
            file.write(b"file")

    sock.on("data", data)
    peer.sendall(b"x")
    with peer.makefile("rb") as file:
        assert file.read(23) == b"write sendall send file"


@pytest.mark.parametrize("event", ["data", "end"])
def test_waiting_for_the_stream_inside_its_listener_is_an_error(
    net: Net, event: str, must_call: Calls
) -> None:
    sock, peer = net.accepted()

    def data(chunk: bytes) -> None:
        with pytest.raises(RuntimeError, match="for ever"):
            sock.wait(event)

    sock.on("data", must_call(data))
    peer.sendall(b"x")
    must_call.wait()


def test_closing_in_a_listener_discards_what_stands_behind(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    chunks: list[bytes] = []

    def data(chunk: bytes) -> None:
        chunks.append(chunk)
        sock.close()

    sock.pause()
    sock.on("data", data)
    # More than one read takes.
    sender = tcp.start(peer.sendall, bytes(2_000_000))
    tcp.turns(20)
    sock.resume()
    sender.join()
    send_end(peer)
    tcp.closed(sock)
    assert len(chunks) == 1


def test_close_with_a_blocked_reader_discards_what_arrives(tcp: Net) -> None:
    """A reset would take the last words away from a peer that is still sending."""
    sock, peer = tcp.accepted()
    reader = tcp.start(sock.recv)
    sock.write(b"last words")
    sock.close()
    assert isinstance(reader.get(), gnet.errors.SocketClosedError)
    peer.sendall(bytes(1_000_000))
    send_end(peer)
    assert tcp.closed(sock) is False
    assert peer.recv(100) == b"last words"
    assert peer.recv(100) == b""


def test_close_while_a_listener_blocks_is_followed_by_no_end(net: Net) -> None:
    """What stands before the end is thrown away, and 'end' would say that it has come."""
    sock, peer = net.accepted()
    seen: list[str] = []
    blocked = Event()
    go_on = Event()

    def data(chunk: bytes) -> None:
        blocked.set()
        go_on.wait()

    sock.on("data", data)
    sock.on("end", lambda: seen.append("end"))
    # Something is still to be sent, so that the connection stays.
    sock.write(bytes(10_000_000))
    peer.sendall(b"had")
    blocked.wait()
    peer.sendall(b"thrown away")
    send_end(peer)
    sock.close()
    net.turns()
    go_on.set()
    net.turns()
    while peer.recv(1 << 20):
        pass
    assert net.closed(sock) is False
    assert seen == []


# -- nothing spins ----------------------------------------------------------------------------


def times_fired(net: Net, sock: gnet.Socket) -> int:
    """How often the loop finds something to read there, in so many turns."""
    if not sock._watching:
        return 0
    fired = []
    watcher = sock._read_watcher
    callback = watcher.callback

    def fire(*args: Any) -> None:
        fired.append(args)
        callback(*args)

    watcher.callback = fire
    net.turns(20)
    return len(fired)


def send_more(net: Net, sock: gnet.Socket, peer: Peer) -> None:
    peer.sendall(b"more")


def send_more_and_end(net: Net, sock: gnet.Socket, peer: Peer) -> None:
    peer.sendall(b"more")
    send_end(peer)


def only_end(net: Net, sock: gnet.Socket, peer: Peer) -> None:
    send_end(peer)


@pytest.mark.parametrize("news", [send_more, send_more_and_end, only_end])
@pytest.mark.parametrize("state", ["on", "once", "paused", "off", "has_read", "piped"])
def test_a_listener_that_blocks_costs_nothing(net: Net, state: str, news: Any) -> None:
    sock, peer = net.accepted()
    go_on = Event()
    blocked = Event()
    rest: Queue[bytes] = Queue()

    def data(chunk: bytes) -> None:
        if blocked.is_set():
            rest.put(chunk)
            return
        if state == "paused":
            sock.pause()
        elif state == "off":
            sock.off("data", data)
        elif state == "has_read":
            with gevent.Timeout(0.001, False):
                sock.recv()
        blocked.set()
        go_on.wait()
        if state == "paused":
            sock.resume()
        elif state in ("off", "once"):
            sock.on("data", rest.put)

    if state == "once":
        sock.once("data", data)
    else:
        sock.on("data", data)
    if state == "piped":
        target, _ = net.connected()
        sock.pipe(target)
    peer.sendall(b"request")
    blocked.wait()
    news(net, sock, peer)
    net.turns()
    assert times_fired(net, sock) <= 1
    go_on.set()
    if news is not only_end:
        assert rest.get() == b"more"
    if news is not send_more:
        sock.wait("end")
