"""Signals: their handlers are called in time, and put back as they were."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .._transport.descriptors import close_descriptor
from .._transport.protocol import READ
from .._transport.stream_socket import is_libuv

__all__ = ["handlers_kept", "signals_heard"]


@contextmanager
def handlers_kept(numbers: Iterable[int]) -> Iterator[None]:
    """Have the handlers be those of before, behind the block.

    The loop leaves the system's default where it has minded a signal.

    :param numbers: of which signals. In any thread but the main one nothing is done.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(ValueError):
                # None: one that was not installed from Python, and cannot be put back.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def signals_heard(hub: Any) -> Iterator[None]:
    """Have a signal's handler be called at once while the hub waits, and Ctrl-C raise once.

    :param hub: the hub of this thread. In any thread but the main one nothing is done for
        handlers, as the interpreter calls them in the main thread.
    """
    before = hub.NOT_ERROR
    # gevent throws the exception where the main greenlet is blocked. But first it prints the
    # traceback of the hub, or of the listener, that the signal has come in.
    hub.NOT_ERROR = (*before, KeyboardInterrupt)
    try:
        with _signals_waking(hub.loop):
            yield
    finally:
        hub.NOT_ERROR = before


@contextmanager
def _signals_waking(loop: Any) -> Iterator[None]:
    """Have a signal end the waiting of the loop.

    The interpreter calls a handler ahead of its next step. A signal that comes after the loop has
    last looked for one, and before it waits, has its handler called behind the next event, which
    may never come: 6 of 1,200 programs missed a SIGTERM that was sent when they had just said that
    they serve.
    """
    # libuv's loop looks for them three times a second, in a call of its own. In any other of its
    # calls the exception of a handler would be printed and forgotten.
    pipe = None if is_libuv(loop) else _wakeup_pipe()
    if pipe is None:
        yield
        return
    waking = _Waking(loop, *pipe)
    try:
        yield
    finally:
        waking.close()


class _Waking:
    """A pipe that wakes a loop at each signal; at most one in a process."""

    #: The one that there is.
    current: _Waking | None = None

    def __init__(self, loop: Any, reading: int, writing: int) -> None:
        self._descriptors = reading, writing
        self._watcher = loop.io(reading, READ, ref=False)
        # Not directly: the exception of a handler would stop the watcher.
        self._watcher.start(loop.run_callback, _drain, reading)
        _Waking.current = self

    def close(self) -> None:
        """Wake the loop no more."""
        if _Waking.current is not self:
            return
        _Waking.current = None
        reading, writing = self._descriptors
        current = signal.set_wakeup_fd(-1)
        if current != writing:
            # Somebody's who has come since.
            signal.set_wakeup_fd(current)
        self._watcher.stop()
        self._watcher.close()
        close_descriptor(reading)
        close_descriptor(writing)


def _close_inherited() -> None:
    """In a forked child: close the pipe, which is the parent's."""
    # A signal of the child would wake the parent, and the child would read what is to wake it.
    if _Waking.current is not None:
        _Waking.current.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


def _wakeup_pipe() -> tuple[int, int] | None:
    """A pipe that gets a byte for each signal; none where that is not possible."""
    if sys.platform == "win32":
        return None
    # ValueError: another thread than the main one. OSError: no descriptor is left, and a signal
    # may wait for the next event.
    with suppress(ValueError, OSError):
        before = signal.set_wakeup_fd(-1)
        if before != -1:
            # Another's, who has a loop to wake; or ours, of the run() that this one is inside.
            signal.set_wakeup_fd(before)
            return None
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        return reading, writing
    return None


def _drain(descriptor: int) -> None:
    # The interpreter calls the handlers as soon as the loop has called this.
    with suppress(BlockingIOError):
        os.read(descriptor, 4096)
