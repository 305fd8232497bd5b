"""The handshake of a TLS connection, a step whenever the transport below is ready for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .._transport.protocol import Transport, Watcher
from ..errors import DeadlineError, annotate, coded
from .timers import Deadline, IdleTimers

__all__ = ["Handshake", "Steps", "too_slow"]


class Steps(Protocol):
    """What goes on in steps, on a transport.

    :ivar inner: the transport.
    :ivar wants: what the next step waits for: to read from the transport, or to write.
    """

    @property
    def inner(self) -> Transport: ...

    @property
    def wants(self) -> int: ...


class Handshake:
    """Takes the steps in the hub, one in a turn, until they are done or one fails.

    :param loop: gevent's loop.
    :param timers: the timers of the loop.
    :param steps: whose they are.
    :param step: takes one; raises :class:`BlockingIOError` when another one is needed, and any
        other exception when they have failed.
    :param done: called in the hub with ``None``, or with what they have failed with; not behind
        :meth:`stop`.
    :param seconds: how long they may take; ``None`` for no limit.
    """

    __slots__ = (
        "__weakref__", "_deadline", "_done", "_loop", "_seconds", "_step", "_steps", "_timers",
        "_watchers",
    )  # fmt: skip

    def __init__(
        self,
        loop: Any,
        timers: IdleTimers,
        steps: Steps,
        step: Callable[[], object],
        done: Callable[[BaseException | None], object],
        seconds: float | None = None,
    ) -> None:
        self._loop = loop
        self._timers = timers
        self._steps = steps
        self._step = step
        self._done = done
        self._seconds = seconds
        self._deadline: Deadline | None = None
        self._watchers: dict[int, Watcher] | None = None

    def limit(self) -> None:
        """Begin to count the time; :meth:`start` does so otherwise."""
        if self._seconds is not None and self._deadline is None:
            self._deadline = Deadline(self._timers, self._seconds, self, "_too_late")

    def start(self) -> None:
        """Begin, in the next turn of the loop."""
        self._watchers = {}
        self.limit()
        self._loop.run_callback(self._go_on)

    def stop(self) -> None:
        """Take no more steps, and close the watchers."""
        watchers, self._watchers = self._watchers, None
        for watcher in (watchers or {}).values():
            watcher.close()
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()

    def _go_on(self) -> None:
        if self._watchers is None:
            return
        try:
            self._step()
        except BlockingIOError:
            self._watch(self._watchers)
        except BaseException as exc:
            self._end(exc)
            if not isinstance(exc, Exception):
                # A signal's handler has raised it.
                raise
        else:
            self._end(None)

    def _watch(self, watchers: dict[int, Watcher]) -> None:
        wanted = self._steps.wants
        for events, watcher in watchers.items():
            if events != wanted:
                watcher.stop()
        watcher = watchers.get(wanted)  # type: ignore[assignment]
        if watcher is None:
            watcher = watchers[wanted] = self._steps.inner.watch(self._loop, wanted)
        if watcher.callback is None:
            # Not directly: gevent stops a watcher whose callback has raised.
            watcher.start(self._loop.run_callback, self._go_on)

    def _end(self, error: BaseException | None) -> None:
        self.stop()
        self._done(named(error))

    def _too_late(self) -> None:
        """In the hub: the deadline is over."""
        assert self._seconds is not None
        self._deadline = None
        self._end(too_slow(self._seconds))


def named(error: BaseException | None) -> BaseException | None:
    """An error with ``code`` and ``syscall``, where it is the system's and has none yet."""
    if isinstance(error, OSError) and not hasattr(error, "code"):
        return annotate(error, "handshake")
    return error


def too_slow(seconds: float) -> DeadlineError:
    """The error of a handshake that has taken too long."""
    return coded(DeadlineError("handshake_timeout", seconds), "ERR_TLS_HANDSHAKE_TIMEOUT")
