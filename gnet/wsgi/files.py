"""``wsgi.file_wrapper``: a file as a response's body, which the kernel sends where it can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .._loop.splicer import rest_of_file

if TYPE_CHECKING:
    from .._socket.socket import Socket

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
        """How many bytes are left of a file that the kernel can send; ``None`` for any other."""
        return rest_of_file(self._plain)

    def send(self, sock: Socket, count: int) -> int:
        """Send so many bytes of it; gives how many there were."""
        return sock.sendfile(self._plain, self._plain.tell(), count)

    @property
    def _plain(self) -> Any:
        # Temporary files of the standard library's, and Django's files, have one inside.
        return getattr(self._file, "file", self._file)
