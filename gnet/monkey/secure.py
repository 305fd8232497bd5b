"""``SSLContext.wrap_socket`` encrypts a gnet socket, which stays one."""

from __future__ import annotations

import _socket
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from gevent.monkey import get_original

from .._core.states import LEFT
from .._core.tls_wire import TLSWire
from .._socket.socket import Socket
from .._transport.stream_socket import this_thread
from ..errors import value_error

__all__ = ["contexts"]

# What start_tls() has for a default, for a socket that has no timeout.
_HANDSHAKE_SECONDS = 10.0
# A property of legacy sockets has this name, so it is set past them.
_set_class: Callable[[Any, type], None] = vars(object)["__class__"].__set__


class Contexts:
    """The classes of contexts whose ``wrap_socket`` was replaced."""

    def __init__(self) -> None:
        self._installed: list[tuple[type, Any]] = []
        self._readable: Any = None

    def install(self) -> None:
        """Have ``wrap_socket`` of the standard library's contexts and of gevent's know gnet's."""
        if self._installed:
            return
        # Nobody else needs it.
        from gevent import ssl as gevent_ssl

        for kind in (get_original("ssl", "SSLContext"), gevent_ssl.SSLContext):
            method = vars(kind)["wrap_socket"]
            self._installed.append((kind, method))
            setattr(kind, "wrap_socket", _replacement(method))  # noqa: B010 - another's class

    def restore(self) -> None:
        """Have them be as they were."""
        while self._installed:
            kind, method = self._installed.pop()
            setattr(kind, "wrap_socket", method)  # noqa: B010 - as above
        if self._readable is not None:
            self._readable.close()
            self._readable = None

    def always_readable(self) -> int:
        """A descriptor of which there is something to read: its peer's end."""
        if self._readable is None:
            self._readable, other = get_original("socket", "socketpair")()
            other.close()
        fd: int = self._readable.fileno()
        return fd


contexts: Contexts = Contexts()


def _replacement(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def wrap_socket(
        self: Any,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | None = None,
        session: Any = None,
    ) -> Any:
        if not isinstance(sock, Socket):
            return method(
                self, sock, server_side, do_handshake_on_connect, suppress_ragged_eofs,
                server_hostname, session,
            )  # fmt: skip
        return _wrap(
            self, sock, server_side, do_handshake_on_connect, suppress_ragged_eofs,
            server_hostname, session,
        )  # fmt: skip

    return wrap_socket


def _wrap(
    context: Any,
    sock: Any,
    server_side: bool,
    waits: bool,
    suppress_ragged_eofs: bool,
    server_hostname: str | None,
    session: Any,
) -> Any:
    """What ``wrap_socket`` does with a gnet socket."""
    limit = sock.gettimeout()
    if waits and limit == 0:
        raise value_error(
            "do_handshake_on_connect should not be specified for non-blocking sockets"
        )
    options: dict[str, Any] = {"session": session}
    if server_side:
        if server_hostname:
            raise value_error("server_hostname can only be specified in client mode")
    else:
        # The host of connect() is not meant by who gives none.
        options["server_hostname"] = server_hostname or ""
    sock.start_tls(
        context,
        server_side=bool(server_side),
        handshake_timeout=limit or _HANDSHAKE_SECONDS,
        **options,
    )
    sock._need_tls().strict = not suppress_ragged_eofs
    if not isinstance(sock, LegacyTLS):
        plain: Any = type(sock)
        _set_class(sock, _legacy_class(plain, context.sslsocket_class))
    if waits:
        try:
            sock.do_handshake()
        except BaseException:
            # As ssl does: the caller has nothing to close, and needs to hear of nothing more.
            sock._heard = True
            sock.destroy()
            sock.close()
            raise
    return sock


@cache
def _legacy_class(kind: type, stands_for: type) -> type:
    """A class of sockets that ``isinstance`` takes for another class' as well.

    :param kind: the class of the gnet socket.
    :param stands_for: the other one, an ``SSLSocket``.
    """
    names = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__class__": property(lambda self: stands_for),
        "_plain_class": kind,
    }
    return type(kind.__name__, (LegacyTLS, kind), names)


class LegacyTLS:
    """What an ``ssl.SSLSocket`` has, and a gnet socket has not, or has it otherwise."""

    __slots__ = ()

    # The class that it has without TLS.
    _plain_class: type

    def read(self: Any, len: int = 1024, buffer: Any = None) -> Any:
        """Up to ``len`` bytes, or how many were read into the buffer; as ``SSLSocket.read()``."""
        return self.recv(len) if buffer is None else self.recv_into(buffer, len)

    def recv(self: Any, *args: Any) -> bytes:
        """As ``ssl.SSLSocket.recv()``; see :meth:`gnet.Socket.recv`."""
        data: bytes = _in_ssls_words(super().recv, *args)  # type: ignore[misc]
        return data

    def recv_into(self: Any, *args: Any) -> int:
        """As ``ssl.SSLSocket.recv_into()``; see :meth:`gnet.Socket.recv_into`."""
        count: int = _in_ssls_words(super().recv_into, *args)  # type: ignore[misc]
        return count

    def pending(self: Any) -> int:
        """How many bytes can be read without waiting; as ``ssl.SSLSocket.pending()``."""
        wire = self._wire
        count = len(self._ahead or b"")
        if isinstance(wire, TLSWire) and wire.established and self._owner < LEFT:
            if wire.has_input():
                _look(wire)
            count += len(wire._kept or b"") + wire.engine.pending()
        return count

    def fileno(self: Any) -> int:
        """The descriptor; -1 when there is none.

        Of a connection that has received something which no longer stands in the kernel it is,
        as long as that lasts, one that is always readable. So who polls it sees the truth.
        """
        fd: int = super().fileno()  # type: ignore[misc]
        wire = self._wire
        if fd < 0 or not isinstance(wire, TLSWire) or not wire.established:
            return fd
        if self._loop.thread != this_thread():
            # Whose it is may be reading.
            return fd
        if self._reader is None and not self._flow:
            # Tickets, and what else is not for the program, are nothing to read.
            _look(wire)
        if (self._ahead or wire.has_input()) and not _is_readable(wire.inner):
            return contexts.always_readable()
        return fd

    def unwrap(self: Any) -> Any:
        """Wait until the encryption has ended on both sides; gives the socket, plain again.

        As ``ssl.SSLSocket.unwrap()``. A peer that has ended altogether is not waited for.
        """
        if self.readable and self.writable:
            self.stop_tls()
            self.do_handshake()
        elif self.writable:
            self.end()
        if self._secure is None:
            _set_class(self, self._plain_class)
        return self


def _in_ssls_words(call: Callable[..., Any], *args: Any) -> Any:
    try:
        return call(*args)
    except BlockingIOError:
        import ssl

        text = "The operation did not complete (read)"
        raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, text) from None


def _look(wire: TLSWire) -> None:
    """Have what was received be decrypted, and kept, if there is nothing yet to be read."""
    try:
        wire.at_end()
    except BlockingIOError:
        pass
    except OSError as exc:
        # The kernel tells it once only, and whoever reads is to hear of it.
        if wire._error is None:
            wire._error = exc


def _is_readable(inner: Any) -> bool:
    """Whether who polls the transport below finds it readable."""
    try:
        inner.recv(1, _socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
