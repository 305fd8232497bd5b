"""A connection becomes encrypted in mid-stream, and plain again."""

from __future__ import annotations

import _socket
import errno
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any

from .._core.tls_wire import TLSWire
from .._loop.farewell import Farewell
from .._loop.handshake import Handshake
from .._transport.protocol import READ, Transport, refuse
from .._values import arguments
from .._values.client_hello import HelloReader
from .._values.tls_errors import annotate_tls
from ..tls.contexts import ChooseContext, server_tls
from .changing import ChangingWire, Leftover
from .secure import ClientTLS

__all__ = ["Downgrade", "Upgrade", "client_upgrade", "server_upgrade"]


class _ClientSteps:
    """The handshake of a client."""

    def __init__(self, inner: Transport, tls: ClientTLS, received: bytes) -> None:
        self.inner = inner
        self.wire: TLSWire | None = TLSWire(
            inner, tls.context, False, tls.server_hostname or None, tls.session, received
        )

    @property
    def wants(self) -> int:
        assert self.wire is not None
        return self.wire.wants

    def step(self) -> None:
        assert self.wire is not None
        self.wire.handshake()


class _ServerSteps:
    """The handshake of a server, which begins when the client has said whom it asks for."""

    def __init__(self, inner: Transport, choose: ChooseContext, received: bytes) -> None:
        self.inner = inner
        self.wire: TLSWire | None = None
        self._choose = choose
        self._reader = HelloReader()
        self._hello = self._reader.feed(received)

    @property
    def wants(self) -> int:
        return READ if self.wire is None else self.wire.wants

    def step(self) -> None:
        if self._hello is None:
            data = self.inner.recv(65536)
            if not data:
                refuse(errno.ECONNRESET)
            self._hello = self._reader.feed(data)
            if self._hello is None:
                refuse(errno.EAGAIN)
        if self.wire is None:
            name = self._hello.server_name
            received = bytes(self._reader.received)
            self.wire = TLSWire(self.inner, self._choose(name), True, received=received)
            self.wire.server_name = name
        self.wire.handshake()


class _Change:
    """A change of a connection's transport, from its call to its end.

    :param sock: the socket, a :class:`gnet._socket.tls_calls.TLSCalls`.
    :param before: what is encrypted, or decrypted.
    :param readable: whether what comes meanwhile is still the program's.
    """

    def __init__(self, sock: Any, before: Transport, readable: bool) -> None:
        self._sock = sock
        self.wire = ChangingWire(
            before, sock.writable_length, self._drained, readable, self._closing
        )
        self._handshake: Handshake | None = None
        self._closed = False

    def _drive(self, steps: Any, step: Callable[[], object], seconds: float | None) -> None:
        loop = self._sock._loop
        self._handshake = Handshake(loop.loop, loop.timers, steps, step, self._done, seconds)
        self._handshake.limit()
        self._sock._exchange(self.wire)
        if not self.wire.left:
            self._handshake.start()

    def _drained(self) -> None:
        """What was written before has gone out."""
        if self._handshake is not None:
            self._handshake.start()

    def _closing(self) -> None:
        """The connection is closed before the change is done."""
        self._closed = True
        if self._handshake is not None:
            self._handshake.stop()

    def _done(self, error: BaseException | None) -> None:
        raise NotImplementedError

    def _go_on(self, wire: Transport) -> None:
        """The change is done: the stream goes on over another transport."""
        self.wire.let_go()
        if self.wire.deaf:
            # shutdown() was called meanwhile.
            wire.shutdown(_socket.SHUT_RD)
        self._sock._changed()
        self._sock._exchange(wire)


class Upgrade(_Change):
    """A handshake in mid-stream."""

    def __init__(
        self,
        sock: Any,
        steps: _ClientSteps | _ServerSteps,
        tls: ClientTLS | None,
        seconds: float | None,
    ) -> None:
        super().__init__(sock, steps.inner, False)
        self._steps = steps
        self._tls = tls
        self._begun = monotonic()
        self._drive(steps, self._step, seconds)

    def _step(self) -> None:
        # A step is activity.
        self._sock._touch()
        self._steps.step()

    def _done(self, error: BaseException | None) -> None:
        if self._closed:
            return
        sock = self._sock
        wire = self._steps.wire
        if error is not None:
            self._failed(error)
            return
        assert wire is not None
        wire.seconds = monotonic() - self._begun
        wire.strict = sock._tls_strict
        sock._secured(wire, self._tls)
        self._go_on(wire)
        sock._publish_secure()
        sock._report_later("secure_connect")
        sock._wake()

    def _failed(self, error: BaseException) -> None:
        sock = self._sock
        if isinstance(error, ssl.SSLError):
            annotate_tls(error, sock.remote_address, sock.remote_port)
            # The peer gets the time to read what it has done wrong.
            self.wire.give_away()
            inner = self._steps.inner if self._steps.wire is None else self._steps.wire.leave()
            Farewell(sock._loop.loop, sock._loop.timers, inner)
        sock._handshake_failed(error)


class Downgrade(_Change):
    """``close_notify`` both ways, in mid-stream."""

    def __init__(self, sock: Any, secure: TLSWire) -> None:
        super().__init__(sock, secure, True)
        self._secure = secure
        self._drive(secure, self._step, None)

    def _step(self) -> None:
        self._sock._touch()
        self._rest = self._secure.unwrap()

    def _done(self, error: BaseException | None) -> None:
        if self._closed:
            return
        sock = self._sock
        if error is not None:
            sock._fail(error)
            return
        secure = self._secure
        # The peer's last encrypted bytes stand before its first plain ones.
        kept = secure.take_kept() + self._rest
        inner = secure.leave()
        sock._unsecured(inner)
        self._go_on(Leftover(inner, kept) if kept else inner)
        sock._wake()


def client_upgrade(
    sock: Any,
    tls: Any,
    host: str | None,
    server_hostname: Any,
    session: Any,
    seconds: Any,
    received: bytes,
) -> Callable[[], Upgrade]:
    """Check the arguments of ``start_tls()``; gives what begins it."""
    parsed = ClientTLS.parse(tls, host, sock.remote_port, server_hostname, session, seconds)

    def begin() -> Upgrade:
        return Upgrade(sock, _ClientSteps(sock._wire, parsed, received), parsed, parsed.seconds)

    return begin


def server_upgrade(sock: Any, tls: Any, seconds: Any, received: bytes) -> Callable[[], Upgrade]:
    """Check the arguments of ``start_tls(server_side=True)``; gives what begins it."""
    choose = server_tls(tls)
    limit = arguments.seconds("handshake_timeout", seconds)

    def begin() -> Upgrade:
        return Upgrade(sock, _ServerSteps(sock._wire, choose, received), None, limit)

    return begin
