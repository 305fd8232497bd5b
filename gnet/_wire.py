"""The descriptors under a stream: opened, bound, accepted from, read, written and closed here.

A wire has the methods of ``_socket.socket`` that a stream needs, and never blocks:
``recv``, ``recv_into``, ``send``, ``sendmsg``, ``shutdown``, ``close``, ``fileno``; and beside
them :meth:`at_end` and the watchers of its readiness. :class:`Wire` is a socket itself, so a
read or write is one call into C.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import struct
import sys
from typing import Any

from .errors import annotate, value_error

__all__ = ["READ", "WRITE", "AnyWire", "FileWire", "Wire", "wire_of_fd"]

READ = 1
WRITE = 2

if sys.platform != "win32":
    import fcntl
    import termios

_NO_LINGER = struct.pack("ii", 1, 0)

ReadBuffer = Any


class Wire(_socket.socket):
    """A non-blocking stream socket of TCP or of the Unix domain."""

    __slots__ = ()

    @classmethod
    def open(cls, family: int) -> Wire:
        """A new socket.

        :param family: ``AF_INET``, ``AF_INET6`` or ``AF_UNIX``.
        """
        wire = cls(family, _socket.SOCK_STREAM)
        wire.setblocking(False)
        return wire

    @classmethod
    def adopt(cls, fd: int) -> Wire:
        """The socket behind a descriptor, which from now on is the wire's to close."""
        wire = cls(fileno=fd)
        wire.setblocking(False)
        return wire

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

    def accept_wire(self) -> tuple[Wire, Any]:
        """The next connection and its peer's address; :class:`BlockingIOError` if none waits."""
        fd, address = self._accept()  # type: ignore[attr-defined]
        # With the family and the type given, no system calls ask the kernel for them.
        wire = Wire(self.family, _socket.SOCK_STREAM, self.proto, fd)
        wire.setblocking(False)
        return wire, address

    @property
    def is_tcp(self) -> bool:
        return self.family in (_socket.AF_INET, _socket.AF_INET6)

    def at_end(self) -> bool:
        """Whether the peer has ended and nothing stands before that.

        :raises BlockingIOError: neither end nor data is there.
        :raises OSError: the connection has failed.
        """
        return not self.recv(1, _socket.MSG_PEEK)

    def reset_on_close(self) -> None:
        """Have ``close()`` send a reset instead of an end."""
        self.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _NO_LINGER)

    def watch(self, loop: Any, events: int) -> Any:
        """A watcher of the loop for :data:`READ` or :data:`WRITE`, not started."""
        return loop.io(self.fileno(), events)


class FileWire:
    """A pipe, FIFO or terminal, in one direction or both."""

    __slots__ = ("_fd", "_was_blocking")

    is_tcp = False

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._was_blocking = os.get_blocking(fd)
        os.set_blocking(fd, False)

    def fileno(self) -> int:
        return self._fd

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return self._end_of_terminal(os.read, self._fd, size) or b""

    def recv_into(self, buffer: ReadBuffer, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        target = view[:size] if size else view
        return int(self._end_of_terminal(os.readv, self._fd, [target]) or 0)

    @staticmethod
    def _end_of_terminal(call: Any, *args: Any) -> Any:
        # The master of a terminal whose other side has closed reads EIO: that is its end.
        try:
            return call(*args)
        except OSError as exc:
            if exc.errno == errno.EIO:
                return None
            raise

    def send(self, data: ReadBuffer) -> int:
        return os.write(self._fd, data)

    def sendmsg(self, buffers: list[Any]) -> int:
        return os.writev(self._fd, buffers)

    def at_end(self) -> bool:
        waiting = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0" * 4))[0]
        return not waiting

    def sides(self) -> tuple[bool, bool]:
        """Whether the descriptor can be read, and written."""
        mode = fcntl.fcntl(self._fd, fcntl.F_GETFL) & os.O_ACCMODE
        return mode in (os.O_RDONLY, os.O_RDWR), mode in (os.O_WRONLY, os.O_RDWR)

    def shutdown(self, how: int) -> None:
        """A descriptor of one direction ends when it is closed, and has no half to close."""

    def close(self) -> None:
        fd = self.detach()
        if fd >= 0:
            os.close(fd)

    def detach(self) -> int:
        fd, self._fd = self._fd, -1
        # O_NONBLOCK is shared with whoever else has the file open, a shell for example.
        if fd >= 0 and self._was_blocking:
            os.set_blocking(fd, True)
        return fd

    def abandon(self) -> int:
        """:meth:`detach` in a forked child: the flags are the parent's."""
        self._was_blocking = False
        return self.detach()

    def watch(self, loop: Any, events: int) -> Any:
        return loop.io(self._fd, events)


AnyWire = Wire | FileWire


def wire_of_fd(fd: int) -> AnyWire:
    """The wire for a descriptor of any kind that can be a stream.

    :raises OSError: ``fd`` is not open.
    :raises ValueError: it is none; ``code`` ``"ERR_INVALID_FD_TYPE"``. It stays its owner's.
    """
    try:
        mode = os.fstat(fd).st_mode
    except OSError as exc:
        raise annotate(exc, "open") from None
    if stat.S_ISSOCK(mode):
        wire = Wire.adopt(fd)
        if wire.is_stream():
            return wire
        wire.detach()
    elif stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and os.isatty(fd)):
        return FileWire(fd)
    raise value_error(
        f'The "fd" argument must be a stream socket, pipe, FIFO or terminal, and not a '
        f"listening one. Received {fd}",
        "ERR_INVALID_FD_TYPE",
    )
