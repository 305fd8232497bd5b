"""What every pair of connected gnet sockets has to do, whatever carries the bytes between them.

Each check takes ``make_pair``: called with ``allow_half_open``, it is a context manager of the
two ends. :func:`check_pair` runs all of them; parametrize a test over :data:`PAIR_CHECKS` to see
each one's name.
"""

from __future__ import annotations

import hashlib
import random
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import gevent
import pytest
from gevent.event import Event

import gnet

MakePair = Callable[..., AbstractContextManager[tuple[gnet.Socket, gnet.Socket]]]
Check = Callable[[MakePair], None]

# More than the buffers of two kernel sockets hold, so that the writer has to wait.
BIG = 24 * 1024 * 1024


def check_pair(make_pair: MakePair) -> None:
    """Run every check of :data:`PAIR_CHECKS`."""
    for check in PAIR_CHECKS:
        check(make_pair)


def both_ways_in_event_style(make_pair: MakePair) -> None:
    """Each end gets what the other has written, and then its end."""
    with make_pair(allow_half_open=True) as ends:
        arrived = [Arrivals(end) for end in ends]
        for number, end in enumerate(ends):
            end.write(b"from ")
            end.write(f"{number}")
            end.end(b"!")
        for end in ends:
            end.wait("close")
        assert [each.data for each in arrived] == [b"from 1!", b"from 0!"]
        assert [each.endings for each in arrived] == [["end", ("close", False)]] * 2


def both_ways_in_blocking_style(make_pair: MakePair) -> None:
    """The same with sendall, recv, shutdown and close."""
    with make_pair() as ends:
        for number, end in enumerate(ends):
            end.sendall(f"from {number}!".encode())
            end.shutdown(socket.SHUT_WR)
        for number, end in enumerate(ends):
            assert b"".join(end) == f"from {1 - number}!".encode()
            assert end.recv() == b""
            end.close()
        for end in ends:
            end.wait("close")


def the_styles_meet(make_pair: MakePair) -> None:
    """One end listens to events, the other one blocks."""
    with make_pair() as (left, right):
        left.on("data", lambda chunk: left.write(chunk.upper()))
        lines = right.makefile("rb")
        for word in (b"one\n", b"two\n"):
            right.sendall(word)
            assert lines.readline() == word.upper()
        lines.close()


def half_close(make_pair: MakePair) -> None:
    """An end that has ended still gets what the other one says after it has seen that."""
    with make_pair(allow_half_open=True) as (left, right):
        arrived = Arrivals(left)
        left.end(b"question")
        assert b"".join(right) == b"question"
        assert (left.ready_state, right.ready_state) == ("read_only", "write_only")
        right.end(b"answer")
        left.wait("close")
        right.wait("close")
        assert arrived.data == b"answer"
        assert (left.bytes_written, left.bytes_read) == (8, 6)
        assert (right.bytes_written, right.bytes_read) == (6, 8)


def an_end_is_answered_with_an_end(make_pair: MakePair) -> None:
    """Without ``allow_half_open`` the writable side ends by itself in event style."""
    with make_pair() as (left, right):
        arrived = [Arrivals(left), Arrivals(right)]
        left.end(b"bye")
        left.wait("close")
        right.wait("close")
        assert arrived[1].data == b"bye"
        assert [each.endings for each in arrived] == [["end", ("close", False)]] * 2


def a_big_write_waits_for_its_reader(make_pair: MakePair) -> None:
    """write() says False, and ``'drain'`` comes when the reader has taken its time."""
    data = random.Random(1).randbytes(BIG)
    with make_pair() as (left, right):
        assert left.write(data) is False
        assert left.writable_need_drain
        assert left.writable_length > left.high_water_mark
        drained = gevent.spawn(left.wait, "drain")
        digest = digest_of(right, BIG)
        drained.get()
        assert left.writable_length == 0
        assert digest == hashlib.sha256(data).digest()


def sendall_is_held_back_by_its_reader(make_pair: MakePair) -> None:
    """sendall() returns when the kernel has it all, so not before somebody reads."""
    data = random.Random(2).randbytes(BIG)
    with make_pair() as (left, right):
        sender = gevent.spawn(left.sendall, data)
        first = right.recv()
        assert not sender.ready()
        digest = digest_of(right, BIG - len(first), first)
        sender.get()
        assert digest == hashlib.sha256(data).digest()


