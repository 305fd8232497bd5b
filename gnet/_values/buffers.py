"""Buffers of bytes, and what can be made of several."""

from __future__ import annotations

__all__ = ["Buffer", "first_bytes"]

Buffer = bytes | bytearray | memoryview


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
