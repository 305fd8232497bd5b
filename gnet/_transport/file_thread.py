"""Reads and writes of a descriptor that goes on blocking, in a thread of their own.

For a file that cannot be opened anew: to make its descriptor non-blocking would change it for all
that have it. The loop could watch it as it is (libev only; libuv makes what it watches
non-blocking), and the hub read when it is readable. But who shares a terminal mostly sits in a
read of it: what arrives wakes both, and the one that comes second blocks until there is more. If
that is the hub, the program stands still for as long as nobody types. So it is a thread that
waits until the descriptor is ready, and that reads and writes, when it is told to.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._values.originals import original
from .descriptors import close_descriptor
from .protocol import Watcher, refuse
from .wakeup import Wakeup

assert sys.platform != "win32"

__all__ = ["FileThread", "events_of", "let_finish"]

# So long a caller waits for the thread to carry out what can be done at once, in seconds. It takes
# longer only where another process was faster, or the machine is busy.
HANDOVER_SECONDS = 0.01
# So long close() waits for a thread that is in no call that blocks.
END_SECONDS = 1.0
# And so long the end of the program for one that still writes.
PATIENCE_SECONDS = 10.0

# Blocked, the terminal's own would make its reads fail, where they should stop the process.
_SIGNALS = signal.valid_signals() - {signal.SIGTTIN, signal.SIGTTOU}


def events_of(fd: int, wanted: int) -> int:
    """What ``poll()`` has to say of a descriptor at the moment; ``0`` if nothing.

    :param wanted: ``POLLIN``, ``POLLOUT``, or ``0`` for its end and failures alone.
    """
    poller = original("select", "poll")()
    poller.register(fd, wanted)
    found = poller.poll(0)
    return int(found[0][1]) if found else 0


class FileThread:
    """The thread of one direction of a descriptor.

    It starts when it is needed, and takes one order at a time.

    :ivar busy: whether an order was given whose outcome nobody has taken.
    :ivar kept: what was read and nobody has taken.
    """

    __slots__ = (
        "_ask", "_asked", "_done", "_ended", "_events", "_fd", "_found", "_given", "_job",
        "_late", "_outcome", "_waits", "_watcher", "busy", "kept",
    )  # fmt: skip

    def __init__(self, fd: int, events: int) -> None:
        self._given = fd
        self._events = events
        # The descriptors of the thread, which closes them when it ends, and one to wake it by.
        self._fd = self._asked = self._ask = -1
        self._watcher: Wakeup | None = None
        self.busy = False
        self.kept = b""
        self._job: Callable[[int], Any] | None = None
        self._outcome: Any = None
        # The caller has not waited for the outcome: the watcher fires.
        self._late = False
        # The thread is to say when the descriptor is ready; and has said so.
        self._waits = False
        self._found = False
        # Locks of the system's, released by the thread.
        self._done: Any = None
        self._ended: Any = None

    # -- orders -------------------------------------------------------------------------------

    def order(self, job: Callable[[int], Any]) -> bool:
        """Have the thread call ``job`` with its descriptor.

        :returns: whether that is done; else the watcher fires when it is.
        :raises BlockingIOError: the descriptor is not ready.
        """
        if not events_of(self._given, self._events):
            refuse(errno.EAGAIN)
        self._start_thread()
        self.busy = True
        self._late = False
        if self._events == select.POLLOUT:
            _writing.add(self)
        self._job = job
        os.write(self._ask, b"\1")
        if self._done.acquire(timeout=HANDOVER_SECONDS):
            return True
        self._late = True
        return bool(self._done.acquire(False))

    def outcome(self) -> Any:
        """What a job gave that is done; raises what it raised."""
        self.busy = False
        (result, error), self._outcome = self._outcome, None
        if error is not None:
            raise error
        return result

    def late_outcome(self) -> Any:
        """The :meth:`outcome` of a job that was not done at once.

        :raises BlockingIOError: it still is not.
        """
        if not self._done.acquire(False):
            refuse(errno.EAGAIN)
        return self.outcome()

    def end(self) -> None:
        """Have the thread end, behind the job that it is in."""
        if self._ask >= 0:
            os.write(self._ask, b"\0")
            close_descriptor(self._ask)
            self._ask = -1
            if not (self.busy and self._done.locked()):
                self._ended.acquire(timeout=END_SECONDS)

    def abandon(self) -> None:
        """In a forked child, which has the descriptors and no thread."""
        for fd in self._ask, self._asked, self._fd:
            if fd >= 0:
                close_descriptor(fd)
        self._ask = self._asked = self._fd = -1

    # -- readiness ----------------------------------------------------------------------------

    def watch(self, loop: Any) -> Watcher:
        """A watcher of this loop's for the descriptor."""
        # While that is stopped the thread may wait on: nothing is read by that.
        self._watcher = Wakeup(loop, self._is_ready)
        return self._watcher

    def _is_ready(self) -> bool:
        """Whether there is something now; if there is not, have the thread wait for it."""
        if self._found or self.kept or (self.busy and not self._done.locked()):
            self._found = False
            return True
        if not self.busy and not self._waits:
            self._start_thread()
            self._waits = True
            os.write(self._ask, b"\1")
        return False

    # -- the thread ---------------------------------------------------------------------------

    def _start_thread(self) -> None:
        if self._ask >= 0:
            return
        allocate_lock = original("_thread", "allocate_lock")
        self._done, self._ended = allocate_lock(), allocate_lock()
        self._done.acquire()
        self._ended.acquire()
        self._fd = _socket.dup(self._given)
        try:
            self._asked, self._ask = os.pipe()
            original("_thread", "start_new_thread")(self._run, ())
        except RuntimeError as exc:
            self.abandon()
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from exc
        except BaseException:
            self.abandon()
            raise

    def _run(self) -> None:
        # Signals are for the others; and a reader that has gone is an error of the write.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        poller = original("select", "poll")()
        poller.register(self._asked, select.POLLIN)
        try:
            while self._turn(poller):
                pass
        finally:
            close_descriptor(self._asked)
            close_descriptor(self._fd)
            self._ended.release()

    def _turn(self, poller: Any) -> bool:
        """Wait for an order, or for the descriptor; tells whether to go on."""
        if self._waits:
            poller.register(self._fd, self._events)
        ready = {fd for fd, _ in poller.poll()}
        # One that has hung up is ready whatever it is asked for.
        with suppress(KeyError):
            poller.unregister(self._fd)
        if self._fd in ready:
            self._waits = False
            self._found = True
            self._notify()
        goes_on = self._asked not in ready or b"\0" not in os.read(self._asked, 1024)
        job, self._job = self._job, None
        if job is not None:
            try:
                self._outcome = job(self._fd), None
            except BaseException as exc:
                self._outcome = None, exc
            _writing.discard(self)
            self._done.release()
            if self._late:
                self._notify()
        return goes_on

    def _notify(self) -> None:
        # The watcher may be closed meanwhile.
        with suppress(Exception):
            if self._watcher is not None:
                self._watcher.wake()

    def close(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            self._watcher.close()


#: Those that write something.
_writing: set[FileThread] = set()


def let_finish() -> None:
    """At the end of the program, when no socket asks any more: what they gave is written."""
    for each in list(_writing):
        each._done.acquire(timeout=PATIENCE_SECONDS)


# A child has no such thread.
os.register_at_fork(after_in_child=_writing.clear)
