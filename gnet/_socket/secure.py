"""TLS for a connection that is being made."""

from __future__ import annotations

import ssl
from time import monotonic
from typing import Any, NamedTuple

from gevent.event import AsyncResult

from .._core.dispatcher import Dispatcher
from .._core.tls_wire import TLSWire
from .._loop.farewell import Farewell
from .._loop.handshake import Handshake
from .._transport.protocol import Transport
from .._values import arguments
from .._values.tls_errors import annotate_tls
from ..errors import annotate
from ..tls.contexts import client_tls
from ..tls.sessions import Session, resumable

__all__ = ["ClientTLS", "Shaking"]


class ClientTLS(NamedTuple):
    """How a client shakes hands. Every field has been validated.

    :ivar context: whom to believe.
    :ivar server_hostname: whom the server has to be; ``""`` for nobody.
    :ivar port: the port that is connected to, or ``None`` for a path.
    :ivar session: the ``ssl.SSLSession`` to resume, or ``None``.
    :ivar seconds: how long it may take; ``None`` for no limit.
    """

    context: ssl.SSLContext
    server_hostname: str
    port: int | None
    session: Any
    seconds: float | None

    @classmethod
    def parse(
        cls,
        tls: Any,
        host: str | None,
        port: int | None,
        server_hostname: Any,
        session: Any,
        seconds: Any,
    ) -> ClientTLS:
        """From the options of ``connect()`` and ``start_tls()``."""
        context, name = client_tls(tls, host, server_hostname)
        return cls(
            context,
            name,
            port,
            resumable(session, context, name, port),
            arguments.seconds("handshake_timeout", seconds),
        )

    def session_of(self, raw: Any) -> Session:
        """A session that was made so, for the program to keep."""
        return Session(raw, self.context, self.server_hostname, self.port)


class Shaking:
    """A handshake, for a greenlet that waits for it.

    :param loop: the dispatcher.
    :param inner: the connection; from now on it is the handshake's to close.
    :param tls: how to do it.
    :param strict: whether an end without TLS' own is an error.
    :param place: the peer's address and port, or its path.
    """

    __slots__ = ("_loop", "_place", "_said_farewell", "_tls", "wire")

    def __init__(
        self, loop: Dispatcher, inner: Transport, tls: ClientTLS, strict: bool, place: Any
    ) -> None:
        self._loop = loop
        self._tls = tls
        self._place = place
        # It has failed, and the connection is closed by itself.
        self._said_farewell = False
        self.wire = TLSWire(inner, tls.context, False, tls.server_hostname or None, tls.session)
        self.wire.strict = strict

    def shake(self) -> None:
        """Block until it is done.

        :raises OSError: it has failed; the connection is closed when the peer has read why.
        """
        wire = self.wire
        begun = monotonic()
        done: AsyncResult[BaseException | None] = AsyncResult()
        loop = self._loop
        handshake = Handshake(
            loop.loop, loop.timers, wire, wire.handshake, done.set, self._tls.seconds
        )
        handshake.start()
        try:
            error = done.get()
        finally:
            handshake.stop()
        if error is not None:
            if isinstance(error, ssl.SSLError):
                # The peer gets the time to read what it has done wrong.
                self._said_farewell = True
                Farewell(loop.loop, loop.timers, wire.leave())
            raise self._named(error)
        wire.seconds = monotonic() - begun

    def give_up(self) -> None:
        """Close the connection, whatever has become of the handshake."""
        if not self._said_farewell:
            self.wire.close()

    def _named(self, error: BaseException) -> BaseException:
        address, port = self._place if isinstance(self._place, tuple) else (self._place, None)
        if isinstance(error, ssl.SSLError):
            return annotate_tls(error, address, port)
        if isinstance(error, OSError) and not hasattr(error, "deadline"):
            return annotate(error, "handshake", address, port)
        return error
