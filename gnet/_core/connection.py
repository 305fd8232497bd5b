"""A connection as a whole: how it begins, what keeps it, how it ends, and the next one.

What the program sets stays; all else begins anew with each connection, in ``_renew()``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from sys import is_finalizing
from time import monotonic
from typing import Any

from .._loop.timers import Deadline
from .._transport import stream_socket
from .._transport.protocol import Transport
from .._values.publish import publish, subscribers
from .._values.report import guarded
from .dispatcher import Dispatcher
from .ledger import Closed
from .rare import Rare
from .reading import Reading
from .states import (
    CLOSED,
    CONNECTING,
    END_MET,
    FAILED,
    HALF_OPEN,
    HASTY,
    IDLE,
    LEFT,
    LISTENERS,
    OPEN,
    QUEUED,
    SHARED,
    SHUT,
    UNMADE,
    UNSETTLED,
    UNWATCHED,
    WAITING,
    WRITABLE,
    learn,
)
from .watchdog import Watchdog

__all__ = ["LINGER_SECONDS", "Connection"]

#: How long ``close()`` waits for the peer's end when everything is sent, in seconds.
LINGER_SECONDS = 2.0


class Connection(Reading):
    """All that a socket is, but the names that a program calls."""

    __slots__ = ("_local", "_rare", "_remembered", "_remote", "_signal", "_tls")

    # The addresses in the system's form, kept for when the descriptor is gone.
    _local: Any
    _remote: Any
    _rare: Rare | None
    # Settings made before there is a connection to make them on.
    _remembered: tuple[Any, ...]
    _signal: Any
    _tls: Any

    # -- the beginning ------------------------------------------------------------------------

    def _begin(self, loop: Dispatcher, high_water_mark: int) -> None:
        """Be as new, where it may already be in use."""
        self._check_unused()
        self._be_new(loop, high_water_mark)

    def _be_new(self, loop: Dispatcher, high_water_mark: int) -> None:
        """What is set here is the program's to change, and stays from then on."""
        self._listeners = {}
        self._refed = True
        self._holding = False
        self._generation = 0
        self._reader = None
        self._waits = None
        self._timeout = None
        self._watchdog = None
        self._flow = None
        self._decoder = None
        self._onread = None
        self._remembered = ()
        self._signal = None
        self._tls = None
        self.allow_half_open: bool = False
        self.high_water_mark: int = high_water_mark
        Connection._renew(self, loop)

    def _renew(self, loop: Dispatcher) -> None:
        """Have all that is the connection's own as it is before there is one."""
        self._join(loop)
        self._life = IDLE
        self._receiving = UNMADE
        self._sending = WRITABLE
        self._owner = LISTENERS
        self._error = None
        self._heard = False
        self._wire = self._failed_wire = None
        self._local = self._remote = self._rare = None
        self._blocked = self._idle = self._peer = None
        self._outbox = self._end_callbacks = self._ahead = self._pipes = None
        self._written = self._unsent = 0
        self._begun = self._active = self._ended = 0.0
        self._destroy_when_sent = False
        self._more = True
        self._read_watcher = self._write_watcher = None
        self._serving = None
        self._watching = UNWATCHED
        self.bytes_read: int = 0
        self.server: Any = None

    def _come_in(
        self, loop: Dispatcher, server: Any, wire: Transport, local: Any, remote: Any
    ) -> None:
        """Be the socket of a connection that a server has accepted."""
        self._be_new(loop, server.high_water_mark)
        self._watching = UNSETTLED
        self.allow_half_open = server.allow_half_open
        self.server = server
        self._local = local
        self._remote = remote
        self._wire = wire
        self._begun = stream_socket.coarse_now()
        self._step("adopt")
        if server.limits is not None:
            self._watchdog = Watchdog(self, server.limits)
            self._watchdog.opened()

    def _need_rare(self) -> Rare:
        """What few connections have, and this one from now on."""
        if self._rare is None:
            self._rare = Rare()
        return self._rare

    def _facts(self) -> int:
        facts = 0
        wire = self._wire
        # An end that the close does not send is queued as well.
        if self._outbox or (wire is not None and wire.FAREWELL):
            facts |= QUEUED
        if self.allow_half_open:
            facts |= HALF_OPEN
        if wire is not None and wire.SHARED:
            facts |= SHARED
        if self._destroy_when_sent:
            facts |= HASTY
        if self._error is not None:
            facts |= FAILED
        if self._life == CONNECTING and self._rare.connector is None:  # type: ignore[union-attr]
            facts |= WAITING
        return facts

    # -- listeners and references -------------------------------------------------------------

    def _listening(self, event: str) -> None:
        self._listeners_changed()
        if event == "data":
            if self._flow is None:
                self._set_flow(True)
        elif event == "peer_end":
            self._watch_peer()
        elif event == "session" and self._tls is not None:
            self._listen_to_sessions()
        elif event == "fds":
            self._expect_fds()

    def _listeners_changed(self) -> None:
        if self._life != IDLE:
            self._update_kept()

    def _expect_fds(self) -> None:
        """Somebody wants the descriptors that come with the data."""
        raise NotImplementedError

    def _unlistened(self, event: str) -> None:
        self._listeners_changed()
        if event == "data" and self._flow is True and self._onread is None:
            self._set_flow(None)

    def _holds(self) -> bool:
        """Whether the socket keeps the program in :func:`gnet.run`."""
        if not self._refed:
            return False
        if self._life == OPEN:
            return self._flow is not False or self._owner >= LEFT or bool(self._outbox)
        return self._life == CONNECTING

    def _must_keep(self) -> bool:
        return self._life == CONNECTING or (
            self._life == OPEN
            and (self._owner >= LEFT or bool(self._listeners) or bool(self._outbox))
        )

    # -- the end ------------------------------------------------------------------------------

    def _finish_up(self) -> None:
        """The server shuts down: the connection ends, in a way that leaves time to answer."""
        if not self._is_handlers():
            self._step("end")
        elif self._wire is not None and self._receiving < END_MET:
            # Its listener reads to the end and then may answer; this is the end. Not the kernel's:
            # that would reset the connection, and the answer be lost, if the peer still sent.
            self._cut_peer()
            self._more = True
            if self._flow:
                self._rearm()
            elif self._reader is not None:
                self._loop.loop.run_callback(self._resume_reader, self._reader)

    def _give_up(self) -> None:
        """``close()``: send what is queued, end, and let go of the descriptor in good time."""
        if self._life >= SHUT:
            self._close_failed()
            if self._life == CLOSED or "error" not in self._listeners:
                # Else 'error' is on its way to who listens.
                self._report_unheard()
            return
        self._step("close")

    def _ends_unheard(self, event: str) -> bool:
        """Close at once, if the connection ends with its peer and nobody listens to the ends.

        :returns: whether it has closed.
        """
        listeners = self._listeners
        if (
            self._life != OPEN or "end" in listeners or "finish" in listeners
            or self._end_callbacks is not None or self._decoder is not None
            or self._peer is not None or self._survives(None)
        ):  # fmt: skip
            return False
        self._step(event)
        if self._life != SHUT:
            return False
        # There was nothing in between that anybody could have heard of.
        self._step("tell_close")
        return True

    def _survives(self, error: BaseException | None) -> bool:
        """Whether the socket may dial again after this; ``None`` is the peer's end."""
        raise NotImplementedError

    def _linger(self) -> None:
        """Everything is sent: the peer has some time to end as well."""
        if self._life == OPEN:
            rare = self._need_rare()
            if rare.linger_timer is None:
                rare.linger_timer = Deadline(self._loop.timers, LINGER_SECONDS, self, "_shut")

    def _publish_closed(self) -> None:
        if subscribers:
            publish(self._loop.defer, "ConnectionClosed", self, self._error)

    def _stop_timers(self) -> None:
        if self._idle is not None:
            self._stop_idle_timer()
        if self._watchdog is not None:
            self._watchdog.stop()

    def _release(self) -> None:
        """Let go of what the connection has; who waits for its writes is told."""
        for callback in self._dismantle():
            undone = self._error if self._error is not None else self._undone_error()
            self._loop.defer(partial(self._call, callback, undone))

    def _dismantle(self) -> list[Callable[..., object]]:
        """Stop the watchers, close the wire; gives the callbacks of what was not sent."""
        self._ended = stream_socket.coarse_now()
        rare = self._rare
        if rare is not None:
            self._dismantle_rare(rare)
        if self._signal is not None:
            self._signal.unlink()
        if self._local is None:
            # 'close' listeners may ask for the address when the descriptor is gone.
            self._local_name()
        if self._peer is not None:
            self._leave_peer(self._peer)
        for pipe in self._pipes or ():
            # Whatever becomes of their listeners.
            pipe.release()
        # The watchers go before the descriptor: its number may be another's at once.
        if self._read_watcher is not None:
            self._forget_noted()
            self._watching = UNWATCHED
            self._read_watcher.close()
            self._read_watcher = None
        if self._write_watcher is not None:
            self._write_watcher.close()
            self._write_watcher = None
        wire, self._wire = self._wire, None
        if wire is not None:
            if self._failed_idle():
                self._failed_wire = wire
            else:
                wire.close()
        if self._outbox is None and self._end_callbacks is None:
            return []
        return self._drop_queued()

    def _dismantle_rare(self, rare: Rare) -> None:
        if rare.connector is not None:
            rare.connector.abort()
            rare.connector = None
        if rare.linger_timer is not None:
            rare.linger_timer.cancel()
            rare.linger_timer = None
        if self._owner >= LEFT:
            rare.ancillary = None

    def _failed_idle(self) -> bool:
        """Whether the network has ended it between two blocking calls: no one knows of it yet."""
        return (
            LISTENERS < self._owner < LEFT
            and not self._blocked
            and self._reader is None
            and getattr(self._error, "syscall", None) in ("read", "write")
        )

    def _counts(self) -> Closed:
        seconds = None
        if self._receiving != UNMADE:
            seconds = (self._ended or monotonic()) - self._begun
        return self.bytes_read, self._written - self._unsent, seconds, 0

    def _deliver_close(self) -> None:
        ledger = self._loop.ledger if self.server is None else self.server._ledger
        ledger.settle(self, self._counts())
        if self.server is not None:
            self.server._connection_closed(self)
        else:
            self._loop.kept.discard(self)
            self._loop.others.discard(self)
        ledger.left()
        self._deliver("close", self._error is not None)

    def _local_name(self) -> Any:
        """The local address in the system's form, or ``None``."""
        if self._local is None and self._wire is not None:
            try:
                self._local = self._wire.local_name()
            except OSError:
                return None
        return self._local

    def _abandon(self, error: BaseException, let_go: Callable[[Transport], object]) -> None:
        """Close without an event: nobody is left to hear of it.

        :param error: what blocking calls raise from now on.
        :param let_go: closes a wire.
        """
        failed, self._failed_wire = self._failed_wire, None
        if failed is not None:
            let_go(failed)
        if self._life < SHUT:
            # Not for _dismantle() to close.
            wire, self._wire = self._wire, None
            # Who waits for the peer to leave is not told that there is none any more.
            self._peer = None
            self._stop_timers()
            try:
                self._dismantle()
            finally:
                if wire is not None:
                    let_go(wire)
            self._error = error
            self._heard = True
        self._step("abandon")

    def _unused(self) -> None:
        """In the hub: nothing referred to a server's connection any more."""
        if self._life == OPEN:
            name = repr(self)
            # One that a signal's handler has kept from being taken in was closed by its server.
            unclosed = self._wire is not None and not self._wire.closed
            self._shut(None)
            if unclosed:
                warnings.warn(f"unclosed {name}", ResourceWarning, source=self, stacklevel=2)

    def __del__(self) -> None:
        # At the interpreter's end the names of the modules are None, one after another, and the
        # descriptor is the system's to close.
        if is_finalizing is None or is_finalizing():
            return
        try:
            wire, loop = self._wire, self._loop
            self._close_failed()
        except AttributeError:
            return
        if wire is None or wire.closed:
            if self._holding:
                # What a signal's handler has raised kept it from being anybody's.
                self._holding = False
                loop.loop.run_callback_threadsafe(loop.release)
            return
        if self.server is not None and self._life == OPEN and loop.loop.ptr:
            # Its server counts it, and has it close in a turn of the loop, whatever raises here.
            guarded(loop.hub, self, self.server._connection_unused, self)
            loop.loop.run_callback_threadsafe(self._unused)
            return
        name, later = repr(self), loop.loop.run_callback_threadsafe
        # No events: this may run anywhere, even in the hub or in another thread.
        self._dismantle()
        loop.ledger.collect(self._counts(), later)
        if self._idle is not None:
            later(self._idle.cancel)
        if self._watchdog is not None:
            later(self._watchdog.stop)
        if self._holding:
            self._holding = False
            later(loop.release)
        # Last, as it raises where warnings are errors.
        warnings.warn(f"unclosed {name}", ResourceWarning, source=self, stacklevel=2)


learn(Connection)
