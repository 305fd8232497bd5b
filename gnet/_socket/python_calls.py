"""The vocabulary of Python's ``socket``, on a stream that events are emitted for, too.

From the standard library's ``socket``, *Socket Objects*.
"""

from __future__ import annotations

import _socket
import errno
import io
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from .._core.states import CONNECTING, IDLE, LEFT, LISTENERS, OPEN, SHUT
from .._loop.splicer import FileBytes, rest_of_file
from .._transport.protocol import Transport
from .._values import arguments
from ..errors import annotate, system_error, value_error
from .descriptors import Descriptors
from .makefile import open_file

if TYPE_CHECKING:
    from socket import AddressFamily, SocketKind

    from typing_extensions import Self

__all__ = ["PythonSocket"]

# So much of a file is read at once.
FILE_CHUNK_BYTES = 65536


if sys.platform == "win32":
    # What is a descriptor elsewhere is a handle there.
    _get_inheritable, _set_inheritable = os.get_handle_inheritable, os.set_handle_inheritable
else:
    _get_inheritable, _set_inheritable = os.get_inheritable, os.set_inheritable


def _finaliser(own: Callable[[Any], object]) -> Callable[[Any], None]:
    """A subclass' ``__del__``, and behind it what a socket has to do in any case."""

    @wraps(own)
    def __del__(self: Any) -> None:
        try:
            own(self)
        finally:
            Descriptors.__del__(self)

    return __del__


def _told(syscall: str, name_of: Callable[[], Any]) -> Any:
    name = _annotated(syscall, name_of)
    if name is None:
        raise system_error(errno.ENOTSOCK, syscall)
    return name


def _annotated(syscall: str, call: Callable[..., Any], *args: Any) -> Any:
    try:
        return call(*args)
    except OSError as exc:
        raise annotate(exc, syscall) from None


