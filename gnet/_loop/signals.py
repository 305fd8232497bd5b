"""The handlers of signals, put back as they were."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["handlers_kept", "one_interrupt"]


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
def one_interrupt(hub: Any) -> Iterator[None]:
    """Have Ctrl-C raise its exception where the main greenlet is blocked, and nothing beside.

    gevent throws it there in any case; but first it prints the traceback of the hub, or of the
    listener, that the signal has come in.
    """
    before = hub.NOT_ERROR
    hub.NOT_ERROR = (*before, KeyboardInterrupt)
    try:
        yield
    finally:
        hub.NOT_ERROR = before
