"""A cluster's primary: it starts the workers, owns their handles, and replaces those that die."""

from __future__ import annotations

import _socket
import errno
import logging
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import gevent
from gevent.event import Event
from gevent.lock import Semaphore
from greenlet import getcurrent

from .._core.dispatcher import dispatcher
from .._core.emitter import EventEmitter
from .._loop.signals import handlers_kept
from .._loop.timers import wait_patiently
from .._processes.channel import Message
from .._server import bind, notify
from .._values import arguments
from .._values.backoff import Backoff
from .._values.report import guarded
from ..errors import system_error
from . import this_worker
from .shared_listeners import Handles, Place, error_fields
from .worker_process import Worker, own_command, start

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Cluster"]

_log = logging.getLogger("gnet")

#: How long the connections of workers that are told to stop may go on, unless told, in seconds.
GRACE_SECONDS = 30.0
#: How long a worker has until it listens, when another waits to be replaced by it, in seconds.
START_SECONDS = 30.0
#: A worker that lived so long, in seconds, is not one of a series that cannot start.
STEADY_SECONDS = 10.0
#: The pause ahead of the second replacement in such a series, in seconds; then it doubles.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
#: How long after its grace a worker is killed that has not ended, in seconds: a second more than
#: it takes for its last steps.
KILL_SECONDS = this_worker.LAST_SECONDS + this_worker.EXIT_SECONDS + 1.0

_clusters: WeakSet[Cluster] = WeakSet()


