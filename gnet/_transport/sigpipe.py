"""Writes to what is no socket, in a program that has ``SIGPIPE`` at its default.

The interpreter ignores that signal from its start. A program that has it at the default, as one
that is to end quietly under ``head``, would end when a peer resets: for a socket's own calls there
is ``MSG_NOSIGNAL``, for ``write`` and ``splice`` there is not.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found,unused-ignore]
import _socket
import signal
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["NO_SIGNAL", "without_sigpipe"]

#: For every send of a socket's: a peer that has reset is an error and nothing else.
NO_SIGNAL: int = getattr(_socket, "MSG_NOSIGNAL", 0)


def without_sigpipe(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """``call(*args, **options)``, where a reader that has gone is an error and nothing else."""
    if sys.platform == "win32" or _signal.getsignal(_signal.SIGPIPE) != _signal.SIG_DFL:
        return call(*args, **options)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGPIPE,))
    try:
        return call(*args, **options)
    except BrokenPipeError:
        # The signal waits for this thread, and goes with the call that it is of.
        if signal.SIGPIPE not in blocked and signal.SIGPIPE in signal.sigpending():
            signal.sigwait((signal.SIGPIPE,))
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