class PythonSocket(Descriptors):
    """A connection that legacy code takes for a ``socket.socket``."""

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A subclass' own need not call its base's.
        if cls.__del__ is not Descriptors.__del__:
            type.__setattr__(cls, "__del__", _finaliser(cls.__del__))

    def __enter__(self) -> Self:
        self._check_thread()
        if self._owner == LISTENERS:
            self._step("call")
        if self._life != IDLE:
            try:
                self._await_connection()
            except BaseException:
                # __exit__ is not called then: nobody else would close it.
                self.destroy()
                raise
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def _open_wire(self) -> Transport:
        """The wire, for what needs a descriptor; of a connection that is being made, then.

        :raises OSError: the socket is not open; it has failed.
        """
        self._check_thread()
        if self._life == CONNECTING:
            self._await_connection()
        wire = self._wire
        if wire is None or self._owner >= LEFT:
            if self._life == OPEN:
                raise self._closed_error()
            self._raise_unless_open()
        assert wire is not None
        return wire

    def fileno(self) -> int:
        """The descriptor; ``-1`` when there is none.

        A connection that fails between two blocking calls keeps its descriptor until the next
        one, or :meth:`close`. So a connection pool that asks ``select`` whether it is still good
        finds out.
        """
        wire = self._wire
        if wire is None and self._failed_wire is not None:
            wire = self._failed_wire
            # Who asks the descriptor finds that out.
            self._heard = True
        return wire.fileno() if wire is not None and self._owner < LEFT else -1

    @property
    def family(self) -> AddressFamily:
        """The address family, as Python's ``socket.family``."""
        wire = self._wire
        family = wire.family if wire is not None else _socket.AF_UNSPEC
        from socket import AddressFamily  # unless someone asks, gnet does without that module

        return AddressFamily(family)

    @property
    def type(self) -> SocketKind:
        """The kind of socket, as Python's ``socket.type``."""
        from socket import SocketKind

        return SocketKind(_socket.SOCK_STREAM)

    @property
    def proto(self) -> int:
        """The protocol, as Python's ``socket.proto``."""
        return self._wire.proto if self._wire is not None else 0

    def getsockname(self) -> Any:
        """The local address in the system's form, as Python's ``socket.getsockname()``."""
        return _told("getsockname", self._open_wire().local_name)

    def getpeername(self) -> Any:
        """The peer's address in the system's form, as Python's ``socket.getpeername()``."""
        return _told("getpeername", self._open_wire().remote_name)

    def getsockopt(self, *args: int) -> Any:
        """As Python's ``socket.getsockopt()``."""
        return _annotated("getsockopt", self._open_wire().option, *args)

    def setsockopt(self, *args: Any) -> None:
        """As Python's ``socket.setsockopt()``."""
        _annotated("setsockopt", self._open_wire().set_option, *args)

    def settimeout(self, value: float | None) -> None:
        """:meth:`set_timeout` under Python's name; but ``0`` is the non-blocking mode.

        In that mode calls that would block raise :class:`BlockingIOError` instead: ``recv`` and
        its kin, ``send``, ``sendall``, and reads of a file of :meth:`makefile`. Events,
        :meth:`wait` and ``with`` do not change. No idle timeout runs.

        :param value: seconds, ``None`` for no timeout, or ``0``.
        """
        if value is None or isinstance(value, bool) or value != 0:
            self.set_timeout(value)
        else:
            self._stop_idle_timer()
            self._timeout = 0.0

    def setblocking(self, flag: bool) -> None:
        """``setblocking(True)`` is ``settimeout(None)``, ``False`` is ``settimeout(0)``."""
        self.settimeout(None if flag else 0)

    def getblocking(self) -> bool:
        """Whether calls wait: not after ``settimeout(0)``."""
        return self._timeout != 0

    def shutdown(self, how: int) -> None:
        """End one side or both. From Python's ``socket.shutdown()``.

        :param how: ``SHUT_RD``, ``SHUT_WR`` (what is queued is sent first) or ``SHUT_RDWR``.
        :raises OSError: ``ENOTCONN``, the socket is not connected.
        """
        self._check_thread()
        how = arguments.integer("how", how, _socket.SHUT_RD, _socket.SHUT_RDWR)
        if self._life >= SHUT and self._owner < LEFT:
            # The connection is over, and not by close(): clients of mail servers look for this.
            raise system_error(errno.ENOTCONN, "shutdown")
        wire = self._open_wire()
        if how != _socket.SHUT_WR:
            self._hide_peer()
            wire.shutdown(_socket.SHUT_RD)
            self._more = True
        if how != _socket.SHUT_RD:
            self._step("end")

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """A file of the socket's stream. From Python's ``socket.makefile()``.

        :param mode: ``"r"``, ``"w"`` or ``"rw"``, and ``"b"`` for bytes.
        :param buffering: the size of the buffer in bytes; ``0`` for none (bytes only).
        :param encoding: for text; with ``errors`` and ``newline`` as for :func:`open`.
        :returns: the file. :meth:`close` takes effect when the last file is closed. A file of
            bytes loses nothing when a read is interrupted by a timeout. What it has read ahead
            of its caller is the next thing that :meth:`recv`, another file, a pipe or a listener
            of ``'data'`` gets. A file belongs to its connection: after another :meth:`connect`
            it is at an end, with an error.
        """
        self._check_thread()
        letters = set(arguments.string("mode", mode))
        if not letters <= {"r", "w", "b"} or not letters & {"r", "w"}:
            raise arguments.wrong_value("mode", mode, "made of 'r', 'w' and 'b'")
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if buffering == 0 and "b" not in letters:
            raise arguments.wrong_value("buffering", buffering, "above 0 for text")
        made = "".join(letter for letter in "rwb" if letter in letters)
        file = open_file(self, made, buffering, encoding, errors, newline)
        self._need_rare().open_files += 1
        return file

    def close(self) -> None:
        """Send what is queued, end the writable side, and let go of the socket; return at once.

        The descriptor is closed when the peer has ended as well, or two seconds after everything
        was sent; what arrives until then is discarded. Greenlets that are blocked on the socket
        raise :class:`~gnet.errors.SocketClosedError`. While files of :meth:`makefile` are open,
        ``close()`` takes effect when the last one is closed.
        """
        self._check_thread()
        rare = self._rare
        if rare is not None and rare.open_files:
            rare.close_when_unused = True
        else:
            self._give_up()

    def _file_closed(self) -> None:
        """A file of :meth:`makefile` was closed."""
        rare = self._need_rare()
        if rare.open_files:
            rare.open_files -= 1
        if rare.close_when_unused and not rare.open_files:
            rare.close_when_unused = False
            self._give_up()

    # What files that others make of a socket, socket.SocketIO for one, know of Python's socket.
    _decref_socketios = _file_closed

    @property
    def _io_refs(self) -> int:
        return self._rare.open_files if self._rare is not None else 0

    @_io_refs.setter
    def _io_refs(self, count: int) -> None:
        self._need_rare().open_files = count

    @property
    def _closed(self) -> bool:
        # paramiko looks at it.
        closes = self._rare is not None and self._rare.close_when_unused
        return self._owner >= LEFT or closes or self._life >= SHUT

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file, as :meth:`sendall` sends bytes; leave its position behind what was sent.

        From Python's ``socket.sendfile()``.

        :param file: a file that was opened in binary mode.
        :param offset: where in it to begin.
        :param count: how many bytes to send; ``None`` for the rest of the file.
        :returns: how many bytes were sent.
        :raises ValueError: the file is one of text, ``count`` is below 1, or the socket is in
            non-blocking mode.
        """
        if self._timeout == 0:
            raise value_error("non-blocking sockets are not supported")
        if "b" not in getattr(file, "mode", "b"):
            raise value_error("the file must be opened in binary mode")
        if count is not None:
            arguments.integer("count", count, 1, 2**63 - 1)
        if arguments.integer("offset", offset, 0, 2**63 - 1):
            file.seek(offset)
        splices = self._wire is not None and self._wire.SPLICE
        size = rest_of_file(file) if splices else None
        if size:
            return self._send_file(file, size if count is None else min(count, size))
        sent = 0
        try:
            while sent != count:
                rest = FILE_CHUNK_BYTES if count is None else count - sent
                chunk = file.read(min(FILE_CHUNK_BYTES, rest))
                if not chunk:
                    break
                self.sendall(chunk)
                sent += len(chunk)
        finally:
            if sent and hasattr(file, "seek"):
                file.seek(offset + sent)
        return sent

    def _send_file(self, file: Any, size: int) -> int:
        """Have the kernel send so many bytes of a file of its own; block until it has them."""
        if self._owner == LISTENERS:
            self._step("call")
        self._begin_sending()
        begin = file.tell()
        self._written += size
        self._await_sent(self._push(FileBytes(file.fileno(), begin, size), None))
        file.seek(begin + size)
        return size

    def get_inheritable(self) -> bool:
        """As Python's ``socket.get_inheritable()``."""
        return _get_inheritable(self._open_wire().fileno())

    def set_inheritable(self, inheritable: bool) -> None:
        """As Python's ``socket.set_inheritable()``."""
        _set_inheritable(self._open_wire().fileno(), inheritable)

    def dup(self) -> Any:
        """Not supported, as in ``ssl.SSLSocket``: two sockets would take each other's bytes.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError("a connection has one gnet.Socket; os.dup(fileno()) is plain")

    def detach(self) -> int:
        """Give the descriptor away: the socket is closed, the connection is not.

        What is queued is dropped. From Python's ``socket.detach()``.

        :returns: the descriptor, in non-blocking mode; ``-1`` if there is none.
        :raises OSError: the connection was still being made, and has failed; or ``ENOTSUP``: no
            descriptor stands for it.
        """
        self._check_thread()
        if self._life == CONNECTING:
            self._await_connection()
        failed, self._failed_wire = self._failed_wire, None
        if failed is not None:
            return failed.detach()
        if self._wire is None or self._owner >= LEFT:
            return -1
        self._local_name(), self._remote_name()
        with self._peer_unwatched():
            fd: int = _annotated("detach", self._wire.detach)
        self.destroy()
        return fd

    # -- addresses ----------------------------------------------------------------------------

    def _remote_name(self) -> Any:
        if self._remote is None and self._wire is not None:
            try:
                self._remote = self._wire.remote_name()
            except OSError:
                return None
        return self._remote
