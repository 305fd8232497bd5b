"""A worker, as its primary sees it: a process, and the channel to it."""

from __future__ import annotations

import _socket
import errno
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Protocol

from gevent import subprocess
from gevent.event import Event

from .._core.emitter import EventEmitter
from .._processes.channel import Channel, Message
from .._transport.stream_socket import Wire
from ..errors import annotate, system_error
from .shared_listeners import ERROR, OPTIONS, PLACE, error_of
from .this_worker import ENVIRONMENT

__all__ = ["Worker", "WorkerProcess", "own_command", "start"]

#: How long a worker has to say how many connections it has, in seconds.
COUNT_SECONDS = 5.0
#: How long a worker has to give a connection for the live view, in seconds.
LINE_SECONDS = 5.0

#: What a worker says: the fields of each kind of message, with their types.
_KINDS_OF_WORKER: dict[str, dict[str, Any]] = {
    "online": {},
    "ready": {},
    "listen": {"number": int, "place": PLACE, "options": OPTIONS},
    "listening": {"place": PLACE},
    "close": {"place": PLACE},
    "count": {"number": int, "place": (PLACE, type(None))},
    "message": {"value": object},
    "stats": {"told": dict},
}


class Owner(Protocol):
    """What has workers."""

    def receive(self, sender: WorkerProcess, message: Message) -> None:
        """A worker has said something."""

    def lost(self, worker: WorkerProcess) -> None:
        """A worker has closed its end of the channel."""

    def dismiss(self, worker: WorkerProcess, grace: float | None) -> None:
        """A worker is to stop for good."""


class Worker(EventEmitter):
    """A worker, as its primary sees it.

    Emits ``online()``, ``listening(address)``, ``message(value)``, ``disconnect()`` and
    ``exit(code, signal)``.

    :ivar id: the worker's number, from 1, which no other worker of the cluster has or had.
    :ivar process: its :class:`gevent.subprocess.Popen`.
    """

    def __init__(self, of: WorkerProcess) -> None:
        super().__init__()
        self.id: int = of.id
        self.process: Any = of.process
        self._of = of

    def __repr__(self) -> str:
        return f"<gnet.cluster.Worker {self.id} pid={self.pid}>"

    @property
    def pid(self) -> int:
        """The number of its process."""
        return int(self.process.pid)

    @property
    def retiring(self) -> bool:
        """Whether it was told to stop, so that its end is no accident."""
        return self._of.retiring

    def is_connected(self) -> bool:
        """Whether messages reach it. From Node's ``worker.isConnected()``."""
        return not self._of.channel.closed

    def is_dead(self) -> bool:
        """Whether its process has ended. From Node's ``worker.isDead()``."""
        return self._of.is_dead()

    def send(self, value: Any) -> None:
        """Send a message, which :data:`gnet.cluster.worker` emits there. From ``worker.send()``.

        :param value: any value that JSON can express.
        """
        self._of.channel.post("message", value=value)

    def disconnect(self, grace: float | None = None) -> None:
        """Stop the worker for good: it is not replaced. From Node's ``worker.disconnect()``.

        It stops accepting, and exits when its connections have ended by themselves. Those that
        are left after ``grace`` seconds are ended.

        :param grace: how long the connections have, in seconds; ``None``: the cluster's grace.
        """
        self._of.owner.dismiss(self._of, grace)

    def kill(self, signum: int = signal.SIGTERM) -> None:
        """Send a signal. A worker that dies of one is replaced. From Node's ``worker.kill()``.

        :param signum: the signal; on ``SIGTERM`` the worker ends its connections and exits.
        """
        self._of.kill(signum)