def messages_are_not_torn(make_pair: MakePair) -> None:
    """Whatever greenlet and call they come from."""
    size, rounds = 100_000, 20
    with make_pair() as (left, right):

        def send(letter: bytes, call: Callable[[bytes], Any]) -> None:
            for _ in range(rounds):
                call(letter * size)

        senders = [gevent.spawn(send, letter, left.sendall) for letter in (b"a", b"b")]
        senders.append(gevent.spawn(send, b"c", left.write))
        file = right.makefile("rb")
        messages = [file.read(size) for _ in range(3 * rounds)]
        gevent.joinall(senders, raise_error=True)
        file.close()
        assert all(message == message[:1] * size for message in messages)
        assert sorted(message[:1] for message in messages) == sorted([b"a", b"b", b"c"] * rounds)


def destroy_wakes_who_is_blocked(make_pair: MakePair) -> None:
    """With the reason that was given, which ``'error'`` gets too; ``'close'`` comes once."""
    with make_pair() as (left, right):
        arrived = Arrivals(left, flowing=False)
        reason = ConnectionError("that is enough")
        reader = gevent.spawn(catch, left.recv)
        gevent.sleep(0)
        left.destroy(reason)
        assert reader.get() is reason
        arrived.closed.wait()
        assert arrived.endings == [("error", reason), ("close", True)]
        with pytest.raises(ConnectionError):
            left.recv()
        right.destroy()


def destroy_twice_is_once(make_pair: MakePair) -> None:
    """The second reason comes too late."""
    with make_pair() as (left, _):
        arrived = Arrivals(left, flowing=False)
        reason = ConnectionError("first")
        left.destroy(reason)
        left.destroy(ConnectionError("second"))
        arrived.closed.wait()
        assert arrived.endings == [("error", reason), ("close", True)]


def nothing_is_sent_for_no_data(make_pair: MakePair) -> None:
    """An empty write is no end."""
    with make_pair() as (left, right):
        left.write(b"")
        left.sendall(b"")
        left.write(b"x")
        assert right.recv() == b"x"


def recv_into_fills_the_callers_buffer(make_pair: MakePair) -> None:
    """And says how much of it."""
    with make_pair() as (left, right):
        left.sendall(b"abc")
        buffer = bytearray(8)
        assert right.recv_into(buffer) == 3
        assert buffer[:3] == b"abc"


def one_style_after_the_other(make_pair: MakePair) -> None:
    """No byte is lost between recv() and ``'data'``."""
    with make_pair() as (left, right):
        left.sendall(b"abcdef")
        assert right.recv(2) == b"ab"
        arrived = Arrivals(right)
        left.end(b"ghi")
        right.wait("end")
        assert arrived.data == b"cdefghi"


PAIR_CHECKS: list[Check] = [
    both_ways_in_event_style,
    both_ways_in_blocking_style,
    the_styles_meet,
    half_close,
    an_end_is_answered_with_an_end,
    a_big_write_waits_for_its_reader,
    sendall_is_held_back_by_its_reader,
    messages_are_not_torn,
    destroy_wakes_who_is_blocked,
    destroy_twice_is_once,
    nothing_is_sent_for_no_data,
    recv_into_fills_the_callers_buffer,
    one_style_after_the_other,
]


class Arrivals:
    """What a socket has emitted.

    :ivar data: the chunks of ``'data'``, joined.
    :ivar endings: ``"end"``, ``("error", exc)`` and ``("close", had_error)`` in their order.
    :ivar closed: set by ``'close'``.
    """

    def __init__(self, sock: gnet.Socket, flowing: bool = True) -> None:
        self.data = b""
        self.endings: list[Any] = []
        self.closed = Event()
        if flowing:
            sock.on("data", self._add)
        sock.on("end", lambda: self.endings.append("end"))
        sock.on("error", lambda exc: self.endings.append(("error", exc)))
        sock.on("close", self._close)

    def _add(self, chunk: bytes) -> None:
        self.data += chunk

    def _close(self, had_error: bool) -> None:
        self.endings.append(("close", had_error))
        self.closed.set()


def digest_of(sock: gnet.Socket, size: int, first: bytes = b"") -> bytes:
    """The SHA-256 of ``first`` and the next ``size`` bytes."""
    digest = hashlib.sha256(first)
    while size > 0:
        chunk = sock.recv(min(size, 1 << 20))
        assert chunk, f"the end came {size} bytes early"
        digest.update(chunk)
        size -= len(chunk)
    return digest.digest()


def catch(function: Callable[..., Any], *args: Any) -> BaseException | None:
    """The error that the call raises."""
    try:
        function(*args)
    except OSError as exc:
        return exc
    return None
