"""Connecting: the lookup, the race of the addresses, one wire in the end.

Runs in a greenlet of its own, in which a lookup hook may block. ``abort()`` from any greenlet
closes every attempt at once.
"""

from __future__ import annotations

import _socket
import errno
import sys
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from greenlet import GreenletExit, getcurrent, greenlet

from .. import dns
from .._core.dispatcher import Dispatcher
from .._loop.paced_wire import paced
from .._loop.timers import wait_patiently
from .._transport.binding import bind_local
from .._transport.early_options import NOTHING
from .._transport.protocol import Transport
from .._transport.stream_socket import Wire, sockaddr
from .._values.addresses import is_ip
from .._values.backoff import Backoff
from .._values.publish import publish
from .._values.race import Race, interleave
from ..dns.counted import counted_unless_it_counts
from ..errors import (
    AggregateError,
    IPBlockedError,
    late_import,
)
from .attempt import Attempt, PathAttempt
from .goals import PathTarget, TcpTarget
from .lookup_errors import annotate_lookup

if TYPE_CHECKING:
    from .secure import ClientTLS, Shaking

__all__ = ["MAX_ADDRESSES", "Connector", "Made"]

Report = Callable[..., None]
Made = tuple[Transport, Any]  # and the peer's address, as the system gives it

#: What a path is one of.
PATH_FAMILY = "pipe" if sys.platform == "win32" else "unix"
#: What a dial tells of while it goes on.
EVENTS = frozenset(
    (
        "connection_attempt", "connection_attempt_failed", "connection_attempt_timeout", "lookup",
    )
)  # fmt: skip
_TCP_FAMILIES = {4: "ipv4", 6: "ipv6"}
FAMILIES = {4: _socket.AF_INET, 6: _socket.AF_INET6}
NUMBERS = {family: number for number, family in FAMILIES.items()}
#: Of a name's addresses. A stranger's name can have 4,000, each an attempt to connect.
MAX_ADDRESSES = 32
# Between two tries at a path whose listener has its queue full, in seconds.
FIRST_PAUSE = 0.001
LONGEST_PAUSE = 0.05


