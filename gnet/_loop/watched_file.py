"""Following a file: whoever wants to know is told when it has changed, without a thread.

The file is looked at now and then by a timer, which keeps no program running. What has changed is
read when two looks in a row have found the same, so that a file that is being written is left
alone; one that is moved to its place is whole at any time.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import ref

import gevent
from gevent._hub_local import get_hub_if_exists

from .._values.report import report
from ..errors import annotate
from .timers import start_timer

__all__ = ["FileWatch", "read_file"]

# How soon a file that has changed is looked at again, before it is read.
SETTLING_SECONDS = 0.2
# Of two changes within a tick of the file system's clock the second is not to be seen, where the
# size stays. FAT has the longest ticks. What was changed so shortly ago is read again.
YOUNG_NANOSECONDS = 2_000_000_000


class Version(NamedTuple):
    """What tells one content of a file from another, as far as it can be told without reading."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> Version:
        return cls(
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            # Not on Windows, where that is when it was made.
            status.st_ctime_ns if os.name == "posix" else 0,
        )


def read_file(path: str) -> tuple[bytes, Version]:
    """What a file has, and the version that it was opened in.

    :raises OSError: it cannot be read, or is a FIFO, which would hold up everything; annotated.
    """
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE))
        with open(path, "rb") as file:
            # Ahead of the reading: what is changed meanwhile is another version.
            version = Version.of(os.fstat(file.fileno()))
            return file.read(), version
    except OSError as exc:
        raise annotate(exc, "open", path) from None


class FileWatch:
    """What :meth:`gnet.BlockList.watch` gives: it follows the file until :meth:`stop`.

    :ivar path: the file.
    :ivar error: why the file, as it is, was not taken over: the exception; ``None`` when it was.

    :param path: the file.
    :param interval: how often to look, in seconds.
    :param owner: whose method it is. The watch does not keep it, and ends with it.
    :param name: the method's name. It is called in a greenlet with what the file has and with the
        path, may give way to other greenlets meanwhile, and returns the function that takes
        over what it has read; that is not called any more when the watch was stopped meanwhile.
    """

    __slots__ = (
        "__weakref__", "_content", "_hub", "_interval", "_name", "_owner", "_seen", "_stopped",
        "_taken", "_timer", "error", "path",
    )  # fmt: skip

    def __init__(self, path: str, interval: float, owner: object, name: str) -> None:
        self.path: str = path
        self.error: Exception | None = None
        self._interval = interval
        self._owner = ref(owner, self._abandon)
        self._name = name
        self._stopped = False
        self._timer: Any = None
        # The version that was taken over or refused, the one of the last look; None: no file.
        self._taken: Version | None = None
        self._seen: Version | None = None
        # The hash of what was read, while it is young.
        self._content: int | None = None
        self._hub: Any = gevent.get_hub()

    def start(self) -> None:
        """Read the file at once, and follow it from now on.

        :raises Exception: it cannot be read, or what it has is refused.
        """
        self._take(*read_file(self.path))
        if not self._stopped:
            self._look_after(self._interval)

    def stop(self) -> None:
        """Follow the file no more; what it has said stays. May be called in any thread."""
        self._stopped = True
        # A timer is its own thread's to close; that of another one closes when it is due.
        if get_hub_if_exists() is self._hub:
            self._close_timer()

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else f"every {self._interval:g} s"
        return f"<{type(self).__name__} of {self.path!r}, {state}>"

    def _abandon(self, _: object) -> None:
        self.stop()

    def _close_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.close()

    def _look_after(self, seconds: float) -> None:
        self._timer = start_timer(self._hub.loop, seconds, self._look)
        # That a file might change is no reason for a program to go on.
        self._timer.ref = False

    def _look(self) -> None:
        """In the hub."""
        self._close_timer()
        if self._stopped:
            return
        version = self._version()
        if version == self._taken and self._content is None:
            self._seen = version
            self._look_after(self._interval)
        elif version != self._seen:
            self._seen = version
            self._look_after(min(self._interval, SETTLING_SECONDS))
        else:
            gevent.spawn(self._follow)

    def _version(self) -> Version | None:
        try:
            return Version.of(os.stat(self.path))
        except OSError:
            # Reading it will tell why.
            return None

    def _follow(self) -> None:
        """In a greenlet: take over what the file has now, or tell why not, once."""
        try:
            self._take(*read_file(self.path))
        except Exception as exc:
            if isinstance(exc, OSError):
                self._taken, self._content = self._seen, None
            self.error = exc
            report(self._hub, self, exc)
        finally:
            if not self._stopped:
                self._look_after(self._interval)

    def _take(self, data: bytes, version: Version) -> None:
        content, known = hash(data), self._content
        is_young = time.time_ns() - version.modified < YOUNG_NANOSECONDS
        same = version == self._taken and content == known
        self._taken = self._seen = version
        self._content = content if is_young else None
        owner = self._owner()
        if same or owner is None:
            return
        take_over: Callable[[], object] = getattr(owner, self._name)(data, self.path)
        if not self._stopped:
            take_over()
            self.error = None
