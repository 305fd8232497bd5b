"""What gevent's loops need to be asked for in time, and where they differ."""

from __future__ import annotations

import os
from collections import deque
from importlib import import_module
from typing import Any

from gevent.hub import Waiter

from .._transport.descriptors import close_descriptor
from ..errors import annotate, coded

__all__ = ["Lookout", "check_descriptors", "each_turn", "gone_error", "prepare"]


def prepare(loop: Any) -> None:
    """Have all that takes a descriptor while there is one.

    :raises OSError: there is none left.
    """
    # libev opens a descriptor for the first such watcher, a lookup's for example, and aborts
    # the process when none is left by then, or now.
    check_descriptors()
    with loop.async_(ref=False) as early:
        early.start(bool)
    # gevent imports it when it hands the first exception on: with no descriptor left by then,
    # whoever waits for that would never hear of anything.
    import_module("pickle")


def check_descriptors() -> None:
    """Fail, as a call would, when there is no descriptor left for a pipe."""
    try:
        for end in os.pipe():
            close_descriptor(end)
    except OSError as exc:
        raise annotate(exc, "pipe") from None


def each_turn(loop: Any) -> Any:
    """A watcher that fires in each turn of libev's loop, behind those of descriptors."""
    # Check watchers fire ahead of those.
    return loop.prepare(ref=False)


class Lookout:
    """Where greenlets of a hub let its loop look for events.

    :param hub: the hub.
    """

    __slots__ = ("_hub", "_kept", "_lookers")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        # Who is in here; they go on in the order of their calls.
        self._lookers: deque[Any] = deque()
        # The watchers of one of them, for the next.
        self._kept: tuple[Any, Any] | None = None

    def look(self) -> None:
        """Block until the loop has looked for events, and who waited for those has been told."""
        loop = self._hub.loop
        lookers = self._lookers
        waiter: Any = Waiter(self._hub)
        lookers.append(waiter)
        watchers, self._kept = self._kept, None
        if watchers is None:
            watchers = loop.idle(), loop.check()
        busy, looked = watchers
        # So it does not wait for any.
        busy.start(int)
        # What the descriptors' watchers hand to the loop comes behind the first of these calls,
        # and ahead of the second.
        looked.start(loop.run_callback, loop.run_callback, self._let_go)
        try:
            waiter.get()
        finally:
            busy.stop()
            looked.stop()
            # Those of others that were in here at the same time are closed.
            self.forget()
            self._kept = watchers
            if waiter in lookers:
                lookers.remove(waiter)

    def forget(self) -> None:
        """Close what is kept: the hub goes, or is another process'."""
        watchers, self._kept = self._kept, None
        for watcher in watchers or ():
            watcher.close()

    def _let_go(self) -> None:
        """In the hub: one has looked around. The watchers fire in no order of theirs."""
        if self._lookers:
            self._lookers.popleft().switch(None)


def gone_error() -> RuntimeError:
    """The error for what belongs to a thread that is no more."""
    message = "its thread has ended, or the thread's hub was destroyed"
    return coded(RuntimeError(message), "ERR_THREAD_ENDED")