class Connector:
    """Makes one connection.

    :param target: where to.
    :param socket: the socket that it is for; ``lookup`` and the ``connection_attempt`` events
        are emitted on it.
    :param wire: the unconnected wire to use; otherwise one is made for every attempt.
    :param tls: how to shake hands; ``None``: not at all. :attr:`reached`: this has begun.
    :ivar host: the host that it connects to, or has; ``None`` for a path.
    :ivar attempted: the addresses that were tried, as ``host:port``, in order.
    :ivar family: ``"ipv4"`` and the like, of the address that was won, or the last one; ``""``
        before.
    :ivar done: whether the connection was made by :meth:`at_once`.
    """

    __slots__ = (
        "_attempts", "_begun", "_greenlet", "_loop", "_report", "_settled", "_shaking", "_socket",
        "_wire", "aborted", "attempted", "done", "family", "host", "reached", "target", "tls",
    )  # fmt: skip

    def __init__(
        self,
        target: PathTarget | TcpTarget,
        socket: Any,
        wire: Transport | None = None,
        tls: ClientTLS | None = None,
    ) -> None:
        self.target = target
        self.host: str | None = target.host if isinstance(target, TcpTarget) else None
        self.tls = tls
        self.reached = False
        self._shaking: Shaking | None = None
        self._wire = wire
        self._socket = socket
        self._loop: Dispatcher = socket._loop
        self._report: Report = socket._report_later
        self._attempts: list[Attempt] = []
        self._begun: Any = None
        self._greenlet: greenlet | None = None
        self._settled: Event | None = None
        self.attempted: list[str] = []
        self.family = ""
        self.aborted = False
        self.done = False

    def at_once(self) -> Made | None:
        """Connect as far as that takes no time, while nobody listens.

        :returns: what :meth:`connect` would; ``None``: that is to go on from here.
        """
        target = self.target
        if (
            self._greenlet is not None or self._attempts
            or self._wire is not None or self.tls is not None or target.early is not NOTHING
        ):  # fmt: skip
            return None
        attempt: Attempt
        if isinstance(target, PathTarget):
            attempt = self._start_path(target)
        elif target.block_list is None and (family := is_ip(target.host)):
            attempt = self._start((target.host, family), at_once=True)
        else:
            return None
        if not attempt.settled or attempt.error is not None:
            self._begun = attempt
            return None
        self.done = True
        return self._won(attempt)

    def connect(self) -> Made:
        """Block until the connection is made.

        :returns: the wire, and the peer's address as the system gives it.
        :raises BaseException: the error of the lookup, of the attempt or of the handshake;
            :class:`~gnet.AggregateError` where there were several attempts.
        """
        target = self.target
        self._greenlet = getcurrent()
        try:
            if isinstance(target, PathTarget):
                made = self._connect_path(target)
            else:
                made = self._race(target, self._addresses(target))
            if self.aborted:
                # Given up between its success and this greenlet's turn; abort() closes what it
                # finds, and what a contest has handed on is found by nobody.
                if made[0] is not None:
                    made[0].close()
                raise GreenletExit
            if target.early.settings:
                made = paced(made[0], target.early.settings), made[1]
            return made if self.tls is None else self._secure(*made, self.tls)
        finally:
            self._greenlet = None
            self._close_attempts()

    def _secure(self, wire: Transport, remote: Any, tls: ClientTLS) -> Made:
        """Block until the handshake is done."""
        with late_import():
            from .secure import Shaking

        # What closes it when there is no memory for that.
        self._wire = wire
        shaking = Shaking(self._loop, wire, tls, self._socket._tls_strict, remote)
        self._wire = None
        self._shaking, self.reached = shaking, True
        self._socket._reached(wire, remote)
        shaking.shake()
        self._shaking = None
        return shaking.wire, remote

    def abort(self) -> None:
        """Give up, from any greenlet: the attempts are closed when this returns."""
        self.aborted = True
        self._close_attempts()
        if self._greenlet is not None:
            # A lookup hook may be blocked for long: its greenlet is freed.
            self._loop.loop.run_callback(self._free, self._greenlet)

    def _free(self, blocked: greenlet) -> None:
        if self._greenlet is blocked:
            blocked.throw(GreenletExit)

    def _close_attempts(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        shaking, self._shaking = self._shaking, None
        if shaking is not None:
            shaking.give_up()
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            attempt.close()

    def _tell(self, event: str, *args: Any) -> None:
        """Emit an event of a dial that goes on."""
        if not EVENTS.isdisjoint(self._socket.event_names()):
            self._report(event, *args)

    # -- the addresses ------------------------------------------------------------------------

    def _addresses(self, target: TcpTarget) -> Sequence[Any]:
        """The addresses to try, in order."""
        literal = is_ip(target.host)
        found = [(target.host, literal)] if literal else self._look_up(target)
        if target.block_list is None:
            return found
        allowed = [each for each in found if not target.block_list.blocks(each[0])]
        if not allowed:
            raise IPBlockedError(found[0][0])
        return allowed

    def _look_up(self, target: TcpTarget) -> list[tuple[str, int]]:
        host = target.host
        family = target.family
        if family == 0 and target.local_address is not None:
            family = is_ip(target.local_address)
        if family == 0 and self._wire is not None:
            # One that is bound has a family of its own.
            family = NUMBERS.get(self._wire.family, 0)
        free = family == 0 and target.local_address is None and self._wire is None
        race = target.auto_select_family and free
        started = monotonic()
        try:
            if target.lookup is None:
                found = dns.addresses_of(host, family, target.hints)
            else:
                with counted_unless_it_counts(target.lookup):
                    answer = target.lookup(host, family=family, hints=target.hints, all=race)
                    found = dns.check_answer(answer, host, target.port, family=family)
        except Exception as exc:
            annotate_lookup(exc, host)
            self._report("lookup", exc, None, None, host)
            self._publish_lookup(started, (), exc)
            raise
        if len(found) > 1:
            found = interleave(found)[:MAX_ADDRESSES] if race else found[:1]
        self._publish_lookup(started, tuple(found), None)
        for address, number in found:
            self._tell("lookup", None, address, number, host)
        return found

    def _publish_lookup(
        self, started: float, found: tuple[tuple[str, int], ...], error: Exception | None
    ) -> None:
        if isinstance(self.target, TcpTarget):
            publish(self._loop.defer, "LookupFinished",
                self._socket, self.target.host, found, error, monotonic() - started,
            )  # fmt: skip

    # -- the race -----------------------------------------------------------------------------

    def _race(self, target: TcpTarget, addresses: Sequence[Any]) -> Made:
        """Block until one of the attempts has been made.

        :param addresses: what :meth:`_start` takes, of each attempt.
        """
        if len(addresses) == 1:
            return self._sole(addresses[0])
        race = Race(len(addresses), target.attempt_timeout)
        started: list[Any] = []
        while True:
            # First what has come of those under way: the time for the next may be over as well.
            for number, attempt in enumerate(started):
                if attempt.settled and number in race.running:
                    if attempt.error is None:
                        return self._won(attempt)
                    race.failed(number, monotonic())
                    self._lost(attempt)
            if race.lost:
                raise self._failure(started)
            for action, number in race.advance(monotonic()):
                if action == "timeout":
                    self._slow(started[number])
                else:
                    started.append(self._start(addresses[number]))
            if any(started[number].settled for number in race.running):
                continue
            if race.due is None:
                self._wait(None)
            elif race.due > monotonic():
                self._wait(race.due - monotonic())

    def _sole(self, place: Any) -> Made:
        """The same for an attempt that has no other beside it."""
        attempt, self._begun = self._begun or self._start(place), None
        while not attempt.settled:
            self._wait(None)
        if attempt.error is None:
            return self._won(attempt)
        self._lost(attempt)
        raise self._failure([attempt])

    def _wait(self, seconds: float | None) -> None:
        """Block until an attempt is over, or for so long."""
        if self._settled is None:
            self._settled = Event()
        wait_patiently(self._settled, seconds)
        self._settled.clear()

    def _lost(self, attempt: Any) -> None:
        """An attempt has failed."""
        self._report(
            "connection_attempt_failed",
            attempt.address, attempt.port, attempt.family, attempt.error,
        )  # fmt: skip

    def _slow(self, attempt: Any) -> None:
        """An attempt takes long, and the next one starts beside it."""
        self._tell("connection_attempt_timeout", attempt.address, attempt.port, attempt.family)

    def _failure(self, started: list[Any]) -> BaseException:
        """The error of a race in which every attempt has failed."""
        errors = [each.error for each in started]
        return errors[0] if len(errors) == 1 else AggregateError(errors)

    def _start(self, place: Any, at_once: bool = False) -> Any:
        """Start an attempt; gives what has ``settled`` in the end, perhaps with an ``error``.

        :param at_once: whether it may have at once, while nobody listens.
        """
        target: Any = self.target
        address, family = place
        attempt = Attempt(address, family, target.port)
        self._attempts.append(attempt)
        self.attempted.append(f"{address}:{target.port}")
        self.family = _TCP_FAMILIES[family]
        if not at_once:
            self._tell("connection_attempt", address, target.port, family)
        try:
            wire, self._wire = self._wire, None
            if not isinstance(wire, Wire):
                wire = Wire.open(FAMILIES[family], target.early.mptcp)
            attempt.wire = wire
            if target.early is not NOTHING:
                target.early.apply(wire)
            if target.local_address is not None or target.local_port:
                attempt.local = bind_local(wire, family, target.local_address, target.local_port)
            attempt.connect(sockaddr(address, target.port), at_once)
        except OSError as exc:
            attempt.settle(getattr(exc, "errno", None) or errno.EINVAL, exc)
        if not attempt.settled:
            attempt.watch(self._loop.loop, self._writable)
        return attempt

    def _writable(self, attempt: Attempt) -> None:
        """In the hub: the kernel knows how an attempt has ended."""
        if attempt.wire is not None and not attempt.settled:
            attempt.look()
            if self._settled is not None:
                self._settled.set()

    def _won(self, attempt: Any) -> Made:
        wire = attempt.take()
        if attempt.port is None:
            return wire, attempt.address
        if len(self.attempted) > 1:
            self._loop.ledger.lost += sum(not each.settled for each in self._attempts)
            self.family = _TCP_FAMILIES[attempt.family]
            # The address that was won is the last one, as in Node, whenever it had started.
            name = f"{attempt.address}:{attempt.port}"
            self.attempted.remove(name)
            self.attempted.append(name)
        return wire, (attempt.address, attempt.port)

    # -- a path -------------------------------------------------------------------------------

    def _connect_path(self, target: PathTarget) -> Made:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        attempt, self._begun = self._begun or self._start_path(target), None
        while not attempt.settled:
            # The listener's queue is full, and nothing tells when there is a place in it.
            gevent.sleep(backoff.pause())
            if self.aborted:
                raise GreenletExit
            attempt.proceed()
        if attempt.error is not None:
            raise attempt.error
        return self._won(attempt)

    def _start_path(self, target: PathTarget) -> PathAttempt:
        given, self._wire = self._wire, None
        attempt = PathAttempt(target, given)
        self._attempts.append(attempt)
        self.family = PATH_FAMILY
        attempt.begin()
        return attempt
