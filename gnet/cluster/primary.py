"""A cluster's primary, as the program has it: how it is started, restarted and shut down."""

from __future__ import annotations

import _socket
import errno
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import gevent
from gevent.lock import Semaphore
from greenlet import getcurrent

from .._core.emitter import EventEmitter
from .._loop.timers import wait_patiently
from .._values import arguments
from .._values.suggestions import suggesting
from ..errors import system_error
from . import this_worker
from .options import ClusterOptions
from .service import Service
from .staff import Staff
from .worker_process import Worker, WorkerProcess, own_command

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Cluster"]

_log = logging.getLogger("gnet")

#: How long the connections of workers that are told to stop may go on, unless told, in seconds.
GRACE_SECONDS = 30.0
#: How long a worker has until it listens, when another waits to be replaced by it, in seconds.
START_SECONDS = 30.0
_clusters: WeakSet[Cluster] = WeakSet()


class Cluster(EventEmitter):
    """The workers of this process, which is their primary.

    Emits the events of every :class:`Worker`, with the worker ahead of their arguments:
    ``fork(worker)``, ``online(worker)``, ``listening(worker, address)``, ``message(worker,
    value)``, ``disconnect(worker)`` and ``exit(worker, code, signal)``.

    A worker that dies is replaced: at once the first time, and after a pause when its replacements
    die as well. A worker that exits with 0 has finished, and is not replaced. While there are
    workers, :func:`gnet.run` does not return. Workers whose primary has gone stop by themselves.

    :param argv: the command of a worker; default: the one that this process was started with.
    :param env: environment variables for the workers, besides this process' own.
    :param grace: how long a worker that is told to stop lets its connections go on, in seconds;
        ``None`` for no limit. Default 30.
    :param start_timeout: how long a worker that is to replace another one may take until it
        listens, in seconds. Default 30.
    :raises OSError: ``ENOTSUP``, the system cannot pass descriptors on.
    :raises RuntimeError: this process is a worker itself, or there is no program to start again.
    """

    @suggesting("Cluster()", ClusterOptions)
    def __init__(
        self,
        *,
        argv: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        grace: float | None = GRACE_SECONDS,
        start_timeout: float = START_SECONDS,
    ) -> None:
        super().__init__()
        limit = arguments.limit("grace", grace)
        self._start_timeout = arguments.positive_seconds("start_timeout", start_timeout)
        if this_worker.current is not None:
            raise RuntimeError("a worker of a cluster cannot have workers")
        if not hasattr(_socket.socket, "sendmsg"):
            raise system_error(errno.ENOTSUP, "fork")
        argv = own_command() if argv is None else argv
        self._staff = Staff(self, argv, env or {}, limit, self._news)
        self._restarting = Semaphore()
        self._service = Service(self._interrupted, self._hung_up)
        _clusters.add(self)

    def __repr__(self) -> str:
        return f"<gnet.cluster.Cluster of {len(self._staff.workers)} workers>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.shutdown()

    @property
    def workers(self) -> dict[int, Worker]:
        """The workers that have not exited, by their ``id``."""
        return {number: each.worker for number, each in self._staff.workers.items()}

    # -- starting -----------------------------------------------------------------------------

    def fork(self, n: int = 1) -> list[Worker]:
        """Start workers. From Node's ``cluster.fork()``.

        :param n: how many.
        :returns: the workers.
        :raises OSError: the program cannot be started.
        :raises RuntimeError: the cluster has been shut down.
        """
        arguments.integer("n", n, 1, 2**16)
        if self._staff.stopping.is_set():
            raise RuntimeError("the cluster has been shut down")
        return [self._staff.start_wanted().worker for _ in range(n)]

    # -- counting -----------------------------------------------------------------------------

    def get_connections(self, callback: Callable[..., object] | None = None) -> Any:
        """How many connections the workers' servers have, except those that listen alone.

        :param callback: called with ``None`` and the number, or with an error.
        :returns: without a callback the number, otherwise the cluster.
        :raises TimeoutError: a worker has not answered within five seconds.
        """
        if callback is None:
            return self._staff.count(None)
        arguments.function("callback", callback)
        self._staff.loop.defer(partial(self._count_for, callback))
        return self

    def _count_for(self, callback: Callable[..., object]) -> None:
        try:
            number = self._staff.count(None)
        except OSError as exc:
            callback(exc, None)
        else:
            callback(None, number)

    # -- stopping -----------------------------------------------------------------------------

    def restart(self, grace: float | None = None) -> None:
        """Replace the workers one after another, and lose no connection; block until it is done.

        A new worker is started. When it listens wherever the old one does, or its ``main`` has
        returned, the old one stops accepting. The old one exits when its connections have ended by
        themselves; those that are left after ``grace`` seconds are ended. A second call waits for
        the first. A shutdown ends the restart, too.

        :param grace: how long the connections have, in seconds; ``None``: the cluster's grace.
        :raises RuntimeError: a new worker has died, or does not listen within ``start_timeout``.
            The old workers that are left go on.
        :raises OSError: the program cannot be started.
        """
        limit = self._staff.limit(grace)
        retired: list[WorkerProcess] = []
        with self._restarting:
            try:
                with self._service.reloading(self._staff.stopping.is_set):
                    for old in list(self._staff.workers.values()):
                        if self._staff.stopping.is_set():
                            break
                        if old.is_dead() or old.retiring:
                            continue
                        self._succeed(old)
                        if self._staff.stopping.is_set():
                            # The shutdown has told them all.
                            break
                        self._staff.tell_to_stop(old, limit, drain=True)
                        retired.append(old)
                        self._staff.close_unused()
            finally:
                self._staff.await_end(retired, limit)

    def _succeed(self, old: WorkerProcess) -> None:
        """Start a worker, and block until it can do without an old one."""
        try:
            new = self._staff.start()
        except BaseException:
            # A worker that has died meanwhile was not missed: this one was coming.
            self._staff.balance(0)
            raise
        new.spare = True
        deadline = monotonic() + self._start_timeout
        try:
            while not self._can_take_over(new, old):
                new.news.clear()
                if new.exited.is_set():
                    if self._staff.stopping.is_set():
                        return
                    raise RuntimeError(f"{new!r} has ended before it listened")
                if wait_patiently(new.news, max(0.0, deadline - monotonic())):
                    continue
                if self._staff.handles.listened_by(new.id):
                    break
                raise RuntimeError(f"{new!r} has not listened in {self._start_timeout:g} seconds")
        except BaseException:
            new.retiring = True
            new.kill(signal.SIGKILL)  # type: ignore[attr-defined,unused-ignore]
            raise
        new.spare = False

    def _can_take_over(self, new: WorkerProcess, old: WorkerProcess) -> bool:
        if not new.online or new.exited.is_set():
            return False
        listened_by = self._staff.handles.listened_by
        return new.ready or listened_by(new.id) >= listened_by(old.id)

    def shutdown(self, grace: float | None = None) -> int:
        """Stop every worker for good; block until the last one has exited.

        The workers stop accepting and end their connections, as :meth:`gnet.Server.shutdown`
        does. A second call may shorten the grace. In the hub the call does not block.

        :param grace: how long the connections have, in seconds; ``None``: the cluster's grace.
        :returns: how many workers had to be killed.
        """
        limit = self._staff.limit(grace)
        if getcurrent() is self._staff.loop.hub:
            gevent.spawn(self.shutdown, grace)
            return 0
        if not self._staff.stopping.is_set():
            self._service.stopping()
        return self._staff.stop(limit)

    def run(self) -> None:
        """Block until no worker is left, and none is to come.

        Meanwhile ``SIGTERM`` and ``SIGINT`` shut the cluster down, a second one without grace,
        and ``SIGHUP`` restarts it. Call it in the main thread. When it returns or raises, all
        workers have ended.
        """
        with self._service.running(self._staff.all_serve):
            try:
                self._staff.over.wait()
            finally:
                self.shutdown()

    def _interrupted(self) -> None:
        self.shutdown(0 if self._staff.stopping.is_set() else None)

    def _hung_up(self) -> None:
        try:
            self.restart()
        except (OSError, RuntimeError) as exc:
            _log.error("the restart was given up: %s", exc)

    def _news(self) -> None:
        """A worker may have come to serve."""
        self._service.ready(self._staff.all_serve)

    def _leave_in_child(self) -> None:
        """In a forked child: the workers are the parent's."""
        self._staff.leave_in_child()
        self._service.release_signals()


def leave_in_child() -> None:
    """In a forked child: it has no workers."""
    for cluster in list(_clusters):
        cluster._leave_in_child()
