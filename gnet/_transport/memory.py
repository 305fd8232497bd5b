"""A connection in the memory of one thread: two ends, and no descriptor.

It behaves as TCP's do over a network that loses nothing: each end keeps so many bytes of what it
was sent and has not read, a side ends by itself, and an end can be reset. For tests of programs,
see :mod:`gnet.testing`, and of gnet itself.
"""

from __future__ import annotations

import _socket
import errno
from collections import deque
from typing import Any, NoReturn

from .._values.addresses import is_ip
from .._values.buffers import first_bytes
from .protocol import READ, Listener, Transport, Watcher, refuse
from .sigpipe import NO_SIGNAL
from .wakeup import Wakeup

__all__ = ["BUFFER_BYTES", "MemoryListener", "MemoryWire", "memory_pair"]

#: So many bytes an end keeps that it has not read, unless it is told otherwise.
BUFFER_BYTES = 65536

# Windows has no such flag: it never waits anyway.
_DONTWAIT = getattr(_socket, "MSG_DONTWAIT", 0)
_FAMILIES = {4: _socket.AF_INET, 6: _socket.AF_INET6}


class MemoryWire(Transport):
    """One end of a connection in memory.

    :param buffer_size: how many bytes it keeps that were sent to it and not read.
    :param max_read: no ``recv`` gives more bytes; ``None`` for no such limit.
    :param name: its address in the system's form, as its peer is told it; ``None`` for none.
    """

    __slots__ = (
        "_closed", "_deaf", "_error", "_max_read", "_mute", "_name", "_peer", "_peer_ended",
        "_peer_name", "_readers", "_received", "_resets", "_size", "_writers",
    )  # fmt: skip

    RESET = True
    PEEK = True

    def __init__(
        self, buffer_size: int = BUFFER_BYTES, max_read: int | None = None, name: Any = None
    ) -> None:
        self._size = buffer_size
        self._max_read = max_read
        self._name = name
        self._peer: MemoryWire | None = None
        self._peer_name: Any = None
        self._received = bytearray()
        # The peer sends no more; this end reads no more, and sends no more.
        self._peer_ended = False
        self._deaf = False
        self._mute = False
        # The number of what the connection has failed with.
        self._error = 0
        self._resets = False
        self._closed = False
        self._readers: list[Wakeup] = []
        self._writers: list[Wakeup] = []

    def join(self, peer: MemoryWire) -> None:
        """Be connected, each end to the other."""
        self._peer, peer._peer = peer, self
        self._peer_name, peer._peer_name = peer._name, self._name

    # -- bytes --------------------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0) -> bytes:
        _check_flags(flags, _socket.MSG_PEEK)
        self._check()
        received = self._received
        if self._max_read is not None:
            size = min(size, self._max_read)
        data = bytes(received[:size])
        if not data:
            if size and not received and not (self._peer_ended or self._deaf):
                refuse(errno.EAGAIN)
        elif not flags & _socket.MSG_PEEK:
            del received[:size]
            if self._peer is not None:
                self._peer._wake(self._peer._writers)
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def send(self, data: Any, flags: int = 0) -> int:
        return self.sendmsg([data], (), flags)

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        _check_flags(flags, NO_SIGNAL)
        self._check()
        peer = self._peer
        if peer is None or self._mute:
            refuse(errno.EPIPE)
        room = peer._size - len(peer._received)
        if room <= 0:
            if any(len(memoryview(each)) for each in buffers):
                refuse(errno.EAGAIN)
            return 0
        data = memoryview(first_bytes(buffers, room)).cast("B")[:room]
        peer._received += data
        peer._wake(peer._readers)
        return len(data)

    def at_end(self) -> bool:
        return not self.recv(1, _socket.MSG_PEEK)

    def sides(self) -> tuple[bool, bool]:
        return True, True

    def watch(self, loop: Any, events: int) -> Watcher:
        if events == READ:
            watcher, watchers = Wakeup(loop, self._readable), self._readers
        else:
            watcher, watchers = Wakeup(loop, self._writable), self._writers
        watchers.append(watcher)
        return watcher

    def _readable(self) -> bool:
        return bool(self._received or self._peer_ended or self._deaf or self._error)

    def _writable(self) -> bool:
        peer = self._peer
        return peer is None or self._mute or len(peer._received) < peer._size

    def _check(self) -> None:
        if self._closed:
            refuse(errno.EBADF)
        if self._error:
            refuse(self._error)

    # -- the end ------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        self._check()
        if how != _socket.SHUT_WR:
            self._deaf = True
            self._wake(self._readers)
        if how != _socket.SHUT_RD:
            self._mute = True
            if self._peer is not None:
                self._peer._peer_ended = True
                self._peer._wake(self._peer._readers)

    def reset_on_close(self) -> None:
        self._resets = True

    def fail(self, number: int) -> None:
        """The network fails the connection: what is not read yet is lost.

        :param number: the ``errno`` of what each further call fails with.
        """
        self._error = number
        self._resets = True
        self._received.clear()
        self._end()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._forget_watchers()
        if self._closed:
            return
        self._closed = True
        self._received.clear()
        peer, self._peer = self._peer, None
        if peer is not None:
            peer._peer = None
            if self._resets:
                peer.fail(errno.ECONNRESET)
            else:
                peer._end()

    def _end(self) -> None:
        """Nobody sends or reads at the other end any more."""
        self._peer_ended = True
        self._wake(self._readers)
        self._wake(self._writers)

    def detach(self) -> int:
        if self._closed:
            return -1
        # There is nothing that could be given.
        refuse(errno.ENOTSUP)

    def abandon(self) -> int:
        # The peer is a copy, too, and is let go of by itself.
        self._forget_watchers()
        self._closed = True
        self._peer = None
        return -1

    def _forget_watchers(self) -> None:
        for watchers in self._readers, self._writers:
            while watchers:
                watchers.pop().close()

    @staticmethod
    def _wake(watchers: list[Wakeup]) -> None:
        for watcher in watchers:
            watcher.wake()

    # -- what is known of it ------------------------------------------------------------------

    def fileno(self) -> int:
        return -1

    @property
    def family(self) -> int:
        name = self._name
        return _FAMILIES[is_ip(name[0])] if isinstance(name, tuple) else _socket.AF_UNSPEC

    def local_name(self) -> Any:
        return self._name

    def remote_name(self) -> Any:
        return self._peer_name


