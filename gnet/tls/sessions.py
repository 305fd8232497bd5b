"""Sessions that a client may resume."""

from __future__ import annotations

from ssl import SSLContext
from typing import Any

from .._values import arguments
from .._values.addresses import place_text
from ..errors import value_error

__all__ = ["Session"]


class Session:
    """A TLS session, to be resumed by another connection to the same server.

    ``'session'`` of a socket gives it, and the option ``session=`` of ``connect`` takes it.
    OpenSSL checks no name when a session is resumed; so a session knows whom it was made with, and
    by which context, and is refused for any other.

    :ivar host: the name or address of the server that was verified; ``""`` for none.
    :ivar port: the server's port, or ``None`` for a path.
    """

    __slots__ = ("_context", "_raw", "host", "port")

    def __init__(self, raw: Any, context: SSLContext, host: str, port: int | None) -> None:
        self._raw = raw
        self._context = context
        self.host: str = host
        self.port: int | None = port

    @property
    def lifetime(self) -> int:
        """For how many seconds the server promises to know it; ``0`` where it does not say."""
        return int(self._raw.ticket_lifetime_hint)

    @property
    def ticket(self) -> bool:
        """Whether the server has given a ticket for it, and keeps nothing itself."""
        return bool(self._raw.has_ticket)

    def __repr__(self) -> str:
        return f"<Session of {place_text(self.host, self.port)}>"


def resumable(session: Any, context: SSLContext, host: str, port: int | None) -> Any:
    """The ``ssl.SSLSession`` of a session, for a connection to the server that it was made with.

    :raises TypeError: it is none of gnet's.
    :raises ValueError: it was made with another server, or by another context.
    """
    if session is None:
        return None
    if not isinstance(session, Session):
        raise arguments.wrong_kind("session", session, "a gnet.tls.Session, from 'session'")
    if (session.host, session.port) != (host, port):
        raise value_error(
            f'The "session" argument was made with {place_text(session.host, session.port)}, and '
            f"cannot be resumed with {place_text(host, port)}"
        )
    if session._context is not context:
        raise value_error(
            'The "session" argument was made by another context, and cannot be resumed by this one'
        )
    return session._raw
