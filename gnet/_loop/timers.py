"""Timers for what may take a certain time: one timer of the loop for all of a hub's sockets.

Activity only stores the time. The timer of the loop looks at a socket when its time could be
over, and again later when there was activity meanwhile: a message costs one attribute, and ten
thousand sockets with a timeout cost one watcher.

While a program computes, its loop stands still, and what has arrived meanwhile stays in the
kernel. A deadline that is found to be over then waits for one more turn of the loop, and for as
long as the loop had stood still at the most: whatever the kernel has is looked at before anybody
fails for want of it. And every timer starts on the clock as it is, not as the loop last saw it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol
from weakref import ref

from gevent.event import AsyncResult, Event

from .._transport.stream_socket import is_libuv

__all__ = ["SHORTEST", "Deadline", "IdleTimer", "IdleTimers", "start_timer", "wait_patiently"]


#: libuv's timers count whole milliseconds, and gevent warns of shorter ones.
SHORTEST = 0.001
# An exception of a signal's handler may come in the place of a timer's callback: it is called
# again after so many seconds, until it has done its work and closed the timer.
AGAIN_SECONDS = 0.1


def start_timer(loop: Any, seconds: float, callback: Callable[[], object]) -> Any:
    """A started timer of the loop; it repeats, and is the callback's to close."""
    timer = loop.timer(max(SHORTEST, seconds), AGAIN_SECONDS)
    if is_libuv(loop):
        # There gevent stops every watcher whose callback has raised.
        timer.start(loop.run_callback, callback, update=True)
    else:
        timer.start(callback, update=True)
    return timer


def wait_patiently(awaited: Event | AsyncResult[Any], seconds: float | None) -> bool:
    """``awaited.wait(seconds)``; when that is over, once more for as long as the loop stood still.

    :param seconds: ``None``: for ever; ``0``: not at all.
    :returns: whether it has come.
    """
    begun = monotonic()
    awaited.wait(seconds)
    if seconds and not awaited.ready():
        awaited.wait(_grace(begun + seconds, seconds))
    return awaited.ready()


def _grace(due: float, seconds: float) -> float:
    """How long to look again, when a deadline of so many seconds is found to be over."""
    return min(max(SHORTEST, monotonic() - due), max(SHORTEST, seconds))


class _Owner(Protocol):
    def _idle_expired(self) -> None: ...


class IdleTimer:
    """The idle timeout of one socket.

    :ivar seconds: after how many seconds without activity it expires.
    :ivar last: when the last activity was, by :func:`time.monotonic`.
    """

    __slots__ = ("_owner", "_timers", "asked", "due", "last", "seconds")

    def __init__(self, timers: IdleTimers, owner: _Owner, seconds: float) -> None:
        self._timers = timers
        # The heap keeps a timer until it is due; it must not keep the socket (rule 11).
        self._owner: ref[_Owner] | None = ref(owner)
        self.due: float | None = None
        # The activity since which the time is over, and the last look is being taken.
        self.asked: float | None = None
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Begin anew, with another time."""
        self.seconds: float = seconds
        self.last: float = monotonic()
        deadline = self.last + seconds
        if self.due is None or self.due > deadline:
            self._timers.schedule(self, deadline)

    def touch(self) -> None:
        """There was activity."""
        self.last = monotonic()
        if self.due is None:
            self._timers.schedule(self, self.last + self.seconds)

    def cancel(self) -> None:
        """Never expire."""
        self._owner = None
        if self.due is not None:
            self.due = None
            self._timers.forget()

    def expire(self) -> None:
        """Tell the owner."""
        owner = self._owner() if self._owner is not None else None
        if owner is not None:
            self._tell(owner)

    def _tell(self, owner: Any) -> None:
        owner._idle_expired()


class IdleTimers:
    """The idle timers of a loop, the next one to look at first."""

    __slots__ = ("_expired", "_heap", "_loop", "_order", "_stale", "_watched", "_watcher")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, IdleTimer]] = []
        self._expired: deque[IdleTimer] = deque()
        self._order = 0
        self._stale = 0
        self._watcher: Any = None
        self._watched = 0.0

    def schedule(self, timer: IdleTimer, due: float) -> None:
        """Look at ``timer`` at the time ``due``; an entry that it already has becomes stale."""
        if timer.due is not None:
            self._stale += 1
        timer.due = due
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, timer))
        self._watch()

    def forget(self) -> None:
        """An entry has become stale. When most of them are, the heap is made anew."""
        self._stale += 1
        if self._stale > 64 and self._stale * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].due == entry[0]]
            heapq.heapify(self._heap)
            self._stale = 0
        if self._stale >= len(self._heap):
            self._heap.clear()
            self._stale = 0
        self._watch()

    def _watch(self) -> None:
        """Have the loop wake us for the first entry."""
        if self._watcher is not None:
            if self._expired or (self._heap and self._watched <= self._heap[0][0]):
                return
            self._watcher.close()
            self._watcher = None
        if self._heap:
            self._watched = self._heap[0][0]
            self._watcher = start_timer(self._loop, self._watched - monotonic(), self._look)

    def _look(self) -> None:
        """In the hub: expire what has been idle for its time."""
        self._collect()
        # One by one: should one of them raise, the watcher fires again for the others.
        while self._expired:
            self._expired.popleft().expire()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        self._watch()

    def _collect(self) -> None:
        """Find the timers whose time is over, and has been looked at once more."""
        now = monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, _, timer = heapq.heappop(self._heap)
            if timer.due != due:
                self._stale -= 1
                continue
            timer.due = None
            over = timer.last + timer.seconds
            if over > now:
                self.schedule(timer, over)
            elif timer.asked != timer.last:
                timer.asked = timer.last
                self.schedule(timer, now + _grace(over, timer.seconds))
            else:
                self._expired.append(timer)


class Deadline(IdleTimer):
    """Calls a method when some time is over; its object is not kept alive for that.

    :param timers: the idle timers of the loop.
    :param seconds: how long it takes.
    :param owner: whose method it is.
    :param name: the method's name; it is called in the hub.
    """

    __slots__ = ("_name",)

    def __init__(self, timers: IdleTimers, seconds: float, owner: Any, name: str) -> None:
        super().__init__(timers, owner, seconds)
        self._name = name

    def _tell(self, owner: Any) -> None:
        getattr(owner, self._name)()