def memory_pair(
    buffer_size: int = BUFFER_BYTES,
    max_read: int | None = None,
    names: tuple[Any, Any] = (None, None),
) -> tuple[MemoryWire, MemoryWire]:
    """Two ends that are connected.

    :param buffer_size: as of :class:`MemoryWire`, for both; as are the others.
    """
    here, there = (MemoryWire(buffer_size, max_read, name) for name in names)
    here.join(there)
    return here, there


class MemoryListener(Listener):
    """Where ends of connections in memory arrive.

    :param name: its address in the system's form.
    :param backlog: how many connections may wait to be accepted.
    """

    __slots__ = ("_arrived", "_backlog", "_closed", "_name", "_watchers")

    def __init__(self, name: Any, backlog: int) -> None:
        self._name = name
        self._backlog = backlog
        self._arrived: deque[MemoryWire] = deque()
        self._closed = False
        self._watchers: list[Wakeup] = []

    def arrive(self, wire: MemoryWire) -> None:
        """An end waits to be accepted.

        :raises ConnectionRefusedError: nobody listens any more, or too many wait already.
        """
        if self._closed or len(self._arrived) >= self._backlog:
            refuse(errno.ECONNREFUSED)
        self._arrived.append(wire)
        for watcher in self._watchers:
            watcher.wake()

    def accept_wire(self) -> tuple[Transport, Any]:
        if not self._arrived:
            refuse(errno.EAGAIN)
        wire = self._arrived.popleft()
        return wire, wire.remote_name()

    def watch(self, loop: Any, events: int) -> Watcher:
        watcher = Wakeup(loop, lambda: bool(self._arrived))
        self._watchers.append(watcher)
        return watcher

    def local_name(self) -> Any:
        return self._name

    def fileno(self) -> int:
        return -1

    def duplicate(self) -> NoReturn:
        refuse(errno.ENOTSUP)

    def detach(self) -> int:
        refuse(errno.ENOTSUP)

    @property
    def closed(self) -> bool:
        """Whether nobody can connect any more."""
        return self._closed

    def close(self) -> None:
        self._closed = True
        while self._watchers:
            self._watchers.pop().close()
        while self._arrived:
            wire = self._arrived.popleft()
            wire.reset_on_close()
            wire.close()


def _check_flags(flags: int, known: int) -> None:
    if flags & ~(known | _DONTWAIT):
        refuse(errno.EOPNOTSUPP)
