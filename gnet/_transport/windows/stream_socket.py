"""What Windows' sockets lack of other systems': one call for many buffers, and a readable side
that ends when it is shut down. Windows only.

There a blocked read does not wake on ``shutdown(SHUT_RD)``, and later ones are errors. So that
is not the kernel's to do: what has come is read, and then the end.
"""

from __future__ import annotations

import _socket
import sys
from collections.abc import Callable
from typing import Any

from ..._values.buffers import first_bytes
from ..protocol import READ, Watcher
from ..watchers import ForgetfulWatcher

assert sys.platform == "win32"

__all__ = ["WindowsSocket"]

# So many bytes of small messages are put together.
JOINED_BYTES = 65536


class WindowsSocket(_socket.socket):
    """A non-blocking socket of Windows' that does what a wire has to."""

    _shut = False
    _reader: _ReadWatcher | None = None

    def __init__(
        self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
    ) -> None:
        super().__init__(family, type, proto, fileno)
        if fileno is None and family == _socket.AF_INET6:
            # Elsewhere that is how it is: ::ffff:192.0.2.1 can be connected to.
            self.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)

    def recv(self, size: int, flags: int = 0) -> bytes:
        try:
            return super().recv(size, flags)
        except BlockingIOError:
            if self._shut:
                return b""
            raise

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        try:
            return super().recv_into(buffer, size, flags)
        except BlockingIOError:
            if self._shut:
                return 0
            raise

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        """Send of the buffers what the kernel takes."""
        return self.send(first_bytes(buffers, JOINED_BYTES))

    def shutdown(self, how: int) -> None:
        if how != _socket.SHUT_WR:
            self._shut = True
            if self._reader is not None:
                self._reader.fire()
        if how != _socket.SHUT_RD:
            super().shutdown(_socket.SHUT_WR)

    def readiness(self, loop: Any, events: int) -> Watcher:
        """A watcher of the loop, not started."""
        watcher: Watcher = loop.io(self.fileno(), events)
        if events != READ:
            return ForgetfulWatcher(watcher)
        self._reader = _ReadWatcher(self, loop, watcher)
        return self._reader


class _ReadWatcher(ForgetfulWatcher):
    """One that is also ready when the readable side was shut down."""

    def __init__(self, wire: WindowsSocket, loop: Any, watcher: Watcher) -> None:
        super().__init__(watcher)
        self._wire = wire
        self._loop = loop
        self._turn: Any = None

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        super().start(callback, *args)
        if self._wire._shut:
            self.fire()

    def fire(self) -> None:
        """The readable side was shut down: call back in each turn, as for any other end."""
        if self.callback is not None and self._turn is None:
            self._turn = self._loop.run_callback(self._call_again)

    def _call_again(self) -> None:
        self._turn = None
        try:
            self.call()
        finally:
            self.fire()

    def forget(self) -> None:
        super().forget()
        if self._turn is not None:
            self._turn.stop()
            self._turn = None
