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
from typing import TYPE_CHECKING, Any, TypeVar

import gevent
from gevent.event import Event
from greenlet import GreenletExit, getcurrent, greenlet

from .. import dns
from .._core.dispatcher import Dispatcher
from .._loop.paced_wire import paced
from .._loop.timers import wait_patiently
from .._transport import unix_path
from .._transport.binding import bind_local
from .._transport.early_options import NOTHING, EarlyOptions
from .._transport.protocol import WRITE, Transport, Watcher
from .._transport.stream_socket import Wire, sockaddr
from .._values.addresses import is_ip
from .._values.backoff import Backoff
from .._values.publish import publish
from .._values.race import Race, interleave
from ..dns.counted import counted_unless_it_counts
from ..errors import (
    AggregateError,
    IPBlockedError,
    annotate,
    late_import,
    system_error,
)
from .goals import PathTarget, TcpTarget
from .lookup_errors import annotate_lookup

if sys.platform == "win32":
    from .._transport.windows import pipe_names
    from .._transport.windows.pipe_wire import PipeWire

if TYPE_CHECKING:
    from .secure import ClientTLS, Shaking

__all__ = ["MAX_ADDRESSES", "Connector", "Made"]

_T = TypeVar("_T")
Report = Callable[..., None]
Made = tuple[Transport, Any]  # and the peer's address, as the system gives it

#: What a path is one of.
PATH_FAMILY = "pipe" if sys.platform == "win32" else "unix"
FAMILIES = {4: _socket.AF_INET, 6: _socket.AF_INET6}
NUMBERS = {family: number for number, family in FAMILIES.items()}
#: Of a name's addresses. A stranger's name can have 4,000, each an attempt to connect.
MAX_ADDRESSES = 32
# Between two tries at a path whose listener has its queue full, in seconds.
FIRST_PAUSE = 0.001
LONGEST_PAUSE = 0.05


