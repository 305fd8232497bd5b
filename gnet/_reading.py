"""The readable side of a socket: flowing to listeners, or read by blocking calls.

One watcher serves both styles and stays started from message to message; only its callback
changes, with who wants the data:

* a flow: :meth:`Reading._on_flow` asks the dispatcher for a greenlet;
* a greenlet blocked in ``recv``: its own ``switch``, so that the loop wakes it without a detour;
* nobody: a weak reference, which looks whether the peer has ended or reset.

When it fires and its data is not wanted, it is stopped: unread data stays in the kernel.
"""

from __future__ import annotations

import _socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import ref

from greenlet import getcurrent, greenlet

from . import _encoding, _validate
from ._dispatch import Dispatcher
from ._pipe import Pipe
from ._state import CLOSED, CONNECTING, IDLE, OPEN
from ._wire import READ, AnyWire, Wire
from ._writing import HIGH_WATER_BYTES, Callback, Writing
from .errors import PeerEndError, annotate, coded

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LINGER_SECONDS", "READ_BYTES", "OnRead", "Reading"]

#: The size of a read of the flow, in bytes.
READ_BYTES = 262144
#: How much ``recv()`` gives at the most if it is not told, in bytes.
RECV_BYTES = 65536
# glibc maps and unmaps every block above 128 KiB anew, and gives freed memory back at once, until
# a larger block has been freed: then it keeps blocks up to that size. This one is never touched,
# and so costs nothing. Echo of 1 MiB: twice as fast, with 256 KiB reads; of 100 KiB: a fifth.
bytes(1 << 22)
# So many full reads before the other connections get their turn.
MAX_READS = 4
#: How long ``close()`` waits for the peer's end when everything is sent, in seconds.
LINGER_SECONDS = 2.0

# What arrives after close() goes here. One for all: nobody looks at it.
_scratch = bytearray(READ_BYTES)


class OnRead:
    """The ``onread`` option: read into a buffer of yours, with no allocation per chunk.

    From Node's ``new net.Socket({ onread })``.

    :param buffer: a writable bytes-like object; or a function, called once per read, that
        gives one.
    :param callback: called with the number of bytes and the buffer. ``False`` from it pauses
        the socket.
    """

    __slots__ = ("_make", "buffer", "callback", "size")

    def __init__(self, buffer: Any, callback: Callback) -> None:
        self.callback = _validate.function("callback", callback)
        self._make = buffer if callable(buffer) else None
        if self._make is None:
            self._use(buffer)

    def _use(self, buffer: Any) -> None:
        view = _view(buffer)
        if not view.nbytes:
            raise _validate.wrong_value("buffer", buffer, "of one byte or more")
        #: The buffer that is read into, and its size in bytes.
        self.buffer = buffer
        self.size = view.nbytes

    def refresh(self) -> None:
        """Have the buffer for the next read."""
        if self._make is not None:
            self._use(self._make())


def _view(buffer: Any) -> memoryview:
    try:
        view = memoryview(buffer)
    except TypeError:
        raise _validate.wrong_kind("buffer", buffer, "a writable bytes-like object") from None
    if view.readonly:
        raise _validate.wrong_kind("buffer", buffer, "a writable bytes-like object")
    return view


class _Unread(ref):  # type: ignore[type-arg]
    """The watcher's callback while nobody reads. It does not keep the socket (rule 11)."""

    __slots__ = ()

    def __call__(self) -> None:
        reading = super().__call__()
        if reading is not None:
            reading._on_unread()


class _Peer:
    """Who awaits a peer's end ahead of what is unread.

    :ivar watched: whether the hub's :class:`PeerWatch` has the socket.
    :ivar ended: whether the end has come.
    :ivar greenlets: those to interrupt when it comes.
    """

    __slots__ = ("ended", "greenlets", "watched")

    def __init__(self) -> None:
        self.watched = False
        self.ended = False
        self.greenlets: list[greenlet] = []


