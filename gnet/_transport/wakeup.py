"""A watcher for what has no descriptor that the loop could watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .protocol import Watcher

__all__ = ["Wakeup"]


class Wakeup(Watcher):
    """A watcher that fires when it is told to look, for as long as there is reason.

    :param loop: the loop.
    :param ready: tells whether there is reason now; asked whenever it is started, and behind each
        call back. What may change the answer calls :meth:`wake`.
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
        if self._ready():
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
        if self.callback is None:
            return
        try:
            self.callback(*self.args)
        finally:
            # Like every watcher of a descriptor it fires for as long as that is ready.
            if self.callback is not None and self._ready():
                self.wake()
