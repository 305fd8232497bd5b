"""The writable side of a socket: write, sendall, cork, end.

What the kernel takes is sent at once, in the caller's greenlet. The rest is queued, and drained
by a watcher in the hub: no greenlet is needed for it, and no user's code runs there.
"""

from __future__ import annotations

import _socket
import errno
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .._loop.splicer import KernelBytes
from .._transport import stream_socket
from .._transport.protocol import WRITE
from .._transport.sigpipe import NO_SIGNAL
from .._values import arguments, encodings
from .._values.buffers import Buffer
from ..errors import (
    StreamDestroyedError,
    WriteAfterEndError,
    WriteLimitError,
    annotate,
    would_block,
)
from .dispatcher import UNMEASURED_CALLS, Dispatcher
from .endpoint import Endpoint
from .states import (
    CONNECTING,
    ENDING,
    FINISH_TOLD,
    LEFT,
    LISTENERS,
    OPEN,
    SENT,
    SHUT,
    WRITABLE,
)
from .watchdog import Watchdog
from .write_queue import Chunk, WriteQueue

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HIGH_WATER_BYTES", "Writing"]

Callback = Callable[..., object]

#: ``write()`` returns ``False`` while this many bytes or more are queued.
HIGH_WATER_BYTES = 65536
# So many times the queue is sent of before others get their turn; each may be some megabytes.
MAX_SENDS = 4

_DONTWAIT = getattr(_socket, "MSG_DONTWAIT", 0)
# What a call with flags fails of that the connection is none the worse for.
_OF_THE_FLAGS = frozenset((errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP))


