"""The body of a request: where it ends, and ``wsgi.input``, by which applications read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import httptools

from .head import END, Head
from .intake import RECV_BYTES, Intake, Limits, OverdueError
from .refusal import BrokenOffError, RequestError, SlowBodyError

__all__ = ["Body", "Input", "body_of"]

#: What may come between and within chunks beside their bytes: so much, and for each byte of the
#: body so much more. A chunk of one byte has five; extensions and zeros are no use to anybody.
FREE_BYTES = 16384
FREE_PER_BYTE = 16
#: What is asked for is received at once from so many bytes on, up to so many.
MIN_RECV_BYTES = 4096
MAX_RECV_BYTES = 262_144
#: A body has so long before its rate counts, in seconds.
RATE_GRACE_SECONDS = 2.0
#: What an application has not read is passed over, if it is no more, and comes in this time.
MAX_PASSED_OVER_BYTES = 1 << 20
PASSING_OVER_SECONDS = 5.0

# Fields that a server acts upon before it reads a body (RFC 9110, section 6.5.1).
_NEVER_BEHIND = frozenset(
    (
        "authorization", "connection", "content-length", "cookie", "expect", "host",
        "max-forwards", "proxy-authorization", "range", "te", "trailer", "transfer-encoding",
        "upgrade",
    )
)  # fmt: skip
# They say what the body is, and come too late for that; clients are known to send them.
_PASSED_OVER_BEHIND = frozenset(("content-encoding", "content-range", "content-type"))


class Body:
    """The body of a request that has a length; also the one of none, with the length 0.

    :ivar ended: whether all of it has been given.
    :ivar broken: whether nothing can be told about what comes next on the connection.
    :ivar announce: called before the first of it is waited for, if the client waits, too.
    """

    __slots__ = (
        "_deadline", "_intake", "_limits", "_received", "_waited", "announce", "broken", "ended",
        "left",
    )  # fmt: skip

    def __init__(self, intake: Intake, limits: Limits, length: int) -> None:
        self._intake = intake
        self._limits = limits
        self._received = 0
        self._waited = 0.0
        self._deadline: float | None = None
        self.left: int = length
        self.ended: bool = not length
        self.broken: bool = False
        self.announce: Callable[[], object] | None = None

    def next(self, wanted: int = 0) -> bytes:
        """Block for more of it; ``b""`` at its end.

        :param wanted: how much is wanted: no more need be received, to be copied for later.
        :raises RequestError: it is malformed, too large or too slow, or the stream ends in it.
        :raises OSError: the connection has failed.
        """
        if self.ended:
            return b""
        if self.broken:
            raise RequestError(400, "the body is cut off")
        try:
            return self._next(wanted)
        except BaseException:
            # Even where it was interrupted only: what was asked for is not what is answered.
            self.broken = True
            raise

    def _next(self, wanted: int) -> bytes:
        size = min(wanted, MAX_RECV_BYTES) if wanted >= MIN_RECV_BYTES else RECV_BYTES
        data, self._intake.rest = self._intake.rest or self._receive(size), b""
        if len(data) > self.left:
            data, self._intake.rest = data[: self.left], data[self.left :]
        self.left -= len(data)
        self._received += len(data)
        self.ended = not self.left
        return data

    def _receive(self, size: int = RECV_BYTES) -> bytes:
        if self.announce is not None:
            announce, self.announce = self.announce, None
            announce()
        rate = self._limits.min_body_rate
        data = self._receive_at(rate, size) if rate else self._intake.receive(self._deadline, size)
        if not data:
            raise BrokenOffError
        return data

    def _receive_at(self, rate: float, size: int) -> bytes:
        """Only the time counts in which the client was waited for."""
        begun = monotonic()
        deadline = begun + RATE_GRACE_SECONDS + self._received / rate - self._waited
        try:
            data = self._intake.receive(min(deadline, self._deadline or deadline), size)
        except OverdueError:
            raise SlowBodyError from None
        self._waited += monotonic() - begun
        return data

    @property
    def can_be_passed_over(self) -> bool:
        """Whether it is sure to come, and soon over."""
        return not self.broken and self.announce is None and self.left <= MAX_PASSED_OVER_BYTES

    def close(self) -> None:
        """Let go of what reads it."""

    def pass_over(self) -> bool:
        """Read what is left of it; tells whether the connection may go on behind it.

        :raises OSError: it does not come as it should.
        """
        if self.ended:
            return True
        if not self.can_be_passed_over:
            return False
        self._deadline = monotonic() + PASSING_OVER_SECONDS
        passed = 0
        while not self.ended:
            passed += len(self.next())
            if passed > MAX_PASSED_OVER_BYTES or monotonic() > self._deadline:
                return False
        return True


class ChunkedBody(Body):
    """A body that comes in chunks, which llhttp takes apart.

    :ivar trailers: the fields behind it, when it has ended.
    """

    __slots__ = ("_complete", "_fields", "_overhead", "_parser", "_parts", "_seen", "on_body",
                 "trailers")  # fmt: skip

    # It has to be told of a head; the head that there was it would take for an upgrade's, perhaps.
    _HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

    def __init__(self, intake: Intake, limits: Limits, trailers: list[tuple[str, str]]) -> None:
        super().__init__(intake, limits, 1)
        self.trailers: list[tuple[str, str]] = trailers
        self._parts: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._complete = False
        self._overhead = 0
        # The end of what the parser has seen: an END may be half in there.
        self._seen = b""
        self.on_body: Callable[[bytes], None] = self._parts.append
        self._parser: Any = httptools.HttpRequestParser(self)
        self._parser.feed_data(self._HEAD)
        self._fields.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp has read a field behind the body."""
        self._fields.append((name, value))

    def on_message_complete(self) -> None:
        """llhttp has seen the end of the body."""
        self._complete = True

    def _next(self, wanted: int) -> bytes:
        while True:
            data, self._intake.rest = self._intake.rest or self._receive(), b""
            self._feed(data)
            parts = self._parts
            if parts:
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                parts.clear()
            else:
                body = b""
            self._overhead -= len(body)
            self._received += len(body)
            self._check_size()
            if self._complete:
                self._end()
            if body or self.ended:
                return body

    def _feed(self, data: bytes) -> None:
        """Have the parser see what is of this body, and nothing behind its end.

        It does not tell how far it has come; but the body ends with an empty line.
        """
        begin = 0
        known = len(self._seen)
        both = self._seen + data
        end = both.find(END)
        try:
            while end >= 0 and not self._complete:
                end += len(END) - known
                self._parser.feed_data(data[begin:end] if begin or end < len(data) else data)
                begin = end
                end = both.find(END, begin + known - len(END) + 1)
            if not self._complete and begin < len(data):
                self._parser.feed_data(data[begin:] if begin else data)
                begin = len(data)
        except httptools.HttpParserError as exc:
            raise RequestError(400, str(exc)) from None
        self._overhead += begin
        self._intake.rest = data[begin:]
        self._seen = both[-len(END) + 1 :]

    def _check_size(self) -> None:
        limits = self._limits
        if limits.max_body is not None and self._received > limits.max_body:
            raise RequestError(413, "the body is too large")
        if self._overhead > FREE_BYTES + FREE_PER_BYTE * self._received:
            raise RequestError(400, "the chunks carry less than they take")
        if len(self._fields) > limits.max_headers:
            raise RequestError(431, "too many fields behind the body")

    def close(self) -> None:
        # It refers to the body, as that does to it.
        self._parser = None

    close.__doc__ = Body.close.__doc__

    def _end(self) -> None:
        self.ended = True
        self.left = 0
        for name, value in self._fields:
            field = name.decode("ascii")
            if field.lower() in _NEVER_BEHIND:
                raise RequestError(400, f"{field} behind the body")
            if field.lower() not in _PASSED_OVER_BEHIND:
                self.trailers.append((field, value.decode("latin-1").strip(" \t")))


