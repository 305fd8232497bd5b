"""The dispatcher of a hub: it runs the listeners, in borrowed greenlets.

The hub's callbacks only put jobs on a list. Once per turn of the loop the dispatcher lends a
greenlet to the list, which runs the jobs one after another: one switch serves the whole batch.
A job that blocks keeps its greenlet, and the dispatcher lends another for the rest; when it
returns, its greenlet goes back to the pool. So every connection that needs a greenlet has one,
and an idle one costs none.

Measured against a greenlet per connection: 1,000 connections 134,000 instead of 100,000
messages a second, and 1 kB instead of 7.5 kB per idle connection.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any
from weakref import WeakSet, ref

import gevent
from gevent.event import Event
from gevent.exceptions import LoopExit
from greenlet import getcurrent, greenlet

from .._loop.loops import Lookout, gone_error, prepare
from .._loop.peer_watch import PeerWatch
from .._loop.splicer import Splicer
from .._loop.timers import IdleTimers, wait_patiently
from .._transport import stream_socket
from .._values.originals import original
from .._values.report import job_failed
from .ledger import ThreadLedger, of_thread
from .noted import Noted

__all__ = ["UNMEASURED_CALLS", "Dispatcher", "dispatcher", "dispatchers"]

Job = Callable[[], object]

# Not looked up at each switch.
_switch = greenlet.switch
# Greenlets kept for the next burst. Each costs about 8 kB once its stack was saved.
MAX_IDLE_WORKERS = 100

# A greenlet whose blocking calls never wait is put behind the others after so many seconds: ten
# such together hold up the rest for 20 ms, and the switches are a thousandth of the time.
TURN_SECONDS = 0.002
# Where there are more of them, the others are held up for no longer, as long as the turns are not
# lost in the switches: a hundred that stream to clients at once are no hundred turns ahead of all.
ROUND_SECONDS = 10 * TURN_SECONDS
LEAST_TURN_SECONDS = TURN_SECONDS / 10
#: So many calls without a wait are not looked at: an echo makes two, and has no clock to read.
UNMEASURED_CALLS = 2

# What each thread of the system's has of its own.
_locals: Any = original("_thread", "_local")()

#: Closes the sockets and servers of a dispatcher that goes: :mod:`gnet._server.threads`.
leave: Callable[[Dispatcher], object] | None = None
#: Called with a dispatcher that was made, until it takes itself off: :mod:`gnet`.
begun: Callable[[Dispatcher], object] | None = None


class Dispatcher:
    """What the sockets and servers of one hub share.

    :ivar hub: gevent's hub.
    :ivar loop: the hub's loop.
    :ivar timers: the idle timers.
    :ivar peers: what notices that a peer has ended although input is unread.
    :ivar splicer: what moves bytes between sockets inside the kernel.
    :ivar calls: how many blocking calls have come since one had to wait; each counts itself.
    :ivar since: when the first of those came that is looked at.
    :ivar running: the borrowed greenlet that has begun the latest job.
    :ivar lookout: where its greenlets let the loop look for events.
    :ivar sharers: how many greenlets wait in :meth:`share` for their next turn.
    :ivar noted: what the read watchers have found.
    :ivar kept: the sockets and servers that the loop refers to (contract, rule 11).
    :ivar others: the connections that no server has accepted.
    :ivar ledger: what is counted in its thread.
    """

    __slots__ = (
        "__weakref__", "_asked", "_batch", "_forsaken", "_gathering", "_handled", "_holds",
        "_idle", "_jobs", "_joining", "_quiet", "_turn", "_workers", "calls", "gone", "hub",
        "kept", "ledger", "lookout", "loop", "members", "noted", "others", "peers", "running",
        "sharers", "since", "splicer", "thread", "timers",
    )  # fmt: skip

    def __init__(self, hub: Any) -> None:
        if getattr(self, "hub", None) is not None:
            raise RuntimeError("__init__() was called again on a dispatcher, which is in use")
        self.hub: Any = hub
        self.loop: Any = hub.loop
        prepare(hub.loop)
        # Its sockets and servers, where they end with their thread. Those of the main thread end
        # with the process; one that destroys its hub before that has them looked for.
        self.members: WeakSet[Any] | None = None if hub.loop.default else WeakSet()
        self.thread: int = stream_socket.this_thread()
        self.gone: bool = False
        # What other threads want to have run here.
        self._asked: deque[Job] = deque()
        self.timers: IdleTimers = IdleTimers(hub.loop)
        self.splicer: Splicer = Splicer()
        self.peers: PeerWatch = PeerWatch(hub.loop)
        self.kept: set[object] = set()
        self.others: WeakSet[Any] = WeakSet()
        self.ledger: ThreadLedger = of_thread(self.thread)
        # The connections whose handlers have not returned, and in which greenlets these run.
        self._handled: dict[object, greenlet] = {}
        # The borrowed greenlets that run() does not wait for.
        self._forsaken: set[object] = set()
        self.calls: int = 0
        self.running: greenlet | None = None
        self.since: float = 0.0
        self.sharers: int = 0
        self.lookout: Lookout = Lookout(hub)
        self._jobs: list[Job] = []
        # Whether who defers jobs now has them dispatched: gather().
        self._gathering = False
        self._batch: list[Job] = []
        self._idle: list[greenlet] = []
        self._workers = self._holds = self._joining = 0
        self._quiet: Event | None = None
        self._turn: Any = None
        self.noted: Noted = Noted(hub, self._serve)

    def __getstate__(self) -> Any:
        raise TypeError("cannot pickle or copy a dispatcher")

    def defer(self, job: Job) -> None:
        """Run ``job`` in a borrowed greenlet, in the next turn of the loop.

        Jobs start in the order of the calls. May be called from the hub and any greenlet.
        """
        if self.gone:
            # There is no greenlet any more that it could run in.
            return
        # What a signal's handler has raised may have come in the place of a dispatch.
        if not (self._gathering or (self._jobs and self._turn.pending)):
            self._turn = self.loop.run_callback(self._dispatch)
        self._jobs.append(job)

    def gather(self, work: Callable[[], object]) -> None:
        """In the hub: do some work, and run what it defers in this turn.

        That saves a callback of the loop.
        """
        self._gathering = True
        try:
            work()
        finally:
            self._gathering = False
            if self._jobs:
                self._dispatch()

    def ask(self, job: Job) -> None:
        """:meth:`defer`, from any thread. The jobs of one start in the order of its calls.

        :raises RuntimeError: the hub's thread has ended, or the hub was destroyed.
        """
        self._asked.append(job)
        try:
            if not self.gone:
                self.loop.run_callback_threadsafe(self._take_asked)
                return
        except ValueError:
            # So it is with a loop that was destroyed just now.
            pass
        raise gone_error()

    def _take_asked(self) -> None:
        """In the hub: what other threads want."""
        # No more than there is now: others may ask on and on.
        for _ in range(len(self._asked)):
            self.defer(self._asked.popleft())

    def close(self) -> None:
        """The hub goes, or its thread ends: so do its sockets and servers, and all jobs."""
        if self.gone:
            return
        self.gone = True
        # Nobody's.
        self.thread = 0
        if leave is not None:
            leave(self)
        dispatchers.discard(self)
        self.ledger.left()
        with suppress(Exception):
            self.peers.abandon()
        self._forget_jobs()

    def share(self) -> None:
        """Let the others have their turn, when blocking calls go on and on without a wait.

        For a blocking call, before it reads or when all is sent: who is interrupted here has lost
        nothing, and messages keep their order.
        """
        now = monotonic()
        if self.calls == UNMEASURED_CALLS + 1:
            self.since = now
            return
        turn = TURN_SECONDS
        if self.sharers * turn > ROUND_SECONDS:
            turn = max(ROUND_SECONDS / self.sharers, LEAST_TURN_SECONDS)
        if now - self.since > turn and getcurrent() is not self.hub:
            # The loop looks for events, and does not wait for any. With sleep(0) it would look
            # when fifty such greenlets had their turn. -2 is libev's last: what is due goes first.
            self.sharers += 1
            try:
                with self.loop.idle() as busy, self.loop.check(priority=-2) as looked:
                    busy.start(int)
                    self.hub.wait(looked)
            finally:
                # Under a time limit of nothing the next call must not end here again.
                self.calls = 0
                self.sharers -= 1

    def hold(self) -> None:
        """Keep the program in :meth:`run` until :meth:`release`."""
        self._holds += 1

    def release(self) -> None:
        """Undo one :meth:`hold`."""
        self._holds -= 1
        # While anything is held, nobody need look: the last one's release comes here, too.
        if self._quiet is not None and not self._holds:
            self.loop.run_callback(self._check_quiet)

    def forsake(self, sock: object, *runners: greenlet | None) -> None:
        """Have :meth:`run` not wait any more for who serves a connection.

        :param sock: the connection.
        :param runners: the greenlets that run listeners of it.
        """
        self._forsaken.update(each for each in runners if isinstance(each, _Worker))
        self.returned(sock)

    def handle(self, sock: object, runner: greenlet) -> None:
        """A connection is its handler's: keep the program in :meth:`run` until that returns."""
        self._handled[sock] = runner

    def handler_of(self, sock: object) -> greenlet | None:
        """The greenlet that a connection's handler runs in."""
        return self._handled.get(sock)

    def greenlets(self) -> tuple[int, int]:
        """How many greenlets are lent, and how many are kept for that."""
        idle = len(self._idle)
        return max(0, self._workers - idle), idle

    def returned(self, sock: object) -> None:
        """A connection's handler has returned."""
        self._handled.pop(sock, None)
        if self._quiet is not None:
            self.loop.run_callback(self._check_quiet)

    def run(self, timeout: float | None) -> bool:
        """Block until nothing holds the program and no job is waiting or running.

        :param timeout: seconds, or ``None`` for no limit.
        :returns: whether that was reached; ``False`` when the time was over.
        """
        # A listener that calls run() is itself one of those that run.
        in_worker = isinstance(getcurrent(), _Worker)
        self._joining += in_worker
        try:
            if self._is_quiet():
                return True
            if self._quiet is None:
                self._quiet = Event()
            return wait_patiently(self._quiet, timeout)
        except LoopExit:
            # Only what cannot end by itself is left: a listener that waits for nothing.
            return True
        finally:
            self._joining -= in_worker

    def abandon(self) -> None:
        """In a forked child: the jobs are the parent's. The child has a dispatcher of its own."""
        self._forget_jobs()
        self._quiet = None
        self.hub.gnet_dispatcher = _new(self.hub)

    def _forget_jobs(self) -> None:
        with suppress(Exception):
            self.noted.forget()
            self.lookout.forget()
        self._asked.clear()
        self._jobs.clear()
        self._batch.clear()
        self._handled.clear()
        self.kept.clear()
        self.others.clear()

    def _is_quiet(self) -> bool:
        busy = self._workers - len(self._idle) - self._joining - len(self._forsaken)
        # Below zero where a forked child's listener waits, in a greenlet of its parent's.
        jobs = self.noted.jobs or self._jobs or self._batch or self._asked
        return not (self._holds or self._handled or busy > 0 or jobs)

    def _check_quiet(self) -> None:
        if self._quiet is not None and self._is_quiet():
            self._quiet.set()
            self._quiet = None

    def _serve(self, flows: list[Job]) -> None:
        """In the hub: what the watchers have found."""
        self._jobs += flows
        self._dispatch()

    def _dispatch(self) -> None:
        """In the hub: lend greenlets until every job of this turn has been started."""
        self.calls = 0
        # The reversed list makes pop() give the oldest; what a job defers is the next turn's.
        batch = self._batch = self._jobs
        self._jobs = []
        batch.reverse()
        idle = self._idle
        try:
            while batch:
                worker = idle.pop() if idle else self._new_worker()
                _switch(worker)
        finally:
            if batch:
                # A signal's exception has come through here: the rest must still be started.
                self._put_back(batch)
        if self._quiet is not None and not self._holds:
            self._check_quiet()

    def _put_back(self, batch: list[Job]) -> None:
        self._turn = self.loop.run_callback(self._dispatch)
        self._jobs[:0] = reversed(batch)
        batch.clear()

    def _new_worker(self) -> greenlet:
        self._workers += 1
        return _Worker(self._work, self.hub)

    def _work(self) -> None:
        """A borrowed greenlet: run jobs, then wait to be lent again."""
        idle = self._idle
        me = getcurrent()
        try:
            while True:
                batch = self._batch
                while batch:
                    job = batch.pop()
                    self.running = me
                    try:
                        job()
                    except BaseException as exc:
                        job_failed(self.hub, job, exc)
                    if self._forsaken:
                        self._forsaken.discard(me)
                # Between two jobs the greenlet must not keep the last one's socket alive.
                job = None  # type: ignore[assignment]
                if len(idle) >= MAX_IDLE_WORKERS:
                    return
                idle.append(me)
                if self._quiet is not None and not self._holds:
                    self.loop.run_callback(self._check_quiet)
                # The hub's own looks first whether it is told of that.
                _switch(self.hub)
        finally:
            self._workers -= 1
            self._forsaken.discard(me)
            if me in idle:
                idle.remove(me)


