"""Files as the destination of a pipe: what a socket has that they have not."""

from __future__ import annotations

import io
from typing import Any

import gevent

from .._transport.protocol import WRITE
from .emitter import EventEmitter

__all__ = ["OutFile", "is_file"]

#: How long to wait for a file that cannot say when it has room again, in seconds.
RETRY_SECONDS = 0.01


def is_file(destination: Any) -> bool:
    """Whether it is a file, of whatever class, and no stream of events."""
    return not isinstance(destination, EventEmitter) and callable(
        getattr(destination, "flush", None)
    )


class OutFile:
    """A file that gets everything that is written to it, however little it takes at once."""

    __slots__ = ("_file", "_raw")

    def __init__(self, file: Any) -> None:
        self._file = file
        # gevent's files, and temporary ones, have the real one inside.
        inner = (file, getattr(file, "io", None), getattr(file, "file", None))
        self._raw = any(isinstance(each, io.RawIOBase) for each in inner)

    def write(self, data: Any) -> None:
        """Write all of ``data``, and flush: who reads it may be waiting for just that.

        Blocks the calling greenlet until the file has taken everything.
        """
        while True:
            taken, waits = self._write_part(data)
            if taken >= len(data):
                break
            data = (memoryview(data) if isinstance(data, bytes) else data)[taken:]
            if waits or not taken:
                self._await_room()
        self._flush()

    def _write_part(self, data: Any) -> tuple[int, bool]:
        """Write; gives how much of it the file has, and whether it can have no more for now."""
        try:
            count = self._file.write(data)
        except BlockingIOError as exc:
            # A buffered one says so, and has kept a part.
            return getattr(exc, "characters_written", 0), True
        if count is None and self._raw:
            return 0, True
        # What else is given is no number of bytes, and everything has been taken.
        whole = len(data)
        return (count, False) if type(count) is int and 0 <= count < whole else (whole, False)

    def _flush(self) -> None:
        while True:
            try:
                self._file.flush()
                return
            except BlockingIOError:
                self._await_room()

    def _await_room(self) -> None:
        hub: Any = gevent.get_hub()
        try:
            watcher = hub.loop.io(self._file.fileno(), WRITE)
        except (AttributeError, OSError, ValueError):
            # A file without a descriptor, or with one that cannot be watched.
            gevent.sleep(RETRY_SECONDS)
            return
        # libuv's is no context manager.
        try:
            hub.wait(watcher)
        finally:
            watcher.close()
