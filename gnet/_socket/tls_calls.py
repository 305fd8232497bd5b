"""A connection that becomes encrypted, and plain again."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any
from weakref import ref

from .._core.states import CONNECTING, ENDING, UNWATCHED
from .._transport.protocol import Transport
from .._values import arguments
from .._values.durations import record_later
from .._values.publish import publish
from ..errors import coded, late_import, type_error
from .tls_names import TLSNames, TLSState

if TYPE_CHECKING:
    from typing_extensions import Self

    from .secure import ClientTLS

__all__ = ["TLSCalls"]


class _Sessions(ref):  # type: ignore[type-arg]
    """Tells a socket of the sessions of its connection; it does not keep the socket."""

    __slots__ = ()

    def __call__(self, raw: Any) -> None:  # type: ignore[override]
        sock = super().__call__()
        if sock is not None:
            sock._new_session(raw)


class TLSCalls(TLSNames):
    """A socket that may be encrypted."""

    __slots__ = ()

    def _renew(self, loop: Any) -> None:
        """Begin anew. A socket that begins for the first time has no TLS, and does not ask."""
        super()._renew(loop)
        if self._tls is not None:
            self._tls.renew()

    def _need_tls(self) -> TLSState:
        if self._tls is None:
            self._tls = TLSState()
        return self._tls

    def _is_changing(self) -> bool:
        return self._tls is not None and self._tls.change is not None

    def _changed(self) -> None:
        """What start_tls() or stop_tls() has begun is done."""
        self._need_tls().change = None

    def _secured(self, wire: Any, client: ClientTLS | None = None) -> None:
        """The handshake is done."""
        tls = self._need_tls()
        tls.secure = wire
        tls.client = client
        if "session" in self._listeners:
            self._listen_to_sessions()

    def _listen_to_sessions(self) -> None:
        tls = self._tls
        if tls is not None and tls.secure is not None and tls.client is not None:
            # A weak one: the wire is the socket's, and a circle would keep both.
            tls.secure.tell_sessions(_Sessions(self))

    def _new_session(self, raw: Any) -> None:
        """The server has given a session."""
        client = None if self._tls is None else self._tls.client
        if client is not None and "session" in self._listeners:
            self._report_later("session", client.session_of(raw))

    def _let_in_secure(self) -> None:
        """A server has let the connection in, behind the handshake."""
        wire: Any = self._wire
        self._secured(wire)
        # From the accept on.
        self._begun -= wire.seconds
        if self._watchdog is not None:
            self._watchdog.lived(wire.seconds)
        self._publish_secure()

    def _publish_secure(self) -> None:
        wire = self._secure
        assert wire is not None
        engine = wire.engine
        seconds, protocol = wire.seconds, engine.version()
        self._counted().shake(seconds)
        record_later(
            self._loop.defer, "handshake", seconds,
            server=self.server if engine.server_side else None, result="ok", protocol=protocol,
        )  # fmt: skip
        publish(
            self._loop.defer, "SecureConnected",
            self, seconds, protocol, engine.session_reused,
        )  # fmt: skip

    def _unsecured(self, inner: Any) -> None:
        """The connection is plain again, or what it was before."""
        tls = self._need_tls()
        tls.secure = inner if hasattr(inner, "engine") else None
        tls.client = None

    def _handshake_failed(self, error: BaseException) -> None:
        self._counted().fail_handshake()
        publish(self._loop.defer, "HandshakeFailed", self, error)
        self._fail(error)

    def _exchange(self, wire: Transport) -> None:
        """Go on over another transport, which has the same peer."""
        if self._watching:
            self._forget_noted()
            self._watching = UNWATCHED
        reading, self._read_watcher = self._read_watcher, None
        writing, self._write_watcher = self._write_watcher, None
        for watcher in (reading, writing):
            if watcher is not None:
                watcher.close()
        self._wire = wire
        self._more = True
        if self._reader is not None:
            self._watch_unread()
        else:
            self._rearm()
        if self.writable_length or self._sending == ENDING:
            self._flush()

    # -- in mid-stream ------------------------------------------------------------------------

    def start_tls(
        self,
        tls: Any = True,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: Any = None,
        handshake_timeout: float | None = 10.0,
    ) -> Self:
        """Encrypt the connection from here on: STARTTLS, from either side.

        What was written before goes out as it is, what is written after waits for the handshake,
        and blocking calls wait for it, too. What is unread belongs to the handshake.
        ``'secure_connect'`` is emitted when that is done. On an encrypted connection TLS inside
        TLS begins.

        :param tls: as for ``connect()``; on the server's side as for :class:`gnet.Server`.
        :param server_side: whether the peer is the client of the handshake.
        :param server_hostname: the name that the server's certificate must have, if it is not the
            host that ``connect()`` was given; as there.
        :param session: a :class:`gnet.tls.Session` with the same server, to be resumed.
        :param handshake_timeout: how long the handshake may take, in seconds; default 10, and
            ``None`` for no limit.
        :returns: the socket, at once.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: an argument has a wrong value.
        :raises OSError: the socket is not connected, or has ended.
        :raises RuntimeError: the socket flows, or is being read, or another ``start_tls()`` or
            ``stop_tls()`` is under way.
        """
        self._check_thread()
        if self._life == CONNECTING:
            self._await_connection()
        self._check_change("start_tls")
        received = bytes(self._ahead or b"")
        with late_import():
            from .upgrade import client_upgrade, server_upgrade

        if arguments.flag("server_side", server_side):
            if server_hostname is not None or session is not None:
                raise type_error(
                    'The "server_hostname" and "session" arguments are for a client, and not for '
                    "server_side=True"
                )
            begin = server_upgrade(self, tls, handshake_timeout, received)
        else:
            host = None if self._rare is None else self._rare.host
            begin = client_upgrade(
                self, tls, host, server_hostname, session, handshake_timeout, received
            )
        # Read by mistake, it is the handshake's.
        self._ahead = None
        self._take_corks()
        self._need_tls().change = begin()
        return self

    def stop_tls(self) -> Self:
        """End the encryption, and go on as before: in plain text, or by the outer TLS.

        What was written before goes out encrypted, then ``close_notify``; what is written after
        waits for the peer's. What the peer has sent encrypted before that can still be read.

        :returns: the socket, at once.
        :raises OSError: the socket is not connected, or has ended.
        :raises RuntimeError: the connection is not encrypted, or such a change is under way.
        """
        self._check_thread()
        if self._life == CONNECTING:
            self._await_connection()
        self._check_open("stop_tls")
        secure = self._secure
        if secure is None:
            raise coded(RuntimeError("stop_tls() needs a connection with TLS"), "ERR_TLS_NONE")
        with late_import():
            from .upgrade import Downgrade

        self._take_corks()
        self._need_tls().change = Downgrade(self, secure)
        return self

    def unwrap(self) -> Self:
        """:meth:`stop_tls`. From Python's ``SSLSocket.unwrap()``."""
        return self.stop_tls()

    def _check_open(self, call: str) -> None:
        """Refuse a change of a connection that is over, or half of it, or changes already."""
        self._raise_unless_open()
        if self._is_changing():
            raise coded(
                RuntimeError(f"{call}() was called while another change is under way"),
                "ERR_TLS_CHANGING",
            )
        if not (self.readable and self.writable):
            raise coded(
                BrokenPipeError(
                    errno.EPIPE, f"{call}() needs a connection of which neither side has ended"
                ),
                "EPIPE",
            )

    def _check_change(self, call: str) -> None:
        self._check_open(call)
        if self._flow:
            raise coded(
                RuntimeError(
                    f"the socket is flowing: its data goes to the 'data' listeners, a pipe or "
                    f"resume(). Call pause() before {call}(), and resume() afterwards"
                ),
                "ERR_SOCKET_FLOWING",
            )
        if self._reader is not None:
            raise coded(
                RuntimeError(f"another greenlet reads from the socket while {call}() is called"),
                "ERR_SOCKET_READING",
            )
        if self._ahead and self._has_open_files():
            raise coded(
                RuntimeError(
                    f"a file of makefile() holds unread bytes, which would pass for encrypted "
                    f"ones. Read them before {call}()"
                ),
                "ERR_SOCKET_READING",
            )

    def _has_open_files(self) -> bool:
        return self._rare is not None and self._rare.open_files > 0

    def do_handshake(self) -> None:
        """Wait until the handshake is done. From Python's ``SSLSocket.do_handshake()``.

        :raises OSError: it has failed.
        """
        self._check_thread()
        self._await_connection()
        while self._is_changing():
            self._block()
            self._raise_unless_open()

    def _came(self, event: str) -> tuple[Any, ...] | None:
        if event == "secure_connect" and self._secure is not None and not self._is_changing():
            return ()
        return super()._came(event)
