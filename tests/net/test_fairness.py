"""Nobody starves: a peer that is as fast as its handler holds up no other connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import gevent
import pytest

import gnet
from gnet._core import dispatcher
from gnet._transport.stream_socket import is_libuv
from tests.helpers.peers import python, running
from tests.helpers.servers import receive
from tests.net.conftest import Net

# Seconds of the thread's own time, which another load on the machine does not lengthen.
LONGEST_WAIT = 0.05
MEASURED = 0.5

READER = """
import socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while peer.recv(1 << 20):
    pass
"""
READER_OF_MANY = """
import selectors, socket, sys
readers = selectors.DefaultSelector()
for _ in range(100):
    readers.register(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), 1)
while True:
    for key, _ in readers.select():
        key.fileobj.recv(1 << 20)
"""
WRITER = """
import socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
data = sys.argv[2].encode() * 1000
try:
    while True:
        peer.sendall(data)
except OSError:
    pass
"""


def send(sock: gnet.Socket) -> None:
    while True:
        sock.sendall(b"x" * 100)


def read(sock: gnet.Socket) -> None:
    while sock.recv(10):
        pass


def read_into(sock: gnet.Socket) -> None:
    buffer = bytearray(10)
    while sock.recv_into(buffer):
        pass


def iterate(sock: gnet.Socket) -> None:
    for chunk in sock:
        assert chunk


def read_lines(sock: gnet.Socket) -> None:
    with sock.makefile("rb") as lines:
        for line in lines:
            assert line


def answer_lines(sock: gnet.Socket) -> None:
    with sock.makefile("rb") as lines:
        for line in lines:
            sock.sendall(line)


def use_a_file(sock: gnet.Socket) -> None:
    with sock.makefile("wb", 0) as file:
        while True:
            file.write(b"x" * 100)


def longest_wait(seconds: float) -> float:
    """How long a greenlet waits at the most that wants to run every few milliseconds."""
    longest, last = 0.0, time.thread_time()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        gevent.sleep(0.002)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    return longest


@contextmanager
def busy(tcp: Net, handler: Callable[[gnet.Socket], object], *program: str) -> Iterator[None]:
    """A connection whose handler never has to wait for its peer, which is a process."""

    def handle(sock: gnet.Socket) -> None:
        begun.set()
        with suppress(OSError):
            handler(sock)

    begun = gevent.event.Event()
    server = tcp.server(handle, end_on_return=True)
    with running(*python(program[0], str(server.address().port), *program[1:])):
        begun.wait()
        yield
        for sock in server.connections:
            sock.destroy()


@pytest.mark.limit(60)
@pytest.mark.parametrize("handler", [send, use_a_file])
def test_a_peer_that_reads_as_fast_as_its_handler_sends(tcp: Net, handler: Any) -> None:
    with busy(tcp, handler, READER):
        assert longest_wait(MEASURED) < LONGEST_WAIT


@pytest.mark.limit(60)
@pytest.mark.parametrize("handler", [read, read_into, iterate, read_lines, answer_lines])
def test_a_peer_that_sends_without_a_pause(tcp: Net, handler: Any) -> None:
    with busy(tcp, handler, WRITER, "a line\n"):
        assert longest_wait(MEASURED) < LONGEST_WAIT


@pytest.mark.limit(60)
def test_a_hundred_peers_that_read_as_fast_as_their_handlers_send(tcp: Net) -> None:
    with busy(tcp, send, READER_OF_MANY):
        # With the whole turn of one for each of them it would be 200 ms.
        assert longest_wait(MEASURED) < 2 * LONGEST_WAIT


@pytest.mark.limit(60)
def test_a_queue_whose_peer_takes_all_that_is_sent(tcp: Net) -> None:
    data = bytes(64 * 1024 * 1024)

    def write(sock: gnet.Socket) -> None:
        for _ in range(8):
            sock.write(data)
        sock.wait("close")

    with busy(tcp, write, READER):
        assert longest_wait(MEASURED) < LONGEST_WAIT


def test_a_buffer_of_lines_is_no_single_call(tcp: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every call that is measured gives the others their turn.
    monkeypatch.setattr(dispatcher, "TURN_SECONDS", -1.0)
    sock, peer = tcp.connected()
    line, count = b"a line\n", 9_000
    peer.sendall(line * count)
    read = 0

    def read_all() -> None:
        nonlocal read
        with sock.makefile("rb", 8192) as lines:
            while read < count:
                assert lines.readline() == line
                read += 1

    reader = tcp.start(read_all)
    at_turns = [0]
    while read < count:
        # Not for time to pass: this greenlet's turn is what is counted.
        gevent.sleep(0)
        at_turns.append(read)
    reader.get()
    assert max(after - before for before, after in pairwise(at_turns)) <= 8192 / len(line) + 1


@pytest.mark.skipif(is_libuv(gevent.get_hub().loop), reason="libuv runs timers last")
def test_what_is_due_goes_ahead_of_a_busy_greenlet(
    tcp: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "TURN_SECONDS", -1.0)
    sock, peer = tcp.connected()
    peer.sendall(b"hello")
    order: list[str] = []
    with gevent.get_hub().loop.timer(0) as timer:
        timer.start(order.append, "due")
        for _ in range(dispatcher.UNMEASURED_CALLS + 2):
            sock.recv(1)
        order.append("busy")
    assert order == ["due", "busy"]


def test_a_call_that_is_interrupted_in_its_turn_has_lost_nothing(
    tcp: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every call gives the others their turn.
    monkeypatch.setattr(dispatcher, "TURN_SECONDS", -1.0)
    sock, peer = tcp.connected()
    size = 1000
    peer.sendall(bytes(size))
    read = calls = 0
    while read < size:
        with gevent.Timeout(0, False):
            read += len(sock.recv(10))
        with gevent.Timeout(0, False):
            calls += 1
            sock.sendall(b"x")
    sock.end()
    received = 0
    while chunk := peer.recv(1 << 16):
        received += len(chunk)
    assert received == calls
    assert sock.bytes_read == size


def test_an_echo_reads_no_clock(tcp: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    def echo(sock: gnet.Socket) -> None:
        for chunk in sock:
            sock.sendall(chunk)

    peer = tcp.peer(tcp.server(echo, end_on_return=True))
    for number in range(100):
        if number == 1:
            # What went before the first wait is not the echo's.
            monkeypatch.setattr(dispatcher, "monotonic", lambda: pytest.fail("the clock was read"))
        peer.sendall(b"x" * 1000)
        assert receive(peer, 1000) == b"x" * 1000
