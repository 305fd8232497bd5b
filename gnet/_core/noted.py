"""What the read watchers of a hub have found, until the hub takes it, once a turn.

A watcher's callback is the ``append`` of a list, a function in C: no line of Python runs for it,
and no greenlet is switched to. What goes on then goes on together. The flows are served by one
borrowed greenlet; and a greenlet that blocks again in a read leaves for the next one whose
connection has something, and not for the hub, so that a message costs one switch and not two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._loop.loops import each_turn
from .._transport.stream_socket import is_libuv
from .._values.report import report

__all__ = ["Noted"]

Job = Callable[[], object]

# A look that was asked for is lost if a signal's handler raises just there. What is unread is
# noted anew in each turn, and behind so many there is another look. To ask with each takes libuv a
# fifth more time for a message.
ASKED_AGAIN = 16


class Noted:
    """What the read watchers of a hub have noted.

    :param hub: gevent's hub.
    :param dispatch: has jobs run in borrowed greenlets; called in the hub.
    :ivar jobs: the flows to serve.
    :ivar waking: weak references to the other sockets that have something, the oldest last, while
        their greenlets go on one after another.
    """

    __slots__ = (
        "_asks", "_count", "_dispatch", "_hub", "_note_job", "_note_socket", "_sockets", "_turns",
        "jobs", "waking",
    )  # fmt: skip

    def __init__(self, hub: Any, dispatch: Callable[[list[Job]], object]) -> None:
        self._hub: Any = hub
        self._dispatch = dispatch
        self.jobs: list[Job] = []
        self.waking: list[Callable[[], Any]] = []
        self._sockets: list[Callable[[], Any]] = []
        # One for all connections: each access would make another one.
        self._note_job: Callable[[Job], object] = self.jobs.append
        self._note_socket: Callable[[Callable[[], Any]], object] = self._sockets.append
        self._count = 0
        self._turns: Any = None
        self._asks = is_libuv(hub.loop)
        if self._asks:
            # A watcher of each turn would fire ahead of gevent's own, which alone knows what to do
            # with a KeyboardInterrupt: what the first line of any other raises, gevent prints, and
            # goes on. And Windows' watchers are gnet's: they fire before the loop blocks, not
            # behind that.
            self._note_job = partial(self._note_now, self.jobs)
            self._note_socket = partial(self._note_now, self._sockets)

    def flow(self) -> Callable[[Job], object]:
        """The callback of a flow's read watcher, which is given the job that serves the flow."""
        self._begin()
        return self._note_job

    def unread(self) -> Callable[[Callable[[], Any]], object]:
        """The callback of any other read watcher, which is given a weak reference to its socket.

        A greenlet that is blocked in a read of the socket goes on; without one, the socket looks
        what there is.
        """
        self._begin()
        return self._note_socket

    def undo(self) -> None:
        """Undo one :meth:`flow` or :meth:`unread`."""
        self._count -= 1

    def _begin(self) -> None:
        if not self._count and not self._asks:
            if self._turns is None:
                self._turns = each_turn(self._hub.loop)
            self._turns.start(self._take)
        # Last: where there was no memory to start that watcher, the next connection tries again.
        self._count += 1

    def _take(self) -> None:
        """In the hub: once a turn, or when it was asked for."""
        if self._sockets or self.waking:
            self._wake()
        if self.jobs:
            jobs = self.jobs[:]
            self.jobs.clear()
            self._dispatch(jobs)
        elif not self._count and self._turns is not None:
            self._turns.stop()

    def _wake(self) -> None:
        """In the hub: have the greenlets go on that wait for what has come."""
        waking = self.waking
        # What a signal's exception has left there is older, and comes first.
        waking.reverse()
        waking += self._sockets
        waking.reverse()
        self._sockets.clear()
        while waking:
            sock = waking.pop()()
            if sock is None:
                continue
            try:
                reader = sock._noted()
                # The hub must not keep the socket while that greenlet, and others, go on.
                sock = None
                if reader is not None:
                    reader.switch()
            except BaseException as exc:
                # The others go on, whatever is wrong with this one. What a greenlet ends by that
                # is none of gevent's comes here, too.
                report(self._hub, None, exc)

    def _note_now(self, noted: list[Any], what: Any) -> None:
        """Note it, and ask the loop for a look behind what has come in this turn."""
        if not len(noted) % ASKED_AGAIN:
            self._hub.loop.run_callback(self._take)
        noted.append(what)

    def forget(self) -> None:
        """Nothing is noted any more: the hub goes, or is another process'."""
        if self._turns is not None:
            self._turns.close()
        self.jobs.clear()
        self.waking.clear()
        self._sockets.clear()
