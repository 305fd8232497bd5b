"""A worker, as its primary sees it."""

from __future__ import annotations

import os
import signal
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from gevent.event import Event

from ._channel import Channel
from ._wire import Wire
from .emitter import EventEmitter

if TYPE_CHECKING:
    from ._primary import Cluster

__all__ = ["Worker"]


class Worker(EventEmitter):
    """A worker, as its primary sees it.

    Emits ``online()``, ``listening(address)``, ``message(value)``, ``disconnect()`` and
    ``exit(code, signal)``.

    :ivar id: the worker's number, from 1, which no other worker of the cluster has had.
    :ivar process: its :class:`gevent.subprocess.Popen`.
    :ivar retiring: whether it was told to stop, so that its end is no accident.
    """

    def __init__(self, cluster: Cluster, number: int, process: Any, wire: Wire) -> None:
        super().__init__()
        self.id = number
        self.process = process
        self.retiring = False
        self._cluster = cluster
        self._started = monotonic()
        self._online = self._ready = False
        # Not needed yet: it is to replace another one that is still there.
        self._spare = False
        self._pid = os.getpid()
        self._exited = Event()
        # Set when anything about the worker has changed.
        self._news = Event()
        self._channel = Channel(
            wire, partial(cluster._receive, self), partial(cluster._report, self, "disconnect")
        )

    def __repr__(self) -> str:
        return f"<gnet.cluster.Worker {self.id} pid={self.pid}>"

    @property
    def pid(self) -> int:
        """The number of its process."""
        return int(self.process.pid)

    def is_connected(self) -> bool:
        """Whether messages reach it. From Node's ``worker.isConnected()``."""
        return not self._channel.closed

    def is_dead(self) -> bool:
        """Whether its process has ended. From Node's ``worker.isDead()``."""
        return self.process.returncode is not None

    def send(self, value: Any) -> None:
        """Send a message, which :data:`gnet.cluster.worker` emits there. From ``worker.send()``.

        :param value: whatever JSON has a notation for.
        """
        self._channel.post("message", value=value)

    def disconnect(self, grace: float | None = None) -> None:
        """Stop the worker for good: it is not replaced. From Node's ``worker.disconnect()``.

        It accepts no more, and exits when its connections have ended by themselves. What is left
        of them after ``grace`` seconds is ended.

        :param grace: in seconds; ``None``: the cluster's.
        """
        self._cluster._dismiss(self, grace)

    def kill(self, signum: int = signal.SIGTERM) -> None:
        """Send a signal. A worker that dies of one is replaced. From Node's ``worker.kill()``.

        :param signum: ``SIGTERM`` has the worker end its connections and exit.
        """
        # A forked child of the primary has copies of the greenlets that wait for workers to end.
        if not self.is_dead() and self._pid == os.getpid():
            self.process.send_signal(signum)
