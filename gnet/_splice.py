"""Moving bytes from socket to socket inside the kernel (Linux' ``splice``), without a copy.

``splice`` needs a pipe of the kernel's between the two. One serves a whole thread: whatever is
put into it is taken out again before anything else runs. It is closed with its last user.
"""

from __future__ import annotations

import _socket
import os
import sys
from contextlib import suppress

__all__ = ["AVAILABLE", "Splicer"]

AVAILABLE = hasattr(os, "splice")

# The largest pipe that a user may have by default (/proc/sys/fs/pipe-max-size).
PIPE_BYTES = 1 << 20

if sys.platform == "linux":
    import fcntl

    _FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK if AVAILABLE else 0


class Splicer:
    """The pipe of one thread's sockets.

    :ivar users: how many there are that may call :meth:`move`; without one it has no pipe.
    """

    __slots__ = ("_pid", "_pipe", "users")

    def __init__(self) -> None:
        self.users = 0
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

    def _close(self) -> None:
        pipe, self._pipe = self._pipe, None
        for fd in pipe or ():
            _socket.close(fd)

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

    def move(self, source: int, destination: int) -> tuple[int, bytes, OSError | None]:
        """Move what the source has received to the destination, as far as that takes it.

        :param source: the descriptor of a socket.
        :param destination: the descriptor of a socket.
        :returns: how many bytes were received, ``0`` at the end of the stream; those of them
            that the destination has not taken; and the destination's error, if it has failed.
        :raises BlockingIOError: nothing was received.
        :raises OSError: the source has failed.
        """
        reader, writer = self._open()
        received = os.splice(source, writer, PIPE_BYTES, flags=_FLAGS)  # type: ignore[attr-defined,name-defined,unused-ignore]
        try:
            rest, error = _empty(reader, destination, received)
        except BaseException:
            # A signal's handler has raised. What is left in the pipe is nobody else's to send.
            self._close()
            raise
        return received, rest, error


def _empty(reader: int, destination: int, left: int) -> tuple[bytes, OSError | None]:
    """Move what is in the pipe to the destination, and read the rest back."""
    error = None
    try:
        while left:
            left -= os.splice(reader, destination, left, flags=_FLAGS)  # type: ignore[attr-defined,name-defined,unused-ignore]
    except BlockingIOError:
        pass
    except OSError as exc:
        error = exc
    rest = b""
    while len(rest) < left:
        rest += os.read(reader, left - len(rest))
    return rest, error
