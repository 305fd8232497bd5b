"""A response: ``start_response`` and what it gives, and how the body's end is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from email.utils import formatdate
from time import time
from typing import TYPE_CHECKING, Any

from .files import FileWrapper
from .head import Head

if TYPE_CHECKING:
    from .._socket.socket import Socket

__all__ = ["Response", "ResponseError"]

#: Up to so many bytes, the head and a body are sent as one.
MAX_COPIED_BYTES = 65536

_STATUS = re.compile(r"([1-9]\d\d)(?: [\t -~\x80-\xff]*)?")
_HEAD = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*")
_LENGTH = re.compile(r"\d{1,19}", re.ASCII)

# They belong to the connection, which is the server's (PEP 3333, RFC 9110, section 7.6.1).
_HOP_BY_HOP = frozenset(
    ("keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer",
     "transfer-encoding")
)  # fmt: skip
_SPECIAL = _HOP_BY_HOP | {"connection", "content-length", "date"}


class ResponseError(Exception):
    """An application has broken PEP 3333, or what it said about its body."""


class _Clock:
    """The date of a response, made once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def line(self) -> str:
        """The field, as it is sent."""
        now = int(time())
        if now != self._second:
            self._second = now
            self._text = f"Date: {formatdate(now, usegmt=True)}\r\n"
        return self._text


_clock = _Clock()


