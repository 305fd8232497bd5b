"""A transport around another one, which does some of its calls in a way of its own."""

from __future__ import annotations

from typing import Any

from .protocol import Transport, Watcher

__all__ = ["Around"]


class Around(Transport):
    """A transport that is another one but for what its class says.

    :ivar inner: the other one, which is closed with it.
    """

    __slots__ = (
        "FAREWELL", "MESSAGES", "PEEK", "PEER_END", "RESET", "SHARED", "TCP_OPTIONS",
        "UNREAD_RESETS", "inner",
    )  # fmt: skip

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.FAREWELL = inner.FAREWELL
        self.MESSAGES = inner.MESSAGES
        self.PEEK = inner.PEEK
        self.PEER_END = inner.PEER_END
        self.RESET = inner.RESET
        self.SHARED = inner.SHARED
        self.TCP_OPTIONS = inner.TCP_OPTIONS
        self.UNREAD_RESETS = inner.UNREAD_RESETS

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self.inner.recv(size, flags)

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        return self.inner.recv_into(buffer, size, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        return self.inner.send(data, flags)

    def sendmsg(self, buffers: list[Any], ancdata: Any = (), flags: int = 0) -> int:
        return self.inner.sendmsg(buffers, ancdata, flags)

    def recvfrom(self, size: int, flags: int = 0) -> Any:
        """As the socket's, for who has :attr:`MESSAGES`."""
        return self.call("recvfrom")(size, flags)

    def recvmsg(self, size: int, room: int = 0, flags: int = 0) -> Any:
        """As the socket's, for who has :attr:`MESSAGES`."""
        return self.call("recvmsg")(size, room, flags)

    def recvmsg_into(self, buffers: list[Any], room: int = 0, flags: int = 0) -> Any:
        """As the socket's, for who has :attr:`MESSAGES`."""
        return self.call("recvmsg_into")(buffers, room, flags)

    def call(self, name: str) -> Any:
        """A method of the socket's for messages."""
        return getattr(self.inner, name)

    def take_owed(self) -> int:
        return self.inner.take_owed()

    def at_end(self) -> bool:
        return self.inner.at_end()

    def sides(self) -> tuple[bool, bool]:
        return self.inner.sides()

    def watch(self, loop: Any, events: int) -> Watcher:
        return self.inner.watch(loop, events)

    # -- the end ------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        self.inner.shutdown(how)

    def reset_on_close(self) -> None:
        self.inner.reset_on_close()

    @property
    def closed(self) -> bool:
        return self.inner.closed

    def close(self) -> None:
        self.inner.close()

    def detach(self) -> int:
        return self.inner.detach()

    def abandon(self) -> int:
        return self.inner.abandon()

    # -- what is known of it ------------------------------------------------------------------

    def fileno(self) -> int:
        return self.inner.fileno()

    @property
    def family(self) -> int:
        return self.inner.family

    @property
    def proto(self) -> int:
        return self.inner.proto

    def is_connected(self) -> bool:
        return self.inner.is_connected()

    def local_name(self) -> Any:
        return self.inner.local_name()

    def remote_name(self) -> Any:
        return self.inner.remote_name()

    def option(self, level: int, name: int, /, *size: int) -> int | bytes:
        return self.inner.option(level, name, *size)

    def set_option(self, level: int, name: int, /, *value: Any) -> None:
        self.inner.set_option(level, name, *value)
