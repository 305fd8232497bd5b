"""What has arrived at a socket: the watcher that tells of it, and what nobody has been given yet.

One watcher serves the flow and the blocking reads, and stays started from message to message. It
only notes that there is something (:mod:`gnet._core.noted`); what it notes depends on who wants
the data:

* a flow: the watcher notes :meth:`gnet._core.flowing.Flowing._serve`, which a borrowed greenlet
  runs;
* a greenlet blocked in ``recv``, or nobody: it notes a weak reference to the socket. The greenlet
  goes on; without one, the socket looks whether the peer has ended or reset.

When it fires and its data is not wanted, it is stopped: unread data stays in the kernel. What was
read ahead all the same, by a file of ``makefile()`` for example, is kept with the socket and comes
first, whoever wants it next: the stream has one position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn
from weakref import ref

from greenlet import greenlet

from .._transport.protocol import READ
from .._values import encodings
from ..errors import annotate
from .departure import Departure
from .on_read import OnRead
from .pipe import Pipe
from .sending import Callback
from .states import (
    DISCARD,
    END_MET,
    END_TOLD,
    FLOW,
    LEFT,
    OPEN,
    SENT,
    SHUT,
    UNREAD,
    UNSETTLED,
    UNWATCHED,
    WRITABLE,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MAX_READS", "READ_BYTES", "Inbound"]

#: The size of a read of the flow, in bytes.
READ_BYTES = 262144
# glibc maps and unmaps every block above 128 KiB anew, and gives freed memory back at once, until
# a larger block has been freed: then it keeps blocks up to that size. This one is never touched,
# and so costs nothing. Echo of 1 MiB: twice as fast, with 256 KiB reads; of 100 KiB: a fifth.
bytes(1 << 22)
# So many full reads before the other connections get their turn.
MAX_READS = 4

# What arrives after close() goes here. One for all: nobody looks at it.
_scratch = bytearray(READ_BYTES)


class Inbound(Departure):
    """A host that something arrives at."""

    __slots__ = (
        "_ahead", "_decoder", "_flow", "_more", "_onread", "_pipes", "_read_watcher", "_serving",
        "_watching", "allow_half_open", "bytes_read",
    )  # fmt: skip

    # True: data goes to the listeners. False: paused. None: nobody has asked yet.
    _flow: bool | None
    # The greenlet in which a listener of the stream runs.
    _serving: greenlet | None
    # What was read from the kernel and not given to anybody. It is changed in place.
    _ahead: bytearray | None
    # The kernel may have data: the last read filled its buffer, or nobody has read yet.
    _more: bool
    _read_watcher: Any
    # Whom the watcher serves.
    _watching: int
    _decoder: encodings.Decoder | None
    _onread: OnRead | None
    _pipes: list[Pipe] | None

    #: Whether the writable side stays open when the peer has ended.
    allow_half_open: bool
    #: How many bytes were received.
    bytes_read: int

    @property
    def readable(self) -> bool:
        """Whether something may still be read: the peer has not ended, the socket not closed."""
        return self._life < SHUT and self._receiving < END_MET and self._owner < LEFT

    @property
    def readable_ended(self) -> bool:
        """Whether ``'end'`` has been emitted."""
        return self._receiving >= END_TOLD

    def pause(self) -> Self:
        """Emit no more ``'data'``; what arrives stays in the kernel. From ``socket.pause()``.

        :returns: the socket.
        """
        self._check_thread()
        if self._flow is not False:
            self._counted().pause()
            self._set_flow(False)
            self._report_later("pause")
        return self

    def resume(self) -> Self:
        """Emit ``'data'`` again; without a listener, what arrives is dropped. From ``resume()``.

        :returns: the socket.
        """
        self._check_thread()
        if self._flow is not True:
            self._set_flow(True)
            self._report_later("resume")
        return self

    def is_paused(self) -> bool:
        """Whether :meth:`pause` was called, and :meth:`resume` was not called since."""
        return self._flow is False

    def _set_flow(self, flow: bool | None) -> None:
        paused, self._flow = self._flow is False, flow
        if paused or flow is False:
            self._update_hold()
        self._rearm()

    def set_encoding(self, encoding: str | None = "utf-8") -> Self:
        """Emit ``'data'`` as ``str``. A character that is split over chunks comes out whole.

        From Node's ``socket.setEncoding()``. Blocking reads still give bytes.

        :param encoding: a name of Python's or Node's (``"utf8"``, ``"latin1"``, ``"hex"``,
            ``"base64"`` …); ``None`` for bytes again.
        :returns: the socket.
        :raises ValueError: the encoding is unknown, or cannot decode a stream (``idna``).
        """
        self._check_thread()
        decoder = encodings.decoder(encoding) if encoding is not None else None
        self._return_undecoded()
        self._decoder = decoder
        if self._ahead:
            self._rearm()
        return self

    # -- what was read ahead ------------------------------------------------------------------

    def _put_back(self, *parts: Any) -> None:
        """Have what was received come again, before anything else."""
        try:
            data = b"".join(parts)
            if self._ahead is None:
                self._ahead = bytearray(data)
            else:
                self._ahead[:0] = data
        except MemoryError as exc:
            self._lost(exc)

    def _lost(self, exc: MemoryError) -> NoReturn:
        """There is no memory to keep what was received: the stream must not go on without it."""
        self._fail(exc)
        self._heard = True
        raise exc

    def _take(self, size: int, peek: bool = False) -> bytes:
        """At most ``size`` bytes of what was read ahead."""
        ahead = self._ahead
        assert ahead is not None
        data = bytes(ahead[:size])
        if not peek:
            del ahead[:size]
        return data

    def _return_undecoded(self) -> None:
        """Have the bytes of a character that the decoder has only a part of come again."""
        if self._decoder is not None:
            rest, state = self._decoder.getstate()
            if rest:
                self._decoder.setstate((b"", state))
                self._put_back(rest)

    # -- the watcher --------------------------------------------------------------------------

    def _watch(self, whom: int, callback: Callback, args: tuple[object, ...] = ()) -> None:
        if self._watching and self._watching != UNSETTLED:
            self._forget_noted()
            self._read_watcher.callback = callback
            self._read_watcher.args = args
        else:
            if self._read_watcher is None:
                self._read_watcher = self._wire.watch(self._loop.loop, READ)  # type: ignore[union-attr]
            self._read_watcher.start(callback, *args)
        self._watching = whom

    def _watch_unread(self) -> None:
        """Have noted what comes, for a blocked call or nobody; it does not keep the socket."""
        self._watch(UNREAD, self._loop.noted.unread(), (ref(self),))

    def _forget_noted(self) -> None:
        """The watcher is stopped, or notes for somebody else."""
        # Once too often, and nothing is taken any more of what the others note. The watcher itself
        # does not tell: its transport may have closed it.
        if self._watching == FLOW or self._watching == UNREAD:
            self._loop.noted.undo()

    def _unwatch(self) -> None:
        if self._watching:
            self._forget_noted()
            self._watching = UNWATCHED
            if self._read_watcher is not None:
                self._read_watcher.stop()

    def _rearm(self) -> None:
        """Make the watcher fit who wants the data now."""
        if self._life != OPEN or self._receiving >= END_MET or self._watching == UNSETTLED:
            return
        if self._owner >= LEFT:
            if self._wire.SHARED:  # type: ignore[union-attr]
                self._unwatch()
            else:
                # Not directly: a signal's exception in it would stop the watcher for ever.
                self._watch(DISCARD, self._loop.loop.run_callback, (self._discard,))
        elif self._serving is None and self._reader is None:
            if self._flow:
                if self._is_cut():
                    self._end_cut()
                self._watch(FLOW, self._loop.noted.flow(), (self._serve,))
                if self._ahead:
                    self._loop.defer(self._serve)
            else:
                self._watch_unread()

    def _has_been_spoken_to(self) -> bool:
        """Whether the peer has sent something, unread though it may be, or its end."""
        if self.bytes_read or self._receiving >= END_MET:
            return True
        wire = self._wire
        if wire is None:
            return False
        try:
            wire.at_end()
        except BlockingIOError:
            return False
        except OSError:
            # Whoever reads, or watches, hears of that.
            pass
        return True

    def _is_clean(self) -> bool:
        """Whether it is as good as new: nothing has ended, or is unread, queued, or waited for."""
        if (
            self._life != OPEN or self._receiving >= END_MET or self._sending != WRITABLE
            or self._owner >= LEFT or self._flow is not None or self._ahead
            or self._outbox is not None or self._reader is not None or self._blocked
        ):  # fmt: skip
            return False
        try:
            self._wire.at_end()  # type: ignore[union-attr]
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _settle(self) -> None:
        """A new connection has been given to its listeners, and perhaps nobody reads it."""
        if self._watching == UNSETTLED:
            self._watching = UNWATCHED
        if not self._watching:
            self._rearm()

    def _settle_flow(self) -> None:
        """In a borrowed greenlet: the same, where its listeners may have begun a flow."""
        if self._watching == UNSETTLED and self._flow:
            self._watching = UNWATCHED
            # Mostly the client has spoken by now, and is heard without a turn of the loop.
            self._serve()
        else:
            self._settle()

    def _noted(self) -> greenlet | None:
        """In the hub: the watcher has noted something. Gives the greenlet that waits for it."""
        reader = self._reader
        # One whose connection has closed since has it told by other means.
        if reader is None or not self._watching:
            self._on_unread()
            return None
        return reader

    def _on_unread(self) -> None:
        """In the hub: there is something, but nobody reads. An end and a reset are noticed."""
        # The flow may have begun since that was noted.
        if self._watching == UNREAD and self._look():
            self._loop.defer(self._serve_unread_end)

    def _look(self) -> bool:
        """Look what the kernel has, without reading it; tells whether it is the end."""
        try:
            ended = self._wire.at_end()  # type: ignore[union-attr]
        except BlockingIOError:
            return False
        except OSError as exc:
            self._fail(annotate(exc, "read"))
            return False
        self._unwatch()
        self._more = True
        return ended

    def _serve(self) -> None:
        """In a borrowed greenlet: there is something for the listeners."""
        raise NotImplementedError

    def _serve_unread_end(self) -> None:
        """In a borrowed greenlet: nobody reads, and the peer has ended."""
        raise NotImplementedError

    def _discard(self) -> None:
        """In the hub: something arrived after ``close()``."""
        wire = self._wire
        if wire is None or self._receiving >= END_MET or self._owner < LEFT:
            return
        try:
            for _ in range(MAX_READS):
                if not wire.recv_into(_scratch):
                    break
            else:
                return
        except BlockingIOError:
            return
        except OSError as exc:
            # Nobody is there to hear of it, unless data of the program's was still to be sent.
            self._shut(self._own(annotate(exc, "read")), heard=self._sending >= SENT)
            return
        # A listener of 'close' needs a greenlet.
        if self.listener_count("close") or not self._ends_unheard("discard_unheard"):
            self._step("meet_end")

    def _ends_unheard(self, event: str) -> bool:
        """Close at once, if the connection ends with its peer and nobody listens to the ends."""
        raise NotImplementedError

    def _listen_to_sessions(self) -> None:
        """Somebody wants what a connection with TLS can be resumed by."""
        raise NotImplementedError
