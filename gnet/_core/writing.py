"""The writable side of a socket: write, sendall, cork, end.

What the kernel takes is sent at once, in the caller's greenlet. The rest is queued, and drained
by a watcher in the hub: no greenlet is needed for it, and no user's code runs there.
"""

from __future__ import annotations

import _socket
import errno
from functools import partial
from typing import TYPE_CHECKING, Any

from .._transport import stream_socket
from .._values import arguments, encodings
from ..errors import (
    StreamDestroyedError,
    WriteAfterEndError,
    annotate,
    would_block,
)
from .dispatcher import UNMEASURED_CALLS
from .sending import Callback, Sending
from .states import (
    CONNECTING,
    LEFT,
    LISTENERS,
    OPEN,
    SENT,
    SHUT,
    UNTOLD,
    WRITABLE,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HIGH_WATER_BYTES", "Writing"]

#: ``write()`` returns ``False`` while this many bytes or more are queued.
HIGH_WATER_BYTES = 65536
# So many times the queue is sent of before others get their turn; each may be some megabytes.
MAX_SENDS = 4

_DONTWAIT = getattr(_socket, "MSG_DONTWAIT", 0)
# What a call with flags fails of that the connection is none the worse for.
_OF_THE_FLAGS = frozenset((errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP))


class Writing(Sending):
    """A host that can be written to."""

    __slots__ = ()

    # -- properties ---------------------------------------------------------------------------

    @property
    def bytes_written(self) -> int:
        """How many bytes were written, including those that are still queued."""
        return self._written

    @property
    def writable(self) -> bool:
        """Whether data can be written: the writable side has neither ended nor closed."""
        return self._sending == WRITABLE and self._life < SHUT

    @property
    def writable_ended(self) -> bool:
        """Whether :meth:`end` was called."""
        return self._sending != WRITABLE

    @property
    def writable_finished(self) -> bool:
        """Whether everything was sent, and the end with it; true just before ``'finish'``."""
        return self._sending >= SENT

    @property
    def writable_length(self) -> int:
        """How many bytes are queued."""
        return self._outbox.size if self._outbox is not None else 0

    @property
    def writable_need_drain(self) -> bool:
        """Whether the queue is full, so that ``'drain'`` will be emitted."""
        return self._outbox is not None and self._outbox.full

    # -- writing (rule 7) ---------------------------------------------------------------------

    def write(
        self, data: Any, encoding: str | Callback = "utf-8", callback: Callback | None = None
    ) -> bool:
        """Send data, without ever blocking: what the kernel does not take now is queued.

        From Node's ``socket.write()``.

        :param data: a bytes-like object, or a ``str``.
        :param encoding: how to encode a ``str``; the callback may stand in its place.
        :param callback: called with ``None`` when all of it is with the kernel; or with the
            error that kept it from being sent.
        :returns: whether the queue is below ``high_water_mark``. After a ``False``,
            ``'drain'`` is emitted once the queue is empty.
        :raises TypeError: ``data`` is neither, or ``callback`` cannot be called.
        :raises ValueError: the encoding is unknown.
        """
        if self._loop.thread != stream_socket.this_thread():
            self._foreign()
        if type(encoding) is not str and callable(encoding):
            callback, encoding = encoding, "utf-8"
        if type(data) is not bytes:
            data = encodings.to_bytes(data, encoding)
        if callback is not None:
            arguments.function("callback", callback)
        if self._sending != WRITABLE or self._life >= SHUT:
            return self._refuse(callback)
        size = len(data)
        if self._watchdog is not None and not self._admit(self._watchdog, size, callback):
            return False
        self._written += size
        if self._outbox is None and self._life == OPEN:
            # The one case that must be fast: nothing is queued, and the kernel takes it all.
            self._active = stream_socket.coarse_now()
            if self._idle is not None:
                self._idle.touch()
            try:
                sent = stream_socket.send(self._wire, data)  # type: ignore[arg-type]
            except OSError as exc:
                sent = self._send_failed(exc, callback)
            if sent == size:
                if callback is not None:
                    self._loop.defer(partial(self._call, callback, None))
                return True
            if sent < 0:
                return False
            data = memoryview(data)[sent:]
        try:
            return self._queue(data, callback)
        except MemoryError as exc:
            if len(data) == size:
                self._written -= size
                raise
            # The kernel has a part of it, and nothing may follow that but the rest.
            self._send_failed(exc, callback)
            return False

    def _refuse(self, callback: Callback | None) -> bool:
        """A write after the end, or after the close."""
        error = self._refusal()
        if callback is not None:
            self._loop.defer(partial(self._call, callback, error))
        if self._life < SHUT:
            self._shut(self._own(error))
        return False

    def _refusal(self) -> BaseException:
        """The error of a write that comes too late."""
        return StreamDestroyedError() if self._life >= SHUT else WriteAfterEndError()

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of the data; block until its last byte is with the kernel.

        When the call is interrupted (by a :class:`gevent.Timeout`, a kill, the idle timeout),
        the rest stays in the queue, ahead of the next message: a message is never torn.
        From Python's ``socket.sendall()``.

        :param data: a bytes-like object.
        :param flags: the system's ``MSG_`` flags, for example ``MSG_OOB``. The message is sent
            with them, after everything that was written before.
        :raises TypeError: ``data`` is not bytes-like.
        :raises BlockingIOError: the kernel does not take all of it now, and the call must not
            wait (``settimeout(0)``, or ``MSG_DONTWAIT``). What the kernel took is sent, and
            counted by the error's ``characters_written``; nothing is queued.
        :raises OSError: the connection has failed, is closed, or its writable side has ended.
        :raises TimeoutError: the idle timeout fired and ``'timeout'`` has no listener.
        """
        if type(data) is not bytes:
            data = encodings.byte_view(data)
        if self._loop.thread != stream_socket.this_thread():
            self._foreign()
        if self._owner == LISTENERS:
            self._step("call")
        if (flags or self._timeout is not None) and self._must_not_wait(flags):
            self._send_all_now(data, flags)
            return
        if self._life != OPEN or self._sending != WRITABLE or self._owner >= UNTOLD:
            if self._life == CONNECTING and not flags and self._owner != UNTOLD:
                self._send_when_connected(data)
                return
            self._begin_sending()
        while flags and self._outbox:
            # An empty message is sent when everything before it has been.
            self._await_sent(self._push(b"", None))
        size = len(data)
        self._written += size
        if not self._outbox:
            # As in write(), and by hand in both: a call less for every message.
            self._active = stream_socket.coarse_now()
            if self._idle is not None:
                self._idle.touch()
            try:
                sent = stream_socket.send(self._wire, data, flags)  # type: ignore[arg-type]
            except OSError as exc:
                if flags and exc.errno in _OF_THE_FLAGS:
                    self._written -= size
                    raise annotate(exc, "write") from None
                sent = self._send_failed(exc)
            if sent == size:
                self._loop.calls += 1
                if self._loop.calls > UNMEASURED_CALLS:
                    self._loop.share()
                return
            if sent < 0:
                self._heard = True
                raise self._closed_error()
            data = memoryview(data)[sent:]
        elif not size:
            return
        self._await_sent(self._push(data, None))

    def _send_when_connected(self, data: Any) -> None:
        """:meth:`sendall` while the connection is made: in its place among what is written."""
        if self._sending != WRITABLE or self._owner >= LEFT:
            raise self._own(WriteAfterEndError())
        if not len(data):
            self._await_connection()
            return
        self._written += len(data)
        self._await_sent(self._push(data, None))

    def send(self, data: Any, flags: int = 0) -> int:
        """Send as :meth:`sendall`; give the number of bytes. From Python's ``socket.send()``.

        When the call must not wait (``settimeout(0)``, or ``MSG_DONTWAIT``), it may send a part.
        """
        if self._must_not_wait(flags):
            return self._send_now(encodings.byte_view(data), flags)
        self.sendall(data, flags)
        return memoryview(data).nbytes

    def _must_not_wait(self, flags: int) -> bool:
        """Whether a call with these flags raises instead of waiting."""
        return self._never_waits() or bool(flags & _DONTWAIT)

    def _send_all_now(self, data: Any, flags: int) -> None:
        """:meth:`sendall`, which must not wait."""
        view = memoryview(data)
        sent = 0
        try:
            while True:
                sent += self._send_now(view[sent:], flags)
                if sent == len(view):
                    return
        except BlockingIOError as exc:
            exc.characters_written = sent
            raise

    def _send_now(self, data: Any, flags: int) -> int:
        """Send what the kernel takes now; gives how much that was.

        :raises BlockingIOError: it takes nothing, or not even all that is queued before.
        """
        if self._owner == LISTENERS:
            self._step("call")
        if self._life == CONNECTING and self._owner != UNTOLD:
            raise would_block("write")
        self._begin_sending()
        if self._outbox:
            self._send_queued()
        try:
            # The wires never wait: pipes would not know the flag.
            sent = stream_socket.send(self._wire, data, flags & ~_DONTWAIT)  # type: ignore[arg-type]
            if sent < len(data):
                sent += self._wire.take_owed()  # type: ignore[union-attr]
        except BlockingIOError as exc:
            # Nothing is queued here; but a part of it may be on its way.
            sent = self._wire.take_owed()  # type: ignore[union-attr]
            if not sent:
                raise annotate(exc, "write") from None
        except OSError as exc:
            if flags and exc.errno in _OF_THE_FLAGS:
                raise annotate(exc, "write") from None
            self._send_failed(exc)
            self._raise_unless_open()
            raise
        self._written += sent
        self._active = stream_socket.coarse_now()
        self._touch()
        return sent

    def cork(self) -> None:
        """Queue every write until :meth:`uncork`, to send small messages as one.

        From Node's ``writable.cork()``. Calls nest. After :meth:`end`, a cork holds nothing
        back.
        """
        self._check_thread()
        if self._sending == WRITABLE:
            self._cork(1)

    def uncork(self) -> None:
        """Undo one :meth:`cork`; undoing the last one sends what was queued."""
        self._check_thread()
        out = self._outbox
        if out is not None and out.corks:
            out.corks -= 1
            if not out.corks:
                if out:
                    self._flush()
                else:
                    self._outbox = None

    # -- the end of the writable side ---------------------------------------------------------

    def end(
        self,
        data: Any = None,
        encoding: str | Callback = "utf-8",
        callback: Callback | None = None,
    ) -> Self:
        """End the writable side: the peer reads an end behind what was written.

        From Node's ``socket.end()``.

        :param data: written first, as by :meth:`write`; the callback may stand in its place.
        :param encoding: how to encode a ``str``; the callback may stand in its place.
        :param callback: called with ``None`` when the end is with the kernel; or with the
            error that kept it from being sent.
        :returns: the socket.
        """
        self._check_thread()
        if callable(data):
            data, callback = None, data
        elif callable(encoding):
            callback, encoding = encoding, "utf-8"
        if callback is not None:
            arguments.function("callback", callback)
        if data is not None:
            if self._sending != WRITABLE and self._life < SHUT:
                self._refuse(callback)
                return self
            self.write(data, encoding)
        if callback is not None:
            self._on_finish(callback)
        self._step("end")
        return self