class WorkerProcess:
    """The process of a worker, and how far it has come.

    :ivar id: the number of the worker.
    :ivar process: its :class:`gevent.subprocess.Popen`.
    :ivar owner: whose it is.
    :ivar worker: what the program has of it.
    :ivar channel: the connection to it.
    :ivar started: when it was started, by :func:`time.monotonic`.
    :ivar retiring: whether it was told to stop.
    :ivar online: whether it has said that it runs.
    :ivar ready: whether its ``main`` has returned.
    :ivar spare: whether it is to replace another one that is still there, and not needed yet.
    :ivar exited: set when it has exited.
    :ivar news: set when anything about it has changed.
    """

    def __init__(self, number: int, process: Any, wire: Wire, owner: Owner) -> None:
        self.id: int = number
        self.process: Any = process
        self.owner = owner
        self.started: float = monotonic()
        self.retiring: bool = False
        self.online = self.ready = self.spare = False
        self._parent = os.getpid()
        self.exited: Event = Event()
        self.news: Event = Event()
        self.worker: Worker = Worker(self)
        self.channel: Channel = Channel(
            wire,
            partial(owner.receive, self),
            partial(owner.lost, self),
            kinds=_KINDS_OF_WORKER,
            error=ERROR,
        )

    def __repr__(self) -> str:
        return repr(self.worker)

    def is_dead(self) -> bool:
        """Whether it has ended."""
        return self.process.returncode is not None

    def kill(self, signum: int) -> None:
        """Send it a signal."""
        # A forked child of the primary has copies of the greenlets that wait for workers to end.
        if not self.is_dead() and self._parent == os.getpid():
            self.process.send_signal(signum)

    def tell_to_stop(self, grace: float | None, drain: bool) -> None:
        """Have it stop.

        :param drain: its connections may end by themselves.
        """
        self.retiring = True
        self.channel.post("stop", grace=grace, drain=drain)

    def count(self, place: Any) -> int | TimeoutError:
        """Block for the number of its connections."""
        try:
            answer = self.channel.ask("count", COUNT_SECONDS, {"count": int}, place=place).drop()
        except TimeoutError as exc:
            return exc
        except OSError:
            # It has died, and its connections with it.
            return 0
        return int(answer.fields.get("count", 0))

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.worker.pid

    def line(self) -> int:
        """Block for a connection to it, over which it answers the live view.

        :returns: its descriptor, the caller's to close.
        :raises OSError: the worker has gone, does not answer, or no descriptor is left.
        """
        answer = self.channel.ask("live", LINE_SECONDS)
        if "error" in answer.fields:
            answer.drop()
            raise error_of(answer.fields["error"])
        if answer.fd is None:
            raise system_error(errno.EMFILE, "recvmsg")
        return answer.fd

    def cause_of_end(self) -> tuple[int | None, int | None]:
        """Its exit code, or the signal that it has died of."""
        code = self.process.returncode
        return (None, -code) if code < 0 else (code, None)


def start(
    argv: Sequence[str], env: Mapping[str, str], number: int, grace: float | None
) -> tuple[Any, Wire]:
    """Start the process of a worker; gives it, and this end of the channel to it.

    :raises OSError: the program cannot be started.
    """
    try:
        return _start(argv, env, number, grace)
    except OSError as exc:
        raise annotate(exc, "spawn", argv[0]) from None


def _start(
    argv: Sequence[str], env: Mapping[str, str], number: int, grace: float | None
) -> tuple[Any, Wire]:
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)  # type: ignore[attr-defined,unused-ignore]
    wire = Wire.adopt(ours.detach())
    try:
        settings = json.dumps({"id": number, "fd": theirs.fileno(), "grace": grace})
        process = subprocess.Popen(
            argv, env={**os.environ, **env, ENVIRONMENT: settings}, pass_fds=[theirs.fileno()]
        )
    except BaseException:
        wire.close()
        raise
    finally:
        theirs.close()
    return process, wire


def own_command() -> list[str]:
    """What has started this process.

    :raises RuntimeError: it reads its program from its input.
    """
    if sys.argv[0] in ("", "-"):
        raise RuntimeError("there is no program to start again: give argv")
    return [sys.executable, *sys.orig_argv[1:]]
