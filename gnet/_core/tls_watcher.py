"""The watchers of a TLS connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._transport.protocol import READ, Watcher
from .._transport.wakeup import Wakeup

__all__ = ["TLSWatcher"]


class TLSWatcher:
    """A watcher of a TLS connection.

    The watcher of the transport below calls back by itself. What has been decrypted already that
    one does not see: for as long as there is some, a :class:`Wakeup` calls back as well, which is
    made when it is first needed.
    """

    __slots__ = ("_args", "_callback", "_events", "_loop", "_other", "_source", "_wakeup", "_wire")

    def __init__(self, wire: Any, loop: Any, events: int) -> None:
        self._wire = wire
        self._loop = loop
        self._events = events
        self._callback: Callable[..., object] | None = None
        self._args: tuple[Any, ...] = ()
        self._source: Any = wire.inner.watch(loop, events)
        # What a write that has to hear something first waits for.
        self._other: Any = None
        self._wakeup: Wakeup | None = None

    @property
    def callback(self) -> Callable[..., object] | None:
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[..., object] | None) -> None:
        self._callback = callback
        for each in (self._source, self._other, self._wakeup):
            if each is not None and each.callback is not None:
                each.callback = callback

    @property
    def args(self) -> tuple[Any, ...]:
        return self._args

    @args.setter
    def args(self, args: tuple[Any, ...]) -> None:
        self._args = args
        for each in (self._source, self._other, self._wakeup):
            if each is not None and each.callback is not None:
                each.args = args

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        self._callback = callback
        self._args = args
        if self._events == READ:
            self._source.start(callback, *args)
            if self._wire.has_input():
                self.wake()
        elif self._wire.stuck:
            self._source.stop()
            if self._other is None:
                self._other = self._wire.inner.watch(self._loop, READ)
            self._other.start(callback, *args)
        else:
            if self._other is not None:
                self._other.stop()
            self._source.start(callback, *args)

    def stop(self) -> None:
        self._callback = None
        self._args = ()
        self._source.stop()
        if self._other is not None:
            self._other.stop()
        if self._wakeup is not None:
            self._wakeup.stop()

    def close(self) -> None:
        self._callback = None
        self._args = ()
        self._source.close()
        if self._other is not None:
            self._other.close()
        wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None:
            wakeup.close()

    def wake(self) -> None:
        """There is something to read, though the transport below is quiet."""
        if self._events != READ or self._callback is None:
            return
        if self._wakeup is None:
            self._wakeup = Wakeup(self._loop, self._wire.has_input)
        # It looks for itself whether there is reason.
        self._wakeup.start(self._callback, *self._args)


if TYPE_CHECKING:

    def _implemented(watcher: TLSWatcher) -> Watcher:
        return watcher
