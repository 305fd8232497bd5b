"""What a connection has received and nobody has used: the heads and bodies are cut from it."""

from __future__ import annotations

import _socket
from time import monotonic
from typing import TYPE_CHECKING

from gevent import Timeout

from .head import END, Head, HeadParser
from .refusal import BrokenOffError, RequestError

if TYPE_CHECKING:
    from .._socket.socket import Socket

__all__ = ["RECV_BYTES", "Intake", "Limits", "OverdueError"]

#: How long the first line of a request may be, in bytes: RFC 9112 asks for 8000 or more.
MAX_LINE_BYTES = 8192
#: So much is received at once, unless more or less is wanted.
RECV_BYTES = 65536

# Windows has none of it: there, what nobody could look for in time has come too late.
_DONTWAIT = getattr(_socket, "MSG_DONTWAIT", 0)


class OverdueError(TimeoutError):
    """The deadline is over by which something had to come."""


class Limits:
    """What a request may cost; the options of :class:`gnet.wsgi.WSGIServer`, by their names."""

    __slots__ = (
        "header_timeout", "max_body", "max_header_bytes", "max_headers", "min_body_rate",
    )  # fmt: skip

    def __init__(
        self,
        header_timeout: float | None,
        min_body_rate: float | None,
        max_body: int | None,
        max_header_bytes: int,
        max_headers: int,
    ) -> None:
        self.header_timeout: float | None = header_timeout
        self.min_body_rate: float | None = min_body_rate
        self.max_body: int | None = max_body
        self.max_header_bytes: int = max_header_bytes
        self.max_headers: int = max_headers


class Intake:
    """The receiving side of one connection.

    :ivar rest: what was received behind what was cut off last.
    """

    __slots__ = ("_limits", "_parser", "_sock", "rest")

    def __init__(self, sock: Socket, limits: Limits, allow_connect: bool) -> None:
        self._sock = sock
        self._limits = limits
        self._parser = HeadParser(limits.max_headers, allow_connect)
        self.rest: bytes = b""

    def close(self) -> None:
        """Let go of what reads it."""
        self._parser.reset()

    def receive(self, deadline: float | None = None, size: int = RECV_BYTES) -> bytes:
        """Block for more; ``b""`` at the end of the stream.

        :param deadline: when to give up, by :func:`time.monotonic`. What has come by then is
            taken, also when nobody could look for it in time.
        :param size: the most bytes to give.
        :raises OverdueError: the deadline is over.
        :raises TimeoutError: the connection's idle timeout is.
        """
        if deadline is None:
            return self._sock.recv(size)
        with Timeout(max(deadline - monotonic(), 0.001)) as limit:
            try:
                return self._sock.recv(size)
            except Timeout as exc:
                if exc is not limit:
                    raise
        try:
            if not _DONTWAIT:
                raise BlockingIOError
            self._sock.recv(1, _socket.MSG_PEEK | _DONTWAIT)
        except BlockingIOError:
            raise OverdueError("the time is over") from None
        return self._sock.recv(size)

    def await_request(self) -> bool:
        """Block until a request begins; tells whether one does."""
        if not self.rest:
            self.rest = self._sock.recv(RECV_BYTES)
        return bool(self.rest)

    def read_head(self) -> Head | None:
        """Block until the head of a request is there, whose beginning is.

        :returns: the head; ``None`` where the stream ends before there is one.
        :raises RequestError: it is malformed, too large, or too slow.
        """
        data = self.rest
        end = data.find(END)
        # Clients may send an empty line too many ahead of a request.
        if end < 0 or data[:1] in b"\r\n":
            slow = self._gather_head(data)
            if slow is None:
                return None
            data, end = slow, slow.find(END)
        end += len(END)
        self._check_size(data, end)
        if end == len(data):
            self.rest = b""
        else:
            data, self.rest = data[:end], data[end:]
        return self._parser.parse(data)

    def _gather_head(self, data: bytes) -> bytes | None:
        """Receive until there is a whole head."""
        limits, parser = self._limits, self._parser
        timeout = limits.header_timeout
        deadline = None if timeout is None else monotonic() + timeout
        gathered = bytearray(data)
        # How much the parser has seen, and how much was in front of that.
        seen = empty = 0
        while True:
            while not seen and gathered.startswith(b"\r\n"):
                del gathered[:2]
                empty += 2
            end = gathered.find(END, max(0, seen - len(END)))
            if end >= 0:
                parser.reset()
                return bytes(gathered)
            self._check_size(gathered, len(gathered) + empty)
            # An empty line may be coming.
            if gathered and gathered != b"\r":
                parser.check_beginning(gathered, bytes(gathered[seen:]))
                seen = len(gathered)
            try:
                more = self.receive(deadline)
            except TimeoutError:
                raise RequestError(408, "the head comes in too slowly") from None
            if not more:
                if gathered:
                    raise BrokenOffError
                return None
            gathered += more

    def _check_size(self, data: bytes | bytearray, size: int) -> None:
        """Refuse a head, or the beginning of one, that is of so many bytes."""
        if size <= MAX_LINE_BYTES and size <= self._limits.max_header_bytes:
            return
        if data.find(b"\r\n", 0, MAX_LINE_BYTES) < 0:
            if len(data) >= MAX_LINE_BYTES and data.find(b" ", 0, MAX_LINE_BYTES) < 0:
                raise RequestError(501, "the method is too long")
            raise RequestError(414, "the first line is too long")
        if size > self._limits.max_header_bytes:
            raise RequestError(431, "the head is too large")
