"""What has happened to the connections of a server, or of a thread, in plain integers.

One thread writes a ledger, whose connections they are, and all may read it, without a lock: a
number is there before a change, or behind it. What must change in one step is one tuple that is
replaced: a connection that closes leaves those that are added up while they live, and its bytes
must be counted meanwhile neither twice nor not at all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from .threads import of_threads

__all__ = [
    "DURATION_BOUNDS",
    "SHORT_BOUNDS",
    "Histogram",
    "Ledger",
    "Settled",
    "ThreadLedger",
    "forget",
    "of_this_thread",
    "of_thread",
    "record",
    "record_later",
    "thread_ledgers",
    "watchers",
]

#: The upper bounds of a connection's duration, in seconds: those of OpenTelemetry's conventions.
DURATION_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
#: Those of a connect, a handshake and a lookup.
SHORT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


# What is known of a connection that has closed: the arguments of Ledger.settle() but the first.
Closed = tuple[int, int, float | None, int]


class Histogram:
    """How often something has taken how long.

    :param bounds: the upper bounds of the buckets, in seconds.
    :ivar counts: how often each bucket was met; the last one has no bound.
    :ivar seconds: all that was taken.
    """

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """It has taken so long."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds


class Settled(NamedTuple):
    """What the connections that have closed have come to.

    :ivar closed: how many there were.
    :ivar bytes_in: what was received on them.
    :ivar bytes_out: what was sent on them.
    :ivar leaving: who is in here, and perhaps still among the living: a connection, or the first
        of those that were collected; or a loop: all of its connections are.
    """

    closed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    leaving: Any = None


class Ledger:
    """What has happened to the connections of a server.

    :ivar parent: the ledger of the server's thread, in which everything is counted as well;
        ``None``: nobody but the server counts.
    :ivar accepted: how many connections were let in.
    :ivar refused: how many were not, by the reason.
    :ivar settled: what those that have closed have come to.
    :ivar longest_queue: the most bytes that were queued on one connection that has drained since.
    :ivar pauses: how often a connection was paused.
    :ivar handshakes: how many TLS handshakes were done.
    :ivar failed_handshakes: how many have failed.
    :ivar durations: how long the connections have lasted.
    :ivar handshake_seconds: how long the handshakes have taken.
    """

    __slots__ = (
        "accepted", "durations", "failed_handshakes", "handshake_seconds", "handshakes",
        "longest_queue", "parent", "pauses", "refused", "settled",
    )  # fmt: skip

    def __init__(self, parent: Ledger | None = None) -> None:
        self.parent = parent
        self.accepted = 0
        self.refused: dict[str, int] = {}
        self.settled = Settled()
        self.longest_queue = 0
        self.pauses = 0
        self.handshakes = 0
        self.failed_handshakes = 0
        self.durations = Histogram(DURATION_BOUNDS)
        self.handshake_seconds = Histogram(SHORT_BOUNDS)

    def accept(self) -> None:
        """A connection was let in."""
        self.accepted += 1
        if self.parent is not None:
            self.parent.accept()

    def refuse(self, reason: str) -> None:
        """A connection was not let in."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if self.parent is not None:
            self.parent.refuse(reason)

    def settle(
        self, leaving: Any, bytes_in: int, bytes_out: int, seconds: float | None, longest: int
    ) -> None:
        """A connection has closed, and is still among the living until :meth:`left`.

        :param leaving: the connection.
        :param seconds: how long it has lasted; ``None``: it was never made.
        :param longest: the most bytes that were queued on it.
        """
        ledger: Ledger | None = self
        while ledger is not None:
            was = ledger.settled
            ledger.settled = Settled(
                was.closed + (seconds is not None),
                was.bytes_in + bytes_in,
                was.bytes_out + bytes_out,
                leaving,
            )
            if seconds is not None:
                ledger.durations.add(seconds)
            if longest > ledger.longest_queue:
                ledger.longest_queue = longest
            ledger = ledger.parent

    def settle_all(self, leaving: Any, closed: Iterable[Closed]) -> None:
        """Connections have closed, in one step.

        :param leaving: whose they are.
        """
        was = self.settled
        many = [each for each in closed if each[2] is not None]
        self.settled = Settled(
            was.closed + len(many),
            was.bytes_in + sum(each[0] for each in many),
            was.bytes_out + sum(each[1] for each in many),
            leaving,
        )

    def left(self) -> None:
        """The connection that was settled is not among the living any more."""
        ledger: Ledger | None = self
        while ledger is not None:
            closed, bytes_in, bytes_out, _ = ledger.settled
            ledger.settled = Settled(closed, bytes_in, bytes_out)
            ledger = ledger.parent

    def note_queue(self, size: int) -> None:
        """So many bytes were queued at the most on a connection."""
        if size > self.longest_queue:
            self.longest_queue = size
            if self.parent is not None:
                self.parent.note_queue(size)

    def pause(self) -> None:
        """A connection was paused."""
        self.pauses += 1
        if self.parent is not None:
            self.parent.pause()

    def shake(self, seconds: float) -> None:
        """A handshake is done."""
        self.handshakes += 1
        self.handshake_seconds.add(seconds)
        if self.parent is not None:
            self.parent.shake(seconds)

    def fail_handshake(self) -> None:
        """A handshake has failed."""
        self.failed_handshakes += 1
        if self.parent is not None:
            self.parent.fail_handshake()


class ThreadLedger(Ledger):
    """What has happened in a thread: to the servers' connections, and to the others'.

    :ivar servers: how many servers have listened.
    :ivar closed_servers: how many of those have closed.
    :ivar tried: how many connections were to be made.
    :ivar made: how many were.
    :ivar failed: how many were not, by the error's code.
    :ivar lost: how many attempts have lost a race, or were overtaken by another.
    :ivar connect_seconds: how long connecting has taken, by its result and the address' family.
    :ivar asked: how many names were looked up.
    :ivar cache_hits: how many questions an answer was known to.
    :ivar failed_lookups: how many lookups have failed.
    :ivar lookup_seconds: how long they have taken.
    :ivar collected: what :meth:`settle` is to be told of connections that were collected, which
        may be in any thread.
    """

    __slots__ = (
        "asked", "cache_hits", "closed_servers", "collected", "connect_seconds", "failed",
        "failed_lookups", "lookup_seconds", "lost", "made", "servers", "tried",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.servers = 0
        self.closed_servers = 0
        self.tried = 0
        self.made = 0
        self.failed: dict[str, int] = {}
        self.lost = 0
        self.connect_seconds: dict[tuple[str, str], Histogram] = {}
        self.asked = 0
        self.cache_hits = 0
        self.failed_lookups = 0
        self.lookup_seconds = Histogram(SHORT_BOUNDS)
        self.collected: deque[Closed] = deque()

    def connected(self, result: str, family: str, seconds: float) -> None:
        """A connection was made, or could not be.

        :param result: ``"ok"``, or the error's code.
        :param family: ``"ipv4"``, ``"ipv6"`` or ``"unix"``; ``""``: it has not come so far.
        """
        if result == "ok":
            self.made += 1
        else:
            self.failed[result] = self.failed.get(result, 0) + 1
        taken = self.connect_seconds.get((result, family))
        if taken is None:
            taken = self.connect_seconds[result, family] = Histogram(SHORT_BOUNDS)
        taken.add(seconds)

    def looked_up(self, seconds: float, failed: bool) -> None:
        """A lookup has ended."""
        self.failed_lookups += failed
        self.lookup_seconds.add(seconds)

    def collect(self, closed: Closed, later: Callable[[Callable[[], object]], object]) -> None:
        """A connection was collected, in any thread.

        :param closed: what :meth:`settle` is to be told.
        :param later: has a function be called in the ledger's own thread.
        """
        self.collected.append(closed)
        later(self.take_collected)

    def take_collected(self) -> None:
        """Count what was collected among what has closed. For the ledger's own thread."""
        while self.collected:
            # The first of them is in two places meanwhile.
            self.settle(self.collected, *self.collected[0])
            self.collected.popleft()
            self.left()


