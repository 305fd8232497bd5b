"""Files over a socket: what ``makefile()`` gives."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

__all__ = ["RawFile", "Reader", "open_file"]


class RawFile(io.RawIOBase):
    """The unbuffered file of a socket.

    The standard library's ``SocketIO`` refuses to be read after a timeout, as bytes may have
    been lost; here none are.
    """

    def __init__(self, sock: Any, mode: str) -> None:
        super().__init__()
        self._sock: Any = sock
        self._mode = mode
        self._given_back = b""

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
        if not self.readable():
            raise io.UnsupportedOperation("File or stream is not readable.")
        if not self._given_back:
            return int(self._sock.recv_into(buffer))
        count = min(len(self._given_back), len(buffer))
        buffer[:count] = self._given_back[:count]
        self._given_back = self._given_back[count:]
        return count

    def give_back(self, data: bytes) -> None:
        """Read ``data`` again before anything else."""
        self._given_back = data + self._given_back

    def write(self, data: Any) -> int:
        if not self.writable():
            raise io.UnsupportedOperation("File or stream is not writable.")
        return int(self._sock.send(data))

    def close(self) -> None:
        if not self.closed:
            super().close()
            sock, self._sock = self._sock, None
            sock._file_closed()

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")


class _Noting(RawFile):
    """A raw file that keeps what its reader has not passed on yet."""

    def __init__(self, sock: Any, mode: str) -> None:
        super().__init__(sock, mode)
        self._noted = bytearray()

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self._noted += memoryview(buffer)[:count]
        return count

    def passed_on(self, count: int) -> None:
        """The reader's caller has got ``count`` bytes."""
        del self._noted[:count]

    def kept(self) -> bytes:
        """What is with the reader, and what was given back by it."""
        return bytes(self._noted) + self._given_back

    def interrupted(self) -> None:
        """The reader has dropped what it had."""
        self.give_back(bytes(self._noted))
        self._noted.clear()


class Reader(io.BufferedReader):
    """A buffered file that loses nothing when a read is interrupted.

    ``BufferedReader`` drops what it has of a line when a timeout comes in the middle of it.
    """

    def __init__(self, sock: Any, size: int) -> None:
        self._noting = _Noting(sock, "r")
        super().__init__(self._noting, size)

    def _exactly(self, read: Callable[..., Any], *args: Any) -> Any:
        try:
            got = read(*args)
        except BaseException:
            self._noting.interrupted()
            raise
        self._noting.passed_on(got if isinstance(got, int) else len(got))
        return got

    def received(self) -> bytes:
        """A copy of what has come from the socket and has not been read yet."""
        return self._noting.kept()

    def read(self, size: int | None = -1) -> bytes:
        return bytes(self._exactly(super().read, size))

    def read1(self, size: int = -1) -> bytes:
        return bytes(self._exactly(super().read1, size))

    def readline(self, size: int | None = -1) -> bytes:
        return bytes(self._exactly(super().readline, size))

    def readinto(self, buffer: Any) -> int:
        return int(self._exactly(super().readinto, buffer))

    def readinto1(self, buffer: Any) -> int:
        return int(self._exactly(super().readinto1, buffer))


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
    if buffering == 0:
        return RawFile(sock, raw_mode)
    buffered: Any
    if raw_mode == "r":
        buffered = Reader(sock, buffering)
    elif raw_mode == "w":
        buffered = io.BufferedWriter(RawFile(sock, "w"), buffering)
    else:
        raw: Any = RawFile(sock, "rw")
        buffered = io.BufferedRWPair(raw, raw, buffering)
    if "b" in mode:
        return buffered
    text: Any = io.TextIOWrapper(buffered, encoding, errors, newline)
    text.mode = mode
    return text
