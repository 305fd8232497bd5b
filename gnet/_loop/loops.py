"""What gevent's loops need to be asked for in time, and where they differ."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from .._transport.descriptors import close_descriptor
from .._transport.stream_socket import is_libuv
from ..errors import annotate, coded

__all__ = ["check_descriptors", "each_turn", "gone_error", "prepare"]


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


def gone_error() -> RuntimeError:
    """The error for what belongs to a thread that is no more."""
    message = "its thread has ended, or the thread's hub was destroyed"
    return coded(RuntimeError(message), "ERR_THREAD_ENDED")
