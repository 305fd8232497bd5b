"""Files over a socket: what ``makefile()`` gives.

A file has no buffer of its own for what it reads ahead: that is the socket's. So it loses nothing
when a read is interrupted, and whoever reads next, by whichever call, goes on where it stopped.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from .._core.on_read import writable_view
from ..errors import SocketClosedError
from .text_file import TextFile, text_form

__all__ = ["RawFile", "Reader", "open_file"]

# What a read to the end takes at once, in bytes.
READ_BYTES = 65536


class RawFile(io.RawIOBase):
    """The unbuffered file of a socket.

    The standard library's ``SocketIO`` refuses to be read after a timeout, as bytes may have
    been lost; here none are.
    """

    def __init__(self, sock: Any, mode: str) -> None:
        super().__init__()
        self._sock: Any = sock
        self._generation = sock._generation
        self._mode = mode
        # Whether a read has met the end of the stream.
        self._ended = False

    def readable(self) -> bool:
        self._check()
        return "r" in self._mode

    def writable(self) -> bool:
        self._check()
        return "w" in self._mode

    @property
    def mode(self) -> str:
        return self._mode + "b"

    @property
    def name(self) -> int:
        return -1 if self.closed else self.fileno()

    def fileno(self) -> int:
        self._check()
        return int(self._sock.fileno())

    def readinto(self, buffer: Any) -> int:
        if self._stays_at_end():
            return 0
        count = int(self._to_read().recv_into(buffer))
        self._ended = not count
        return count

    def readline(self, size: int | None = -1) -> bytes:
        # A byte at a time: what is behind the line must stay in the kernel.
        limit = -1 if size is None else size
        return self._whole(lambda line: len(line) != limit and not line.endswith(b"\n"), 1)

    def readall(self) -> bytes:
        return self._whole(lambda data: True, READ_BYTES)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        return _lines(self, hint)

    def _whole(self, more: Callable[[bytearray], bool], step: int) -> bytes:
        if self._stays_at_end():
            return b""
        sock = self._to_read()
        data = bytearray()
        received = b""
        try:
            while more(data):
                received = sock.recv(step)
                if not received:
                    self._ended = True
                    break
                data += received
                received = b""
            return bytes(data)
        except BaseException:
            self.give_back(data, received)
            raise

    def ahead(self) -> bytearray:
        """What has been read ahead; to be changed in place."""
        if self._stays_at_end():
            return bytearray()
        sock = self._to_read()
        ahead: bytearray | None = sock._ahead
        if ahead is None:
            ahead = sock._ahead = bytearray()
        return ahead

    def read_ahead(self, size: int) -> int:
        """Read ahead; gives how many bytes have come, ``0`` at the end of the stream."""
        if self._stays_at_end():
            return 0
        count = int(self._to_read()._read_ahead(size))
        self._ended = not count
        return count

    def give_back(self, *parts: bytes | bytearray) -> None:
        """Have what was read come again before anything else."""
        if any(parts) and self._sock._generation == self._generation:
            self._to_read()._put_back(*parts)

    def write(self, data: Any) -> int | None:
        """Send what the socket takes; gives how much, or ``None`` where it must not wait."""
        try:
            return self.send(data)
        except BlockingIOError:
            return None

    def send(self, data: Any) -> int:
        """:meth:`write` that raises where it must not wait."""
        if not self.writable():
            raise io.UnsupportedOperation("File or stream is not writable.")
        return int(self._current().send(data))

    def close(self) -> None:
        if not self.closed:
            super().close()
            sock, self._sock = self._sock, None
            if sock._generation == self._generation:
                sock._file_closed()

    def _stays_at_end(self) -> bool:
        """Whether it has been read to its end, and the socket has another connection now."""
        self._check()
        return self._ended and self._sock._generation != self._generation

    def _to_read(self) -> Any:
        sock = self._current()
        if "r" not in self._mode:
            raise io.UnsupportedOperation("File or stream is not readable.")
        return sock

    def _current(self) -> Any:
        """The socket, while it has the connection that the file is of."""
        self._check()
        if self._sock._generation != self._generation:
            # So the program knows that it was lost.
            self._sock._step("hear_loss")
            raise SocketClosedError("Socket is closed: the file is of its former connection")
        return self._sock

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")


class _Buffered(io.BufferedIOBase):
    """A buffered file.

    :ivar raw: the unbuffered file.
    """

    def __init__(self, raw: RawFile, size: int) -> None:
        super().__init__()
        self.raw = raw
        self._size = size

    @property
    def closed(self) -> bool:
        return self.raw.closed

    @property
    def mode(self) -> str:
        return self.raw.mode

    @property
    def name(self) -> int:
        return self.raw.name

    def fileno(self) -> int:
        return self.raw.fileno()

    def readable(self) -> bool:
        return self.raw.readable()

    def writable(self) -> bool:
        return self.raw.writable()

    def close(self) -> None:
        self.raw.close()


class Reader(_Buffered):
    """A buffered file for reading that loses nothing when a read is interrupted.

    ``io.BufferedReader`` drops what it has of a line when a timeout comes in the middle of it.
    """

    def read(self, size: int | None = -1) -> bytes:
        raw = self.raw
        ahead = raw.ahead()
        if size is None or size < 0:
            while raw.read_ahead(max(self._size, READ_BYTES)):
                pass
            return _take(ahead, len(ahead))
        while len(ahead) < size and raw.read_ahead(max(self._size, size - len(ahead))):
            pass
        return _take(ahead, size)

    def read1(self, size: int | None = -1) -> bytes:
        ahead = self.raw.ahead()
        if size is None or size < 0:
            size = self._size
        if not ahead and size:
            self.raw.read_ahead(max(self._size, size))
        return _take(ahead, size)

    def peek(self, size: int = 0) -> bytes:
        """What comes next, without taking it; blocks until there is something."""
        ahead = self.raw.ahead()
        if not ahead:
            self.raw.read_ahead(self._size)
        return bytes(ahead)

    def readinto(self, buffer: Any) -> int:
        return self._fill(buffer, self.read)

    def readinto1(self, buffer: Any) -> int:
        return self._fill(buffer, self.read1)

    @staticmethod
    def _fill(buffer: Any, read: Callable[[int], bytes]) -> int:
        view = writable_view(buffer)
        data = read(view.nbytes)
        view[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        raw = self.raw
        ahead = raw.ahead()
        limit = -1 if size is None else size
        searched = 0
        while True:
            end = ahead.find(b"\n", searched) + 1
            if 0 <= limit <= (end or len(ahead)):
                return _take(ahead, limit)
            if end:
                return _take(ahead, end)
            searched = len(ahead)
            count = raw.read_ahead(self._size)
            if not count:
                return _take(ahead, len(ahead))
            if len(ahead) != searched + count:
                # Another greenlet has read meanwhile.
                searched = 0

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        return _lines(self, hint)

    def read_part(self, size: int | None) -> bytes:
        """What has come, but no more than a line of it; blocks until something has.

        :param size: the most bytes to give; ``None`` for no limit.
        """
        ahead = self.raw.ahead()
        if not ahead:
            self.raw.read_ahead(self._size)
        part = ahead.find(b"\n") + 1 or len(ahead)
        return _take(ahead, part if size is None else min(part, size))

    def take_ahead(self) -> bytes:
        """What has come from the socket and has not been read yet."""
        ahead = self.raw.ahead()
        return _take(ahead, len(ahead))

    def give_back(self, *parts: bytes) -> None:
        """Have what was read come again before anything else."""
        self.raw.give_back(*parts)


class Writer(_Buffered):
    """A buffered file for writing that sends nothing twice when a write is interrupted.

    ``io.BufferedWriter`` would write all of its buffer again, of which the socket has queued what
    was not sent.
    """

    def __init__(self, raw: RawFile, size: int) -> None:
        super().__init__(raw, size)
        self._pending = bytearray()

    def write(self, data: Any) -> int:
        if not self.writable():
            raise io.UnsupportedOperation("File or stream is not writable.")
        with memoryview(data) as view:
            size = view.nbytes
            if len(self._pending) + size > self._size:
                self.flush()
            sent = self.raw.send(data) if size >= self._size else 0
            if sent < size:
                self._pending += view.cast("B")[sent:]
        return size

    def flush(self) -> None:
        super().flush()
        while self._pending:
            data = bytes(self._pending)
            self._pending.clear()
            try:
                sent = self.raw.send(data)
            except BlockingIOError:
                # In non-blocking mode nothing has been taken. Else the socket has queued the rest.
                self._pending[:0] = data
                raise
            self._pending[:0] = data[sent:]

    def close(self) -> None:
        try:
            if not self.closed:
                self.flush()
        finally:
            super().close()


class ReadWriter(Reader, Writer):
    """A buffered file for both."""


def _take(ahead: bytearray, size: int) -> bytes:
    data = bytes(ahead[:size])
    del ahead[:size]
    return data


def _lines(file: RawFile | Reader, hint: int | None) -> list[bytes]:
    """``readlines()``; interrupted, it leaves the lines for the next read."""
    lines: list[bytes] = []
    size = 0
    try:
        while line := file.readline():
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint < size:
                break
    except BaseException:
        file.give_back(*lines)
        raise
    return lines


def open_file(
    sock: Any,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> Any:
    """The file for ``Socket.makefile()``; its arguments have been checked."""
    raw_mode = mode.replace("b", "")
    form = text_form(encoding, errors, newline) if "b" not in mode else None
    raw = RawFile(sock, raw_mode)
    if buffering == 0:
        return raw
    buffered: Any
    if raw_mode == "r":
        buffered = Reader(raw, buffering)
    elif raw_mode == "w":
        buffered = Writer(raw, buffering)
    else:
        buffered = ReadWriter(raw, buffering)
    return buffered if form is None else TextFile(buffered, form, mode)
