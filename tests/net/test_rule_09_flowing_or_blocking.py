"""Rule 9: a socket flows, or is read by blocking calls; from one to the other no byte is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent import socket
from gevent.queue import Queue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gnet
from tests.helpers.calls import Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

SIZES = [1, 100, 65_536, 300_000]
READS = ["recv", "recv_into", "readline", "iter"]


def blocking_read(sock: gnet.Socket, call: str) -> Callable[[], Any]:
    reads: dict[str, Callable[[], Any]] = {
        "recv": sock.recv,
        "recv_into": lambda: sock.recv_into(bytearray(10)),
        "readline": lambda: sock.makefile("rb").readline(),
        "iter": lambda: next(iter(sock)),
    }
    return reads[call]


@pytest.mark.parametrize("call", READS)
def test_a_blocking_read_of_a_socket_with_a_data_listener_is_an_error(net: Net, call: str) -> None:
    sock, _ = net.accepted()
    sock.on("data", lambda chunk: None)
    with pytest.raises(RuntimeError, match=r"pause\(\).*listener"):
        blocking_read(sock, call)()
    assert not sock.destroyed


@pytest.mark.parametrize("call", READS)
def test_a_blocking_read_of_a_resumed_socket_is_an_error(net: Net, call: str) -> None:
    sock, _ = net.accepted()
    sock.resume()
    with pytest.raises(RuntimeError, match=r"pause\(\)"):
        blocking_read(sock, call)()


def test_a_blocking_read_of_a_piped_socket_is_an_error(net: Net) -> None:
    sock, _ = net.accepted()
    sock.pipe(sock)
    with pytest.raises(RuntimeError):
        sock.recv()


def test_a_blocking_read_inside_another_sockets_data_listener_is_an_error(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    other, _ = net.accepted()
    other.on("data", lambda chunk: None)

    def received(chunk: bytes) -> None:
        with pytest.raises(RuntimeError, match=r"pause\(\)"):
            other.recv()

    sock.on("data", must_call(received))
    peer.sendall(b"data")
    must_call.wait()


def test_the_error_does_no_harm_to_the_flow(net: Net) -> None:
    sock, peer = net.accepted()
    chunks: Queue[bytes] = Queue()
    sock.on("data", chunks.put)
    with pytest.raises(RuntimeError):
        sock.recv()
    peer.sendall(b"data")
    assert chunks.get() == b"data"


def test_writing_calls_are_free_while_the_socket_flows(net: Net) -> None:
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: None)
    sock.sendall(b"hello")
    assert peer.recv(100) == b"hello"


def test_recv_works_after_pause(net: Net) -> None:
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: None)
    sock.pause()
    peer.sendall(b"data")
    assert sock.recv() == b"data"


def test_recv_works_after_the_listener_is_removed(net: Net) -> None:
    sock, peer = net.accepted()
    chunks: Queue[bytes] = Queue()
    sock.on("data", chunks.put)
    peer.sendall(b"one")
    assert chunks.get() == b"one"
    sock.off("data", chunks.put)
    peer.sendall(b"two")
    assert sock.recv() == b"two"


def test_recv_works_after_once(net: Net) -> None:
    sock, peer = net.accepted()
    chunks: Queue[bytes] = Queue()
    sock.once("data", chunks.put)
    peer.sendall(b"one")
    assert chunks.get() == b"one"
    peer.sendall(b"two")
    assert sock.recv() == b"two"


def test_recv_works_after_wait_for_data(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"one")
    assert sock.wait("data") == (b"one",)
    peer.sendall(b"two")
    assert sock.recv() == b"two"
    peer.sendall(b"three")
    assert sock.wait("data") == (b"three",)


def test_recv_works_after_unpipe(net: Net) -> None:
    sock, peer = net.accepted()
    sink, _ = net.accepted()
    sock.pipe(sink)
    sock.unpipe(sink)
    peer.sendall(b"data")
    assert sock.recv() == b"data"


def test_with_one_of_two_listeners_removed_the_socket_still_flows(net: Net) -> None:
    sock, peer = net.accepted()
    chunks: Queue[bytes] = Queue()
    other = lambda chunk: None  # noqa: E731
    sock.on("data", chunks.put)
    sock.on("data", other)
    sock.off("data", other)
    with pytest.raises(RuntimeError):
        sock.recv()
    peer.sendall(b"data")
    assert chunks.get() == b"data"


def test_a_listener_attached_under_a_blocked_recv_loses_no_byte(net: Net) -> None:
    sock, peer = net.accepted()
    reader = gevent.spawn(sock.recv)
    gevent.sleep(0)
    chunks: list[bytes] = []
    sock.on("data", chunks.append)
    sock.on("end", lambda: None)
    for _ in range(5):
        peer.sendall(b"12345")
        net.turns(2)
    peer.close()
    net.closed(sock)
    assert len(reader.get() + b"".join(chunks)) == 25


def test_several_greenlets_that_read_lose_no_byte_between_them(net: Net) -> None:
    sock, peer = net.accepted()
    received: list[bytes] = []

    def read() -> None:
        while chunk := sock.recv(7):
            received.append(chunk)

    readers = [gevent.spawn(read) for _ in range(4)]
    data = bytes(range(256)) * 40
    peer.sendall(data)
    peer.shutdown(1)
    gevent.joinall(readers, raise_error=True)
    assert len(b"".join(received)) == len(data)
    assert sorted(b"".join(received)) == sorted(data)


def test_text_that_a_decoder_has_half_of_goes_to_recv(net: Net) -> None:
    sock, peer = net.accepted()
    sock.set_encoding("utf-8")
    chunks: Queue[Any] = Queue()
    sock.once("data", chunks.put)
    encoded = "aä".encode()
    peer.sendall(encoded[:2])
    assert chunks.get() == "a"
    peer.sendall(encoded[2:])
    received = b""
    while len(received) < 2:
        received += sock.recv()
    assert received == "ä".encode()


CHUNKS = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12)
STYLES = st.lists(
    st.sampled_from(
        ["recv", "recv3", "recv_into", "data", "wait", "once", "iter", "turn", "pause", "readline"]
    ),
    min_size=1,
    max_size=24,
)


class Reader:
    """Reads a socket in one style after another."""

    def __init__(self, sock: gnet.Socket) -> None:
        self.sock = sock
        self.received = bytearray()
        self.chunks: list[bytes] = []
        self.ended = False

    def take(self, style: str) -> None:
        if not self.ended:
            self.ended = not getattr(self, style)()

    def _got(self, chunk: bytes) -> bool:
        self.received += chunk
        return bool(chunk)

    def recv(self) -> bool:
        return self._got(self.sock.recv())

    def recv3(self) -> bool:
        return self._got(self.sock.recv(3))

    def recv_into(self) -> bool:
        buffer = bytearray(5)
        return self._got(bytes(buffer[: self.sock.recv_into(buffer)]))

    def iter(self) -> bool:
        return self._got(next(iter(self.sock), b""))

    def readline(self) -> bool:
        with self.sock.makefile("rb", buffering=0) as file:
            return self._got(file.readline())

    def turn(self) -> bool:
        gevent.sleep(0)
        return True

    def wait(self) -> bool:
        """What may be the end: a listener is told of it, too."""
        return self._flow(1)

    def once(self) -> bool:
        return self._flow(1)

    def data(self) -> bool:
        return self._flow(2)

    def pause(self) -> bool:
        """Leave the flow by pause() instead of removing the listener first."""
        return self._flow(1, pausing=True)

    def _flow(self, count: int, pausing: bool = False) -> bool:
        events: Queue[Any] = Queue()
        ended = lambda: events.put(b"")  # noqa: E731

        def received(chunk: bytes) -> None:
            self.received += chunk
            events.put(chunk)

        self.sock.on("end", ended)
        self.sock.on("data", received)
        if self.sock.is_paused():
            self.sock.resume()
        try:
            for _ in range(count):
                if self.sock.readable_ended and events.empty():
                    return False
                if not events.get() or self.sock.readable_ended:
                    return False
            return True
        finally:
            if pausing:
                self.sock.pause()
            self.sock.off("data", received)
            self.sock.off("end", ended)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(chunks=CHUNKS, styles=STYLES, turns=st.booleans())
@pytest.mark.limit(60)
@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_any_interleaving_of_the_styles_loses_no_byte(
    tcp: Net, family: str, chunks: list[bytes], styles: list[str], turns: bool
) -> None:
    if family == "unix":
        handle, peer = socket.socketpair()
        sock = gnet.Socket(handle=handle, allow_half_open=True)
    else:
        sock, peer = tcp.accepted(allow_half_open=True)

    def send() -> None:
        for chunk in chunks:
            peer.sendall(chunk)
            if turns:
                gevent.sleep(0)
        peer.shutdown(1)

    sender = gevent.spawn(send)
    reader = Reader(sock)
    with gevent.Timeout(5):
        for style in styles:
            reader.take(style)
        if sock.is_paused() and not reader.ended:
            reader.take("recv")
        while not reader.ended:
            reader.take("recv")
        sender.get()
    sock.destroy()
    peer.close()
    tcp.end_all()
    tcp._made.clear()
    assert bytes(reader.received) == b"".join(chunks)
    assert sock.bytes_read == len(reader.received)


def test_many_connections_in_both_styles_lose_no_byte(net: Net) -> None:
    chance = random.Random(1)

    def echo(sock: gnet.Socket) -> None:
        for chunk in sock:
            sock.sendall(chunk)

    servers = [
        net.server(lambda sock: sock.on("data", sock.write)),
        net.server(lambda sock: sock.pipe(sock)),
        net.server(echo, end_on_return=True),
    ]

    def visit(server: gnet.Server, data: bytes) -> bool:
        received = bytearray()
        with gnet.connect(*net.target(server)) as sock:
            writer = gevent.spawn(sock.sendall, data)
            while len(received) < len(data):
                received += sock.recv(chance.randint(1, 70_000))
            writer.get()
            sock.end()
            assert sock.recv() == b""
        return received == data

    visits = [
        gevent.spawn(visit, servers[number % 3], chance.randbytes(chance.choice(SIZES)))
        for number in range(60)
    ]
    gevent.joinall(visits, raise_error=True)
    assert all(each.value for each in visits)


def test_pause_under_a_blocked_recv_leaves_it_waiting(net: Net) -> None:
    sock, peer = net.accepted()
    reader = net.start(sock.recv)
    sock.pause()
    peer.sendall(b"data")
    assert reader.get() == b"data"