class Reading(Writing):
    """An endpoint that can be written to and read from."""

    __slots__ = (
        "_decoder", "_end_emitted", "_end_is_callers", "_flow", "_linger_timer", "_more",
        "_onread", "_peer", "_pipes", "_read_ended", "_read_watcher", "_serving", "_unread",
        "_watching", "allow_half_open", "bytes_read",
    )  # fmt: skip

    def __init__(
        self, high_water_mark: int = HIGH_WATER_BYTES, loop: Dispatcher | None = None
    ) -> None:
        super().__init__(high_water_mark, loop)
        #: Whether the writable side stays open when the peer has ended.
        self.allow_half_open = False
        #: How many bytes were received.
        self.bytes_read = 0
        # True: data goes to the listeners. False: paused. None: nobody has asked yet.
        self._flow: bool | None = None
        self._serving: greenlet | None = None
        # The kernel may have data: the last read filled its buffer, or nobody has read yet.
        self._more = True
        self._read_watcher: Any = None
        self._watching = False
        self._unread: _Unread | None = None
        self._read_ended = False
        self._end_emitted = False
        self._end_is_callers = False
        self._decoder: _encoding.Decoder | None = None
        self._onread: OnRead | None = None
        self._pipes: list[Pipe] | None = None
        self._linger_timer: Any = None
        # Who awaits the peer's end ahead of what is unread.
        self._peer: _Peer | None = None

    # -- properties ---------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether there may be something to read: neither ended nor closed."""
        return self._life is not CLOSED and not self._read_ended and not self._given_up

    @property
    def readable_ended(self) -> bool:
        """Whether ``'end'`` has been emitted."""
        return self._end_emitted

    # -- flowing ------------------------------------------------------------------------------

    def pause(self) -> Self:
        """Emit no more ``'data'``; what arrives stays in the kernel. From ``socket.pause()``.

        :returns: the socket.
        """
        if self._flow is not False:
            self._set_flow(False)
            self._report_later("pause")
        return self

    def resume(self) -> Self:
        """Emit ``'data'`` again. Without a listener what arrives is lost. From ``resume()``.

        :returns: the socket.
        """
        if self._flow is not True:
            self._set_flow(True)
            self._report_later("resume")
        return self

    def is_paused(self) -> bool:
        """Whether :meth:`pause` was called, and :meth:`resume` was not since."""
        return self._flow is False

    def _set_flow(self, flow: bool | None) -> None:
        paused, self._flow = self._flow is False, flow
        if paused or flow is False:
            self._update_hold()
        self._rearm()

    def _listening(self, event: str) -> None:
        super()._listening(event)
        if event == "data" and self._flow is None:
            self._set_flow(True)
        elif event == "peer_end":
            self._watch_peer()

    def _unlistened(self, event: str) -> None:
        super()._unlistened(event)
        if event == "data" and self._flow is True and self._onread is None:
            self._set_flow(None)

    def set_encoding(self, encoding: str | None = "utf-8") -> Self:
        """Emit ``'data'`` as ``str``. A character that is split over chunks comes out whole.

        From Node's ``socket.setEncoding()``. Blocking reads give bytes all the same.

        :param encoding: a name of Python's or Node's (``"utf8"``, ``"latin1"``, ``"hex"``,
            ``"base64"`` …); ``None`` for bytes again.
        :returns: the socket.
        :raises ValueError: the encoding is unknown.
        """
        self._decoder = _encoding.decoder(encoding) if encoding is not None else None
        return self

    # -- the watcher --------------------------------------------------------------------------

    def _watch(self, callback: Callback) -> None:
        if self._watching:
            self._read_watcher.callback = callback
            return
        if self._read_watcher is None:
            self._read_watcher = self._wire.watch(self._loop.loop, READ)  # type: ignore[union-attr]
        self._read_watcher.start(callback)
        self._watching = True

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._read_watcher.stop()

    def _rearm(self) -> None:
        """Make the watcher fit who wants the data now."""
        if self._life is not OPEN or self._read_ended:
            return
        if self._given_up:
            self._watch(self._discard)
        elif self._serving is None and self._reader is None:
            self._watch(self._on_flow if self._flow else self._unread_callback())

    def _settle(self) -> None:
        """A new connection has been given to its listeners, and perhaps nobody reads it."""
        if not self._watching:
            self._rearm()

    def _unread_callback(self) -> _Unread:
        if self._unread is None:
            self._unread = _Unread(self)
        return self._unread

    def _on_flow(self) -> None:
        """In the hub: there is something for the listeners."""
        if self._serving is None:
            loop = self._loop
            # defer() by hand: a call less for every message.
            if not loop.jobs:
                loop.wake()
            loop.jobs.append(self._serve)
        else:
            # A listener blocks: data and end are held back, but not a reset.
            self._look()

    def _on_unread(self) -> None:
        """In the hub: there is something, but nobody reads. An end and a reset are noticed."""
        if self._look():
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

    # -- serving the listeners ----------------------------------------------------------------

    def _serve(self) -> None:
        """In a borrowed greenlet: read, and emit what was read."""
        if self._serving is not None or not self._flow or self._wire is None or self._read_ended:
            return
        self._serving = getcurrent()
        try:
            if self._onread is not None:
                self._serve_onread(self._wire, self._onread)
            elif self._pipes is None or not self._serve_pipe(self._wire, self._pipes):
                self._serve_data(self._wire)
        except BlockingIOError:
            pass
        except OSError as exc:
            self._fail(annotate(exc, "read"))
        finally:
            self._serving = None
            # The watcher was stopped if it fired meanwhile; and the flow may have been, too.
            if not self._watching or not self._flow:
                self._rearm()

    def _serve_data(self, wire: AnyWire) -> None:
        reads = 0
        while True:
            data = wire.recv(READ_BYTES)
            if self._idle is not None:
                self._idle.touch()
            size = len(data)
            if not size:
                self._serve_end()
                return
            self.bytes_read += size
            if self._decoder is None:
                # emit() by hand: a call less for every message.
                listeners = self._listeners.get("data", ())
                try:
                    if isinstance(listeners, tuple):
                        for listener in listeners:
                            listener(data)
                    else:
                        listeners(data)
                except BaseException as exc:
                    self._listener_failed(exc)
            else:
                self._emit_text(data)
            # Only a full buffer promises more: another read would mostly be for nothing.
            if size < READ_BYTES or not self._flow or self._wire is not wire:
                return
            reads += 1
            if reads == MAX_READS:
                return

    def _serve_pipe(self, wire: AnyWire, pipes: list[Pipe]) -> bool:
        """Let the kernel move what was received to the only one who wants it.

        :returns: whether it could.
        """
        shared = isinstance(self._listeners.get("data"), tuple)
        if len(pipes) != 1 or shared or self._decoder is not None:
            return False
        for _ in range(MAX_READS):
            moved = pipes[0].splice(wire)
            if moved is None:
                return False
            if self._idle is not None:
                self._idle.touch()
            if not moved:
                self._serve_end()
                break
            self.bytes_read += moved
            if moved < RECV_BYTES or not self._flow or self._wire is not wire:
                break
        return True

    def _emit_text(self, data: bytes, final: bool = False) -> None:
        assert self._decoder is not None
        text = self._decoder.decode(data, final)
        if text:
            self._deliver("data", text)

    def _serve_onread(self, wire: AnyWire, onread: OnRead) -> None:
        reads = 0
        while True:
            try:
                onread.refresh()
            except BaseException as exc:
                self._listener_failed(exc)
                return
            size = wire.recv_into(onread.buffer)
            if self._idle is not None:
                self._idle.touch()
            if not size:
                self._serve_end()
                return
            self.bytes_read += size
            try:
                if onread.callback(size, onread.buffer) is False:
                    self.pause()
            except BaseException as exc:
                self._listener_failed(exc)
            if size < onread.size or not self._flow or self._wire is not wire:
                return
            reads += 1
            if reads == MAX_READS:
                return

    def _serve_end(self) -> None:
        """The peer has ended: tell the listeners, then end the other side (rule 8)."""
        self._read_ended = True
        self._peer_has_ended()
        self._unwatch()
        if self._decoder is not None:
            self._emit_text(b"", final=True)
        self._emit_end()

    def _serve_unread_end(self) -> None:
        """In a borrowed greenlet: nobody reads, and the peer has ended."""
        if self._life is not OPEN or self._read_ended or self._reader is not None:
            return
        if self._flow:
            self._rearm()
            return
        # A program in blocking style has still to read this end, and then to answer.
        self._end_is_callers = self._blocking_style
        self._serving = getcurrent()
        try:
            self._serve_end()
        finally:
            self._serving = None

    def _emit_end(self) -> None:
        if self._close_emitted:
            return
        self._end_emitted = True
        self._deliver("end")
        if self.allow_half_open or self._end_is_callers or self._handled:
            self._side_ended()
        elif self._out is None and not self._ending and self._life is OPEN:
            # Both sides are over: the close itself sends the end, without a shutdown before it.
            self._ending = self._finished = True
            self._emit_finish()
        else:
            self._end()
            self._side_ended()

    def _side_ended(self) -> None:
        if self._end_emitted and self._finish_emitted:
            self._shut(None)

    # -- blocking reads -----------------------------------------------------------------------

    def recv(self, bufsize: int = RECV_BYTES, flags: int = 0) -> bytes:
        """Receive what is there; block until there is something. From ``socket.recv()``.

        :param bufsize: the most bytes to give.
        :param flags: the system's ``MSG_`` flags, for example ``MSG_PEEK``.
        :returns: the bytes, or ``b""`` at the end of the stream.
        :raises OSError: the connection has failed, or is closed.
        :raises RuntimeError: the socket is flowing.
        :raises TimeoutError: the idle timeout fired and ``'timeout'`` has no listener.
        """
        if (
            self._wire is None or self._flow or self._read_ended or self._given_up
            or self._decoder is not None or type(bufsize) is not int or bufsize <= 0
        ):  # fmt: skip
            rest = self._begin_reading(bufsize)
            if rest is not None:
                return rest
        self._blocking_style = True
        while True:
            if not self._more or self._reader is not None:
                self._await_readable()
            if self._read_ended:
                return b""
            try:
                data = self._wire.recv(bufsize, flags)  # type: ignore[union-attr]
            except BlockingIOError:
                self._more = False
                continue
            except OSError as exc:
                raise self._read_failed(exc) from None
            if not flags:
                self._received(len(data), bufsize)
            return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """:meth:`recv` into a buffer. From Python's ``socket.recv_into()``.

        :param buffer: a writable bytes-like object.
        :param nbytes: the most bytes to put there; ``0`` for as many as fit.
        :param flags: as for :meth:`recv`.
        :returns: how many bytes were put there; ``0`` at the end of the stream.
        """
        size = _view(buffer).nbytes
        nbytes = _validate.integer("nbytes", nbytes, 0, size) or size
        rest = self._begin_reading(nbytes)
        if rest is not None:
            _view(buffer).cast("B")[: len(rest)] = rest
            return len(rest)
        self._blocking_style = True
        while True:
            if not self._more or self._reader is not None:
                self._await_readable()
            if self._read_ended:
                return 0
            try:
                count = self._wire.recv_into(buffer, nbytes, flags)  # type: ignore[union-attr]
            except BlockingIOError:
                self._more = False
                continue
            except OSError as exc:
                raise self._read_failed(exc) from None
            if not flags:
                self._received(count, nbytes)
            return count

    def __iter__(self) -> Iterator[bytes]:
        """The received chunks, up to the end of the stream."""
        while True:
            chunk = self.recv()
            if not chunk:
                return
            yield chunk

    def _begin_reading(self, bufsize: int) -> bytes | None:
        """Wait for the connection; gives what can be had without the kernel, or ``None``."""
        if self._life is CONNECTING:
            self._await_connection()
        if self._flow:
            raise coded(
                RuntimeError(
                    "the socket is flowing: its data goes to the 'data' listeners, a pipe or "
                    "resume(). To read it here, call pause() or remove the listener"
                ),
                "ERR_SOCKET_FLOWING",
            )
        _validate.integer("bufsize", bufsize, 0, 2**31 - 1)
        if self._read_ended and self._error is None and not self._given_up:
            return b""
        self._raise_unless_open()
        if self._given_up:
            raise self._closed_error()
        if not bufsize:
            return b""
        return self._take_undecoded(bufsize)

    def _take_undecoded(self, bufsize: int) -> bytes | None:
        """The bytes of a character that the decoder has only half of, if any."""
        if self._decoder is None:
            return None
        rest = self._decoder.getstate()[0]
        if not rest:
            return None
        self._decoder = _encoding.resumed(self._decoder, rest[bufsize:])
        return rest[:bufsize]

    def _received(self, count: int, wanted: int) -> None:
        if self._idle is not None:
            self._idle.touch()
        if count:
            self.bytes_read += count
            self._more = count == wanted
            if not self._watching and not self._more:
                self._rearm()
        else:
            self._read_ended = True
            self._end_is_callers = True
            self._peer_has_ended()
            self._unwatch()
            self._loop.defer(self._emit_end)

    def _read_failed(self, exc: OSError) -> BaseException:
        self._fail(annotate(exc, "read"))
        self._heard = True
        return self._closed_error()

    def _await_readable(self) -> None:
        """Block until the kernel has data, an end or an error."""
        while self._reader is not None:
            # Another greenlet reads: take turns.
            self._block()
            self._raise_unless_open()
        if self._idle is not None:
            self._idle.touch()
        me = getcurrent()
        self._reader = me
        # _watch() by hand: a call less for every message.
        if self._watching:
            self._read_watcher.callback = me.switch
        else:
            self._watch(me.switch)
        try:
            self._loop.hub.switch()
        finally:
            self._reader = None
            if self._watching:
                self._read_watcher.callback = self._unread or self._unread_callback()
                if self._flow:
                    self._rearm()
            if self._blocked:
                self._wake()

    # -- the peer's end, ahead of what is unread ----------------------------------------------

    @contextmanager
    def interrupt_on_peer_end(self) -> Iterator[None]:
        """Interrupt the calling greenlet inside the ``with`` block when the peer leaves.

        Whatever the greenlet is blocked in, a slow query for example, raises
        :class:`~gnet.errors.PeerEndError` as soon as the peer has ended or reset, also while
        input is unread. Where the system cannot tell (all but Linux), only an end that nothing
        stands before is noticed.

        :raises PeerEndError: the peer has left.
        """
        peer = self._watch_peer()
        me = getcurrent()
        peer.greenlets.append(me)
        try:
            if peer.ended or self._read_ended or self._life is CLOSED:
                raise self._own(PeerEndError())
            yield
        finally:
            peer.greenlets.remove(me)

    def _watch_peer(self) -> _Peer:
        """Notice the peer's end from now on, although input may be unread."""
        peer = self._peer
        if peer is None:
            peer = self._peer = _Peer()
        if not peer.watched and self._life is OPEN and isinstance(self._wire, Wire):
            peer.watched = True
            self._loop.peers.add(self._wire, self)
        return peer

    def _unwatch_peer(self) -> None:
        peer = self._peer
        if peer is not None and peer.watched and isinstance(self._wire, Wire):
            peer.watched = False
            self._loop.peers.remove(self._wire)

    def _peer_has_ended(self) -> None:
        """The peer has ended or reset, or there is none any more."""
        peer = self._peer
        if peer is None or peer.ended:
            return
        peer.ended = True
        self._report_later("peer_end")
        for blocked in peer.greenlets:
            self._loop.loop.run_callback(self._interrupt_greenlet, blocked)

    def _interrupt_greenlet(self, blocked: greenlet) -> None:
        if self._peer is not None and blocked in self._peer.greenlets:
            blocked.throw(self._own(PeerEndError()))

    # -- pipe ---------------------------------------------------------------------------------

    def pipe(self, destination: Any, end: bool = True) -> Any:
        """Write everything that arrives to a destination, no faster than that takes it.

        From Node's ``readable.pipe()``.

        :param destination: anything with a ``write()``: a socket, a file. A ``False`` from it
            pauses this socket until its ``'drain'``.
        :param end: whether to ``end()`` the destination when the peer has ended.
        :returns: the destination.
        :raises TypeError: the destination has no ``write()``.
        """
        if not callable(getattr(destination, "write", None)):
            raise _validate.wrong_kind("destination", destination, "something with a write()")
        pipe = Pipe(self, destination, _validate.flag("end", end))
        if self._pipes is None:
            self._pipes = []
        self._pipes.append(pipe)
        pipe.start()
        return destination

    def unpipe(self, destination: Any = None) -> Self:
        """Undo :meth:`pipe` for one destination, or for all.

        :returns: the socket.
        """
        for pipe in list(self._pipes or ()):
            if destination is None or pipe.destination is destination:
                pipe.stop()
        return self

    # -- close (rule 8) -----------------------------------------------------------------------

    def _give_up(self) -> None:
        """``close()``: send what is queued, end, and let go of the descriptor in good time."""
        if self._life is CLOSED:
            self._report_unheard()
            return
        self._given_up = True
        if self._life is IDLE or (self._life is CONNECTING and self._out is None):
            self._shut(None)
            return
        self._interrupt()
        if self._read_ended and self._out is None and not self._ending:
            # Both sides are over: the close itself sends the end, without a shutdown before it.
            self._ending = self._finished = True
            self._loop.defer(self._emit_finish)
            self._shut(None)
            return
        self._update_hold()
        self._end()
        self._rearm()
        if self._finished:
            self._linger()

    def _finish_up(self) -> None:
        """The server shuts down: the connection ends, in a way that leaves time to answer."""
        if not self._handled:
            self._end()
        elif self._wire is not None and not self._read_ended:
            # Its listener reads to the end and then may answer; this is the end.
            with suppress(OSError):
                self._wire.shutdown(_socket.SHUT_RD)
            self._more = True

    def _linger(self) -> None:
        """Everything is sent: the peer has some time to end as well."""
        if self._life is not OPEN:
            return
        if self._read_ended:
            self._loop.defer(self._linger_over)
        elif self._linger_timer is None:
            self._linger_timer = self._loop.loop.timer(LINGER_SECONDS)
            self._linger_timer.start(self._linger_over)

    def _linger_over(self) -> None:
        self._shut(None)

    def _discard(self) -> None:
        """In the hub: something arrived after ``close()``."""
        try:
            for _ in range(MAX_READS):
                if not self._wire.recv_into(_scratch):  # type: ignore[union-attr]
                    break
            else:
                return
        except BlockingIOError:
            return
        except OSError as exc:
            # Nobody is there to hear of it, unless data of the program's was still to be sent.
            self._shut(self._own(annotate(exc, "read")), heard=self._finished)
            return
        self._read_ended = True
        self._unwatch()
        if self._finished:
            self._linger()

    # -- parts of the whole -------------------------------------------------------------------

    def wait(self, event: str, timeout: float | None = None) -> tuple[Any, ...]:
        if event in ("data", "end") and self._serving is getcurrent():
            raise coded(
                RuntimeError(
                    f"wait({event!r}) inside a listener of this socket's stream would wait for "
                    "ever: nothing more is read before the listener has returned"
                ),
                "ERR_SOCKET_WAITS_FOR_ITSELF",
            )
        return super().wait(event, timeout)

    wait.__doc__ = Writing.wait.__doc__

    def _came(self, event: str) -> tuple[Any, ...] | None:
        if event == "end" and self._end_emitted:
            return ()
        return super()._came(event)

    def _holds(self) -> bool:
        if self._life is OPEN and self._flow is False and self._out is None:
            return self._given_up and super()._holds()
        return super()._holds()

    def _teardown(self) -> list[Callback]:
        if self._peer is not None:
            self._unwatch_peer()
            self._peer_has_ended()
        self._watching = False
        if self._read_watcher is not None:
            self._read_watcher.close()
            self._read_watcher = None
        if self._linger_timer is not None:
            self._linger_timer.close()
            self._linger_timer = None
        return super()._teardown()
