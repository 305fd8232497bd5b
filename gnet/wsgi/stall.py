"""Noticing that an application blocks the loop, and everybody else with it."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from .._values.originals import original

__all__ = ["StallWatch"]

#: An application that keeps the loop for so long is told of, in seconds.
STALL_SECONDS = 1.0
#: So often it is looked at in that time.
LOOKS = 4

_log = logging.getLogger("gnet")

# The system's own, also where the standard library's are gevent's.
_allocate_lock = original("_thread", "allocate_lock")
_get_ident = original("_thread", "get_ident")
_start_new_thread = original("_thread", "start_new_thread")


class StallWatch:
    """A thread that asks the loop for a sign of life, and tells of an application, once.

    :param wake: has the loop call a function; it may be called in any thread.
    :param inside: the code that calls the application: a loop that stands still elsewhere is
        not the application's doing.
    """

    def __init__(self, wake: Callable[..., Any], inside: CodeType) -> None:
        self._wake = wake
        self._inside = inside
        self._watched = _get_ident()
        self._alive = True
        self._stopped = _allocate_lock()
        self._stopped.acquire()
        _start_new_thread(self._watch, ())

    def stop(self) -> None:
        """Watch no more."""
        if self._stopped.locked():
            self._stopped.release()

    def _live(self) -> None:
        self._alive = True

    def _watch(self) -> None:
        """In the thread: look again and again, until it is told to stop or has told."""
        blocking: FrameType | None = None
        looks = 0
        while True:
            if self._alive:
                self._alive, blocking, looks = False, None, 0
                try:
                    self._wake(self._live)
                except Exception:
                    # The loop has gone.
                    return
            if self._stopped.acquire(timeout=STALL_SECONDS / LOOKS):
                return
            frame = None if self._alive else sys._current_frames().get(self._watched)
            call = self._call_in(frame)
            # A loop that has much to do is with one application now, and with another then.
            looks = looks + 1 if call is not None and call is blocking else 0
            blocking = call
            if looks >= LOOKS:
                self._tell(frame)
                return

    def _call_in(self, frame: FrameType | None) -> FrameType | None:
        """The call of an application that a frame belongs to, if it does."""
        while frame is not None and frame.f_code is not self._inside:
            frame = frame.f_back
        return frame

    def _tell(self, frame: FrameType | None) -> None:
        stack = "".join(traceback.format_stack(frame))
        _log.warning(
            "an application has blocked the loop, and all other connections, for more than %g "
            "seconds. It should wait through gevent (gnet wsgi --patch), or in threads "
            "(--threads). This is told once; it is at:\n%s",
            STALL_SECONDS,
            stack,
        )
