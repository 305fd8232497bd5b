"""What a socket has still to send. It exists while something is queued, or held back by a cork."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice

from .._loop.splicer import KernelBytes
from .._transport.protocol import Transport
from .._transport.sigpipe import NO_SIGNAL
from .._values.buffers import Buffer

__all__ = ["MESSAGE_BYTES", "Chunk", "Outbox"]

# One sendmsg() takes this many buffers; IOV_MAX is 1024, and past 64 nothing is gained.
MAX_BUFFERS = 64
# A message of at most so many bytes is put together with those before it, up to so many in all:
# on its own it would take a hundred times the memory of its bytes.
SMALL_BYTES = 1024
MERGED_BYTES = 65536
#: What a message takes beside its bytes: the objects around it.
MESSAGE_BYTES = 128


class Chunk:
    """One message, the rest of one, or several small ones.

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


class Outbox:
    """Messages in the order of their writing.

    :ivar size: how many bytes are queued.
    :ivar awaited: how many of the chunks are awaited.
    :ivar corks: how many corks hold back what nobody awaits.
    :ivar full: whether ``'drain'`` is to follow when it is empty.
    :ivar peak: the most bytes that were queued.
    """

    __slots__ = ("_chunks", "awaited", "corks", "full", "peak", "size")

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self.size = 0
        self.peak = 0
        self.awaited = 0
        self.corks = 0
        self.full = False

    def __bool__(self) -> bool:
        return bool(self._chunks)

    @property
    def overhead(self) -> int:
        """What the queue takes beside the bytes that are queued."""
        return len(self._chunks) * MESSAGE_BYTES

    def push(
        self, data: Buffer | KernelBytes, callback: Callable[..., object] | None = None
    ) -> Chunk:
        """Put a message behind the others."""
        chunk = Chunk(data, callback)
        self._chunks.append(chunk)
        self.size += len(data)
        if self.size > self.peak:
            self.peak = self.size
        return chunk

    def unshift(self, data: Buffer) -> None:
        """Put a message ahead of the others."""
        self._chunks.appendleft(Chunk(data, None))
        self.size += len(data)
        if self.size > self.peak:
            self.peak = self.size

    def unsent(self) -> bytes:
        """What is queued, but for what a greenlet waits for, and what the kernel keeps."""
        return b"".join(
            bytes(each.data)
            for each in self._chunks
            if not each.awaited and not isinstance(each.data, KernelBytes)
        )

    def merge(self, data: Buffer) -> bool:
        """Put a message that nobody asks after behind the others, as a part of the last one.

        :returns: whether it could; else it is to be pushed.
        """
        size = len(data)
        if size > SMALL_BYTES or not self._chunks:
            return not size
        last = self._chunks[-1]
        rest = last.data
        if last.callback is not None or last.awaited:
            return not size
        if type(rest) is bytes and len(rest) <= SMALL_BYTES:
            rest = last.data = bytearray(rest)
        if type(rest) is not bytearray or len(rest) + size > MERGED_BYTES:
            return not size
        rest += data
        self.size += size
        if self.size > self.peak:
            self.peak = self.size
        return True

    def expect(self, chunk: Chunk) -> None:
        """A greenlet is about to block until the chunk is sent."""
        chunk.awaited = True
        self.awaited += 1

    def neglect(self, chunk: Chunk) -> None:
        """It does not wait any more."""
        if chunk.awaited and not chunk.sent:
            chunk.awaited = False
            self.awaited -= 1

    def held_back(self) -> bool:
        """Whether a cork holds everything back."""
        return self.corks > 0 and not self.awaited

    def send(self, wire: Transport) -> list[Chunk]:
        """Send what the transport takes at once; gives the messages that are sent whole.

        :raises BlockingIOError: it takes nothing now.
        """
        data = self._chunks[0].data
        if isinstance(data, KernelBytes):
            return self.consume(data.send(wire.fileno()))
        return self.consume(wire.sendmsg(self.buffers(), (), NO_SIGNAL))

    def buffers(self) -> list[Buffer]:
        """The first buffers, as many as one ``sendmsg`` should take.

        Under a cork only what goes ahead of an awaited chunk, and that.
        """
        corked = self.corks > 0
        buffers: list[Buffer] = []
        awaited = self.awaited
        for chunk in islice(self._chunks, MAX_BUFFERS):
            data = chunk.data
            if isinstance(data, KernelBytes) or (corked and not awaited):
                break
            buffers.append(data)
            awaited -= chunk.awaited
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
            self.awaited -= chunk.awaited
            done.append(chunks.popleft())
        return done

    def clear(self) -> list[Chunk]:
        """Drop everything; gives the messages that were not sent whole."""
        dropped = list(self._chunks)
        self._chunks.clear()
        self.size = 0
        self.awaited = 0
        for chunk in dropped:
            if isinstance(chunk.data, KernelBytes):
                chunk.data.close()
        return dropped