class Response:
    """The response to one request.

    :ivar status: what the application has given for it, or ``None``.
    :ivar code: the status as a number, or 0.
    :ivar started: whether its head was sent.
    :ivar keep_alive: whether the connection can go on behind it.
    :ivar sent: how many bytes of the body were sent.
    :ivar trailers: the fields behind a body in chunks, which the application may add.
    """

    __slots__ = (
        "_chunked", "_fields", "_head", "_length", "_may_go_on", "_no_body", "_sock",
        "_until_end", "code", "keep_alive", "sent", "started", "status", "trailers",
    )  # fmt: skip

    def __init__(self, sock: Socket, head: Head, may_go_on: Callable[[], bool]) -> None:
        self._sock = sock
        self._head = head
        # Whether the connection could be kept: asked for when that is told, and no earlier.
        self._may_go_on = may_go_on
        self._fields: list[tuple[str, str]] = []
        self._length: int | None = None
        self._chunked = False
        self._until_end = False
        self._no_body = head.method == "HEAD"
        self.status: str | None = None
        self.code: int = 0
        self.started: bool = False
        self.keep_alive: bool = head.keep_alive
        self.sent: int = 0
        self.trailers: list[tuple[str, str]] = []

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Any:
        """PEP 3333's.

        :raises ResponseError: the application has given something that begins no response, or
            begins a second one without an error.
        """
        if exc_info is not None:
            try:
                if self.started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status is not None:
            raise ResponseError("start_response() was called a second time, without exc_info")
        match = _STATUS.fullmatch(status) if type(status) is str else None
        if match is None:
            raise ResponseError(f"the status must be like '200 OK'. Received {status!r}")
        code = int(match[1])
        if code < 200 and not (code == 101 and self._head.upgrade):
            raise ResponseError(f"the status {status!r} needs a request for an upgrade")
        for name, value in headers:
            if type(name) is not str or type(value) is not str or ":" in name:
                raise ResponseError(
                    f"a header field is two str, name and value. Received {name!r}: {value!r}"
                )
        self.status, self.code = status, code
        self._fields = headers
        return self.write

    # -- the head -----------------------------------------------------------------------------

    def _start(self, length: int | None) -> bytes:
        """The head, as it is sent.

        :param length: of the body, if it is known and the application has not said it.
        """
        if self.status is None:
            raise ResponseError("start_response() was not called")
        lines = [f"HTTP/1.1 {self.status}" + ("\r\n" if " " in self.status else " \r\n")]
        dated = False
        told: str | None = None
        for name, value in self._fields:
            lower = name.lower()
            if lower in _SPECIAL:
                if lower == "content-length":
                    told = self._told_length(value.strip(), told)
                    continue
                if lower == "connection" and "close" in value.lower():
                    self.keep_alive = False
                if lower in _HOP_BY_HOP or (lower == "connection" and self.code != 101):
                    continue
                dated = dated or lower == "date"
            lines.append(f"{name}: {value}\r\n")
        fields = "".join(lines[1:]).encode("latin-1")
        if not _HEAD.fullmatch(fields) or fields.count(b"\r\n") != len(lines) - 1:
            raise ResponseError(f"malformed header fields: {self._fields!r}")
        end = [] if dated else [_clock.line()]
        self._frame(length if told is None else int(told), told, end)
        end.append("\r\n")
        return lines[0].encode("latin-1") + fields + "".join(end).encode("latin-1")

    def _told_length(self, value: str, former: str | None) -> str:
        if not _LENGTH.fullmatch(value) or former not in (None, value):
            raise ResponseError(f"the Content-Length is malformed: {value!r}")
        return value

    def _frame(self, length: int | None, told: str | None, end: list[str]) -> None:
        """Decide how the end of the body is told, and say so."""
        code = self.code
        if self._head.method == "CONNECT" and 200 <= code < 300:
            code = 101
        if code == 101:
            # What follows is the other protocol's.
            self._no_body = True
            self.keep_alive = False
            return
        self.keep_alive = self.keep_alive and self._may_go_on()
        if code in (204, 304):
            self._no_body = True
        if code == 204 or (self._no_body and told is None and not length):
            # There is none, or nobody knows how long the one of a GET would be.
            length = None
        elif length is not None:
            end.append(f"Content-Length: {length}\r\n")
        elif self._no_body:
            pass
        elif self._head.protocol == "HTTP/1.1":
            self._chunked = True
            end.append("Transfer-Encoding: chunked\r\n")
        else:
            self._until_end = True
            self.keep_alive = False
        self._length = length
        if not self.keep_alive:
            end.append("Connection: close\r\n")
        elif self._head.protocol == "HTTP/1.0":
            end.append("Connection: keep-alive\r\n")

    # -- the body -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send a piece of the body; PEP 3333's ``write()``.

        :raises ResponseError: it is more than the application has announced.
        """
        if type(data) is not bytes:
            raise ResponseError(f"a body must be bytes. Received {type(data).__name__}")
        if data or self.taken:
            self._send(data, None)

    def _send(self, data: bytes, length: int | None) -> None:
        """Send a piece of the body, behind the head if that is not sent yet."""
        head = b""
        if not self.started:
            head = self._start(length)
            self.started = True
        if self._no_body:
            data = b""
        elif self._length is not None and self.sent + len(data) > self._length:
            self._send_bytes(head, data[: self._length - self.sent])
            raise ResponseError(
                f"a body of more than the {self._length} bytes that were announced"
            )
        self._send_bytes(head, data)

    def _send_bytes(self, head: bytes, data: bytes) -> None:
        self.sent += len(data)
        if self._chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if len(data) <= MAX_COPIED_BYTES:
            data = head + data if head else data
        elif head:
            self._sock.sendall(head)
        if data:
            self._sock.sendall(data)

    def send_all(self, body: Iterable[bytes]) -> None:
        """Send what an application has returned."""
        if type(body) in (list, tuple):
            self._send_list(body)  # type: ignore[arg-type]
            return
        if type(body) is FileWrapper and not self.started and self._send_file(body):
            return
        for data in body:
            self.write(data)
        self.finish()

    def _send_list(self, body: list[bytes] | tuple[bytes, ...]) -> None:
        for data in body:
            if type(data) is not bytes:
                raise ResponseError(f"a body must be bytes. Received {type(data).__name__}")
        data = body[0] if len(body) == 1 else b"".join(body)
        if not self.started and (data or not self.taken):
            self._send(data, len(data))
        elif data:
            self._send(data, None)
        self.finish()

    def _send_file(self, body: FileWrapper) -> bool:
        """Have the kernel send a file, if that is one; tells whether it is."""
        left = body.left()
        if left is None:
            return False
        self._send(b"", left)
        if not self._no_body and self._length is not None:
            # A file may be shorter, and grow, whatever was announced.
            count = min(left, self._length)
            if count:
                self.sent += body.send(self._sock, count)
        elif not self._no_body:
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """Send what tells the end of the body.

        :raises ResponseError: it is shorter than the application has announced.
        """
        if not self.started and not (self.taken and self.status is None):
            self._send(b"", 0)
        if self._chunked:
            self._sock.sendall(b"0\r\n" + self._trailer_lines() + b"\r\n")
        elif self._length is not None and not self._no_body and self.sent != self._length:
            raise ResponseError(
                f"a body of {self.sent} bytes, where {self._length} were announced"
            )

    def _trailer_lines(self) -> bytes:
        if not self.trailers or not self._head.takes_trailers:
            return b""
        lines = [f"{name}: {value}\r\n" for name, value in self.trailers]
        fields = "".join(lines).encode("latin-1")
        if not _HEAD.fullmatch(fields) or fields.count(b"\r\n") != len(lines):
            raise ResponseError(f"malformed trailer fields: {self.trailers!r}")
        return fields

    @property
    def taken(self) -> bool:
        """Whether the connection is no longer HTTP's: it is the application's, or another's."""
        if not self._head.upgrade:
            return False
        connected = self._head.method == "CONNECT" and 200 <= self.code < 300
        return self.status is None or self.code == 101 or connected

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the connection's end tells the body's, so that a clean one would lie."""
        return self.started and self._until_end