class Writing(Endpoint):
    """An endpoint that can be written to."""

    __slots__ = (
        "_corked", "_destroy_when_sent", "_end_callbacks",
        "_need_drain", "_out", "_write_watcher", "_written", "high_water_mark",
    )  # fmt: skip

    def __init__(
        self, high_water_mark: int = HIGH_WATER_BYTES, loop: Dispatcher | None = None
    ) -> None:
        super().__init__(loop)
        #: :meth:`write` returns ``False`` while this many bytes or more are queued.
        self.high_water_mark = high_water_mark
        self._out: WriteQueue | None = None
        self._write_watcher: Any = None
        self._written = 0
        self._corked = 0
        self._destroy_when_sent = False
        self._need_drain = False
        self._end_callbacks: list[Callback] | None = None

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
        return self._out.size if self._out is not None else 0

    @property
    def writable_need_drain(self) -> bool:
        """Whether the queue is full, so that ``'drain'`` will be emitted."""
        return self._need_drain

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
        if self._out is None and self._life == OPEN and not self._corked:
            # The one case that must be fast: nothing is queued, and the kernel takes it all.
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

    def _send_failed(self, exc: Exception, callback: Callback | None = None) -> int:
        """Nothing was sent: 0, or -1 where the connection has failed."""
        if isinstance(exc, BlockingIOError):
            return 0
        error = annotate(exc, "write") if isinstance(exc, OSError) else exc
        if callback is not None:
            # Ahead of 'error' and 'close', as everything else that a connection still has to say.
            self._loop.defer(partial(self._call, callback, error))
        self._fail(error)
        return -1

    def _admit(self, watchdog: Watchdog, size: int, callback: Callback | None) -> bool:
        """Apply ``write_limit`` to another message behind those that are queued.

        The first one is always taken: part of it may be with the kernel already, and a message
        is never torn.
        """
        if not watchdog.turns and not self._over(watchdog, size):
            return True
        if watchdog.limits.when_over == "block":
            self._await_room(watchdog, size)
            return True
        error = self._own(WriteLimitError(watchdog.limits.write_limit or 0))
        if watchdog.limits.when_over == "raise":
            raise error
        if callback is not None:
            # Behind those of the messages that are dropped with it.
            self._push(b"", callback)
        self._fail(error)
        return False

    def _over(self, watchdog: Watchdog, size: int) -> bool:
        out = self._out
        return out is not None and watchdog.over(out.size + size, out.overhead)

    def _await_room(self, watchdog: Watchdog, size: int) -> None:
        """Block until there is room; the messages keep the order of their calls (rule 7)."""
        turn = object()
        watchdog.turns.append(turn)
        try:
            while watchdog.turns[0] is not turn or self._over(watchdog, size):
                self._block()
                if self._life >= SHUT:
                    self._raise_unless_open()
                if self._sending != WRITABLE:
                    raise self._own(WriteAfterEndError())
        finally:
            watchdog.turns.remove(turn)
            if watchdog.turns:
                self._wake()

    def _moved(self, count: int) -> None:
        """A pipe has had the kernel send so many bytes."""
        self._written += count
        self._touch()

    def _hold(self, rest: KernelBytes) -> None:
        """The rest of such a move, which the kernel keeps until the peer takes it."""
        self._written += len(rest)
        self._push(rest, None)
        self._need_drain = True

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

    def _queue(self, data: Any, callback: Callback | None) -> bool:
        out = self._out
        if callback is not None or out is None or not out.merge(data):
            self._push(encodings.frozen(data), callback)
        if self.writable_length < self.high_water_mark:
            return True
        self._need_drain = True
        return False

    def _push(self, data: Buffer | KernelBytes, callback: Callback | None) -> Chunk:
        out = self._out
        if out is None:
            out = self._out = WriteQueue()
            chunk = out.push(data, callback)
            self._update_hold()
            if self._life == OPEN and not self._corked:
                self._watch_writable()
            return chunk
        return out.push(data, callback)

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
        if self._life != OPEN or self._sending != WRITABLE or self._owner >= LEFT:
            if self._life == CONNECTING and not flags:
                self._send_when_connected(data)
                return
            self._begin_sending()
        while flags and self._out is not None:
            # An empty message is sent when everything before it has been.
            self._await_sent(self._push(b"", None))
        size = len(data)
        self._written += size
        if self._out is None:
            # As in write(), and by hand in both: a call less for every message.
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
        if self._life == CONNECTING:
            raise would_block("write")
        self._begin_sending()
        if self._out is not None:
            self._send_queued()
        try:
            # The wires never wait: pipes would not know the flag.
            sent = stream_socket.send(self._wire, data, flags & ~_DONTWAIT)  # type: ignore[arg-type]
        except OSError as exc:
            if isinstance(exc, BlockingIOError) or (flags and exc.errno in _OF_THE_FLAGS):
                raise annotate(exc, "write") from None
            self._send_failed(exc)
            self._raise_unless_open()
            raise
        self._written += sent
        self._touch()
        return sent

    def _send_queued(self) -> None:
        """Send all that is queued, corked or not, ahead of a message that must not wait.

        :raises BlockingIOError: the kernel does not take it all now.
        """
        corked, self._corked = self._corked, 0
        try:
            self._flush()
        finally:
            self._corked = corked
        self._raise_unless_open()
        if self._out is not None:
            raise would_block("write")

    def _begin_sending(self) -> None:
        self._await_connection()
        if self._sending != WRITABLE or self._owner >= LEFT:
            raise self._own(WriteAfterEndError())

    def _await_sent(self, chunk: Chunk) -> None:
        """Block until the chunk is with the kernel, through a cork as well."""
        out = self._out
        assert out is not None
        out.expect(chunk)
        try:
            if self._corked and self._life == OPEN:
                self._watch_writable()
            while not chunk.sent:
                self._block()
                if not chunk.sent:
                    self._raise_unless_open()
        except BaseException:
            # The caller may change its buffer now, and the rest is still to be sent.
            out.neglect(chunk)
            try:
                if not isinstance(chunk.data, KernelBytes):
                    chunk.data = encodings.frozen(chunk.data)
            except MemoryError as exc:
                self._fail(exc)
            raise

    def cork(self) -> None:
        """Queue every write until :meth:`uncork`, to send small messages as one.

        From Node's ``writable.cork()``. Calls nest. After :meth:`end`, a cork holds nothing
        back.
        """
        self._check_thread()
        if self._sending == WRITABLE:
            self._corked += 1

    def uncork(self) -> None:
        """Undo one :meth:`cork`; undoing the last one sends what was queued."""
        self._check_thread()
        if self._corked:
            self._corked -= 1
            if not self._corked:
                self._flush()

    def _when_sent(self, callback: Callback) -> None:
        """Call back when all that is queued by now is sent, a cork or not, or was dropped."""
        self._corked = 0
        self._push(b"", lambda error: callback())
        if self._life == OPEN:
            self._flush()

    # -- draining the queue -------------------------------------------------------------------

    def _watch_writable(self) -> None:
        if self._write_watcher is None:
            self._write_watcher = self._wire.watch(self._loop.loop, WRITE)  # type: ignore[union-attr]
        # Not directly: gevent stops a watcher whose callback has raised, and the rest of the queue
        # would never be sent.
        self._write_watcher.start(self._loop.loop.run_callback, self._flush)
        if self._watchdog is not None:
            self._watchdog.stalled()

    def _flush(self) -> None:
        """Send of the queue what the kernel takes; then what was waiting for that.

        Runs in the hub, or in the greenlet that uncorks or connects.
        """
        if self._life != OPEN:
            self._hold_back()
            return
        out = self._out
        sends = 0
        try:
            while out:
                if self._corked and not out.awaited:
                    self._hold_back()
                    return
                if sends == MAX_SENDS:
                    # The peer takes it as fast as it is sent: others get their turn.
                    self._watch_writable()
                    return
                sends += 1
                self._sent(out.consume(self._send_next(out)))
                if self._idle is not None:
                    self._idle.touch()
                if self._watchdog is not None:
                    self._progressed(self._watchdog)
        except BlockingIOError:
            self._watch_writable()
            return
        except OSError as exc:
            self._fail(annotate(exc, "write"))
            return
        except BaseException as exc:
            # A signal's handler has raised, or there is no memory: what the kernel has of the
            # queue is not known, and gevent would never call a watcher again that raises.
            self._listener_failed(exc, self._generation)
            return
        self._emptied()

    def _send_next(self, out: WriteQueue) -> int:
        rest = out.kernel_bytes()
        if rest is not None:
            return rest.send(self._wire.fileno())  # type: ignore[union-attr]
        return self._wire.sendmsg(out.buffers(self._corked > 0), (), NO_SIGNAL)  # type: ignore[union-attr]

    def _hold_back(self) -> None:
        """The peer would take something, but the program has corked it, and no call waits."""
        if self._write_watcher is not None:
            self._write_watcher.stop()
        if self._watchdog is not None:
            self._watchdog.unstalled()

    def _progressed(self, watchdog: Watchdog) -> None:
        watchdog.progressed()
        if self._blocked and watchdog.limits.when_over == "block":
            self._wake()

    def _sent(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if chunk.callback is not None:
                self._loop.defer(partial(self._call, chunk.callback, None))
            if chunk.awaited:
                self._wake()

    def _emptied(self) -> None:
        """The queue is empty."""
        if self._write_watcher is not None:
            self._write_watcher.stop()
        if self._out is not None:
            self._out = None
            self._update_hold()
            if self._watchdog is not None:
                self._watchdog.unstalled()
        if self._need_drain:
            self._need_drain = False
            if self._sending == WRITABLE:
                self._loop.defer(partial(self._deliver, "drain"))
        if self._sending == ENDING:
            self._step("all_sent")

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

    def _on_finish(self, callback: Callback) -> None:
        if self._sending >= FINISH_TOLD:
            self._loop.defer(partial(self._call, callback, None))
        elif self._life >= SHUT:
            self._loop.defer(partial(self._call, callback, StreamDestroyedError("end")))
        elif self._end_callbacks is None:
            self._end_callbacks = [callback]
        else:
            self._end_callbacks.append(callback)

    def _send_end(self) -> None:
        """Everything is sent: send the end."""
        if self._wire is None:
            return
        # Not by suppress(), which is three calls more for each connection.
        try:  # noqa: SIM105
            self._wire.shutdown(_socket.SHUT_WR)
        except OSError:
            # The peer has reset: whoever reads, or watches, hears of that.
            pass

    def _uncork(self) -> None:
        # Node's end() sends whatever was corked.
        self._corked = 0

    def _tell_finish_later(self) -> None:
        self._loop.defer(self._tell_finish)

    def _tell_finish(self) -> None:
        self._step("tell_finish")

    def _deliver_finish(self) -> None:
        callbacks, self._end_callbacks = self._end_callbacks, None
        if callbacks is None and "finish" not in self._listeners:
            self._heard_finish()
            return
        # One that blocks holds back neither the callbacks nor 'close'.
        for callback in callbacks or ():
            self._loop.defer(partial(self._call, callback, None))
        self._loop.defer(self._heard_finish)
        self._deliver("finish")

    def _heard_finish(self) -> None:
        self._step("heard_finish")

    # -- parts of the whole -------------------------------------------------------------------

    def _came(self, event: str) -> tuple[Any, ...] | None:
        if event == "finish" and self._sending >= FINISH_TOLD:
            return ()
        return super()._came(event)

    def _must_keep(self) -> bool:
        return super()._must_keep() or (self._out is not None and self._life == OPEN)

    def _teardown(self) -> list[Callback]:
        if self._write_watcher is not None:
            self._write_watcher.close()
            self._write_watcher = None
        dropped = super()._teardown()
        out, self._out = self._out, None
        if out is not None:
            dropped += [chunk.callback for chunk in out.clear() if chunk.callback is not None]
        callbacks, self._end_callbacks = self._end_callbacks, None
        if self._sending >= SENT and self._error is None:
            # 'finish' is on its way, and 'close' must not overtake its callbacks.
            for callback in callbacks or ():
                self._loop.defer(partial(self._call, callback, None))
        elif callbacks is not None:
            dropped += callbacks
        self._need_drain = False
        return dropped
