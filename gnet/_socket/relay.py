"""Two connections that are joined: what one receives, the other sends."""

from __future__ import annotations

import _socket
from typing import Any

import gevent
from gevent.event import Event

from .._core.dispatcher import UNMEASURED_CALLS
from .._core.states import OPEN, SHUT, WRITABLE
from .._loop import splicer
from .._loop.splicer import KernelBytes
from .._values import arguments
from ..errors import annotate, coded, system_error
from .socket import Socket

__all__ = ["relay"]

# So much is received at once.
RECV_BYTES = 65536


def relay(a: Socket, b: Socket) -> tuple[int, int]:
    """Send what each of two sockets receives to the other; block until both ways have ended.

    What is unread or queued goes first. An end is passed on as the end of that way, a reset as a
    reset. The kernel moves the bytes itself where it can (Linux; TCP and Unix sockets), without
    TLS. When the call is interrupted, by a :class:`gevent.Timeout` for example, nothing is lost
    and both connections stay as they are.

    :param a: a socket that is connected, or connecting.
    :param b: another one.
    :returns: how many bytes went from ``a`` to ``b``, and from ``b`` to ``a``. Both sockets are
        still the caller's to close.
    :raises OSError: one of them has failed or was closed; the other was reset.
    :raises RuntimeError: one of them is flowing.
    :raises TimeoutError: the idle timeout of one fired; both stay open.
    """
    for name, sock in (("a", a), ("b", b)):
        if not isinstance(sock, Socket):
            raise arguments.wrong_kind(name, sock, "a gnet.Socket")
        sock._check_thread()
        if sock._flow:
            raise coded(
                RuntimeError(
                    f"{name} is flowing: its data goes to the 'data' listeners, a pipe or "
                    "resume(). Call pause() or remove the listener first"
                ),
                "ERR_SOCKET_FLOWING",
            )
    if a is b:
        raise arguments.wrong_value("b", b, "another socket than a")
    for sock in (a, b):
        sock._await_connection()
    return _Relay(a, b).run()


class _Way:
    """One direction.

    :ivar count: how many bytes have been handed to the destination.
    """

    __slots__ = ("_source", "_to", "count", "ended")

    def __init__(self, source: Any, to: Any) -> None:
        self._source = source
        self._to = to
        self.count = 0
        self.ended = False

    def carry(self) -> None:
        """Block until the source has ended, and pass that on."""
        while self._move() if self._splices() else self._copy():
            pass
        self._to.end()
        self.ended = True

    def _copy(self) -> bool:
        """Move one piece; tells whether the stream goes on."""
        data = self._source.recv(RECV_BYTES)
        self._pass(data)
        return bool(data)

    def _pass(self, data: bytes) -> None:
        """Send it; interrupted, that leaves the rest in the queue."""
        if data:
            self.count += len(data)
            self._to.sendall(data)

    def _splices(self) -> bool:
        """Whether the kernel can move the next piece."""
        source, to = self._source, self._to
        return bool(
            splicer.AVAILABLE
            and source._life == to._life == OPEN
            and source._wire.SPLICE
            and to._wire.SPLICE
            and not source._ahead
            and source._decoder is None
            and to._outbox is None
            and to._sending == WRITABLE
            and source._loop.splicer.ready()
        )

    def _move(self) -> bool:
        """:meth:`_copy` by the kernel."""
        source, to = self._source, self._to
        loop = source._loop
        loop.calls += 1
        if loop.calls > UNMEASURED_CALLS:
            loop.share()
        ahead = source._begin_reading(splicer.PIPE_BYTES)
        if ahead is not None:
            self._pass(ahead)
            return bool(ahead)
        moved = source._receive(self._splice, splicer.PIPE_BYTES, 0)
        if not moved:
            return False
        received, rest, error = moved
        self.count += received
        to._moved(received - len(rest))
        if error is not None:
            to._fail(annotate(error, "write"))
        elif rest:
            if isinstance(rest, KernelBytes):
                to._written += len(rest)
                to._await_sent(to._push(rest, None))
            else:
                to.sendall(rest)
        to._raise_unless_open()
        return True

    def _splice(self) -> tuple[int, Any]:
        source, to = self._source, self._to
        if not self._splices():
            # Somebody else has written, or the destination has gone, while this waited.
            data = source._wire.recv(RECV_BYTES)
            return len(data), (len(data), data, None) if data else None
        moved = source._loop.splicer.move(source._wire.fileno(), to._wire.fileno())
        return moved[0], moved if moved[0] else None


class _Relay:
    """Both directions, each in a greenlet of its own."""

    __slots__ = ("_ended", "_error", "_left", "_sockets", "_ways")

    def __init__(self, a: Socket, b: Socket) -> None:
        self._sockets: tuple[Any, Any] = (a, b)
        self._ways = (_Way(a, b), _Way(b, a))
        self._left = len(self._ways)
        self._error: BaseException | None = None
        self._ended = Event()

    def run(self) -> tuple[int, int]:
        """Block until both have ended, or one has failed."""
        pipes = self._sockets[0]._loop.splicer
        pipes.acquire()
        for sock in self._sockets:
            sock.on("close", self._closed)
            sock.on("peer_end", self._peer_ended)
        runners = [gevent.spawn(self._carry, way) for way in self._ways]
        try:
            self._ended.wait()
        finally:
            gevent.killall(runners)
            for sock in self._sockets:
                sock.off("close", self._closed)
                sock.off("peer_end", self._peer_ended)
            pipes.release()
        if self._error is not None:
            self._pass_on()
            raise self._error
        return self._ways[0].count, self._ways[1].count

    def _carry(self, way: _Way) -> None:
        try:
            way.carry()
        except gevent.GreenletExit:
            return
        except BaseException as exc:
            self._fail(exc)
            return
        self._left -= 1
        if not self._left:
            self._ended.set()

    def _closed(self, had_error: bool) -> None:
        """One of them has closed, in whatever way."""
        for sock in self._sockets:
            if self._left and sock._life >= SHUT:
                self._fail(sock._closed_error())
                return

    def _peer_ended(self) -> None:
        """One has ended or reset, perhaps ahead of what is unread: nobody may be at a call."""
        for sock in self._sockets:
            wire = sock._wire
            if wire is not None and wire.TCP_OPTIONS:
                # A read would give what is unread first, which the other may never take.
                number = wire.option(_socket.SOL_SOCKET, _socket.SO_ERROR)
                if number:
                    sock._fail(system_error(number, "read"))

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._ended.set()

    def _pass_on(self) -> None:
        """One of them has gone: so does the other, by a reset where it has one."""
        here, there = self._sockets
        for gone, other in ((here, there), (there, here)):
            if gone._life >= SHUT:
                gone._heard = True
                if other._life == OPEN and other._wire.RESET:
                    other.reset_and_destroy()
                else:
                    other.destroy()
