"""Descriptors that come over a Unix socket, and whoever wants them."""

from __future__ import annotations

import _socket
import errno
import struct
from collections.abc import Callable
from typing import Any

from .around import Around
from .descriptors import close_descriptor
from .protocol import Transport, refuse

__all__ = ["MOST_FDS", "FdsWire", "close_fds", "fds_of", "has_fds"]

#: The most descriptors of one message: SCM_MAX_FD of Linux.
MOST_FDS = 253

_INT_BYTES = struct.calcsize("i")
_ROOM = MOST_FDS * _INT_BYTES
# The kernel then never gives one that children would inherit.
_CLOEXEC: int = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)


def has_fds(wire: Transport) -> bool:
    """Whether descriptors can come and go over a transport."""
    unix = getattr(_socket, "AF_UNIX", None)
    return wire.MESSAGES and wire.family == unix and hasattr(_socket, "SCM_RIGHTS")


def room_for(count: int) -> int:
    """The room that so many descriptors take as ancillary data, in bytes."""
    length: int = _socket.CMSG_LEN(count * _INT_BYTES)  # type: ignore[attr-defined,unused-ignore]
    return length


def fds_of(ancillary: list[Any]) -> list[int]:
    """The descriptors in the ancillary data of a message."""
    fds: list[int] = []
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):  # type: ignore[attr-defined,unused-ignore]
            fds += struct.unpack_from(f"{len(data) // _INT_BYTES}i", data)
    return fds


def close_fds(fds: list[int]) -> None:
    """Nobody wants them."""
    for fd in fds:
        close_descriptor(fd)


class FdsWire(Around):
    """A Unix socket whose descriptors are handed on ahead of the data that they came with.

    :param tell: called with them; it tells whether the connection goes on.
    """

    __slots__ = ("_tell",)

    def __init__(self, inner: Transport, tell: Callable[[list[int]], bool]) -> None:
        super().__init__(inner)
        self._tell = tell

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags & (_socket.MSG_PEEK | _socket.MSG_OOB):
            return self.inner.recv(size, flags)
        data, ancillary, *_ = self.call("recvmsg")(size, room_for(MOST_FDS), flags | _CLOEXEC)
        self._hand_on(ancillary)
        received: bytes = data
        return received

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def _hand_on(self, ancillary: list[Any]) -> None:
        fds = fds_of(ancillary) if ancillary else None
        if fds and not self._tell(fds):
            # A listener has closed the connection: nobody is there for the data.
            refuse(errno.EBADF)
