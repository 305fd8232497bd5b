"""Moving bytes from socket to socket inside the kernel (Linux' ``splice``), without a copy.

``splice`` needs a pipe of the kernel's between the two. One serves a whole thread, as long as the
destinations take whatever is put into it. What one of them does not take stays in there, as
:class:`KernelBytes`, and the thread goes on with another one. Without a user there is none.
"""

from __future__ import annotations

import _socket
import errno
import io
import os
import stat
import sys
from contextlib import suppress
from typing import Any

from .._transport.sigpipe import without_sigpipe

__all__ = ["AVAILABLE", "FileBytes", "KernelBytes", "Splicer", "rest_of_file"]

AVAILABLE = hasattr(os, "splice")

# The largest pipe that a user may have by default (/proc/sys/fs/pipe-max-size).
PIPE_BYTES = 1 << 20
# So many destinations may have a pipe of their own while they are full. Each takes two descriptors
# and its part of what a user's pipes may hold (/proc/sys/fs/pipe-user-pages-soft); for the others
# the bytes are copied. A proxy that is always full moves an eighth more with them.
MAX_FULL = 32

if sys.platform == "linux":
    import fcntl

    _FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK if AVAILABLE else 0


class KernelBytes:
    """Bytes that stay in a pipe of the kernel's until their destination takes them."""

    __slots__ = ("_pipe", "_size", "_splicer")

    def __init__(self, splicer: Splicer, pipe: tuple[int, int], size: int) -> None:
        self._splicer = splicer
        self._pipe: tuple[int, int] | None = pipe
        self._size = size
        splicer.full += 1

    def __len__(self) -> int:
        return self._size

    def send(self, destination: int) -> int:
        """Move to the destination what that takes.

        :param destination: the descriptor of a socket.
        :returns: how many bytes that were; they are :meth:`drop`'s to take off.
        :raises BlockingIOError: it takes nothing.
        :raises OSError: it has failed.
        """
        assert self._pipe is not None
        return _splice(self._pipe[0], destination, self._size)

    def drop(self, count: int) -> None:
        """So many bytes are sent. With the last one the pipe is free for others."""
        self._size -= count
        if not self._size:
            self._let_go(reuse=True)

    def close(self) -> None:
        """Nobody wants the bytes any more."""
        self._let_go(reuse=False)

    def _let_go(self, reuse: bool) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            self._splicer.full -= 1
            self._splicer.take_back(pipe, reuse)


class FileBytes(KernelBytes):
    """Bytes of a file, which the kernel sends from there (``sendfile``)."""

    __slots__ = ("_fd", "_offset")

    def __init__(self, fd: int, offset: int, size: int) -> None:
        # Who waits for it may be interrupted, and close the file; the rest is still to be sent.
        self._fd = _socket.dup(fd)
        self._offset = offset
        self._size = size

    def send(self, destination: int) -> int:
        """As :meth:`KernelBytes.send`.

        :raises OSError: ``EIO``, the file has become shorter than it was.
        """
        sendfile = os.sendfile  # type: ignore[attr-defined,unused-ignore]
        sent: int = without_sigpipe(sendfile, destination, self._fd, self._offset, self._size)
        if not sent:
            raise OSError(errno.EIO, "the file has become shorter while it was sent")
        return sent

    def drop(self, count: int) -> None:
        """So many bytes are sent."""
        self._size -= count
        self._offset += count
        if not self._size:
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _socket.close(fd)


class Splicer:
    """The pipes of one thread's sockets.

    :ivar users: how many there are that may call :meth:`move`; without one it has no pipe.
    :ivar full: how many pipes wait for a destination, with bytes in them.
    """

    __slots__ = ("_pid", "_pipe", "full", "users")

    def __init__(self) -> None:
        self.users: int = 0
        self.full: int = 0
        self._pid = 0
        self._pipe: tuple[int, int] | None = None

    def acquire(self) -> None:
        """There is one user more."""
        self.users += 1

    def release(self) -> None:
        """There is one user less."""
        self.users -= 1
        if not self.users:
            self._close()

    def take_back(self, pipe: tuple[int, int], reuse: bool) -> None:
        """A pipe is no longer :class:`KernelBytes`'s.

        :param reuse: whether it is empty.
        """
        if reuse and self.users and self._pipe is None:
            self._pipe = pipe
        else:
            _close(pipe)

    def _close(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            _close(pipe)

    def ready(self) -> bool:
        """Whether there is a pipe; without a free descriptor there is none."""
        try:
            self._open()
        except OSError:
            return False
        return True

    def _open(self) -> tuple[int, int]:
        if self._pipe is not None and self._pid != os.getpid():
            # Through the one of before the fork the parent moves its own bytes.
            self._close()
        if self._pipe is None:
            self._pid = os.getpid()
            self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)  # type: ignore[attr-defined,unused-ignore]
            # Smaller where the administrator allows no more.
            with suppress(OSError):
                fcntl.fcntl(self._pipe[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # type: ignore[name-defined,unused-ignore]
        return self._pipe

    def move(
        self, source: int, destination: int
    ) -> tuple[int, bytes | KernelBytes, OSError | None]:
        """Move what the source has received to the destination, as far as that takes it.

        :param source: the descriptor of a socket.
        :param destination: the descriptor of a socket.
        :returns: how many bytes were received, ``0`` at the end of the stream; those of them
            that the destination has not taken; and the destination's error, if it has failed.
        :raises BlockingIOError: nothing was received.
        :raises OSError: the source has failed.
        """
        pipe = self._open()
        received = _splice(source, pipe[1], PIPE_BYTES)
        left = received
        error = None
        try:
            while left:
                left -= _splice(pipe[0], destination, left)
        except BlockingIOError:
            pass
        except OSError as exc:
            error = exc
        except BaseException:
            # A signal's handler has raised. What is left in the pipe is nobody else's to send.
            self._close()
            raise
        if left and error is None and self.full < MAX_FULL:
            self._pipe = None
            return received, KernelBytes(self, pipe, left), None
        return received, _read(pipe[0], left), error


def rest_of_file(file: Any) -> int | None:
    """How many bytes a regular file has behind its position; ``None`` for any other.

    Others have a descriptor as well, but not that of what is read from them: gzip's, for one.
    """
    if not hasattr(os, "sendfile") or not isinstance(getattr(file, "raw", file), io.FileIO):
        return None
    try:
        position: int = file.tell()
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return max(0, status.st_size - position) if stat.S_ISREG(status.st_mode) else None


def _splice(source: int, destination: int, size: int) -> int:
    return without_sigpipe(os.splice, source, destination, size, flags=_FLAGS)  # type: ignore[attr-defined,name-defined,no-any-return,unused-ignore]


def _read(reader: int, size: int) -> bytes:
    """Copy what is left in a pipe, so that it is empty."""
    data = b""
    while len(data) < size:
        data += os.read(reader, size - len(data))
    return data


def _close(pipe: tuple[int, int]) -> None:
    for fd in pipe:
        _socket.close(fd)
