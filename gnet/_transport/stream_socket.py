"""The sockets under a stream: opened, bound, accepted from, read, written and closed here.

:class:`Wire` is a :class:`~gnet._transport.protocol.Transport` and a socket itself, so a read or
write is one call into C.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from .._values.originals import original
from ..errors import annotate, late_import, system_error, value_error
from .protocol import Listener, Transport, Watcher, refuse
from .sigpipe import NO_SIGNAL
from .watchers import RestartingWatcher

if sys.platform == "win32":
    from .windows.stream_socket import WindowsSocket as SystemSocket
else:
    from _socket import socket as SystemSocket

__all__ = [
    "TcpWire",
    "Wire",
    "accept",
    "coarse_now",
    "is_libuv",
    "receive",
    "receive_now",
    "send",
    "sockaddr",
    "this_thread",
    "wire_of_fd",
]

_INET = (_socket.AF_INET, _socket.AF_INET6)
_UNIX = getattr(_socket, "AF_UNIX", None)
_MPTCP = getattr(_socket, "IPPROTO_MPTCP", 262) if sys.platform == "linux" else None
# Where the system can make one that never blocks, that saves a call.
_NEW = _socket.SOCK_STREAM | getattr(_socket, "SOCK_NONBLOCK", 0)
# With these there is no socket of any kind.
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_MAX_SCOPE = 0xFFFFFFFF

# Windows' structure has fields of 16 bits.
_NO_LINGER = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)


def sockaddr(host: str, port: int) -> tuple[Any, ...]:
    """The address of a host's port in the system's form.

    :param host: an IP address, with its zone if it is a link-local one.
    :raises OSError: there is no such zone (``EINVAL``, as in Node).
    """
    address, mark, zone = host.partition("%")
    # The interpreter takes the zone from the tuple only.
    return (address, port, 0, _scope(zone)) if mark else (host, port)


def _scope(zone: str) -> int:
    """The number of a zone."""
    if not zone.isdigit():
        try:
            return _socket.if_nametoindex(zone)
        except OSError:
            # An error of the interpreter's, without a number.
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
    # The interpreter would cut a larger one down to 32 bits, which is another zone's.
    if len(zone) > len(str(_MAX_SCOPE)) or int(zone) > _MAX_SCOPE:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return int(zone)


class Wire(SystemSocket):
    """A non-blocking stream socket of the Unix domain, or of TCP: :class:`TcpWire`.

    Its descriptor never goes before its watchers: libev aborts the process when it finds one that
    was started with a descriptor that is closed. Whoever has a watcher closes it himself; here is
    what holds when he cannot, as the program has deleted an attribute, or has a ``__del__`` that
    does not call its base's.
    """

    __slots__ = ("_watchers",)

    _watchers: tuple[Watcher, ...]

    TCP_OPTIONS: bool = False
    RESET: bool = False
    PEEK: bool = True
    PEER_END: bool = True
    SPLICE: bool = True
    MESSAGES: bool = True
    UNREAD_RESETS: bool = True
    FAREWELL: bool = False
    SHARED: bool = False

    @staticmethod
    def open(family: int, mptcp: bool = False) -> Wire:
        """A new socket.

        :param family: ``AF_INET``, ``AF_INET6`` or ``AF_UNIX``.
        :param mptcp: whether one of TCP is to be of Multipath TCP, if the system has that.
        """
        wire = _open_mptcp(family) if mptcp and family in _INET else None
        if wire is None:
            wire = _class_of(family, 0)(family, _NEW)
        if _NEW == _socket.SOCK_STREAM or mptcp:
            wire.prepare()
        else:
            wire._watchers = ()
        return wire

    @staticmethod
    def of(fd: int) -> Wire:
        """The socket behind a descriptor, as it is: :meth:`prepare` makes it a wire.

        :raises OSError: it is none.
        """
        found = _socket.socket(fileno=fd)
        family, kind, proto = found.family, found.type, found.proto
        found.detach()
        return _class_of(family, proto)(family, kind, proto, fd)

    @staticmethod
    def adopt(fd: int) -> Wire:
        """The socket behind a descriptor, which from now on is the wire's to close."""
        wire = Wire.of(fd)
        wire.prepare()
        return wire

    def prepare(self) -> None:
        """Never block, and never be a signal."""
        # That a slot is empty is found out by an exception.
        self._watchers = ()
        self.setblocking(False)
        if sys.platform == "darwin":
            # Its way to say NO_SIGNAL; SO_NOSIGPIPE, which the interpreter does not name.
            self.setsockopt(_socket.SOL_SOCKET, 0x1022, 1)

    def allow_restart(self) -> None:
        """Let it have an address that connections which are over still have."""
        if sys.platform != "win32":
            # There it would let two servers have one port.
            self.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)

    def is_stream(self) -> bool:
        """Whether it is an end of a stream, or can become one; a listening socket is none."""
        if self.type & 0xF != _socket.SOCK_STREAM:
            return False
        return not self.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)

    def is_connected(self) -> bool:
        """Whether it has a peer."""
        try:
            self.getpeername()
        except OSError as exc:
            return exc.errno != errno.ENOTCONN
        return True

    def duplicate(self) -> Wire:
        """A second descriptor of the same socket."""
        return Wire.adopt(_socket.dup(self.fileno()))

    def accept_wire(self) -> tuple[Wire, Any]:
        """The next connection and its peer's address; :class:`BlockingIOError` if none waits."""
        fd, address = self._accept()  # type: ignore[attr-defined]
        try:
            # With the family and the type given, no system calls ask the kernel for them.
            wire = type(self)(self.family, _socket.SOCK_STREAM, self.proto, fd)
        except BaseException:
            _socket.close(fd)
            raise
        wire.prepare()
        return wire, address

    def take_owed(self) -> int:
        # It counts what it takes.
        return 0

    def at_end(self) -> bool:
        return not self.recv(1, _socket.MSG_PEEK)

    def hear_out(self) -> None:
        """All that stands unread is data."""

    def reset_on_close(self) -> None:
        # The Unix domain has none, and the option does nothing there.
        refuse(errno.EOPNOTSUPP)

    def sides(self) -> tuple[bool, bool]:
        return True, True

    @property
    def closed(self) -> bool:
        return self.fileno() < 0

    def abandon(self) -> int:
        return self.detach()

    def local_name(self) -> Any:
        return self.getsockname()

    def remote_name(self) -> Any:
        return self.getpeername()

    def option(self, level: int, name: int, /, *size: int) -> int | bytes:
        return self.getsockopt(level, name, *size)

    def set_option(self, level: int, name: int, /, *value: Any) -> None:
        self.setsockopt(level, name, *value)

    def watch(self, loop: Any, events: int) -> Watcher:
        if sys.platform == "win32":
            watcher: Watcher = self.readiness(loop, events)
        else:
            watcher: Watcher = loop.io(self.fileno(), events)
            if is_libuv(loop):
                watcher = RestartingWatcher(loop, watcher)
        # The slot of one that was not prepared is empty.
        self._watchers = (*getattr(self, "_watchers", ()), watcher)
        return watcher

    def close(self) -> None:
        self._unwatch()
        # By its name: super() looks it up anew for each connection.
        SystemSocket.close(self)

    def detach(self) -> int:
        self._unwatch()
        return super().detach()

    def _unwatch(self) -> None:
        watchers = getattr(self, "_watchers", None)
        if watchers:
            self._watchers = ()
            for watcher in watchers:
                watcher.close()

    def __del__(self) -> None:
        if self.fileno() < 0:
            return
        # Those of a loop that was destroyed went with it.
        with suppress(Exception):
            self._unwatch()
        super().__del__()  # type: ignore[misc,unused-ignore]


