"""A socket that dials: in the background, or in the call that waits for the connection.

What is told of a dial is told in the order in which it has happened, and not before the turn of
the loop that comes after ``connect()``. Where nobody listens, a blocking call need not wait for
that turn.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import Any
from weakref import ref

from .._core import watchdog
from .._core.dispatcher import dispatcher
from .._core.pipe import leave_former
from .._core.states import CONNECTING, SHUT
from .._core.watchdog import Watchdog
from .._transport import tcp_options
from .._transport.protocol import Transport
from .._values.publish import publish, subscribers
from ..errors import AbortError
from .contest import Contest
from .dial import Connector
from .facts import Facts
from .planning import Plan

__all__ = ["Dialling", "dial"]


class Dialling(Facts):
    """A socket that makes its connection itself."""

    __slots__ = ()

    def _dial(self, plan: Plan, limit: float | None, wire: Transport | None = None) -> None:
        """Connect in the background."""
        rare = self._rare
        assert rare is not None
        connector = rare.connector = (
            Connector(plan.goals[0], self, wire, plan.tls[0])
            if len(plan.goals) == 1
            else Contest(plan, self)
        )
        rare.attempted = connector.attempted if plan.races else None
        self._begins()
        self._loop.ledger.tried += 1
        if limit is not None:
            if self._watchdog is None:
                self._watchdog = Watchdog(self, watchdog.NO_LIMITS)
            self._watchdog.connecting(limit)
        self._loop.defer(partial(self._connect_in_background, connector))

    def _begin_again(self) -> None:
        """Dial a second time: what the program has set stays, all else is new."""
        for pipe in list(self._pipes or ()):
            pipe.stop()
        leave_former(self)
        rare = self._rare
        if rare is not None and rare.connect_listener is not None:
            # That connection was never made.
            for name in ("connect", "secure_connect"):
                self._remove(name, rare.connect_listener)
        self._close_failed()
        # Who is blocked on the former connection is still to be told of its end.
        self._generation += 1
        self._renew(dispatcher())
        if self._decoder is not None:
            self._decoder.reset()
        if self._signal is not None:
            self._signal.link()

    def _connect_in_background(self, connector: Connector) -> None:
        if connector.aborted or connector.done:
            return
        if self._signal is not None and self._signal.is_ready():
            self.destroy(AbortError())
            return
        try:
            wire, remote = connector.connect()
        except BaseException as exc:
            if not connector.aborted:
                if connector.reached:
                    self._loop.ledger.fail_handshake()
                    publish(self._loop.defer, "HandshakeFailed", self, exc)
                if isinstance(exc, self._loop.hub.SYSTEM_ERROR):
                    self._shut(None)
                    raise
                self._fail(exc)
            return
        if connector.aborted:
            wire.close()
            return
        self._open(wire, remote)
        if subscribers:
            # They are told of it before.
            self._loop.defer(self._emit_connect)
        else:
            self._emit_connect()

    def _await_connection(self) -> None:
        # Where nobody is told of it, it need not wait for the loop.
        if self._life == CONNECTING and not self._listeners and self._signal is None:
            rare = self._rare
            connector = None if rare is None else rare.connector
            made = None if connector is None else connector.at_once()
            if made is not None:
                self._open(*made)
                # The loop is about to look, and wakes who waits for what it has found.
                self._more = False
                # But the others have their turn, a server at the other end for one.
                self._loop.lookout.look()
        super()._await_connection()

    def _open(self, wire: Transport, remote: Any) -> None:
        """The connection is made."""
        rare = self._rare
        assert rare is not None
        connector, rare.connector = rare.connector, None
        tls = None
        if connector is not None:
            tls, rare.host = connector.tls, connector.host
            self._count_connect(connector.family, "ok")
        if rare.redial is not None:
            rare.redial.begun = monotonic()
        self._wire = wire
        self._remote = remote
        if tls is not None:
            self._secured(wire, tls)
        if self._remembered:
            self._apply_options()
        self._step("connected")

    def _reached(self, wire: Transport, remote: Any) -> None:
        """The peer is reached, and the handshake goes on."""
        self._remote = remote
        self._local = wire.local_name()
        self._touch()
        self._loop.defer(partial(self._emit_reached, self._generation))

    def _emit_reached(self, generation: int) -> None:
        if self._generation == generation and self._life < SHUT:
            self._deliver("connect")

    def _came(self, event: str) -> tuple[Any, ...] | None:
        rare = self._rare
        if event == "connect" and rare is not None and rare.connector is not None:
            return () if rare.connector.reached else None
        return super()._came(event)

    def _opened(self) -> None:
        wire = self._wire
        # Ahead of all that may end it again.
        publish(self._loop.defer, "ConnectionOpened", self)
        if self._tls is not None and self._tls.secure is not None:
            self._publish_secure()
        if self._watchdog is not None:
            self._watchdog.opened()
        if self._rare is not None and self._rare.reset:
            if wire.RESET:  # type: ignore[union-attr]
                wire.reset_on_close()  # type: ignore[union-attr]
            self._shut(None)
            return
        if self._idle is not None:
            self._idle.touch()
        if "peer_end" in self._listeners:
            self._watch_peer()
        if "fds" in self._listeners:
            self._expect_fds()
        self._wake()

    def _emit_connect(self) -> None:
        wire = self._wire
        if wire is not None and self._rare is not None:
            # It is called now, and not kept.
            self._rare.connect_listener = None
        # A listener of another socket's, or of 'connect' here, may have destroyed this one.
        tls = self._tls
        plain = tls is None or tls.secure is None
        for event in ("connect" if plain else "secure_connect", "ready"):
            if wire is not None and self._wire is wire:
                self._deliver(event)

    def _apply_options(self) -> None:
        if self._wire is not None:
            tcp_options.apply(self._wire, self._remembered)


def dial(socket: ref[Dialling], plan: Plan, limit: float | None) -> None:
    """Have a socket dial, unless it is gone."""
    sock = socket()
    if sock is not None:
        sock._dial(plan, limit)
