"""``for sock in server``: the connections that no listener gets, for who asks for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from gevent.event import AsyncResult

from .._core.states import LISTENERS
from .._socket.socket import Socket
from ..errors import coded

__all__ = ["Accepted", "Arrivals"]


class Arrivals:
    """The connections that were accepted and that nobody has got yet, in their order.

    :ivar sockets: they, as the keys.
    :ivar most: so many may wait here; the others wait in the kernel's queue.
    :ivar claimed: whether somebody has begun to take them.
    """

    __slots__ = ("_waiters", "claimed", "most", "sockets")

    def __init__(self) -> None:
        self.most = 0
        self.claimed = False
        self.sockets: dict[Socket, None] = {}
        self._waiters: deque[AsyncResult[None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another one."""
        return len(self.sockets) >= self.most

    def add(self, sock: Socket) -> None:
        """A connection has come that no listener is there for."""
        self.sockets[sock] = None
        if self.claimed:
            _claim(sock)

    def discard(self, sock: Socket) -> bool:
        """Somebody else has it, or it has closed; tells whether it was here."""
        return self.sockets.pop(sock, self) is None

    def claim(self) -> None:
        """From now on they are for blocking calls: an end that one meets is its caller's."""
        self.claimed = True
        for sock in self.sockets:
            _claim(sock)

    def tell(self) -> None:
        """One has come: have the first who waits look."""
        if self._waiters:
            self._waiters.popleft().set(None)

    def wake(self) -> None:
        """The server listens no more: have all look."""
        while self._waiters:
            self._waiters.popleft().set(None)

    def forget(self) -> None:
        """They are nobody's any more."""
        self.sockets.clear()
        self.wake()

    def take(self) -> Socket | None:
        """The next one, if there is one."""
        for sock in self.sockets:
            del self.sockets[sock]
            return sock
        return None

    def wait(self) -> None:
        """Block until there may be one."""
        waiter: AsyncResult[None] = AsyncResult()
        self._waiters.append(waiter)
        try:
            waiter.get()
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            else:
                # It was told of one that somebody else has to take now.
                self.tell()
            raise


def _claim(sock: Socket) -> None:
    if sock._owner == LISTENERS:
        sock._step("call")


class Accepted(Iterator[Socket]):
    """An iteration over a server's connections.

    :param server: the server.
    :param arrivals: its connections that nobody has got.
    :param taken: called when one was taken.
    """

    __slots__ = ("_arrivals", "_server", "_taken")

    def __init__(self, server: Any, arrivals: Arrivals, taken: Callable[[], object]) -> None:
        self._server = server
        self._arrivals = arrivals
        self._taken = taken
        self._check()
        arrivals.claim()

    def _check(self) -> None:
        self._server._check_thread()
        if self._server.listener_count("connection"):
            raise coded(
                RuntimeError("the connections go to the 'connection' listeners of the server"),
                "ERR_SERVER_HAS_LISTENER",
            )

    def __next__(self) -> Socket:
        """The next connection; blocks until there is one.

        :raises StopIteration: the server listens no more.
        :raises RuntimeError: the server has a listener of ``'connection'``.
        """
        while True:
            self._check()
            sock = self._arrivals.take()
            if sock is not None:
                self._taken()
                return sock
            if not self._server.listening:
                raise StopIteration
            self._arrivals.wait()
