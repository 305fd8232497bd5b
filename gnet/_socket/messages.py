"""The calls of Python's ``socket`` that have more to them than bytes: messages, and who connects.

From the standard library's ``socket``, *Socket Objects*.
"""

from __future__ import annotations

import _socket
import errno
from collections.abc import Iterable
from typing import Any

from .._core.losing import Losing
from .._core.on_read import writable_view
from .._core.states import LEFT, LISTENERS, OPEN, SHUT, UNMADE
from .._transport.fds_wire import close_fds, fds_of
from .._transport.protocol import Transport
from .._transport.sigpipe import NO_SIGNAL
from .._values import arguments
from ..errors import annotate, system_error, would_block

__all__ = ["Messages"]

_WAITALL = getattr(_socket, "MSG_WAITALL", 0)
_DONTWAIT = getattr(_socket, "MSG_DONTWAIT", 0)
# With these a call takes what there is.
_NOT_ALL = _DONTWAIT | _socket.MSG_PEEK | _socket.MSG_OOB

# What the system's calls take for an address: of TCP, of the Unix domain.
_ADDRESSES = (tuple, str, bytes, bytearray, memoryview)
# What recvmsg() gives: data, ancillary data, flags, address.
_Message = tuple[bytes, list[Any], int, Any]


class _Ancillary:
    """Ancillary data of which the message is still to be read; what nobody takes is closed."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def take(self, room: int) -> tuple[list[Any], int]:
        """What there is room for, and the flags of the message.

        As in the system, what is behind the first that does not fit is not given either.
        """
        taken: list[Any] = []
        while self.items:
            room -= _socket.CMSG_SPACE(len(self.items[0][2]))  # type: ignore[attr-defined,unused-ignore]
            if room < 0:
                return taken, _socket.MSG_CTRUNC
            taken.append(self.items.pop(0))
        return taken, 0

    def __del__(self) -> None:
        close_fds(fds_of(self.items))


class Messages(Losing):
    """A connection that sends and receives with all that the system has for it."""

    __slots__ = ()

    def _kept_ancillary(self, room: int, flags: int) -> tuple[list[Any], int]:
        """The ancillary data of what was put back, and the flags of the message."""
        rare = self._rare
        if rare is None or rare.ancillary is None or flags & _socket.MSG_PEEK:
            return [], 0
        kept, rare.ancillary = rare.ancillary, None
        taken: tuple[list[Any], int] = kept.take(room)
        return taken

    def _complete(
        self, data: bytes, wanted: int, flags: int, ancillary: list[Any] | None = None
    ) -> bytes:
        """The whole of a message of which ``data`` has come, where ``MSG_WAITALL`` is asked for.

        Interrupted, it leaves data and ancillary data for the next call.
        """
        if not flags & _WAITALL or flags & _NOT_ALL or not 0 < len(data) < wanted:
            return data
        try:
            return self._recv_all(wanted, flags & ~_WAITALL, data)
        except BaseException:
            if ancillary:
                self._need_rare().ancillary = _Ancillary(ancillary)
            raise

    def _open_wire(self) -> Transport:
        """The wire of an open connection."""
        raise NotImplementedError

    def _message_call(self, name: str) -> Any:
        """A method of the system's socket for messages.

        :raises OSError: the socket is not open; ``ENOTSOCK``, it is a pipe or a terminal;
            ``EOPNOTSUPP``, the system has no such call.
        """
        wire = self._open_wire()
        if not wire.MESSAGES:
            raise system_error(errno.ENOTSOCK, name)
        call = getattr(wire, name, None)
        if call is None:
            raise system_error(errno.EOPNOTSUPP, name)
        return call

    # -- receiving ----------------------------------------------------------------------------

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """Receive as :meth:`recv`; give the address that the system tells, too.

        From Python's ``socket.recvfrom()``.

        :returns: the bytes and the address, which is mostly ``None``.
        """
        rest = self._begin_reading(bufsize, flags)
        if rest is not None:
            return self._complete(rest, bufsize, flags), None
        recvfrom = self._message_call("recvfrom")
        once = flags & ~_WAITALL

        def receive() -> tuple[int, tuple[bytes, Any]]:
            received: tuple[bytes, Any] = recvfrom(bufsize, once)
            return len(received[0]), received

        data, address = self._receive(receive, bufsize, once) or (b"", None)
        return self._complete(data, bufsize, flags), address

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """Receive as :meth:`recv_into`; give the address that the system tells, too.

        From Python's ``socket.recvfrom_into()``.

        :returns: how many bytes were put into the buffer, and the address, mostly ``None``.
        """
        view = writable_view(buffer).cast("B")
        nbytes = arguments.integer("nbytes", nbytes, 0, len(view)) or len(view)
        data, address = self.recvfrom(nbytes, flags)
        view[: len(data)] = data
        return len(data), address

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> _Message:
        """Receive as :meth:`recv`, with ancillary data, such as descriptors over a Unix socket.

        From Python's ``socket.recvmsg()``.

        :param bufsize: the most bytes to give.
        :param ancbufsize: the room for ancillary data in bytes, see ``socket.CMSG_SPACE()``;
            longer data is cut, and descriptors for which there is no room are closed.
        :param flags: as for :meth:`recv`.
        :returns: the bytes (``b""`` at the end of the stream), a list of ``(level, type, data)``,
            the flags of the message, and the peer's address where the system tells it.
        """
        arguments.integer("ancbufsize", ancbufsize, 0, 2**31 - 1)
        rest = self._begin_reading(bufsize, flags)
        if rest is not None:
            ancillary, told = self._kept_ancillary(ancbufsize, flags)
            return self._complete(rest, bufsize, flags, ancillary), ancillary, told, None
        recvmsg = self._message_call("recvmsg")
        once = flags & ~_WAITALL

        def receive() -> tuple[int, _Message]:
            message: _Message = recvmsg(bufsize, ancbufsize, once)
            return len(message[0]), message

        message = self._receive(receive, bufsize, once)
        if message is None:
            return b"", [], 0, None
        data, *others = message
        return (self._complete(data, bufsize, flags, others[0]), *others)

    def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Any], int, Any]:
        """Receive as :meth:`recvmsg`, into buffers. From Python's ``socket.recvmsg_into()``.

        :param buffers: writable bytes-like objects, filled one after another.
        :returns: how many bytes were put there, and the rest as from :meth:`recvmsg`.
        """
        arguments.integer("ancbufsize", ancbufsize, 0, 2**31 - 1)
        views = [writable_view(each).cast("B") for each in buffers]
        wanted = sum(map(len, views))
        rest = self._begin_reading(wanted, flags)
        if rest is not None:
            ancillary, told = self._kept_ancillary(ancbufsize, flags)
            rest = self._complete(rest, wanted, flags, ancillary)
            _scatter(rest, views)
            return len(rest), ancillary, told, None
        recvmsg_into = self._message_call("recvmsg_into")
        once = flags & ~_WAITALL

        def receive() -> tuple[int, tuple[int, list[Any], int, Any]]:
            message = recvmsg_into(views, ancbufsize, once)
            return message[0], message

        message = self._receive(receive, wanted, once)
        if message is None:
            return 0, [], 0, None
        count, *others = message
        if flags & _WAITALL and 0 < count < wanted:
            data = self._complete(b"".join(views)[:count], wanted, flags, others[0])
            _scatter(data, views)
            count = len(data)
        return (count, *others)

    # -- sending ------------------------------------------------------------------------------

    def sendmsg(
        self,
        buffers: Iterable[Any],
        ancdata: Iterable[tuple[int, int, Any]] = (),
        flags: int = 0,
        address: None = None,
    ) -> int:
        """Send several buffers as one message. From Python's ``socket.sendmsg()``.

        :param buffers: bytes-like objects.
        :param ancdata: ancillary data, as ``(level, type, data)``: descriptors over a Unix
            socket, for example. It goes with the first byte.
        :param flags: as for :meth:`send`.
        :param address: ``None``: a connected socket has its peer.
        :returns: how many bytes were sent: all of them, unless the call must not wait.
        :raises TypeError: ``address`` is not an address.
        :raises OSError: ``EISCONN``, an address was given.
        """
        data = b"".join(buffers)
        ancillary = list(ancdata)
        self._check_no_address(address, "sendmsg")
        if not ancillary:
            return self.send(data, flags)
        return self._send_with(data, ancillary, flags)

    def sendto(self, data: Any, *args: Any) -> int:
        """Send to the peer, as :meth:`send`. From Python's ``socket.sendto()``.

        The arguments are ``sendto(data, None)`` or ``sendto(data, flags, None)``.

        :returns: how many bytes were sent.
        :raises TypeError: the address is not one.
        :raises OSError: ``EISCONN``, the address is not ``None``.
        """
        if not 1 <= len(args) <= 2:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(args)} given)")
        flags = args[0] if len(args) == 2 else 0
        arguments.integer("flags", flags, 0, 2**31 - 1)
        self._check_no_address(args[-1], "sendto")
        return self.send(data, flags)

    def _check_no_address(self, address: Any, call: str) -> None:
        if address is not None:
            if not isinstance(address, _ADDRESSES):
                raise arguments.wrong_kind("address", address, "None, or an address")
            number = errno.EISCONN if self._life == OPEN else errno.ENOTCONN
            raise system_error(number, call)

    def _send_with(self, data: bytes, ancillary: list[Any], flags: int) -> int:
        """Send a message with ancillary data: all of it, or what the kernel takes."""
        waits = self.gettimeout() != 0 and not flags & _DONTWAIT
        sendmsg = self._sendmsg_of_socket(waits)
        while True:
            if self._outbox:
                if waits:
                    # An empty message is sent when everything before it has been.
                    self._await_sent(self._push(b"", None))
                else:
                    self._send_queued()
            try:
                sent: int = sendmsg([data], ancillary, (flags & ~_DONTWAIT) | NO_SIGNAL)
                break
            except BlockingIOError:
                if not waits:
                    raise would_block("write") from None
                self._await_sent(self._push(b"", None))
            except OSError as exc:
                # The ancillary data is wrong, or too much; or the connection has failed, and
                # then whoever reads, or writes again, hears of that.
                raise annotate(exc, "sendmsg") from None
        self._written += sent
        if waits and sent < len(data):
            self._written += len(data) - sent
            self._await_sent(self._push(memoryview(data)[sent:], None))
            sent = len(data)
        return sent

    def _sendmsg_of_socket(self, waits: bool) -> Any:
        """The wire's ``sendmsg()``, when the connection is made and can be written to."""
        if not waits and self.connecting:
            raise would_block("write")
        if self._owner == LISTENERS:
            self._step("call")
        self._begin_sending()
        return self._message_call("sendmsg")

    # -- connecting ---------------------------------------------------------------------------

    def connect(self, target: Any) -> Any:
        """Connect in the background."""
        raise NotImplementedError

    def connect_ex(self, address: Any) -> int:
        """Connect as :meth:`connect`; give the number of the error. From ``socket.connect_ex()``.

        The call blocks until the connection is made or has failed. After ``settimeout(0)`` it
        gives ``EINPROGRESS`` at once, then ``EALREADY``, and in the end ``EISCONN``, or, once,
        the number of the error that the connection has failed with.

        :param address: as for :meth:`connect`: a ``(host, port)`` tuple, a path.
        :returns: ``0``, or the ``errno`` of the failure; ``EAGAIN`` if the idle timeout was over
            before.
        :raises socket.gaierror: there is no such host.
        """
        if self._life >= SHUT and self._owner < LEFT:
            if not (self._heard or self._receiving != UNMADE) and isinstance(self._error, OSError):
                self._heard = True
                return self._number_of(self._error)
            self.wait("close")
        try:
            self.connect(address)
            if self._owner == LISTENERS:
                self._step("call")
            if self.gettimeout() == 0:
                return errno.EINPROGRESS
            self._await_connection()
        except OSError as exc:
            return self._number_of(exc)
        return 0

    @staticmethod
    def _number_of(error: OSError) -> int:
        if isinstance(error, _socket.gaierror):
            raise error
        # The idle timeout's error has no number, as in Python.
        return error.errno or errno.EAGAIN

    def gettimeout(self) -> float | None:
        """The idle timeout in seconds; ``None`` for none; ``0.0`` in non-blocking mode."""
        return self._timeout


def _scatter(data: bytes, views: list[memoryview]) -> None:
    """Put ``data`` into the views, one after another."""
    rest = memoryview(data)
    for view in views:
        part = rest[: len(view)]
        view[: len(part)] = part
        rest = rest[len(part) :]
