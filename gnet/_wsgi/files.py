"""``wsgi.file_wrapper``: a file as a response's body, which the kernel sends where it can."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..socket import Socket

__all__ = ["FileWrapper"]

BLOCK_BYTES = 65536


class FileWrapper:
    """A file whose rest is the body.

    :param file: what has ``read()``; it is closed behind the response, if it has ``close()``.
    :param block_size: how much is read at once where the kernel cannot send it.
    """

    __slots__ = ("_block_size", "_file")

    def __init__(self, file: Any, block_size: int = BLOCK_BYTES) -> None:
        self._file = file
        self._block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self._file.read(self._block_size)
            if not data:
                return
            yield data

    def close(self) -> None:
        """Close the file."""
        if hasattr(self._file, "close"):
            self._file.close()

    def left(self) -> int | None:
        """How many bytes are left of a file of the system's; ``None`` for any other."""
        # A temporary file of the standard library's, or one of Django's.
        file = getattr(self._file, "file", self._file)
        # Others have a descriptor, too, but not that of what they read: gzip's, for one.
        if not isinstance(getattr(file, "raw", file), io.FileIO):
            return None
        try:
            position: int = file.tell()
            status = os.fstat(file.fileno())
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return max(0, status.st_size - position)

    def send(self, sock: Socket, count: int) -> int:
        """Send so many bytes of it; gives how many there were."""
        file = getattr(self._file, "file", self._file)
        return sock.sendfile(file, file.tell(), count)
