"""A watcher for what has no descriptor that the loop could watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .protocol import Watcher

__all__ = ["Wakeup"]


class Wakeup(Watcher):
    """A watcher that fires when it is told to look, for as long as there is reason.

    :param loop: the loop.
    :param ready: tells whether there is reason to call back now; asked in the loop, when it was
        started, behind each call back, and when :meth:`wake` says that the answer may be another.
    """

    __slots__ = ("_ready", "_watcher", "args", "callback")

    def __init__(self, loop: Any, ready: Callable[[], bool]) -> None:
        self._ready = ready
        self.callback: Callable[..., object] | None = None
        self.args: tuple[Any, ...] = ()
        # Always started, as libuv's must be for a thread to wake it; it holds the loop only while
        # it has a callback.
        self._watcher: Any = loop.async_(ref=False)
        self._watcher.start(self._fired)

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        self.callback = callback
        self.args = args
        self._watcher.ref = True
        self.wake()

    def stop(self) -> None:
        self.callback = None
        self.args = ()
        if self._watcher is not None:
            self._watcher.ref = False

    def close(self) -> None:
        self.stop()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.close()

    def wake(self) -> None:
        """There may be reason now. May be called from any thread, and when it is stopped."""
        watcher = self._watcher
        if watcher is not None:
            watcher.send()

    def _fired(self) -> None:
        if self.callback is None or not self._ready():
            return
        try:
            self.callback(*self.args)
        finally:
            # Whoever was told has its turn before the next look, and mostly leaves nothing.
            if self.callback is not None:
                self.wake()
