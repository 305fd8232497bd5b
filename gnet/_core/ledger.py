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
from typing import Any, NamedTuple

from .._values.durations import DURATION_BOUNDS, SHORT_BOUNDS, Histogram

__all__ = ["Closed", "Ledger", "Settled", "ThreadLedger", "forget", "of_thread", "thread_ledgers"]

# What is known of a connection that has closed: see Ledger.settle().
Closed = tuple[int, int, float | None, int]

# Most are over before it is worth a search.
SHORTEST = DURATION_BOUNDS[0]


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
    :ivar settled: what those that have closed have come to: the fields of :class:`Settled`, as a
        plain tuple, which is made faster.
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
        self.parent: Ledger | None = parent
        self.accepted: int = 0
        self.refused: dict[str, int] = {}
        self.settled: tuple[int, int, int, Any] = (0, 0, 0, None)
        self.longest_queue: int = 0
        self.pauses: int = 0
        self.handshakes: int = 0
        self.failed_handshakes: int = 0
        self.durations: Histogram = Histogram(DURATION_BOUNDS)
        self.handshake_seconds: Histogram = Histogram(SHORT_BOUNDS)

    def accept(self) -> None:
        """A connection was let in."""
        ledger: Ledger | None = self
        while ledger is not None:
            ledger.accepted += 1
            ledger = ledger.parent

    def refuse(self, reason: str) -> None:
        """A connection was not let in."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if self.parent is not None:
            self.parent.refuse(reason)

    def settle(self, leaving: Any, counts: Closed) -> None:
        """A connection has closed, and is still among the living until :meth:`left`.

        :param leaving: the connection.
        :param counts: what was received and sent on it; how many seconds it has lasted, or
            ``None``: it was never made; and the most bytes that were queued on it.
        """
        bytes_in, bytes_out, seconds, longest = counts
        # They all have the same bounds.
        place = 0
        if seconds is not None and seconds > SHORTEST:
            place = bisect_left(DURATION_BOUNDS, seconds)
        ledger: Ledger | None = self
        while ledger is not None:
            closed, received, sent, _ = ledger.settled
            if seconds is not None:
                closed += 1
                durations = ledger.durations
                durations.counts[place] += 1
                durations.seconds += seconds
            ledger.settled = (closed, received + bytes_in, sent + bytes_out, leaving)
            if longest > ledger.longest_queue:
                ledger.longest_queue = longest
            ledger = ledger.parent

    def settle_all(self, leaving: Any, closed: Iterable[Closed]) -> None:
        """Connections have closed, in one step.

        :param leaving: whose they are.
        """
        many = [each for each in closed if each[2] is not None]
        count, received, sent, _ = self.settled
        for bytes_in, bytes_out, _, _ in many:
            received += bytes_in
            sent += bytes_out
        self.settled = (count + len(many), received, sent, leaving)

    def left(self) -> None:
        """The connection that was settled is not among the living any more."""
        ledger: Ledger | None = self
        while ledger is not None:
            closed, bytes_in, bytes_out, _ = ledger.settled
            ledger.settled = (closed, bytes_in, bytes_out, None)
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
    :ivar collected: what :meth:`settle` is to be told of connections that were collected, which
        may be in any thread.
    """

    __slots__ = (
        "closed_servers", "collected", "connect_seconds", "failed", "lost", "made", "servers",
        "tried",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.servers: int = 0
        self.closed_servers: int = 0
        self.tried: int = 0
        self.made: int = 0
        self.failed: dict[str, int] = {}
        self.lost: int = 0
        self.connect_seconds: dict[tuple[str, str], Histogram] = {}
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
            self.settle(self.collected, self.collected[0])
            self.collected.popleft()
            self.left()


# By the thread's number, which a later thread may have again: it goes on in the same ledger, and
# of threads that come and go none is left behind.
_ledgers: dict[int, ThreadLedger] = {}


def of_thread(ident: int) -> ThreadLedger:
    """The ledger of a thread, by its number."""
    ledger = _ledgers.get(ident)
    # Whoever else does the same meanwhile gets the same.
    return _ledgers.setdefault(ident, ThreadLedger()) if ledger is None else ledger


def thread_ledgers() -> list[ThreadLedger]:
    """Those of all threads, of those that have ended as well."""
    return list(_ledgers.values())


def forget() -> None:
    """In a forked child: what was counted is the parent's."""
    _ledgers.clear()
