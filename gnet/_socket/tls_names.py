"""What can be asked of an encrypted connection: Node's ``tls.TLSSocket``, and ``ssl.SSLSocket``.

On a connection without TLS each of these says so: ``False``, ``None``, or nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .python_calls import PythonSocket

if TYPE_CHECKING:
    from ssl import SSLContext

    from .._core.tls_wire import TLSWire
    from ..tls.sessions import Session
    from .secure import ClientTLS
    from .upgrade import Downgrade, Upgrade

__all__ = ["TLSNames", "TLSState"]


class TLSState:
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

    def renew(self) -> None:
        """There will be another connection. What the program has set stays."""
        self.secure = self.client = self.change = None


class TLSNames(PythonSocket):
    """A socket that says how it is encrypted, if it is."""

    __slots__ = ()

    _tls: TLSState | None

    @property
    def _secure(self) -> TLSWire | None:
        return None if self._tls is None else self._tls.secure

    @property
    def _tls_strict(self) -> bool:
        return self._tls is not None and self._tls.strict

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
        :returns: ``None`` where the peer has shown no certificate; an empty dictionary for one
            that was not verified.
        """
        return None if self._secure is None else self._secure.engine.getpeercert(binary_form)

    def selected_alpn_protocol(self) -> str | None:
        """The protocol that ALPN has chosen. From ``SSLSocket.selected_alpn_protocol()``."""
        return None if self._secure is None else self._secure.engine.selected_alpn_protocol()

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """Bytes that only this connection has. From ``SSLSocket.get_channel_binding()``.

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
        """The name that the server had to have, or ``None``. From ``SSLSocket``."""
        return None if self._secure is None else self._secure.engine.server_hostname

    @property
    def server_side(self) -> bool:
        """Whether the peer is the client of the handshake. From ``SSLSocket.server_side``."""
        return self._secure is not None and self._secure.engine.server_side

    if sys.version_info >= (3, 13):

        def get_verified_chain(self) -> list[bytes]:
            """The peer's certificates as they were verified, in DER; from ``SSLSocket``."""
            return [] if self._secure is None else self._secure.engine.get_verified_chain()

        def get_unverified_chain(self) -> list[bytes]:
            """The certificates that the peer has shown, in DER; from ``SSLSocket``."""
            return [] if self._secure is None else self._secure.engine.get_unverified_chain()
