"""Descriptors over a Unix socket: send_fds(), recv_fds(), and the event 'fds'."""

from __future__ import annotations

import _socket
import errno
import struct
from collections.abc import Iterable
from typing import Any
from weakref import ref

from .._core.states import LEFT, OPEN
from .._transport.fds_wire import MOST_FDS, FdsWire, close_fds, fds_of, has_fds, room_for
from .._values import arguments, encodings
from ..errors import system_error
from .framing import Framing

__all__ = ["Descriptors"]

_CLOEXEC: int = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)


class _Teller(ref):  # type: ignore[type-arg]
    """Hands descriptors to a socket; it does not keep the socket."""

    __slots__ = ()

    def __call__(self, fds: list[int]) -> bool:  # type: ignore[override]
        sock = super().__call__()
        if sock is None:
            close_fds(fds)
            return False
        return bool(sock._fds_came(fds))


class Descriptors(Framing):
    """A connection over which descriptors are passed."""

    __slots__ = ()

    def send_fds(self, data: Any, fds: Iterable[Any]) -> int:
        """Send data, and descriptors with its first byte, over a Unix socket.

        They stay open here as well. From Python's ``socket.send_fds()``.

        :param data: a bytes-like object, of one byte at least.
        :param fds: descriptors, or objects with ``fileno()``; at most 253.
        :returns: how many bytes were sent: all of them, unless the call must not wait.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: there is no data, or there are too many descriptors.
        :raises OSError: ``EOPNOTSUPP``, this is no Unix socket: nothing was sent. ``EBADF``, a
            descriptor is not open.
        """
        self._check_thread()
        message = bytes(encodings.byte_view(data))
        if not message:
            raise arguments.wrong_value("data", data, "of one byte or more, which they go with")
        numbers = [_number(each) for each in fds]
        if len(numbers) > MOST_FDS:
            raise arguments.wrong_value("fds", len(numbers), f"at most {MOST_FDS} descriptors")
        if not has_fds(self._open_wire()):
            raise system_error(errno.EOPNOTSUPP, "sendmsg")
        packed = struct.pack(f"{len(numbers)}i", *numbers)
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)  # type: ignore[attr-defined,unused-ignore]
        return self.sendmsg([message], [rights] if numbers else ())

    def recv_fds(
        self, bufsize: int, maxfds: int, flags: int = 0
    ) -> tuple[bytes, list[int], int, Any]:
        """Receive as :meth:`recv`, with the descriptors that come with it over a Unix socket.

        From Python's ``socket.recv_fds()``.

        :param bufsize: the most bytes to give.
        :param maxfds: the most descriptors to give; others are closed, and the flags have
            ``MSG_CTRUNC``.
        :param flags: as for :meth:`recv`.
        :returns: the bytes, the descriptors, which are the caller's to close, the flags of the
            message, and the peer's address where the system tells it.
        :raises OSError: ``EOPNOTSUPP``, this is no Unix socket.
        """
        arguments.integer("maxfds", maxfds, 0, MOST_FDS)
        if not has_fds(self._open_wire()):
            raise system_error(errno.EOPNOTSUPP, "recvmsg")
        room = room_for(maxfds) if maxfds else 0
        data, ancillary, told, address = self.recvmsg(bufsize, room, flags | _CLOEXEC)
        fds = fds_of(ancillary)
        # There may be room for one more than was asked for, where the system rounds it up.
        close_fds(fds[maxfds:])
        return data, fds[:maxfds], told, address

    def _expect_fds(self) -> None:
        """From now on the listeners of ``'fds'`` get what comes."""
        wire = self._wire
        if wire is None or self._life != OPEN or isinstance(wire, FdsWire):
            return
        if has_fds(wire):
            self._exchange(FdsWire(wire, _Teller(self)))

    def _fds_came(self, fds: list[int]) -> bool:
        """Descriptors have come; tells whether their data is still wanted."""
        if "fds" not in self._listeners or self._owner >= LEFT:
            close_fds(fds)
        else:
            self._deliver("fds", fds)
        return bool(self._life == OPEN)

    def _exchange(self, wire: Any) -> None:
        """Go on over another transport, which has the same peer."""
        raise NotImplementedError


def _number(each: Any) -> int:
    if isinstance(each, int) and not isinstance(each, bool):
        return arguments.integer("fds", each, 0, 2**31 - 1)
    fileno = getattr(each, "fileno", None)
    if not callable(fileno):
        raise arguments.wrong_kind("fds", each, "descriptors, or objects with fileno()")
    return arguments.integer("fds", fileno(), 0, 2**31 - 1)
