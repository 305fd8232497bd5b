"""A cluster as a service: the signals of who runs it, and what the service manager is told."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent

from .._loop.signals import handlers_kept
from .._server import notify

__all__ = ["Service"]


class Service:
    """What the primary of a cluster is to the system, while it blocks in ``run()``.

    :param interrupted: called at ``SIGTERM`` and ``SIGINT``, in a greenlet.
    :param hung_up: called at ``SIGHUP``, in a greenlet.
    """

    def __init__(self, interrupted: Callable[[], object], hung_up: Callable[[], object]) -> None:
        self._interrupted = interrupted
        self._hung_up = hung_up
        self._signals: list[Any] = []
        # Whether it runs, and whether the manager has been told that it serves.
        self._runs = self._serves = False

    @contextmanager
    def running(self, serves: Callable[[], bool]) -> Iterator[None]:
        """Inside, signals are handled, and the manager is told how the service is.

        :param serves: whether it serves by now; see :meth:`ready`.
        """
        self._runs = True
        self.ready(serves)
        with self._signals_handled(), notify.sign_of_life():
            yield

    @contextmanager
    def _signals_handled(self) -> Iterator[None]:
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # type: ignore[attr-defined,unused-ignore]
        actions = (self._interrupted, self._interrupted, self._hung_up)
        with handlers_kept(numbers):
            self._signals = list(map(gevent.signal_handler, numbers, actions))
            try:
                yield
            finally:
                self.release_signals()

    def release_signals(self) -> None:
        """Handle the signals no more."""
        for each in self._signals:
            each.cancel()
        self._signals.clear()

    def ready(self, serves: Callable[[], bool]) -> None:
        """Tell the manager, once, when the service has come to serve."""
        if self._runs and not self._serves and serves():
            self._serves = True
            notify.notify("READY=1")

    @contextmanager
    def reloading(self, is_over: Callable[[], bool]) -> Iterator[None]:
        """Inside, the service restarts.

        :param is_over: whether it has come to stop meanwhile.
        """
        self._tell("RELOADING=1")
        try:
            yield
        finally:
            if not is_over():
                self._tell("READY=1")

    def stopping(self) -> None:
        """The service has begun to stop."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if self._runs:
            notify.notify(state)
