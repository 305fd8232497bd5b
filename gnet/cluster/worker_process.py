"""A worker, as its primary sees it: a process, and the channel to it."""

from __future__ import annotations

import _socket
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from gevent import subprocess
from gevent.event import Event

from .._core.emitter import EventEmitter
from .._processes.channel import Channel, Message
from .._transport.stream_socket import Wire
from ..errors import annotate
from .this_worker import ENVIRONMENT

__all__ = ["Worker", "own_command", "start"]

#: How long a worker has to say how many connections it has, in seconds.
COUNT_SECONDS = 5.0

#: What a worker says: the fields of each kind of message, with their types.
_KINDS_OF_WORKER: dict[str, dict[str, Any]] = {
    "online": {},
    "ready": {},
    "listen": {"number": int, "place": list, "options": list},
    "close": {"place": list},
    "count": {"number": int, "place": (list, type(None))},
    "message": {"value": object},
}


class Worker(EventEmitter):
    """A worker, as its primary sees it.

    Emits ``online()``, ``listening(address)``, ``message(value)``, ``disconnect()`` and
    ``exit(code, signal)``.

    :ivar id: the worker's number, from 1, which no other worker of the cluster has had.
    :ivar process: its :class:`gevent.subprocess.Popen`.
    :ivar retiring: whether it was told to stop, so that its end is no accident.
    """

    def __init__(
        self,
        number: int,
        process: Any,
        wire: Wire,
        receive: Callable[[Worker, Message], object],
        lost: Callable[[Worker], object],
        dismiss: Callable[[Worker, float | None], object],
    ) -> None:
        super().__init__()
        self.id = number
        self.process = process
        self.retiring = False
        self._dismiss = dismiss
        self._started = monotonic()
        self._online = self._ready = False
        # Not needed yet: it is to replace another one that is still there.
        self._spare = False
        self._pid = os.getpid()
        self._exited = Event()
        # Set when anything about the worker has changed.
        self._news = Event()
        self._channel = Channel(
            wire, partial(receive, self), partial(lost, self), kinds=_KINDS_OF_WORKER
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
        self._dismiss(self, grace)

    def kill(self, signum: int = signal.SIGTERM) -> None:
        """Send a signal. A worker that dies of one is replaced. From Node's ``worker.kill()``.

        :param signum: ``SIGTERM`` has the worker end its connections and exit.
        """
        # A forked child of the primary has copies of the greenlets that wait for workers to end.
        if not self.is_dead() and self._pid == os.getpid():
            self.process.send_signal(signum)

    def _tell_to_stop(self, grace: float | None, drain: bool) -> None:
        self.retiring = True
        self._channel.post("stop", grace=grace, drain=drain)

    def _count(self, place: Any) -> int | TimeoutError:
        """Block for the number of its connections."""
        try:
            return int(
                self._channel.ask("count", COUNT_SECONDS, place=place).drop().fields["count"]
            )
        except TimeoutError as exc:
            return exc
        except OSError:
            # It has died, and its connections with it.
            return 0

    def _end(self) -> tuple[int | None, int | None]:
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
