"""Addresses where connecting hangs, and ones where it is refused, on the loopback interface."""

from __future__ import annotations

import _socket
import errno
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from gevent import socket

MOST_FILLERS = 16


class Blackhole:
    """A listener whose queue is full: Linux ignores who else wants to connect.

    :ivar host: the address.
    :ivar port: the port.
    """

    def __init__(self, listener: socket.socket, fillers: ExitStack) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self._listener = listener
        self._fillers = fillers

    def open_up(self) -> None:
        """Empty the queue: who hangs is let in by the kernel's next try, after a second."""
        self._fillers.close()
        accepted, _ = self._listener.accept()
        accepted.close()

    def accept(self) -> socket.socket:
        """After :meth:`open_up`: the next who has got in."""
        accepted, _ = self._listener.accept()
        return accepted


@contextmanager
def blackhole(host: str = "127.0.0.1", port: int = 0) -> Iterator[Blackhole]:
    """An address where ``connect()`` gets no answer; skips the test where there is none."""
    if sys.platform == "win32":
        pytest.skip("Windows refuses who does not fit into the queue")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener, ExitStack() as fillers:
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(MOST_FILLERS):
            filler = _socket.socket(family)
            fillers.callback(filler.close)
            filler.setblocking(False)
            assert filler.connect_ex(listener.getsockname()) == errno.EINPROGRESS
            # On loopback the handshake is over when connect() returns, or will never be.
            if not select.select([], [filler], [], 0)[1]:
                break
        else:
            raise AssertionError(f"{MOST_FILLERS} connections do not fill the queue of listen(0)")
        yield Blackhole(listener, fillers)


@contextmanager
def refusing(host: str = "127.0.0.1") -> Iterator[tuple[int, str]]:
    """A port, and its host, where connecting is refused: bound, and never listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as holder:
        holder.bind((host, 0))
        yield holder.getsockname()[1], host
