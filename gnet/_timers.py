"""Idle timers: one timer of the loop for all of a hub's sockets.

Activity only stores the time. The timer of the loop looks at a socket when its time could be
over, and again later when there was activity meanwhile: a message costs one attribute, and ten
thousand sockets with a timeout cost one watcher.
"""

from __future__ import annotations

import heapq
from time import monotonic
from typing import Any, Protocol
from weakref import ref

__all__ = ["SHORTEST", "IdleTimer", "IdleTimers"]


#: libuv's timers count whole milliseconds, and gevent warns of shorter ones.
SHORTEST = 0.001


class _Owner(Protocol):
    def _idle_expired(self) -> None: ...


class IdleTimer:
    """The idle timeout of one socket.

    :ivar seconds: after how many seconds without activity it expires.
    :ivar last: when the last activity was, by :func:`time.monotonic`.
    """

    __slots__ = ("_owner", "_timers", "due", "last", "seconds")

    def __init__(self, timers: IdleTimers, owner: _Owner, seconds: float) -> None:
        self._timers = timers
        # The heap keeps a timer until it is due; it must not keep the socket (rule 11).
        self._owner: ref[_Owner] | None = ref(owner)
        self.due: float | None = None
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Begin anew, with another time."""
        self.seconds = seconds
        self.last = monotonic()
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
            owner._idle_expired()


class IdleTimers:
    """The idle timers of a loop, the next one to look at first."""

    __slots__ = ("_heap", "_loop", "_order", "_stale", "_watched", "_watcher")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, IdleTimer]] = []
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
            if self._heap and self._watched <= self._heap[0][0]:
                return
            self._watcher.close()
            self._watcher = None
        if self._heap:
            self._watched = self._heap[0][0]
            self._watcher = self._loop.timer(max(SHORTEST, self._watched - monotonic()))
            self._watcher.start(self._look)

    def _look(self) -> None:
        """In the hub: expire what has been idle for its time."""
        self._watcher.close()
        self._watcher = None
        now = monotonic()
        expired = []
        while self._heap and self._heap[0][0] <= now:
            due, _, timer = heapq.heappop(self._heap)
            if timer.due != due:
                self._stale -= 1
                continue
            timer.due = None
            if timer.last + timer.seconds <= now:
                expired.append(timer)
            else:
                self.schedule(timer, timer.last + timer.seconds)
        self._watch()
        for timer in expired:
            timer.expire()