class TcpWire(Wire):
    """A non-blocking socket of TCP."""

    __slots__ = ()

    TCP_OPTIONS = True
    RESET = True

    def reset_on_close(self) -> None:
        self.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _NO_LINGER)


class MptcpWire(TcpWire):
    """A non-blocking socket of Multipath TCP."""

    __slots__ = ()

    SPLICE = False


class OtherWire(Wire):
    """A non-blocking stream socket of another family: of vsock, for example."""

    __slots__ = ()

    SPLICE = False


def _class_of(family: int, proto: int) -> type[Wire]:
    if family in _INET:
        return MptcpWire if proto == _MPTCP else TcpWire
    return Wire if family == _UNIX else OtherWire


def _open_mptcp(family: int) -> Wire | None:
    """A socket of Multipath TCP; ``None`` where the system has none."""
    if _MPTCP is None:
        return None
    try:
        return MptcpWire(family, _socket.SOCK_STREAM, _MPTCP)
    except OSError as exc:
        if exc.errno in _EXHAUSTED:
            raise
        return None


def is_libuv(loop: Any) -> bool:
    """Whether it is gevent's other loop, and the only one on Windows."""
    kind = type(loop)
    found = _libuv.get(kind)
    if found is None:
        found = _libuv[kind] = kind.__module__.startswith("gevent.libuv")
    return found


