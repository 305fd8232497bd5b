"""The vocabulary of TLS: Node's ``tls.TLSSocket``, and the standard library's ``ssl.SSLSocket``.

On a connection without TLS each of these says so: ``False``, ``None``, or nothing.
"""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING, Any
from weakref import ref

from .._core.states import CONNECTING, ENDING, UNREAD, UNWATCHED
from .._transport.protocol import Transport
from .._values import arguments
from .._values.publish import publish
from ..errors import coded, late_import, type_error
from .python_calls import PythonSocket

if TYPE_CHECKING:
    from ssl import SSLContext

    from typing_extensions import Self

    from .._core.tls_wire import TLSWire
    from ..tls.sessions import Session
    from .secure import ClientTLS
    from .upgrade import Downgrade, Upgrade

__all__ = ["TLSCalls"]


class _Sessions(ref):  # type: ignore[type-arg]
    """Tells a socket of the sessions of its connection; it does not keep the socket."""

    __slots__ = ()

    def __call__(self, raw: Any) -> None:  # type: ignore[override]
        sock = super().__call__()
        if sock is not None:
            sock._new_session(raw)


class _State:
    """What TLS knows of a socket that has, or may have, to do with it.

    :ivar strict: whether an end without TLS' own is an error.
    :ivar secure: the encrypted connection, also when it has closed.
    :ivar client: how it was made, where this is the client.
    :ivar change: what start_tls() or stop_tls() has begun, and that is not done.
    """

    __slots__ = ("change", "client", "secure", "strict")

    def __init__(self) -> None:
        self.change: Upgrade | Downgrade | None = None
        self.strict = False
        self.secure: TLSWire | None = None
        self.client: ClientTLS | None = None


