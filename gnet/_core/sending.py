"""The outbox of a socket: what is put there, how it is sent, and what follows when it is empty.

It is drained by a watcher in the hub: no greenlet is needed for it, and no user's code runs there.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable
from functools import partial
from typing import Any

from .._loop.splicer import KernelBytes
from .._transport import stream_socket
from .._transport.protocol import WRITE, Watcher
from .._values import encodings
from .._values.buffers import Buffer
from ..errors import (
    StreamDestroyedError,
    WriteAfterEndError,
    WriteLimitError,
    annotate,
    would_block,
)
from .outbox import Chunk, Outbox
from .states import ENDING, FINISH_TOLD, LEFT, OPEN, SENT, SHUT, UNTOLD, WRITABLE
from .waiting import Waiting
from .watchdog import Watchdog

__all__ = ["Callback", "Sending"]

Callback = Callable[..., object]

# So many times the outbox is sent of before others get their turn; each may be some megabytes.
MAX_SENDS = 4


class Sending(Waiting):
    """A host with an outbox."""

    __slots__ = (
        "_destroy_when_sent", "_end_callbacks", "_outbox", "_unsent", "_write_watcher", "_written",
        "high_water_mark",
    )  # fmt: skip

    # It exists while something is queued, or corked.
    _outbox: Outbox | None
    _write_watcher: Watcher | None
    # How many bytes were written, those included that are queued.
    _written: int
    # How many of them were dropped, as the connection was over.
    _unsent: int
    _end_callbacks: list[Callback] | None

    #: :meth:`write` returns ``False`` while this many bytes or more are queued.
    high_water_mark: int

    # -- putting messages into the outbox -----------------------------------------------------

    def _begin_sending(self) -> None:
        if self._owner == UNTOLD:
            raise self._closed_error()
        self._await_connection()
        if self._sending != WRITABLE or self._owner >= LEFT:
            raise self._own(WriteAfterEndError())

    def _queue(self, data: Any, callback: Callback | None) -> bool:
        """Put a message behind the others; tells whether there is room for more."""
        out = self._outbox
        if callback is not None or out is None or not out.merge(data):
            self._push(encodings.frozen(data), callback)
            out = self._outbox
        if out is None or out.size < self.high_water_mark:
            return True
        out.full = True
        return False

    def _push(self, data: Buffer | KernelBytes, callback: Callback | None) -> Chunk:
        out = self._outbox
        if out is None:
            out = self._outbox = Outbox()
        first = not out
        chunk = out.push(data, callback)
        if first:
            self._update_hold()
            self._update_kept()
            if self._life == OPEN and not out.corks:
                self._watch_writable()
        return chunk

    def _cork(self, corks: int) -> None:
        """Hold back what is written, so many times more."""
        if self._outbox is None:
            self._outbox = Outbox()
        self._outbox.corks += corks

    def _take_corks(self) -> None:
        """Hold nothing back any more; Node's ``end()`` sends whatever was corked."""
        out = self._outbox
        if out is not None:
            out.corks = 0
            if not out:
                self._outbox = None

    def _moved(self, count: int) -> None:
        """A pipe has had the kernel send so many bytes."""
        self._written += count
        self._active = stream_socket.coarse_now()
        self._touch()

    def _keep_rest(self, rest: KernelBytes) -> None:
        """The rest of such a move, which the kernel keeps until the peer takes it."""
        self._written += len(rest)
        self._push(rest, None)
        self._outbox.full = True  # type: ignore[union-attr]

    # -- limits -------------------------------------------------------------------------------

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
        out = self._outbox
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

    # -- sending them -------------------------------------------------------------------------

    def _await_sent(self, chunk: Chunk) -> None:
        """Block until the chunk is with the kernel, through a cork as well."""
        out = self._outbox
        assert out is not None
        out.expect(chunk)
        try:
            if out.corks and self._life == OPEN:
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

    def _when_sent(self, callback: Callback) -> None:
        """Call back when all that is queued by now is sent, a cork or not, or was dropped."""
        self._take_corks()
        self._push(b"", lambda error: callback())
        if self._life == OPEN:
            self._flush()

    def _send_queued(self) -> None:
        """Send all that is queued, corked or not, ahead of a message that must not wait.

        :raises BlockingIOError: the kernel does not take it all now.
        """
        out = self._outbox
        corks = out.corks if out is not None else 0
        self._take_corks()
        try:
            self._flush()
        finally:
            if corks and self._life < SHUT:
                self._cork(corks)
        self._raise_unless_open()
        if self._outbox:
            raise would_block("write")

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
        out = self._outbox
        sends = 0
        try:
            while out:
                if out.held_back():
                    self._hold_back()
                    return
                if sends == MAX_SENDS:
                    # The peer takes it as fast as it is sent: others get their turn.
                    self._watch_writable()
                    return
                sends += 1
                self._sent(out.send(self._wire))  # type: ignore[arg-type]
                self._active = stream_socket.coarse_now()
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
        out = self._outbox
        if out is not None:
            full, out.full = out.full, False
            self._counted().note_queue(out.peak)
            if not out.corks:
                self._outbox = None
            self._update_hold()
            self._update_kept()
            if self._watchdog is not None:
                self._watchdog.unstalled()
            if full and self._sending == WRITABLE:
                self._loop.defer(partial(self._deliver, "drain"))
        if self._sending == ENDING and self._may_end():
            self._step("all_sent")

    def _may_end(self) -> bool:
        """Whether the end can be sent now; it may have to wait for what was sent before."""
        wire = self._wire
        if wire is None or not wire.FAREWELL:
            return True
        try:
            wire.shutdown(_socket.SHUT_WR)
        except BlockingIOError:
            self._watch_writable()
            return False
        except OSError:
            # The peer has reset: whoever reads, or watches, hears of that.
            pass
        return True

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

    # -- the end of the writable side ---------------------------------------------------------

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

    def _drop_queued(self) -> list[Callback]:
        """The connection is over; gives the callbacks of what was not sent."""
        dropped = []
        out, self._outbox = self._outbox, None
        if out is not None:
            self._unsent = out.size
            self._counted().note_queue(out.peak)
            dropped += [chunk.callback for chunk in out.clear() if chunk.callback is not None]
        callbacks, self._end_callbacks = self._end_callbacks, None
        if self._sending >= SENT and self._error is None:
            # 'finish' is on its way, and 'close' must not overtake its callbacks.
            for callback in callbacks or ():
                self._loop.defer(partial(self._call, callback, None))
        elif callbacks is not None:
            dropped += callbacks
        return dropped
