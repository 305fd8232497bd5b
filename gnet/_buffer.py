"""The queue of what a socket has still to send."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice

from ._splice import KernelBytes

__all__ = ["Buffer", "Chunk", "WriteQueue", "first_bytes"]

Buffer = bytes | memoryview

# One sendmsg() takes this many buffers; IOV_MAX is 1024, and past 64 nothing is gained.
MAX_BUFFERS = 64


class Chunk:
    """One message, or the rest of one.

    :ivar data: what is not sent yet.
    :ivar callback: called with ``None`` when all of it is with the kernel, else with the error.
    :ivar awaited: whether a greenlet is blocked until it has been sent.
    :ivar sent: whether all of it is with the kernel.
    """

    __slots__ = ("awaited", "callback", "data", "sent")

    def __init__(self, data: Buffer | KernelBytes, callback: Callable[..., object] | None) -> None:
        self.data = data
        self.callback = callback
        self.awaited = False
        self.sent = False


class WriteQueue:
    """Messages in the order of their writing.

    :ivar size: how many bytes are queued.
    """

    __slots__ = ("_chunks", "size")

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def push(
        self, data: Buffer | KernelBytes, callback: Callable[..., object] | None = None
    ) -> Chunk:
        """Put a message behind the others."""
        chunk = Chunk(data, callback)
        self._chunks.append(chunk)
        self.size += len(data)
        return chunk

    def kernel_bytes(self) -> KernelBytes | None:
        """What is next, where the kernel has it."""
        data = self._chunks[0].data
        return data if isinstance(data, KernelBytes) else None

    def buffers(self) -> list[Buffer]:
        """The first buffers, as many as one ``sendmsg`` should take."""
        buffers: list[Buffer] = []
        for chunk in islice(self._chunks, MAX_BUFFERS):
            data = chunk.data
            if isinstance(data, KernelBytes):
                break
            buffers.append(data)
        return buffers

    def consume(self, count: int) -> list[Chunk]:
        """Drop ``count`` sent bytes; gives the messages that are sent whole."""
        self.size -= count
        done = []
        chunks = self._chunks
        while chunks:
            chunk = chunks[0]
            length = len(chunk.data)
            if isinstance(chunk.data, KernelBytes):
                chunk.data.drop(min(count, length))
            elif 0 < count < length:
                chunk.data = memoryview(chunk.data)[count:]
            if length > count:
                break
            count -= length
            chunk.sent = True
            done.append(chunks.popleft())
        return done

    def clear(self) -> list[Chunk]:
        """Drop everything; gives the messages that were not sent whole."""
        dropped = list(self._chunks)
        self._chunks.clear()
        self.size = 0
        for chunk in dropped:
            if isinstance(chunk.data, KernelBytes):
                chunk.data.close()
        return dropped


def first_bytes(buffers: list[Buffer], size: int) -> Buffer:
    """The first buffers as one, for a system that cannot send many at once.

    :param size: how many bytes of small buffers to put together; a larger one is not copied.
    """
    if len(buffers) == 1 or len(buffers[0]) >= size:
        return buffers[0]
    parts = []
    for buffer in buffers:
        parts.append(buffer[:size])
        size -= len(parts[-1])
        if not size:
            break
    return b"".join(parts)