# Which classes of loops are libuv's: each watcher asks.
_libuv: dict[type, bool] = {}


def accept(listener: Listener) -> tuple[Transport, Any]:
    """``listener.accept_wire()``. What is compiled has that of the ``.pxd`` beside instead."""
    return listener.accept_wire()


def receive(wire: Transport, size: int, flags: int = 0) -> bytes:
    """``wire.recv(size, flags)``. What is compiled has that of the ``.pxd`` beside instead."""
    return wire.recv(size, flags)


def receive_now(wire: Transport, size: int) -> bytes | None:
    """The same; ``None`` if nothing is there, for which most need no exception."""
    try:
        return wire.recv(size)
    except BlockingIOError:
        return None


def send(wire: Transport, data: Any, flags: int = 0) -> int:
    """``wire.send(data, flags)``. What is compiled has that of the ``.pxd`` beside instead."""
    return wire.send(data, flags | NO_SIGNAL)


#: The number of the calling thread of the system's; of greenlets a patched ``get_ident()`` gives
#: that. Modules that are compiled have :file:`stream_socket.pxd`'s instead.
this_thread: Callable[[], int] = original("_thread", "get_ident")


#: When something is done, by :func:`time.monotonic`. Modules that are compiled have
#: :file:`stream_socket.pxd`'s instead, which may be some milliseconds behind.
coarse_now: Callable[[], float] = monotonic


def wire_of_fd(fd: int) -> Transport:
    """The wire for a descriptor of any kind that can be a stream.

    :raises OSError: ``fd`` is not open; or ``ENOTSUP``: on Windows it must be a socket's handle,
        as no other descriptor can be watched there.
    :raises ValueError: it is none; ``code`` ``"ERR_INVALID_FD_TYPE"``. It stays its owner's.
    """
    if sys.platform == "win32":
        try:
            wire = Wire.of(fd)
        except OSError:
            raise system_error(errno.ENOTSUP, "open") from None
        if wire.is_stream():
            wire.prepare()
            return wire
        wire.detach()
    else:
        try:
            mode = os.fstat(fd).st_mode
        except OSError as exc:
            raise annotate(exc, "open") from None
        if stat.S_ISSOCK(mode):
            wire = Wire.of(fd)
            if wire.is_stream():
                wire.prepare()
                return wire
            wire.detach()
        elif stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and os.isatty(fd)):
            # Few programs have one.
            with late_import():
                from .blocking_file import file_wire

            return file_wire(fd)
    raise value_error(
        f'The "fd" argument must be a stream socket, pipe, FIFO or terminal, and not a '
        f"listening one. Received {fd}",
        "ERR_INVALID_FD_TYPE",
    )