class _Attempt:
    """One address being connected to."""

    __slots__ = ("address", "error", "family", "local", "port", "settled", "watcher", "wire")

    def __init__(self, address: str, family: int, port: int) -> None:
        self.address = address
        self.family = family
        self.port = port
        self.wire: Wire | None = None
        self.watcher: Watcher | None = None
        self.local: tuple[str, int] | None = None
        self.error: BaseException | None = None
        self.settled = False

    def close(self) -> None:
        if self.watcher is not None:
            self.watcher.close()
            self.watcher = None
        if self.wire is not None:
            self.wire.close()
            self.wire = None


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
    """

    __slots__ = (
        "_attempts", "_greenlet", "_loop", "_report", "_settled", "_shaking", "_socket", "_wire",
        "aborted", "attempted", "family", "host", "reached", "target", "tls",
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
        self._attempts: list[_Attempt] = []
        self._greenlet: greenlet | None = None
        self._settled: Event | None = None
        self.attempted: list[str] = []
        self.family = ""
        self.aborted = False

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
                made = self._connect_path(target.path, target.early)
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

    # -- the addresses ------------------------------------------------------------------------

    def _addresses(self, target: TcpTarget) -> Sequence[Any]:
        """The addresses to try, in order."""
        literal = is_ip(target.host)
        found = [(target.host, literal)] if literal else self._look_up(target)
        allowed = [each for each in found if not _blocked(target, each[0])]
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
        lookup = target.lookup if target.lookup is not None else dns.lookup
        started = monotonic()
        try:
            with counted_unless_it_counts(lookup):
                answer = lookup(host, family=family, hints=target.hints, all=race)
                found = dns.check_answer(answer, host, target.port, family=family)
        except Exception as exc:
            annotate_lookup(exc, host)
            self._report("lookup", exc, None, None, host)
            self._publish_lookup(started, (), exc)
            raise
        found = interleave(found)[:MAX_ADDRESSES] if race else found[:1]
        self._publish_lookup(started, tuple(found), None)
        for address, number in found:
            self._report("lookup", None, address, number, host)
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
        race = Race(len(addresses), target.attempt_timeout)
        started: list[Any] = []
        self._settled = Event()
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
                self._settled.wait()
            elif race.due > monotonic():
                wait_patiently(self._settled, race.due - monotonic())
            self._settled.clear()

    def _lost(self, attempt: Any) -> None:
        """An attempt has failed."""
        self._report(
            "connection_attempt_failed",
            attempt.address, attempt.port, attempt.family, attempt.error,
        )  # fmt: skip

    def _slow(self, attempt: Any) -> None:
        """An attempt takes long, and the next one starts beside it."""
        self._report("connection_attempt_timeout", attempt.address, attempt.port, attempt.family)

    def _failure(self, started: list[Any]) -> BaseException:
        """The error of a race in which every attempt has failed."""
        errors = [each.error for each in started]
        return errors[0] if len(errors) == 1 else AggregateError(errors)

    def _start(self, place: Any) -> Any:
        """Start an attempt; gives what has ``settled`` in the end, perhaps with an ``error``."""
        target: Any = self.target
        address, family = place
        attempt = _Attempt(address, family, target.port)
        self._attempts.append(attempt)
        self.attempted.append(f"{address}:{target.port}")
        self.family = f"ipv{family}"
        self._report("connection_attempt", address, target.port, family)
        try:
            attempt.wire = wire = self._new_wire(FAMILIES[family], target.early.mptcp)
            if target.early is not NOTHING:
                target.early.apply(wire)
            attempt.local = bind_local(wire, family, target.local_address, target.local_port)
            number = wire.connect_ex(sockaddr(address, target.port))
        except OSError as exc:
            self._settle(attempt, getattr(exc, "errno", None) or errno.EINVAL, exc)
            return attempt
        if number in (0, errno.EISCONN):
            attempt.settled = True
        elif number in (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY):
            attempt.watcher = wire.watch(self._loop.loop, WRITE)
            # Not directly: a signal's exception in it would stop the watcher for ever.
            attempt.watcher.start(self._loop.loop.run_callback, self._writable, attempt)
        else:
            self._settle(attempt, number)
        return attempt

    def _new_wire(self, family: int, mptcp: bool = False) -> Wire:
        given, self._wire = self._wire, None
        return given if isinstance(given, Wire) else Wire.open(family, mptcp)

    def _writable(self, attempt: _Attempt) -> None:
        """In the hub: the kernel knows how an attempt has ended."""
        wire = attempt.wire
        if wire is None or attempt.settled or self._settled is None:
            return
        self._settle(attempt, wire.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR))
        self._settled.set()

    def _settle(self, attempt: _Attempt, number: int, exc: OSError | None = None) -> None:
        attempt.settled = True
        if attempt.watcher is not None:
            attempt.watcher.close()
            attempt.watcher = None
        if not number:
            return
        if exc is not None and hasattr(exc, "code"):
            attempt.error = exc
        elif exc is not None:
            attempt.error = annotate(
                exc, "connect", attempt.address, attempt.port, local=attempt.local
            )
        else:
            attempt.error = system_error(
                number, "connect", attempt.address, attempt.port, local=attempt.local
            )
        attempt.close()

    def _won(self, attempt: Any) -> Made:
        wire, attempt.wire = attempt.wire, None
        self.family = f"ipv{attempt.family}"
        self._loop.ledger.lost += sum(not each.settled for each in self._attempts)
        # The address that was won is the last one, as in Node, whenever it had started.
        name = f"{attempt.address}:{attempt.port}"
        self.attempted.remove(name)
        self.attempted.append(name)
        return wire, (attempt.address, attempt.port)

    # -- a path -------------------------------------------------------------------------------

    def _connect_path(self, path: str, early: EarlyOptions) -> Made:
        attempt = _Attempt(path, 0, 0)
        self.family = PATH_FAMILY
        try:
            if sys.platform == "win32":
                if early.options or early.control is not None:
                    raise pipe_names.no_options("connect", path)
                name = pipe_names.address_of(path, "connect")
                return self._until_admitted(PipeWire.connect, name), path
            address = unix_path.address_of(path)
            attempt.wire = wire = self._new_wire(_socket.AF_UNIX)
            self._attempts.append(attempt)
            early.apply(wire)
            self._until_admitted(wire.connect, address)
        except OSError as exc:
            raise (exc if hasattr(exc, "code") else annotate(exc, "connect", path)) from None
        attempt.wire = None
        return wire, path

    def _until_admitted(self, connect: Callable[..., _T], address: Any) -> _T:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            try:
                return connect(address)
            except BlockingIOError:
                # The listener's queue is full, and nothing tells when there is a place in it.
                gevent.sleep(backoff.pause())


def _blocked(target: TcpTarget, address: str) -> bool:
    return target.block_list is not None and target.block_list.blocks(address)
