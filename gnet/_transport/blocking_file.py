"""Pipes, FIFOs and terminals that cannot be opened anew: threads read and write them.

Another user's pipe is such a file, the master of a terminal, and whatever a system without
``/proc`` has no name for.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from functools import partial
from typing import Any

from .protocol import READ, Watcher
from .sigpipe import NO_SIGNAL

assert sys.platform != "win32"

from .file import FileWire, ending_at_eio, opened_anew, refuse_flags  # noqa: E402
from .file_thread import FileThread  # noqa: E402

__all__ = ["BlockingFile", "file_wire"]

# A pipe has no more, unless it was made larger.
READ_BYTES = 65536
# So much a pipe takes without waiting, when it takes something.
WRITE_BYTES = select.PIPE_BUF
# Linux' way to read a pipe that blocks, without waiting; terminals do not know it.
_NO_WAIT = getattr(os, "RWF_NOWAIT", 0)


def file_wire(fd: int) -> FileWire:
    """The wire of a pipe, FIFO or terminal. Whether the descriptor blocks stays as it is."""
    if not os.get_blocking(fd):
        return FileWire(fd, fd)
    own = opened_anew(fd)
    return BlockingFile(fd) if own is None else FileWire(fd, own)


class BlockingFile(FileWire):
    """A file whose descriptor blocks, for everybody who has it.

    A read takes what is there when somebody wants it, and nothing before. One of a terminal that
    another process was faster at, between the look and the read, waits in its thread for what
    comes next; nothing on a terminal can be read without that.
    """

    __slots__ = ("_reader", "_writer")

    def __init__(self, fd: int) -> None:
        super().__init__(fd, fd)
        self._reader = FileThread(fd, select.POLLIN)
        self._writer = FileThread(fd, select.POLLOUT)

    def watch(self, loop: Any, events: int) -> Watcher:
        thread = self._reader if events == READ else self._writer
        return thread.watch(loop)

    # -- reading ------------------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0) -> bytes:
        refuse_flags(flags)
        reader = self._reader
        data = reader.kept
        if reader.busy:
            data = reader.late_outcome()
        elif not data:
            order = partial(_read, size=min(size, READ_BYTES))
            data = reader.outcome() if reader.order(order) else reader.late_outcome()
        reader.kept = data[size:]
        return data[:size]

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def at_end(self) -> bool:
        reader = self._reader
        if reader.busy:
            reader.kept = reader.late_outcome()
            return not reader.kept
        return not reader.kept and super().at_end()

    # -- writing ------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0) -> int:
        refuse_flags(flags & ~NO_SIGNAL)
        return self.sendmsg([data])

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        writer = self._writer
        if writer.busy:
            writer.late_outcome()
        chunk = _beginning(buffers)
        if chunk and writer.order(partial(_write, data=chunk)):
            writer.outcome()
        # Where it is late, the thread has it, and an error is that of the next call.
        return len(chunk)

    # -- the end ------------------------------------------------------------------------------

    def detach(self) -> int:
        for thread in self._reader, self._writer:
            thread.close()
            thread.end()
        return super().detach()

    def abandon(self) -> int:
        for thread in self._reader, self._writer:
            thread.close()
            thread.abandon()
        return super().detach()


def _read(fd: int, size: int) -> bytes:
    if _NO_WAIT:
        buffer = bytearray(size)
        try:
            return bytes(buffer[: os.preadv(fd, [buffer], -1, _NO_WAIT)])
        except OSError as exc:
            if exc.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    return ending_at_eio(os.read, fd, size) or b""


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _beginning(buffers: list[Any]) -> bytes:
    """So much of the buffers as is written at once."""
    chunk = bytearray()
    for buffer in buffers:
        chunk += memoryview(buffer).cast("B")[: WRITE_BYTES - len(chunk)]
        if len(chunk) == WRITE_BYTES:
            break
    return bytes(chunk)