class _Worker(greenlet):
    """A greenlet of the pool."""


#: All of the process, one for each thread that has sockets.
dispatchers: WeakSet[Dispatcher] = WeakSet()


def _new(hub: Any) -> Dispatcher:
    made = Dispatcher(hub)
    dispatchers.add(made)
    return made


def dispatcher() -> Dispatcher:
    """The calling thread's dispatcher; made with its hub when first asked for."""
    hub: Any = gevent.get_hub()
    try:
        found: Dispatcher = hub.gnet_dispatcher
    except AttributeError:
        found = hub.gnet_dispatcher = _new(hub)
        # It goes with the hub. gevent tells nobody of that.
        hub.destroy = partial(_destroy, ref(hub))
        if not hub.loop.default:
            _locals.end = _ThreadEnd(found)
        if begun is not None:
            begun(found)
    return found


def _destroy(hub: Callable[[], Any], destroy_loop: bool | None = None) -> None:
    """``hub.destroy()``"""
    doomed = hub()
    doomed.gnet_dispatcher.close()
    type(doomed).destroy(doomed, destroy_loop)


class _ThreadEnd:
    """It goes with its thread, and is collected there."""

    __slots__ = ("_dispatcher", "_pid")

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._pid = os.getpid()

    def __del__(self) -> None:
        # A forked child has none of its parent's other threads, and lets go of their sockets in a
        # way of its own. At the interpreter's end they are the system's to close.
        if self._pid == os.getpid() and not sys.is_finalizing():
            self._dispatcher.close()
