"""The command's own ends of a transfer: standard input and output, and a child's.

What the loop can watch, a pipe, a terminal or a socket, is a :class:`gnet.Socket`; everything
else, a regular file or a device, a :class:`File`. Both are iterated over to read, and have
``sendall()``, ``close()`` and ``destroy()``.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import gevent
from gevent.util import wrap_errors
from greenlet import getcurrent

from .._socket.socket import Socket

__all__ = [
    "File",
    "LocalSocket",
    "ReaderWatch",
    "Stream",
    "is_terminal",
    "open_stream",
    "standard_input",
    "standard_output",
    "throwing",
]

CHUNK_BYTES = 262144
# A watcher's interest in gevent's loops.
READ = 1


class File:
    """A descriptor that is read and written by a thread of the hub's pool.

    A regular file is always ready for the loop, and blocks all the same when its disk is slow.

    :param fd: the descriptor; from then on the file's to close.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pool = gevent.get_hub().threadpool
        if sys.platform == "win32":
            import msvcrt

            # Otherwise the C library changes the ends of lines.
            msvcrt.setmode(fd, os.O_BINARY)

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._in_thread(os.read, CHUNK_BYTES):
            yield chunk

    def sendall(self, data: bytes) -> None:
        """Write all of the data; block until that is done."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._in_thread(os.write, rest) :]

    def _in_thread(self, call: Callable[..., Any], argument: Any) -> Any:
        # What a thread of the pool raises is printed, too.
        result = self._pool.apply(wrap_errors((OSError,), call), (self._fd, argument))
        if isinstance(result, OSError):
            raise result
        return result

    def close(self) -> None:
        """Close the descriptor."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    destroy = close


class LocalSocket(Socket):
    """A socket that is no connection, but an end that the command has itself."""

    __slots__ = ()


Stream = Socket | File


def open_stream(fd: int, *, readable: bool = True, writable: bool = True) -> Stream:
    """The stream behind a descriptor, which is taken over.

    :raises OSError: the descriptor is not open.
    """
    try:
        stream = LocalSocket(fd=fd, readable=readable, writable=writable)
    except (OSError, ValueError):
        # A file or a device; on Windows whatever is no socket.
        os.fstat(fd)
        return File(fd)
    # An error is raised by the call that meets it.
    stream.on("error", lambda error: None)
    return stream


def standard_input() -> Stream:
    """Standard input. What still wants to write to it is told when the stream is closed."""
    return open_stream(_take(sys.stdin, 0, os.O_RDONLY), writable=False)


def standard_output() -> Stream:
    """Standard output. Whoever reads it gets its end when the stream is closed."""
    return open_stream(_take(sys.stdout, 1, os.O_WRONLY), readable=False)


def is_terminal(stream: Any) -> bool:
    """Whether ``sys.stdin``, ``sys.stdout`` or ``sys.stderr`` is one."""
    return stream is not None and stream.isatty()


@contextmanager
def throwing() -> Iterator[Callable[[BaseException], object]]:
    """Give what raises an error in the block from another greenlet, and never behind the block."""
    hub, greenlet, inside = gevent.get_hub(), getcurrent(), True

    def throw(error: BaseException) -> None:
        if inside:
            greenlet.throw(error)

    try:
        yield lambda error: hub.loop.run_callback(partial(throw, error))
    finally:
        inside = False


class ReaderWatch:
    """Notices that nobody reads a pipe any more.

    Of other streams the system does not say so before something is written.

    :param sink: what is written to; its watch is closed before it.
    :param gone: called in the hub.
    """

    def __init__(self, sink: Stream, gone: Callable[[], object]) -> None:
        self._watcher: Any = None
        if sys.platform == "win32":
            # There a pipe is a file for the command.
            return
        if isinstance(sink, Socket) and stat.S_ISFIFO(os.fstat(sink.fileno()).st_mode):
            fd = sink.fileno()
            blocking = os.get_blocking(fd)
            # What is written to is never readable; so the loops tell of an error.
            self._watcher = gevent.get_hub().loop.io(fd, READ)
            self._watcher.start(self._gone, gone)
            # libuv has changed that, and others have the pipe as well.
            os.set_blocking(fd, blocking)

    def _gone(self, gone: Callable[[], object]) -> None:
        self.close()
        gone()

    def close(self) -> None:
        """Notice nothing any more."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.close()


def _take(stream: Any, fd: int, flags: int) -> int:
    """A descriptor of our own for what is behind a standard one, which gets the null device."""
    if stream is None:
        # It was closed when the program started; its number may be anything's by now.
        return os.open(os.devnull, flags)
    if stream.isatty() and hasattr(os, "ttyname"):
        # O_NONBLOCK belongs to what was opened, not to a descriptor: opened again, the terminal
        # stays as it is for the shell and for standard error.
        try:
            return os.open(os.ttyname(fd), flags | os.O_NOCTTY)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            pass
    mine = os.dup(fd)
    null = os.open(os.devnull, flags)
    os.dup2(null, fd)
    os.close(null)
    return mine