# By the thread's number, which a later thread may have again: it goes on in the same ledger, and
# of threads that come and go none is left behind.
_ledgers: dict[int, ThreadLedger] = {}

#: Called, in a greenlet, with the kind of what has ended, the seconds that it has taken, and what
#: else is known of it.
watchers: list[Callable[[str, float, dict[str, Any]], object]] = []


def of_thread(ident: int) -> ThreadLedger:
    """The ledger of a thread, by its number."""
    ledger = _ledgers.get(ident)
    # Whoever else does the same meanwhile gets the same.
    return _ledgers.setdefault(ident, ThreadLedger()) if ledger is None else ledger


def of_this_thread() -> ThreadLedger:
    """The ledger of the calling thread."""
    # A patched one gives the number of the greenlet.
    ident = of_threads("get_ident")()
    return _ledgers.get(ident) or of_thread(ident)


def thread_ledgers() -> list[ThreadLedger]:
    """Those of all threads, of those that have ended as well."""
    return list(_ledgers.values())


def forget() -> None:
    """In a forked child: what was counted is the parent's."""
    _ledgers.clear()


def record_later(
    defer: Callable[[Callable[[], object]], object], kind: str, seconds: float, **labels: Any
) -> None:
    """Have the watchers be told of what has ended, in the next turn of the loop.

    :param defer: the dispatcher's ``defer``.
    """
    if watchers:
        defer(partial(record, kind, seconds, **labels))


def record(kind: str, seconds: float, **labels: Any) -> None:
    """Tell the watchers of what has ended; to be called in a greenlet, which may block."""
    for watcher in list(watchers):
        watcher(kind, seconds, labels)
