"""The ``onread`` option: a buffer of the program's to read into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _validate

__all__ = ["OnRead", "writable_view"]


class OnRead:
    """The ``onread`` option: read into a buffer of yours, with no allocation per chunk.

    From Node's ``new net.Socket({ onread })``.

    :param buffer: a writable bytes-like object; or a function, called once per read, that
        gives one.
    :param callback: called with the number of bytes and the buffer. ``False`` from it pauses
        the socket.
    """

    __slots__ = ("_make", "buffer", "callback", "size")

    def __init__(self, buffer: Any, callback: Callable[..., object]) -> None:
        self.callback = _validate.function("callback", callback)
        self._make = buffer if callable(buffer) else None
        if self._make is None:
            self._use(buffer)

    def _use(self, buffer: Any) -> None:
        view = writable_view(buffer)
        if not view.nbytes:
            raise _validate.wrong_value("buffer", buffer, "of one byte or more")
        #: The buffer that is read into, and its size in bytes.
        self.buffer = buffer
        self.size = view.nbytes

    def refresh(self) -> None:
        """Have the buffer for the next read."""
        if self._make is not None:
            self._use(self._make())


def writable_view(buffer: Any) -> memoryview:
    try:
        view = memoryview(buffer)
    except TypeError:
        raise _validate.wrong_kind("buffer", buffer, "a writable bytes-like object") from None
    if view.readonly:
        raise _validate.wrong_kind("buffer", buffer, "a writable bytes-like object")
    return view
