"""A watcher of the loop's that keeps nobody when it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .protocol import Watcher

__all__ = ["ForgetfulWatcher"]


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