def body_of(head: Head, intake: Intake, limits: Limits, trailers: list[tuple[str, str]]) -> Body:
    """The body that a head announces.

    :param trailers: where the fields behind it go.
    :raises RequestError: it is too large.
    """
    if head.length is None:
        return ChunkedBody(intake, limits, trailers)
    if limits.max_body is not None and head.length > limits.max_body:
        raise RequestError(413, "the body is too large")
    return Body(intake, limits, head.length)


class Input:
    """``wsgi.input``: the body as a file, which ends where the body does.

    Reads raise :class:`~gnet.wsgi.refusal.RequestError` where the body is broken.
    """

    __slots__ = ("_body", "_buffer", "_call", "_position")

    def __init__(self, body: Body, call: Callable[..., Any] | None = None) -> None:
        self._body = body
        # What was received and not read yet: all behind the position.
        self._buffer = b""
        self._position = 0
        # What a thread of the pool has the connection's greenlet do.
        self._call = call

    def _take(self, size: int) -> bytes:
        """So much of the buffer, which has it."""
        begin = self._position
        end = self._position = begin + size
        if end < len(self._buffer):
            return self._buffer[begin:end]
        data = self._buffer[begin:] if begin else self._buffer
        self._buffer, self._position = b"", 0
        return data

    def _fill(self, wanted: int = 0) -> bool:
        """Block for more of the body behind the buffer; tells whether there is any."""
        body = self._body
        data: bytes = body.next(wanted) if self._call is None else self._call(body.next, wanted)
        if not data:
            return False
        rest = self._buffer[self._position :] if self._buffer else b""
        self._buffer, self._position = rest + data if rest else data, 0
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, or all; less only at the end."""
        left = None if size is None or size < 0 else size
        parts = []
        try:
            while left is None or left > 0:
                there = len(self._buffer) - self._position
                if not there:
                    if not self._fill(MAX_RECV_BYTES if left is None else left):
                        break
                    continue
                part = self._take(there if left is None else min(there, left))
                parts.append(part)
                if left is not None:
                    left -= len(part)
        except BaseException:
            # What was read in vain is there for the next read.
            self._buffer, self._position = b"".join(parts), 0
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line, or so many bytes of it."""
        limit = None if size is None or size < 0 else size
        searched = 0
        while True:
            there = len(self._buffer) - self._position
            end = self._buffer.find(b"\n", self._position + searched)
            if end >= 0:
                there = end + 1 - self._position
            if limit is not None and there >= limit:
                return self._take(limit)
            if end >= 0:
                return self._take(there)
            searched = there
            if not self._fill():
                return self._take(there)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        """Read the lines, no more when those have ``hint`` bytes."""
        lines = []
        total = 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")