class TLSCalls(PythonSocket):
    """A socket that may be encrypted."""

    __slots__ = ("_tls",)

    _tls: _State | None

    def _begin(self, loop: Any, high_water_mark: int) -> None:
        self._tls = None
        super()._begin(loop, high_water_mark)

    def _renew(self, loop: Any) -> None:
        super()._renew(loop)
        tls = self._tls
        if tls is not None:
            # What the program has set stays.
            tls.secure = tls.client = tls.change = None

    def _need_tls(self) -> _State:
        if self._tls is None:
            self._tls = _State()
        return self._tls

    def _is_changing(self) -> bool:
        return self._tls is not None and self._tls.change is not None

    def _changed(self) -> None:
        """What start_tls() or stop_tls() has begun is done."""
        self._need_tls().change = None

    @property
    def _secure(self) -> TLSWire | None:
        return None if self._tls is None else self._tls.secure

    @property
    def _tls_strict(self) -> bool:
        return self._tls is not None and self._tls.strict

    def _secured(self, wire: Any, client: ClientTLS | None = None) -> None:
        """The handshake is done."""
        tls = self._need_tls()
        tls.secure = wire
        tls.client = client
        if "session" in self._listeners:
            self._listen_to_sessions()

    def _unsecured(self, inner: Any) -> None:
        """The connection is plain again, or what it was before."""
        tls = self._need_tls()
        tls.secure = inner if hasattr(inner, "engine") else None
        tls.client = None

    def _handshake_failed(self, error: BaseException) -> None:
        publish(self._loop.defer, "HandshakeFailed", self, error)
        self._fail(error)

    def _exchange(self, wire: Transport) -> None:
        """Go on over another transport, which has the same peer."""
        if self._watching:
            self._forget_flow()
            self._watching = UNWATCHED
        reading, self._read_watcher = self._read_watcher, None
        writing, self._write_watcher = self._write_watcher, None
        for watcher in (reading, writing):
            if watcher is not None:
                watcher.close()
        self._wire = wire
        self._more = True
        if self._reader is not None:
            self._watch(UNREAD, self._reader.switch)
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
        and blocking calls wait for it, too. What is unread belongs to it. ``'secure_connect'`` is
        emitted when it is done. On an encrypted connection TLS inside TLS begins.

        :param tls: as for ``connect()``; on the server's side as for :class:`gnet.Server`.
        :param server_side: whether the peer is the client of the handshake.
        :param server_hostname: whom the server has to be, if not the host that ``connect()`` was
            given; as there.
        :param session: a :class:`gnet.tls.Session` with the same server, to be resumed.
        :param handshake_timeout: how long it may take, in seconds; default 10, and ``None`` for
            no limit.
        :returns: the socket, at once.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: an argument has a wrong value.
        :raises OSError: the socket is not connected, or has ended.
        :raises RuntimeError: the socket flows, or is being read, or such a change is under way.
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
        """End the encryption, and go on as before: plain, or by the outer of TLS inside TLS.

        What was written before goes out encrypted, then ``close_notify``; what is written after
        waits for the peer's. What the peer has still sent encrypted is to be read as ever.

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

    def _listening(self, event: str) -> None:
        super()._listening(event)
        if event == "session" and self._secure is not None:
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

    def _publish_secure(self) -> None:
        wire = self._secure
        assert wire is not None
        engine = wire.engine
        publish(
            self._loop.defer, "SecureConnected",
            self, wire.seconds, engine.version(), engine.session_reused,
        )  # fmt: skip

    # -- from Node's tls ----------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted. From Node's ``tlsSocket.encrypted``."""
        return self._secure is not None

    @property
    def authorized(self) -> bool:
        """Whether a certificate of the peer's was verified. From ``tlsSocket.authorized``."""
        wire = self._secure
        if wire is None or not wire.engine.context.verify_mode:
            return False
        return wire.engine.getpeercert(True) is not None

    @property
    def alpn_protocol(self) -> str | None:
        """The protocol that ALPN has chosen, or ``None``. From ``tlsSocket.alpnProtocol``."""
        return self.selected_alpn_protocol()

    @property
    def servername(self) -> str | None:
        """The name that the client has asked for, or ``None``. From ``tlsSocket.servername``."""
        wire = self._secure
        if wire is None:
            return None
        if wire.engine.server_side:
            return wire.server_name
        from ..tls.server_names import is_name

        name = wire.engine.server_hostname
        return name if name is not None and is_name(name) else None

    def get_protocol(self) -> str | None:
        """The version, for example ``"TLSv1.3"``. From Node's ``tlsSocket.getProtocol()``."""
        return self.version()

    def get_cipher(self) -> dict[str, str] | None:
        """The cipher: its ``name``, and the ``version`` of the protocol that has it.

        From Node's ``tlsSocket.getCipher()``.
        """
        cipher = self.cipher()
        return None if cipher is None else {"name": cipher[0], "version": cipher[1]}

    def get_peer_certificate(self) -> dict[str, Any]:
        """:meth:`getpeercert`; an empty dictionary where the peer has shown no certificate.

        From Node's ``tlsSocket.getPeerCertificate()``.
        """
        return self.getpeercert() or {}

    def is_session_reused(self) -> bool:
        """Whether a former session was resumed. From Node's ``tlsSocket.isSessionReused()``."""
        return bool(self.session_reused)

    @property
    def truncated(self) -> bool:
        """Whether the peer's end came without TLS' own: somebody may have cut the connection."""
        return self._secure is not None and self._secure.truncated

    # -- from ssl.SSLSocket -------------------------------------------------------------------

    def version(self) -> str | None:
        """The version, for example ``"TLSv1.3"``. From Python's ``SSLSocket.version()``."""
        return None if self._secure is None else self._secure.engine.version()

    def cipher(self) -> tuple[str, str, int] | None:
        """The cipher, the version that has it, and its bits. From ``SSLSocket.cipher()``."""
        return None if self._secure is None else self._secure.engine.cipher()

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """The client's ciphers that this server has too. From ``SSLSocket.shared_ciphers()``."""
        return None if self._secure is None else self._secure.engine.shared_ciphers()

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate. From Python's ``SSLSocket.getpeercert()``.

        :param binary_form: give it as DER instead of a dictionary.
        :returns: ``None`` where it has shown none; an empty dictionary for one that was not
            verified.
        """
        return None if self._secure is None else self._secure.engine.getpeercert(binary_form)

    def selected_alpn_protocol(self) -> str | None:
        """The protocol that ALPN has chosen. From ``SSLSocket.selected_alpn_protocol()``."""
        return None if self._secure is None else self._secure.engine.selected_alpn_protocol()

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """What belongs to this one connection. From ``SSLSocket.get_channel_binding()``.

        :raises ValueError: there is no such type.
        """
        return None if self._secure is None else self._secure.engine.get_channel_binding(cb_type)

    @property
    def context(self) -> SSLContext | None:
        """The context of the connection, or ``None``. From Python's ``SSLSocket.context``."""
        return None if self._secure is None else self._secure.engine.context

    @property
    def session(self) -> Session | None:
        """The session of a client, for ``session=`` of ``connect()``, or ``None``.

        With TLS 1.3 it can be resumed when the server has sent a ticket, which is told by
        ``'session'``. From Python's ``SSLSocket.session``.
        """
        tls = self._tls
        if tls is None or tls.secure is None or tls.client is None:
            return None
        raw = tls.secure.engine.session
        return None if raw is None else tls.client.session_of(raw)

    @property
    def session_reused(self) -> bool | None:
        """Whether a former session was resumed. From Python's ``SSLSocket.session_reused``."""
        return None if self._secure is None else self._secure.engine.session_reused

    @property
    def server_hostname(self) -> str | None:
        """Whom the server had to be, or ``None``. From ``SSLSocket.server_hostname``."""
        return None if self._secure is None else self._secure.engine.server_hostname

    @property
    def server_side(self) -> bool:
        """Whether the peer is the client of the handshake. From ``SSLSocket.server_side``."""
        return self._secure is not None and self._secure.engine.server_side

    def do_handshake(self) -> None:
        """Wait until the handshake is done. From Python's ``SSLSocket.do_handshake()``.

        :raises OSError: it has failed.
        """
        self._check_thread()
        self._await_connection()
        while self._is_changing():
            self._block()
            self._raise_unless_open()

    if sys.version_info >= (3, 13):

        def get_verified_chain(self) -> list[bytes]:
            """The peer's certificates as they were verified, in DER; from ``SSLSocket``."""
            return [] if self._secure is None else self._secure.engine.get_verified_chain()

        def get_unverified_chain(self) -> list[bytes]:
            """The certificates that the peer has shown, in DER; from ``SSLSocket``."""
            return [] if self._secure is None else self._secure.engine.get_unverified_chain()

    def _came(self, event: str) -> tuple[Any, ...] | None:
        if event == "secure_connect" and self._secure is not None and not self._is_changing():
            return ()
        return super()._came(event)
