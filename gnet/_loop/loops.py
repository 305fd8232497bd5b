"""What gevent's loops need to be asked for in time, and where they differ."""

from __future__ import annotations

import os
from collections import deque
from importlib import import_module
from typing import Any

from gevent.hub import Waiter

from .._transport.descriptors import close_descriptor
from .._transport.stream_socket import is_libuv
from ..errors import annotate, coded

__all__ = ["check_descriptors", "each_turn", "gone_error", "look_around", "prepare"]


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
    """A watcher that fires in each turn of the loop, behind those of descriptors."""
    # libev's check watchers fire before those, and libuv has no prepare watchers.
    return loop.check(ref=False) if is_libuv(loop) else loop.prepare(ref=False)


def look_around(hub: Any, lookers: deque[Any]) -> None:
    """Block until the loop has looked for events, and who waited for those has been told.

    :param hub: the hub of the calling greenlet.
    :param lookers: who else of the hub's is in here; they go on in the order of their calls.
    """
    loop = hub.loop
    waiter: Any = Waiter(hub)
    lookers.append(waiter)
    with loop.idle() as busy, loop.check() as looked:
        # So it does not wait for any.
        busy.start(int)
        # What the descriptors' watchers hand to the loop comes behind the first of these calls,
        # and ahead of the second.
        looked.start(loop.run_callback, loop.run_callback, _let_go, lookers)
        try:
            waiter.get()
        finally:
            if waiter in lookers:
                lookers.remove(waiter)


def _let_go(lookers: deque[Any]) -> None:
    """In the hub: one of them has looked around. The watchers fire in no order of theirs."""
    if lookers:
        lookers.popleft().switch(None)


def gone_error() -> RuntimeError:
    """The error for what belongs to a thread that is no more."""
    message = "its thread has ended, or the thread's hub was destroyed"
    return coded(RuntimeError(message), "ERR_THREAD_ENDED")
