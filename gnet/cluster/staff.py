"""The workers of a cluster: they are started, heard, replaced when they die, and stopped."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from time import monotonic
from typing import Any

import gevent
from gevent.event import Event

from .._core.dispatcher import Dispatcher, dispatcher
from .._core.emitter import EventEmitter
from .._loop.timers import wait_patiently
from .._processes.channel import Message
from .._processes.neighbours import Figures, starters
from .._server import bind
from .._values import arguments
from .._values.backoff import Backoff
from .._values.report import guarded
from . import this_worker
from .figures import Account
from .shared_listeners import Handles, Place, error_fields
from .worker_process import WorkerProcess, start

__all__ = ["Staff"]

_log = logging.getLogger("gnet")

#: A worker that lived so long, in seconds, is not one of a series that cannot start.
STEADY_SECONDS = 10.0
#: The pause ahead of the second replacement in such a series, in seconds; then it doubles.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
#: How long after its grace a worker is killed that has not ended, in seconds: a second more than
#: it takes for its last steps.
KILL_SECONDS = this_worker.LAST_SECONDS + this_worker.EXIT_SECONDS + 1.0


class Staff:
    """The workers, and the handles that they share.

    :param cluster: emits the events of all of them.
    :param argv: what a worker is started with.
    :param env: environment variables that it has besides this process' own.
    :param grace: how long workers that are told to stop let their connections go on, in seconds.
    :param news: called when a worker may have come to serve.
    :ivar workers: those that have not exited, by their number.
    :ivar handles: what they listen on.
    :ivar stopping: set when all of them are to stop.
    :ivar over: set while there is none, and none to come.
    """

    def __init__(
        self,
        cluster: EventEmitter,
        argv: Sequence[str],
        env: Mapping[str, str],
        grace: float | None,
        news: Callable[[], object],
    ) -> None:
        self._cluster = cluster
        self.argv: list[str] = list(argv)
        self._env = dict(env)
        self._grace = grace
        self._tell = news
        self.loop: Dispatcher = dispatcher()
        self.workers: dict[int, WorkerProcess] = {}
        self._numbers = count(1)
        # How many workers there should be, and how many are being started, perhaps after a pause.
        self._target = 0
        self._coming = 0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, at_once=True)
        self.handles: Handles = Handles()
        self.stopping: Event = Event()
        self.over: Event = Event()
        self.over.set()
        self._account = Account()
        starters.add(self)

    # -- starting -----------------------------------------------------------------------------

    def start_wanted(self) -> WorkerProcess:
        """Start one worker more than there should have been so far."""
        self._target += 1
        try:
            return self.start()
        except BaseException:
            self._target -= 1
            self.balance(0)
            raise

    def start(self) -> WorkerProcess:
        """Start one that there should be.

        :raises OSError: the program cannot be started.
        """
        number = next(self._numbers)
        self._coming += 1
        try:
            process, wire = start(self.argv, self._env, number, self._grace)
        finally:
            self._coming -= 1
        started = WorkerProcess(number, process, wire, self)
        self.workers[number] = started
        self.over.clear()
        self.loop.hold()
        process.rawlink(lambda _: self.loop.defer(partial(self._exited, started)))
        self.loop.defer(partial(self._report, started, "fork"))
        if self.stopping.is_set():
            # It was being started while the others were told.
            self.tell_to_stop(started, 0, drain=False)
        return started

    def balance(self, lived: float) -> None:
        """Replace workers that are missing; perhaps it is all over."""
        serving = sum(not each.retiring for each in self.workers.values())
        for _ in range(self._target - serving - self._coming):
            if lived >= STEADY_SECONDS:
                self._backoff.reset()
            pause = self._backoff.pause()
            self._coming += 1
            self.loop.hold()
            gevent.spawn(self._start_after, pause)
        if not self.workers and not self._coming:
            self.over.set()

    def _start_after(self, pause: float) -> None:
        self.stopping.wait(pause)
        self._coming -= 1
        try:
            if not self.stopping.is_set():
                self.start()
        except OSError as exc:
            _log.error("no worker can be started: %s", exc)
        finally:
            self.loop.release()
            self.balance(0)

    def _exited(self, gone: WorkerProcess) -> None:
        code, signum = gone.cause_of_end()
        gone.channel.read_rest()
        # Behind what it has said last.
        self.loop.defer(partial(self._account.ended, gone.pid))
        del self.workers[gone.id]
        self.handles.forget(gone.id)
        if not gone.channel.closed:
            gone.channel.close()
            self.loop.defer(partial(self._report, gone, "disconnect"))
        if not gone.retiring:
            if code == 0:
                # It has finished. One that was to replace another has not even begun.
                self._target -= not gone.spare
            else:
                cause = f"exit code {code}" if signum is None else f"signal {signum}"
                _log.warning("%r has died: %s", gone, cause)
        gone.exited.set()
        gone.news.set()
        self.loop.release()
        self.balance(monotonic() - gone.started)
        self.close_unused()
        self._report(gone, "exit", code, signum)

    # -- what workers say ---------------------------------------------------------------------

    def receive(self, sender: WorkerProcess, message: Message) -> None:
        """A worker has said something."""
        fields = message.fields
        if message.kind == "stats":
            self._account.told(sender.pid, fields["told"])
        if sender.is_dead():
            return
        if message.kind == "online":
            sender.online = True
            sender.news.set()
            self._report(sender, "online")
        elif message.kind == "ready":
            sender.ready = True
            sender.news.set()
            self.close_unused()
            self._tell()
        elif message.kind == "listen":
            self._share(sender, message)
        elif message.kind == "listening":
            self._listens(sender, Place(*fields["place"]))
        elif message.kind == "close":
            self.handles.give_back(sender.id, Place(*fields["place"]))
        elif message.kind == "count":
            self._answer_count(sender, message)
        elif message.kind == "message":
            self._report(sender, "message", fields["value"])

    def _share(self, user: WorkerProcess, message: Message) -> None:
        if self.stopping.is_set():
            # Unanswered, it waits until it is stopped.
            return
        place = Place(*message.fields["place"])
        options = bind.ListenOptions(*message.fields["options"])
        try:
            handle = self.handles.take(user.id, place, options)
            user.channel.answer(message, handle.bound.wire.fileno())
        except (OSError, ValueError) as exc:
            # The worker gives the place back, in case that it was taken.
            user.channel.answer(message, error=error_fields(exc))

    def _listens(self, user: WorkerProcess, place: Place) -> None:
        """A worker has made a server of a handle. It may not have, for want of a descriptor."""
        handle = self.handles.listening(user.id, place)
        if handle is not None:
            user.news.set()
            self._report(user, "listening", handle.address)
            self._tell()

    def all_serve(self) -> bool:
        """Whether all workers have come to serve."""
        workers = self.workers.values()
        return all(each.ready or self.handles.listened_by(each.id) for each in workers)

    def close_unused(self) -> None:
        """What a worker has left behind is closed when no replacement comes, or wants it."""
        serving = [each for each in self.workers.values() if not each.retiring]
        if not self._coming and all(each.ready for each in serving):
            self.handles.close_unused()

    def lost(self, worker: WorkerProcess) -> None:
        """A worker has closed its end of the channel."""
        self._report(worker, "disconnect")

    def _report(self, subject: WorkerProcess, event: str, *args: Any) -> None:
        worker = subject.worker
        guarded(self.loop.hub, worker, worker.emit, event, *args)
        guarded(self.loop.hub, self._cluster, self._cluster.emit, event, worker, *args)

    # -- counting -----------------------------------------------------------------------------

    def _answer_count(self, sender: WorkerProcess, message: Message) -> None:
        try:
            sender.channel.answer(message, count=self.count(message.fields["place"]))
        except OSError as exc:
            sender.channel.answer(message, error=error_fields(exc))

    def count(self, place: Any) -> int:
        """Block for the number of the workers' connections, at a place or at all.

        :raises TimeoutError: a worker does not answer.
        """
        answers = [gevent.spawn(each.count, place) for each in self.workers.values()]
        total = 0
        for answer in answers:
            number = answer.get()
            if isinstance(number, TimeoutError):
                raise number
            total += number
        return total

    # -- what others want to see --------------------------------------------------------------

    def neighbours(self) -> list[WorkerProcess]:
        """The workers that run."""
        return [each for each in self.workers.values() if each.online and not each.is_dead()]

    def figures(self) -> Figures:
        """What the workers have told of their sockets, those that have ended included."""
        return self._account.figures

    # -- stopping -----------------------------------------------------------------------------

    def stop(self, limit: float | None) -> int:
        """Stop all of them for good; block until the last one has exited.

        :returns: how many had to be killed.
        """
        self.stopping.set()
        self._target = 0
        self.handles.close()
        workers = list(self.workers.values())
        for each in workers:
            self.tell_to_stop(each, limit, drain=False)
        killed = self.await_end(workers, limit)
        # Those that were being started meanwhile.
        self.over.wait()
        return killed

    def leave_in_child(self) -> None:
        """In a forked child: the workers are the parent's, and so is who waits for them."""
        self.workers.clear()
        self._account = Account()
        self.handles.close()
        self._target = 0
        self.stopping.set()
        # Who waits for the former one is the parent's.
        self.over = Event()
        self.over.set()

    def dismiss(self, old: WorkerProcess, grace: float | None) -> None:
        """Stop a worker for good, in the background."""
        limit = self.limit(grace)
        if not old.retiring:
            self._target -= 1
            self.tell_to_stop(old, limit, drain=True)
            gevent.spawn(self.await_end, [old], limit)

    def limit(self, grace: float | None) -> float | None:
        """A grace that was given, checked; or the cluster's."""
        return self._grace if grace is None else arguments.limit("grace", grace)

    def tell_to_stop(self, old: WorkerProcess, limit: float | None, drain: bool) -> None:
        """Have a worker stop."""
        # What it listened at is kept for those that come after it.
        self.handles.forget(old.id)
        old.tell_to_stop(limit, drain)

    def await_end(self, workers: Sequence[WorkerProcess], limit: float | None) -> int:
        """Block until the workers have exited; gives the number of those that were killed."""
        deadline = None if limit is None else monotonic() + limit + KILL_SECONDS
        killed = 0
        for each in workers:
            left = None if deadline is None else max(0.0, deadline - monotonic())
            if not wait_patiently(each.exited, left):
                each.kill(signal.SIGKILL)  # type: ignore[attr-defined,unused-ignore]
                killed += 1
                _log.warning("%r was killed: it has not ended in time", each)
        for each in workers:
            each.exited.wait()
        return killed