class Cluster(EventEmitter):
    """The workers of this process, which is their primary.

    Emits the events of every :class:`Worker`, with the worker ahead of their arguments:
    ``fork(worker)``, ``online(worker)``, ``listening(worker, address)``, ``message(worker,
    value)``, ``disconnect(worker)`` and ``exit(worker, code, signal)``.

    A worker that dies is replaced: at once the first time, and after a pause when its kind keep
    dying. One that exits with 0 has finished, and is not. While there are workers,
    :func:`gnet.run` does not return. Workers whose primary has gone stop by themselves.

    :param argv: what a worker is started with; default: what this process was started with.
    :param env: environment variables that a worker has besides this process' own.
    :param grace: how long workers that are told to stop let their connections go on, in seconds;
        ``None`` for no limit. Default 30.
    :param start_timeout: how long a worker may take until it listens, when another one waits to
        be replaced by it, in seconds. Default 30.
    :raises OSError: ``ENOTSUP``, the system cannot pass descriptors on.
    :raises RuntimeError: this process is a worker itself, or there is no program to start again.
    """

    def __init__(
        self,
        *,
        argv: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        grace: float | None = GRACE_SECONDS,
        start_timeout: float = START_SECONDS,
    ) -> None:
        super().__init__()
        self._grace = arguments.limit("grace", grace)
        self._start_timeout = arguments.positive_seconds("start_timeout", start_timeout)
        if this_worker.current is not None:
            raise RuntimeError("a worker of a cluster cannot have workers")
        if not hasattr(_socket.socket, "sendmsg"):
            raise system_error(errno.ENOTSUP, "fork")
        self._argv = own_command() if argv is None else list(argv)
        self._env = dict(env or {})
        self._loop = dispatcher()
        self._workers: dict[int, Worker] = {}
        self._numbers = count(1)
        # How many workers there should be, and how many are being started, perhaps after a pause.
        self._target = 0
        self._coming = 0
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, at_once=True)
        self._handles = Handles()
        self._restarting = Semaphore()
        self._stopping = Event()
        self._over = Event()
        self._over.set()
        self._signals: list[Any] = []
        # Whether the service manager is told of it, and has been told that it serves.
        self._is_service = self._serves = False
        _clusters.add(self)

    def __repr__(self) -> str:
        return f"<gnet.cluster.Cluster of {len(self._workers)} workers>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.shutdown()

    @property
    def workers(self) -> dict[int, Worker]:
        """The workers that have not exited, by their ``id``."""
        return dict(self._workers)

    # -- starting -----------------------------------------------------------------------------

    def fork(self, n: int = 1) -> list[Worker]:
        """Start workers. From Node's ``cluster.fork()``.

        :param n: how many.
        :returns: the workers.
        :raises OSError: the program cannot be started.
        :raises RuntimeError: the cluster has been shut down.
        """
        arguments.integer("n", n, 1, 2**16)
        if self._stopping.is_set():
            raise RuntimeError("the cluster has been shut down")
        return [self._start_wanted() for _ in range(n)]

    def _start_wanted(self) -> Worker:
        self._target += 1
        try:
            return self._start()
        except BaseException:
            self._target -= 1
            self._balance(0)
            raise

    def _start(self) -> Worker:
        number = next(self._numbers)
        self._coming += 1
        try:
            process, wire = start(self._argv, self._env, number, self._grace)
        finally:
            self._coming -= 1
        lost = partial(self._report, event="disconnect")
        started = Worker(number, process, wire, self._receive, lost, self._dismiss)
        self._workers[number] = started
        self._over.clear()
        self._loop.hold()
        process.rawlink(lambda _: self._loop.defer(partial(self._exited, started)))
        self._loop.defer(partial(self._report, started, "fork"))
        if self._stopping.is_set():
            # It was being started while the others were told.
            self._tell_to_stop(started, 0, drain=False)
        return started

    def _balance(self, lived: float) -> None:
        """Replace workers that are missing; perhaps it is all over."""
        serving = sum(not each.retiring for each in self._workers.values())
        for _ in range(self._target - serving - self._coming):
            if lived >= STEADY_SECONDS:
                self._backoff.reset()
            pause = self._backoff.pause()
            self._coming += 1
            self._loop.hold()
            gevent.spawn(self._start_after, pause)
        if not self._workers and not self._coming:
            self._over.set()

    def _start_after(self, pause: float) -> None:
        self._stopping.wait(pause)
        self._coming -= 1
        try:
            if not self._stopping.is_set():
                self._start()
        except OSError as exc:
            _log.error("no worker can be started: %s", exc)
        finally:
            self._loop.release()
            self._balance(0)

    def _exited(self, gone: Worker) -> None:
        code, signum = gone._end()
        del self._workers[gone.id]
        self._handles.forget(gone.id)
        if gone.is_connected():
            gone._channel.close()
            self._loop.defer(partial(self._report, gone, "disconnect"))
        if not gone.retiring:
            if code == 0:
                # It has finished. One that was to replace another has not even begun.
                self._target -= not gone._spare
            else:
                cause = f"exit code {code}" if signum is None else f"signal {signum}"
                _log.warning("%r has died: %s", gone, cause)
        gone._exited.set()
        gone._news.set()
        self._loop.release()
        self._balance(monotonic() - gone._started)
        self._close_unused()
        self._report(gone, "exit", code, signum)

    # -- what workers say ---------------------------------------------------------------------

    def _receive(self, sender: Worker, message: Message) -> None:
        fields = message.fields
        if sender.is_dead():
            return
        if message.kind == "online":
            sender._online = True
            sender._news.set()
            self._report(sender, "online")
        elif message.kind == "ready":
            sender._ready = True
            sender._news.set()
            self._close_unused()
            self._tell_ready()
        elif message.kind == "listen":
            self._share(sender, message)
        elif message.kind == "close":
            self._handles.give_back(sender.id, Place(*fields["place"]))
        elif message.kind == "count":
            self._answer_count(sender, message)
        elif message.kind == "message":
            self._report(sender, "message", fields["value"])

    def _share(self, user: Worker, message: Message) -> None:
        if self._stopping.is_set():
            # Unanswered, it waits until it is stopped.
            return
        place = Place(*message.fields["place"])
        options = bind.ListenOptions(*message.fields["options"])
        try:
            handle = self._handles.take(user.id, place, options)
            user._channel.answer(message, handle.bound.wire.fileno())
        except (OSError, ValueError) as exc:
            # The worker gives the place back, in case that it was taken.
            user._channel.answer(message, error=error_fields(exc))
            return
        user._news.set()
        self._report(user, "listening", handle.address)
        self._tell_ready()

    def _tell_ready(self) -> None:
        """Tell the service manager once that all workers have come to serve."""
        if not self._is_service or self._serves:
            return
        if all(each._ready or self._handles.used_by(each.id) for each in self._workers.values()):
            self._serves = True
            notify.notify("READY=1")

    def _close_unused(self) -> None:
        """What a worker has left behind is closed when no replacement comes, or wants it."""
        serving = [each for each in self._workers.values() if not each.retiring]
        if not self._coming and all(each._ready for each in serving):
            self._handles.close_unused()

    def _report(self, subject: Worker, event: str, *args: Any) -> None:
        guarded(self._loop.hub, subject, subject.emit, event, *args)
        guarded(self._loop.hub, self, self.emit, event, subject, *args)

    # -- counting -----------------------------------------------------------------------------

    def get_connections(self, callback: Callable[..., object] | None = None) -> Any:
        """How many connections the workers' servers have, those that listen alone left out.

        :param callback: called with ``None`` and the number, or with an error.
        :returns: without a callback the number, otherwise the cluster.
        :raises TimeoutError: a worker has not answered within five seconds.
        """
        if callback is None:
            return self._count(None)
        arguments.function("callback", callback)
        self._loop.defer(partial(self._count_for, callback))
        return self

    def _count_for(self, callback: Callable[..., object]) -> None:
        try:
            number = self._count(None)
        except OSError as exc:
            callback(exc, None)
        else:
            callback(None, number)

    def _answer_count(self, sender: Worker, message: Message) -> None:
        try:
            sender._channel.answer(message, count=self._count(message.fields["place"]))
        except OSError as exc:
            sender._channel.answer(message, error=error_fields(exc))

    def _count(self, place: Any) -> int:
        answers = [gevent.spawn(each._count, place) for each in self._workers.values()]
        total = 0
        for answer in answers:
            number = answer.get()
            if isinstance(number, TimeoutError):
                raise number
            total += number
        return total

    # -- stopping -----------------------------------------------------------------------------

    def restart(self, grace: float | None = None) -> None:
        """Replace the workers one after another, and lose no connection; block until it is done.

        A new worker is started, and when it listens wherever the old one does, or its ``main``
        has returned, the old one is told to accept no more. That exits when its connections have
        ended by themselves; what is left after ``grace`` seconds is ended. A second call waits
        for the first.

        :param grace: in seconds; ``None``: the cluster's.
        :raises RuntimeError: a new worker has died, or has not come to listen within
            ``start_timeout``: the old workers that are left stay.
        :raises OSError: the program cannot be started.
        """
        limit = self._limit(grace)
        retired = []
        with self._restarting:
            if self._is_service:
                notify.notify("RELOADING=1")
            try:
                for old in list(self._workers.values()):
                    if self._stopping.is_set():
                        break
                    if old.is_dead() or old.retiring:
                        continue
                    self._succeed(old)
                    self._tell_to_stop(old, limit, drain=True)
                    retired.append(old)
                    self._close_unused()
            finally:
                if self._is_service and not self._stopping.is_set():
                    notify.notify("READY=1")
                self._await_end(retired, limit)

    def _succeed(self, old: Worker) -> None:
        """Start a worker, and block until it can do without an old one."""
        try:
            new = self._start()
        except BaseException:
            # A worker that has died meanwhile was not missed: this one was coming.
            self._balance(0)
            raise
        new._spare = True
        deadline = monotonic() + self._start_timeout
        try:
            while not self._can_take_over(new, old):
                new._news.clear()
                if new._exited.is_set():
                    raise RuntimeError(f"{new!r} has ended before it listened")
                if wait_patiently(new._news, max(0.0, deadline - monotonic())):
                    continue
                if self._handles.used_by(new.id):
                    break
                raise RuntimeError(f"{new!r} has not listened in {self._start_timeout:g} seconds")
        except BaseException:
            new.retiring = True
            new.kill(signal.SIGKILL)  # type: ignore[attr-defined,unused-ignore]
            raise
        new._spare = False

    def _can_take_over(self, new: Worker, old: Worker) -> bool:
        if not new._online or new._exited.is_set():
            return False
        return new._ready or self._handles.used_by(new.id) >= self._handles.used_by(old.id)

    def shutdown(self, grace: float | None = None) -> int:
        """Stop every worker for good; block until the last one has exited.

        They accept no more and end their connections, as :meth:`gnet.Server.shutdown` does. May
        be called more than once, and makes it quicker then; in the hub it does not block.

        :param grace: how long the connections have, in seconds; ``None``: the cluster's.
        :returns: how many workers had to be killed.
        """
        limit = self._limit(grace)
        if getcurrent() is self._loop.hub:
            gevent.spawn(self.shutdown, grace)
            return 0
        if self._is_service and not self._stopping.is_set():
            notify.notify("STOPPING=1")
        self._stopping.set()
        self._target = 0
        self._handles.close()
        workers = list(self._workers.values())
        for each in workers:
            self._tell_to_stop(each, limit, drain=False)
        killed = self._await_end(workers, limit)
        # Those that were being started meanwhile.
        self._over.wait()
        return killed

    def _dismiss(self, old: Worker, grace: float | None) -> None:
        limit = self._limit(grace)
        if not old.retiring:
            self._target -= 1
            self._tell_to_stop(old, limit, drain=True)
            gevent.spawn(self._await_end, [old], limit)

    def _limit(self, grace: float | None) -> float | None:
        return self._grace if grace is None else arguments.limit("grace", grace)

    def _tell_to_stop(self, old: Worker, limit: float | None, drain: bool) -> None:
        # What it listened at is kept for those that come after it.
        self._handles.forget(old.id)
        old._tell_to_stop(limit, drain)

    def _await_end(self, workers: Sequence[Worker], limit: float | None) -> int:
        """Block until the workers have exited; gives the number of those that were killed."""
        deadline = None if limit is None else monotonic() + limit + KILL_SECONDS
        killed = 0
        for each in workers:
            left = None if deadline is None else max(0.0, deadline - monotonic())
            if not wait_patiently(each._exited, left):
                each.kill(signal.SIGKILL)  # type: ignore[attr-defined,unused-ignore]
                killed += 1
                _log.warning("%r was killed: it has not ended in time", each)
        for each in workers:
            each._exited.wait()
        return killed

    def run(self) -> None:
        """Block until no worker is left, and none to come.

        Meanwhile ``SIGTERM`` and ``SIGINT`` shut the cluster down, the second one without grace,
        and ``SIGHUP`` restarts it. To be called in the main thread. However it ends, the workers
        have ended as well.
        """
        self._is_service = True
        self._tell_ready()
        with self._signals_handled(), notify.sign_of_life():
            try:
                self._over.wait()
            finally:
                self.shutdown()

    @contextmanager
    def _signals_handled(self) -> Iterator[None]:
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # type: ignore[attr-defined,unused-ignore]
        actions = (self._interrupted, self._interrupted, self._hung_up)
        with handlers_kept(numbers):
            self._signals = list(map(gevent.signal_handler, numbers, actions))
            try:
                yield
            finally:
                self._release_signals()

    def _release_signals(self) -> None:
        for each in self._signals:
            each.cancel()
        self._signals.clear()

    def _interrupted(self) -> None:
        self.shutdown(0 if self._stopping.is_set() else None)

    def _hung_up(self) -> None:
        try:
            self.restart()
        except (OSError, RuntimeError) as exc:
            _log.error("the restart was given up: %s", exc)

    def _leave_in_child(self) -> None:
        """In a forked child: the workers are the parent's, and so is who waits for them."""
        self._workers.clear()
        self._handles.close()
        self._target = 0
        self._stopping.set()
        self._over = Event()
        self._over.set()
        self._release_signals()


def leave_in_child() -> None:
    """In a forked child: it has no workers."""
    for cluster in list(_clusters):
        cluster._leave_in_child()
