"""Messages in a stream: so many bytes, up to a separator, a line; and what is put back.

What a call has received of a message that is not whole yet stays with the socket, where files of
``makefile()`` have theirs, and comes first, whoever reads next. So an interrupted call loses
nothing.
"""

from __future__ import annotations

from typing import Any

from .._core.states import END_MET, END_TOLD, LEFT, LISTENERS, OPEN
from .._values import arguments, encodings
from ..errors import SocketClosedError, coded, value_error
from .messages import Messages

__all__ = ["LIMIT_BYTES", "Framing"]

#: The longest message that ``read_until()`` and ``readline()`` give, if they are not told.
LIMIT_BYTES = 65536
# So much is received at once: at the most; and where a message may be shorter than that.
READ_BYTES = 65536
LEAST_BYTES = 4096


class Framing(Messages):
    """A connection of which messages are read."""

    __slots__ = ()

    def read_exactly(self, n: int) -> bytes:
        """Receive exactly ``n`` bytes; block until they are there.

        :param n: how many.
        :raises EOFError: the stream has ended before; ``partial`` has what came, and ``code`` is
            ``"ERR_STREAM_PREMATURE_CLOSE"``.
        :raises BlockingIOError: the call must not wait (``settimeout(0)``); nothing is lost.
        :raises OSError: the connection has failed, or is closed.
        :raises RuntimeError: the socket is flowing, and this is not its ``'data'`` listener.
        :raises TimeoutError: the idle timeout fired; nothing is lost.
        """
        arguments.integer("n", n, 0, 2**62)
        self._begin_framing()
        while (missing := n - self._size_ahead()) > 0:
            if not self._read_ahead(min(missing, READ_BYTES)):
                partial = self._take_ahead(n)
                raise coded(
                    EOFError(f"the stream has ended behind {len(partial)} of {n} bytes"),
                    "ERR_STREAM_PREMATURE_CLOSE",
                    partial=partial,
                )
        return self._take_ahead(n)

    def read_until(self, separator: Any, limit: int = LIMIT_BYTES) -> bytes:
        """Receive up to a separator, which is included; block until it is there.

        :param separator: a bytes-like object.
        :param limit: how many bytes there may be, the separator's included.
        :returns: the bytes; at the end of the stream what is left, or ``b""``.
        :raises ValueError: there are more; ``code`` is ``"ERR_LINE_TOO_LONG"``, and nothing is
            lost: another call may read it.
        :raises BlockingIOError: as for :meth:`read_exactly`, and its other errors too.
        """
        mark = bytes(encodings.byte_view(separator))
        if not mark:
            raise arguments.wrong_value("separator", separator, "not empty")
        arguments.integer("limit", limit, 1, 2**62)
        self._begin_framing()
        step = max(LEAST_BYTES, min(limit, READ_BYTES))
        searched = 0
        while True:
            ahead = self._ahead if self._ahead is not None else b""
            size = len(ahead)
            # It may have begun in what was searched before; another greenlet may have read that.
            found = ahead.find(mark, max(0, min(searched, size) - len(mark) + 1))
            end = found + len(mark)
            if found >= 0 and end <= limit:
                return self._take_ahead(end)
            ended = self._receiving >= END_MET
            if found >= 0 or size > limit or (size == limit and not ended):
                raise value_error(
                    f"no separator {mark!r} stands in the first {limit} bytes", "ERR_LINE_TOO_LONG"
                )
            searched = size
            if not self._read_ahead(step):
                return self._take_ahead(self._size_ahead())

    def readline(self, limit: int = LIMIT_BYTES) -> bytes:
        """Receive a line, with its ``b"\\\\n"``: :meth:`read_until` of that.

        :param limit: how many bytes it may have.
        """
        return self.read_until(b"\n", limit)

    def unread(self, data: Any) -> None:
        r"""Put back what was received: it comes again, ahead of everything else.

        Blocking calls, listeners of ``'data'``, pipes and files get it as if it had not come yet;
        ``bytes_read`` does not count it twice. From ``readable.unshift()`` of Node's streams.

        :param data: a bytes-like object.
        :raises OSError: the socket was never connected, or is closed.
        :raises RuntimeError: another greenlet is blocked in a read of the socket, or it is
            flowing and ``'end'`` has been emitted.
        """
        self._check_thread()
        view = encodings.byte_view(data)
        if self._owner >= LEFT:
            raise self._own(SocketClosedError())
        if self._life < OPEN:
            self._raise_unless_open()
        if self._reader is not None:
            raise coded(
                RuntimeError("another greenlet is blocked in a read, which would not get it"),
                "ERR_SOCKET_READING",
            )
        if self._flow and self._receiving >= END_TOLD:
            raise coded(
                RuntimeError("'end' has been emitted, and no 'data' can follow it"),
                "ERR_STREAM_UNSHIFT_AFTER_END_EVENT",
            )
        if len(view):
            self._return_undecoded()
            self._put_back(view)
            self._rearm()

    # -- what was read ahead ------------------------------------------------------------------

    def _begin_framing(self) -> None:
        """Wait for the connection, and look whether the stream may be read here."""
        self._check_thread()
        self._check_flow(0)
        if self._owner >= LEFT:
            raise self._closed_error()
        if self._owner == LISTENERS:
            self._step("call")
        self._return_undecoded()

    def _size_ahead(self) -> int:
        return len(self._ahead) if self._ahead is not None else 0

    def _take_ahead(self, size: int) -> bytes:
        return self._take(size) if self._ahead is not None else b""
