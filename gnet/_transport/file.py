"""Descriptors that are no sockets, as wires: pipes, FIFOs, terminals. POSIX only.

Others may have them as well: a shell, the program at the other side of ``|``, a child that was
started with the same standard input. Whether a descriptor blocks is said of the open file, and
holds for everybody at once. So the file is opened anew, by the name that the system has for it,
and what is read and written here goes by a descriptor of gnet's own; the one that was given stays
as it is. libuv does the same with terminals. What has no such name is a :class:`BlockingFile`'s.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .descriptors import close_descriptor
from .protocol import Transport, Watcher, refuse
from .sigpipe import NO_SIGNAL, without_sigpipe

assert sys.platform != "win32"

import fcntl  # noqa: E402
import termios  # noqa: E402

from .file_thread import events_of  # noqa: E402

__all__ = ["FileWire", "ending_at_eio", "opened_anew", "refuse_flags"]

# What a wire does anyway.
_DONTWAIT = _socket.MSG_DONTWAIT
# Gives the number of a terminal's other side, to its master alone. Linux'.
_TIOCGPTN = getattr(termios, "TIOCGPTN", 0x80045430)


class FileWire(Transport):
    """A pipe, FIFO or terminal, in one direction or both.

    :param fd: the descriptor that was given.
    :param own: the one that is read from and written to, which does not block.
    """

    __slots__ = ("_fd", "_own", "_watchers")

    SHARED = True

    def __init__(self, fd: int, own: int) -> None:
        self._fd = fd
        self._own = own
        self._watchers: list[Watcher] = []

    def fileno(self) -> int:
        return self._fd

    def recv(self, size: int, flags: int = 0) -> bytes:
        refuse_flags(flags)
        return ending_at_eio(os.read, self._own, size) or b""

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        refuse_flags(flags)
        view = memoryview(buffer).cast("B")
        target = view[:size] if size else view
        return int(ending_at_eio(os.readv, self._own, [target]) or 0)

    def send(self, data: Any, flags: int = 0) -> int:
        refuse_flags(flags & ~NO_SIGNAL)
        return int(without_sigpipe(os.write, self._own, data))

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        return int(without_sigpipe(os.writev, self._own, buffers))

    def at_end(self) -> bool:
        """Whether nothing stands before the end; it may be of a writer, or typed at a terminal.

        :raises BlockingIOError: there is nothing: another process has read what there was.
        """
        news = events_of(self._fd, select.POLLIN)
        if news:
            waiting = ending_at_eio(fcntl.ioctl, self._fd, termios.FIONREAD, b"\0" * 4)
            if waiting is not None and struct.unpack("i", waiting)[0]:
                return False
            # A terminal's end of input is something to read that has no bytes.
            if news & select.POLLHUP or (
                os.isatty(self._fd) and events_of(self._fd, select.POLLIN)
            ):
                return True
        refuse(errno.EAGAIN)

    def sides(self) -> tuple[bool, bool]:
        mode = _access(self._fd)
        return mode in (os.O_RDONLY, os.O_RDWR), mode in (os.O_WRONLY, os.O_RDWR)

    def shutdown(self, how: int) -> None:
        """A descriptor of one direction ends when it is closed, and has no half to close."""

    def close(self) -> None:
        fd = self.detach()
        if fd >= 0:
            close_descriptor(fd)

    def detach(self) -> int:
        fd, self._fd = self._fd, -1
        # None may be left that is started: see Wire.
        while self._watchers:
            self._watchers.pop().close()
        own, self._own = self._own, -1
        if own != fd:
            close_descriptor(own)
        return fd

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def abandon(self) -> int:
        return self.detach()

    def watch(self, loop: Any, events: int) -> Watcher:
        # Not the given one: libuv makes what it watches non-blocking.
        self._watchers.append(loop.io(self._own, events))
        return self._watchers[-1]


def ending_at_eio(call: Any, *args: Any) -> Any:
    """``call(*args)``; ``None`` at the end of a terminal."""
    # A terminal whose other side has closed reads EIO: that is its end.
    try:
        return call(*args)
    except OSError as exc:
        if exc.errno == errno.EIO:
            return None
        raise


def opened_anew(fd: int) -> int | None:
    """Another descriptor of the same file, which does not block; ``None`` if it has no name."""
    terminal = os.isatty(fd)
    if terminal and _is_master(fd):
        # What its name opens is another terminal.
        return None
    if not terminal and events_of(fd, 0):
        # A FIFO that is opened anew would wait for another writer.
        return None
    flags = _access(fd) | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    for name in _names(fd, terminal):
        try:
            own = os.open(name, flags)
        except OSError:
            continue
        if _is_same(fd, own):
            return own
        close_descriptor(own)
    return None


def _names(fd: int, terminal: bool) -> Iterator[str]:
    """The names by which the system may open a descriptor's file."""
    if sys.platform.startswith("linux"):
        # Elsewhere /dev/fd only duplicates the descriptor.
        yield f"/proc/self/fd/{fd}"
    if terminal:
        with suppress(OSError):
            yield os.ttyname(fd)


def _is_master(fd: int) -> bool:
    try:
        fcntl.ioctl(fd, _TIOCGPTN, b"\0" * 4)
    except OSError:
        return False
    return True


def _is_same(fd: int, own: int) -> bool:
    given, opened = os.fstat(fd), os.fstat(own)
    if stat.S_ISCHR(given.st_mode):
        # A terminal may have more than one file.
        return stat.S_ISCHR(opened.st_mode) and given.st_rdev == opened.st_rdev
    return os.path.samestat(given, opened) and _access(own) == _access(fd)


def _access(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE


def refuse_flags(flags: int) -> None:
    """Only a socket has flags."""
    if flags & ~_DONTWAIT:
        refuse(errno.EOPNOTSUPP)
