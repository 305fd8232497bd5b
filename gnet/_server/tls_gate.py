"""The gate of a server with TLS: it shakes hands with the clients, then lets them in.

Whoever connects and says nothing costs a descriptor until the deadline, and no more: it takes a
place among the handshakes when its first message is there, whole.
"""

from __future__ import annotations

import _socket
import errno
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext
from time import monotonic
from typing import Any

from .._core.tls_wire import TLSWire
from .._loop.handshake import Handshake, named, too_slow
from .._transport.protocol import READ, Watcher, refuse
from .._values import arguments
from .._values.client_hello import ClientHello, HelloReader
from .._values.report import handler_failed
from ..errors import system_error
from ..tls.contexts import ChooseContext, check_side, server_tls
from .dropped import DropInfo, drop_info
from .entrance import Entrant, Stage, Step

__all__ = ["TLSGate"]

# So long a client that has failed may take to read why, as behind close().
LINGER_SECONDS = 2.0
READ_BYTES = 65536
# What a client is told whose context could not be found: the alert internal_error, which is what
# OpenSSL says as well (RFC 8446, section 6).
_INTERNAL_ERROR = b"\x15\x03\x03\x00\x02\x02\x50"

Failed = Callable[[BaseException, DropInfo], object]


class TLSGate(Stage):
    """Shakes hands with new connections, in the hub.

    :param tls: the option of the server's.
    :param sni_callback: gives a context for the name that a client asks for, or ``None`` for the
        server's own; it may block.
    :param seconds: how long a handshake may take, from the accept or the PROXY header on;
        ``None`` for no limit.
    :param most: so many handshakes go on at once at the most; ``None`` for no limit.
    :param strict: whether a connection that ends without TLS' own end has failed.
    :param failed: called in the hub with the error of one that has failed, and the connection's
        addresses.
    """

    __slots__ = (
        "_busy",
        "_most",
        "_waiting",
        "active",
        "choose",
        "failed",
        "seconds",
        "sni_callback",
        "strict",
    )

    reason = "tls"

    def __init__(
        self,
        tls: Any,
        sni_callback: Callable[[str | None], SSLContext | None] | None,
        seconds: float | None,
        most: int | None,
        strict: bool,
        failed: Failed,
    ) -> None:
        self.choose: ChooseContext = server_tls(tls)
        self.sni_callback = arguments.optional_function("sni_callback", sni_callback)
        self.seconds = arguments.seconds("handshake_timeout", seconds)
        if most is not None:
            arguments.integer("max_handshakes", most, 1, 2**62)
        self._most = most
        self._busy = 0
        #: How many connections are in it.
        self.active = 0
        # Whose first message is there, and who have no place among the handshakes yet.
        self._waiting: deque[_Opening] = deque()
        self.strict = strict
        self.failed = failed

    def use(self, tls: Any) -> None:
        """Take another option, for the handshakes that begin from now on."""
        self.choose = server_tls(tls)

    def enter(self, entrant: Entrant) -> Step:
        self.active += 1
        return _Opening(entrant, self)

    def take_place(self, opening: _Opening) -> None:
        """Have a connection shake hands as soon as there is a place."""
        if self._most is not None and self._busy >= self._most:
            self._waiting.append(opening)
        else:
            self._busy += 1
            opening.begin()

    def leave_place(self) -> None:
        """One that had a place needs it no more."""
        while self._waiting:
            opening = self._waiting.popleft()
            if opening.waits():
                opening.begin()
                return
        self._busy -= 1


