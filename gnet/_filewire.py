"""Descriptors that are no sockets, as wires: pipes, FIFOs, terminals. POSIX only."""

from __future__ import annotations

import _socket
import errno
import os
import struct
import sys
from typing import Any

from ._sigpipe import NO_SIGNAL, without_sigpipe

assert sys.platform != "win32"

import fcntl  # noqa: E402
import termios  # noqa: E402

__all__ = ["FileWire"]

# What a wire does anyway.
_DONTWAIT = _socket.MSG_DONTWAIT


class FileWire:
    """A pipe, FIFO or terminal, in one direction or both."""

    __slots__ = ("_fd", "_was_blocking", "_watchers")

    is_tcp = False

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._watchers: list[Any] = []
        self._was_blocking = os.get_blocking(fd)
        os.set_blocking(fd, False)

    def fileno(self) -> int:
        return self._fd

    def recv(self, size: int, flags: int = 0) -> bytes:
        _refuse(flags)
        return self._end_of_terminal(os.read, self._fd, size) or b""

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        _refuse(flags)
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

    def send(self, data: Any, flags: int = 0) -> int:
        _refuse(flags & ~NO_SIGNAL)
        return int(without_sigpipe(os.write, self._fd, data))

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        return int(without_sigpipe(os.writev, self._fd, buffers))

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
            # Not os.close(): gevent's patched one waits until the loop looks for events again.
            _socket.close(fd)

    def detach(self) -> int:
        fd, self._fd = self._fd, -1
        # None may be left that is started: see Wire.
        while self._watchers:
            self._watchers.pop().close()
        # O_NONBLOCK is shared with whoever else has the file open, a shell for example.
        if fd >= 0 and self._was_blocking:
            os.set_blocking(fd, True)
        return fd

    def abandon(self) -> int:
        """:meth:`detach` in a forked child: the flags are the parent's."""
        self._was_blocking = False
        return self.detach()

    def watch(self, loop: Any, events: int) -> Any:
        self._watchers.append(loop.io(self._fd, events))
        return self._watchers[-1]


def _refuse(flags: int) -> None:
    """Only a socket has flags."""
    if flags & ~_DONTWAIT:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
