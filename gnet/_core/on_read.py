"""The ``onread`` option: a buffer of the program's to read into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._values import arguments

__all__ = ["OnRead", "writable_view"]


class OnRead:
    """The ``onread`` option: read into a buffer of yours, without an allocation for each chunk.

    From Node's ``new net.Socket({ onread })``.

    :param buffer: a writable bytes-like object whose bytes lie one behind the other. It cannot be
        resized during a read: that is a :class:`BufferError`. Or a function that gives such an
        object, and is called once for each read.
    :param callback: called with the number of bytes and the buffer. When it returns ``False``,
        the socket is paused.
    :raises TypeError: ``buffer`` is not such an object, or ``callback`` cannot be called.
    :raises ValueError: ``buffer`` is empty.
    """

    __slots__ = ("_make", "buffer", "callback", "size", "view")

    def __init__(self, buffer: Any, callback: Callable[..., object]) -> None:
        self.callback: Callable[..., object] = arguments.function("callback", callback)
        self._make = arguments.function("buffer", buffer) if callable(buffer) else None
        if self._make is None:
            self._use(buffer)

    def _use(self, buffer: Any) -> None:
        view = writable_view(buffer)
        if not view.nbytes:
            raise arguments.wrong_value("buffer", buffer, "of one byte or more")
        #: The buffer that is read into, and its size in bytes.
        self.buffer: Any = buffer
        self.size: int = view.nbytes
        # A bytearray that has a view cannot be shortened: a read into nothing would pass for the
        # end of the stream.
        self.view: memoryview = view

    def refresh(self) -> None:
        """Have the buffer for the next read."""
        if self._make is not None:
            self._use(self._make())


def writable_view(buffer: Any) -> memoryview:
    """The bytes of a buffer that can be read into.

    :raises TypeError: it is none, or its bytes do not lie one behind the other.
    """
    try:
        view = memoryview(buffer)
    except (TypeError, BufferError):
        view = None
    if view is None or view.readonly or not view.c_contiguous:
        raise arguments.wrong_kind("buffer", buffer, "a writable, contiguous bytes-like object")
    # What is empty cannot be cast.
    return view.cast("B") if view.nbytes else memoryview(bytearray())
