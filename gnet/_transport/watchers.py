"""Watchers of gevent's other loop, libuv, with what that one's own lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .protocol import Watcher

__all__ = ["ForgetfulWatcher", "RestartingWatcher"]


class ForgetfulWatcher(Watcher):
    """A watcher of the loop's that forgets whom it called when it is stopped.

    libuv's own keeps the arguments, and a socket keeps its watchers: with a method of the
    socket's they are a cycle, in which the collector may close the descriptor ahead of the socket.
    """

    __slots__ = ("args", "callback", "watcher")

    def __init__(self, watcher: Any) -> None:
        self.watcher = watcher
        self.callback: Callable[..., object] | None = None
        self.args: tuple[Any, ...] = ()

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        self.callback = callback
        self.args = args
        self.watcher.start(self.call)

    def stop(self) -> None:
        self.forget()
        self.watcher.stop()

    def close(self) -> None:
        self.forget()
        self.watcher.close()

    def call(self) -> None:
        if self.callback is not None:
            self.callback(*self.args)

    def forget(self) -> None:
        self.callback = None
        self.args = ()


class RestartingWatcher(ForgetfulWatcher):
    """A watcher of libuv's that goes on behind an error.

    libuv stops one for good that finds ``POLLERR``, which a reset is. What is read then may be
    the data that came before it, and of the reset itself nobody would ever hear.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: Any, watcher: Any) -> None:
        super().__init__(watcher)
        self._loop = loop

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        self.callback = callback
        self.args = args
        self.watcher.start(self._fired, pass_events=True)

    def _fired(self, events: int) -> None:
        if events < 0:
            # Not here: gevent stops what libuv has, behind this callback.
            self._loop.run_callback(self._restart)
        self.call()

    def _restart(self) -> None:
        if self.callback is not None:
            self.watcher.start(self._fired, pass_events=True)