class _Opening(Step):
    """A connection from its accept to the end of its handshake."""

    __slots__ = (
        "_begun", "_gate", "_handshake", "_hello", "_lingers", "_loop", "_over", "_placed",
        "_reader", "_watcher",
    )  # fmt: skip

    def __init__(self, entrant: Entrant, gate: TLSGate) -> None:
        super().__init__(entrant, gate.reason)
        self._gate = gate
        self._loop = entrant.entrance.loop
        self._begun = monotonic()
        self._reader = HelloReader()
        self._hello: ClientHello | None = None
        self._handshake: Handshake | None = None
        # Whether it has a place among the handshakes; has failed, and the client may read why; and
        # whether it has left the gate.
        self._placed = False
        self._lingers = False
        self._over = False
        self._watcher: Watcher = entrant.wire.watch(self._loop.loop, READ)
        self._watch(self._readable)
        if gate.seconds is not None:
            entrant.limit(gate.seconds)

    def _watch(self, function: Callable[[], object]) -> None:
        # Not directly: a signal's exception in it would stop the watcher for ever.
        self._watcher.start(self._loop.loop.run_callback, self._guarded, function)

    def _guarded(self, function: Callable[[], object]) -> None:
        """In the hub: the connection is readable."""
        if self._over:
            return
        try:
            function()
        except BaseException:
            # What a signal's handler has raised, or there is no memory.
            self.entrant.drop(self.reason)
            raise

    def stop(self) -> None:
        self._over = True
        self._gate.active -= 1
        self._watcher.close()
        if self._handshake is not None:
            self._handshake.stop()
        self._free_place()

    def _free_place(self) -> None:
        if self._placed:
            self._placed = False
            self._gate.leave_place()

    def too_late(self) -> None:
        if self._lingers:
            self.entrant.drop(self.reason)
        else:
            seconds = self._gate.seconds
            assert seconds is not None
            self._tell(too_slow(seconds))
            self.entrant.drop(self.reason)

    # -- the client's first message -----------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = self.entrant.wire.recv(READ_BYTES)
            if not data:
                refuse(errno.ECONNRESET)
        except BlockingIOError:
            return
        except OSError as exc:
            self._fail(exc)
            return
        self._hello = self._reader.feed(data)
        if self._hello is not None:
            # What comes now stays in the kernel until it is its turn.
            self._watcher.stop()
            self._gate.take_place(self)

    def waits(self) -> bool:
        """Whether it still wants a place."""
        return not self._over

    # -- the context --------------------------------------------------------------------------

    def begin(self) -> None:
        """It has a place among the handshakes."""
        self._placed = True
        hello = self._hello
        assert hello is not None
        if self._gate.sni_callback is None or not hello.is_one:
            self._shake_hands(self._gate.choose, hello.server_name)
        else:
            # In a greenlet that is borrowed, where it may block.
            self._loop.defer(self._ask)

    def _ask(self) -> None:
        """Ask the program for the context."""
        hello = self._hello
        assert hello is not None
        callback = self._gate.sni_callback
        assert callback is not None
        try:
            context = callback(hello.server_name)
            if context is not None:
                check_side("sni_callback", context)
        except Exception as exc:
            handler_failed(self._loop.hub, None, exc)
            if not self._over:
                self._refuse(exc)
            return
        except BaseException:
            # The greenlet is killed, or the program.
            self.entrant.drop(self.reason)
            raise
        if self._over:
            return
        choose = self._gate.choose if context is None else lambda name: context
        self._shake_hands(choose, hello.server_name)

    def _refuse(self, exc: BaseException) -> None:
        """There is no context for the client, which is told that this is not its fault."""
        with suppress(OSError):
            self.entrant.wire.send(_INTERNAL_ERROR)
        self._fail(exc)

    # -- the handshake ------------------------------------------------------------------------

    def _shake_hands(self, choose: Callable[[str | None], SSLContext], name: str | None) -> None:
        try:
            wire = TLSWire(
                self.entrant.wire, choose(name), True, received=bytes(self._reader.received)
            )
        except Exception as exc:
            self._refuse(exc)
            return
        wire.server_name = name
        timers = self._loop.timers
        self._handshake = Handshake(
            self._loop.loop, timers, wire, wire.handshake, lambda exc: self._done(wire, exc)
        )
        self._handshake.start()

    def _done(self, wire: TLSWire, error: BaseException | None) -> None:
        if self._over:
            return
        if error is not None:
            self._fail(error)
            return
        wire.seconds = monotonic() - self._begun
        wire.strict = self._gate.strict
        self.entrant.wire = wire
        self.entrant.go_on()

    # -- failures -----------------------------------------------------------------------------

    def _tell(self, error: BaseException) -> None:
        info = drop_info(self.entrant.wire, self.entrant.remote, self.reason)
        self._gate.failed(error, info)

    def _fail(self, error: BaseException) -> None:
        """The handshake has failed: the client gets the time to read why."""
        self._free_place()
        self._tell(named(error) or system_error(errno.ECONNRESET, "handshake"))
        if isinstance(error, ConnectionError):
            # Nobody is there.
            self.entrant.drop(self.reason)
            return
        self._lingers = True
        try:
            self.entrant.wire.shutdown(_socket.SHUT_WR)
        except OSError:
            self.entrant.drop(self.reason)
            return
        self.entrant.limit(LINGER_SECONDS)
        self._watch(self._discard)

    def _discard(self) -> None:
        try:
            if self.entrant.wire.recv(READ_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.entrant.drop(self.reason)
