"""The readable side of a socket as a flow: to the listeners of ``'data'``, or into a pipe.

One watcher serves the flow and the blocking reads, and stays started from message to message;
only its callback changes, with who wants the data:

* a flow: :meth:`Flowing._serve`, in a borrowed greenlet: the watcher only notes that with the
  dispatcher;
* a greenlet blocked in ``recv``: its own ``switch``, so that the loop wakes it without a detour;
* nobody: a weak reference, which looks whether the peer has ended or reset.

When it fires and its data is not wanted, it is stopped: unread data stays in the kernel. What was
read ahead all the same, by a file of ``makefile()`` for example, is kept with the socket and comes
first, whoever wants it next: the stream has one position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn
from weakref import ref

from greenlet import getcurrent, greenlet

from .._transport import stream_socket
from .._transport.protocol import READ, Transport
from .._values import arguments, encodings
from ..errors import EndedError, annotate, coded
from .departure import Departure
from .dispatcher import Dispatcher
from .emitter import call_all
from .on_read import OnRead
from .pipe import Pipe
from .states import (
    CALLER,
    DISCARD,
    END_MET,
    END_TOLD,
    FLOW,
    LEFT,
    OPEN,
    SHUT,
    UNREAD,
    UNWATCHED,
    WRITABLE,
)
from .writing import HIGH_WATER_BYTES, Callback, Writing

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MAX_READS", "READ_BYTES", "Flowing"]

#: The size of a read of the flow, in bytes.
READ_BYTES = 262144
# glibc maps and unmaps every block above 128 KiB anew, and gives freed memory back at once, until
# a larger block has been freed: then it keeps blocks up to that size. This one is never touched,
# and so costs nothing. Echo of 1 MiB: twice as fast, with 256 KiB reads; of 100 KiB: a fifth.
bytes(1 << 22)
# So many full reads before the other connections get their turn.
MAX_READS = 4
# A pipe's move of less than this promises no more; the kernel moves in pieces of 64 KiB.
MOVE_BYTES = 65536


class _Unread(ref):  # type: ignore[type-arg]
    """The watcher's callback while nobody reads. It does not keep the socket (rule 11)."""

    __slots__ = ()

    def __call__(self) -> None:
        reading = super().__call__()
        if reading is None:
            return
        try:
            reading._on_unread()
        except BaseException as exc:
            # Not here: gevent stops a watcher whose callback has raised.
            reading._loop.loop.run_callback(reading._report, exc)


class Flowing(Departure):
    """An endpoint whose data goes to listeners and pipes."""

    __slots__ = (
        "_ahead", "_decoder", "_flow", "_more", "_onread",
        "_pipes", "_read_watcher", "_serving", "_unread", "_watching", "allow_half_open",
        "bytes_read",
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
        # The greenlet in which a listener of the stream runs.
        self._serving: greenlet | None = None
        # What was read from the kernel and not given to anybody. It is changed in place.
        self._ahead: bytearray | None = None
        # The kernel may have data: the last read filled its buffer, or nobody has read yet.
        self._more = True
        self._read_watcher: Any = None
        # Whom the watcher serves.
        self._watching = UNWATCHED
        self._unread: _Unread | None = None
        self._decoder: encodings.Decoder | None = None
        self._onread: OnRead | None = None
        self._pipes: list[Pipe] | None = None

    # -- properties ---------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether something may still be read: the peer has not ended, the socket not closed."""
        return self._life < SHUT and self._receiving < END_MET and self._owner < LEFT

    @property
    def readable_ended(self) -> bool:
        """Whether ``'end'`` has been emitted."""
        return self._receiving >= END_TOLD

    # -- flowing ------------------------------------------------------------------------------

    def pause(self) -> Self:
        """Emit no more ``'data'``; what arrives stays in the kernel. From ``socket.pause()``.

        :returns: the socket.
        """
        self._check_thread()
        if self._flow is not False:
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

    def _listening(self, event: str) -> None:
        super()._listening(event)
        if event == "data" and self._flow is None:
            self._set_flow(True)

    def _unlistened(self, event: str) -> None:
        super()._unlistened(event)
        if event == "data" and self._flow is True and self._onread is None:
            self._set_flow(None)

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

    def _watch(self, whom: int, callback: Callback, *args: object) -> None:
        if self._watching:
            self._forget_flow()
            self._read_watcher.callback = callback
            self._read_watcher.args = args
        else:
            if self._read_watcher is None:
                self._read_watcher = self._wire.watch(self._loop.loop, READ)  # type: ignore[union-attr]
            self._read_watcher.start(callback, *args)
        self._watching = whom

    def _forget_flow(self) -> None:
        if self._watching == FLOW:
            self._loop.unflow()

    def _unwatch(self) -> None:
        if self._watching:
            self._forget_flow()
            self._watching = UNWATCHED
            self._read_watcher.stop()

    def _rearm(self) -> None:
        """Make the watcher fit who wants the data now."""
        if self._life != OPEN or self._receiving >= END_MET:
            return
        if self._owner >= LEFT:
            if self._wire.SHARED:  # type: ignore[union-attr]
                self._unwatch()
            else:
                # Not directly: a signal's exception in it would stop the watcher for ever.
                self._watch(DISCARD, self._loop.loop.run_callback, self._discard)
        elif self._serving is None and self._reader is None:
            if self._flow:
                self._watch(FLOW, self._loop.flow(), self._serve)
                if self._ahead:
                    self._loop.defer(self._serve)
            else:
                self._watch(UNREAD, self._unread_callback())

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

    def _settle(self) -> None:
        """A new connection has been given to its listeners, and perhaps nobody reads it."""
        if not self._watching:
            self._rearm()

    def _unread_callback(self) -> _Unread:
        if self._unread is None:
            self._unread = _Unread(self)
        return self._unread

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
        """In a borrowed greenlet: there is something for the listeners."""
        wire = self._wire
        if (
            wire is None
            or self._receiving >= END_MET
            or self._owner >= LEFT
            or self._reader is not None
        ):
            return
        if self._serving is not None:
            # A listener blocks: data and end are held back, but not a reset. Whether it has
            # paused the socket, or was the only one, does not matter.
            self._look()
            return
        if not self._flow:
            return
        generation = self._generation
        self._serving = getcurrent()
        reads = 0
        try:
            if self._pipes and not self._leave_ended(self._pipes):
                return
            while self._ahead and self._onread is None:
                self._emit_chunk(self._take(READ_BYTES))
                if not self._goes_on(wire):
                    return
            if self._onread is not None:
                self._serve_onread(wire, self._onread)
                return
            if self._pipes and self._serve_pipe(wire, self._pipes):
                return
            while reads < MAX_READS:
                data = stream_socket.receive(wire, READ_BYTES)
                if self._idle is not None:
                    self._idle.touch()
                size = len(data)
                if not size:
                    self._serve_end()
                    return
                self.bytes_read += size
                if self._decoder is None:
                    # emit() by hand: a call less for every message; isinstance() is another.
                    listeners = self._listeners.get("data", ())
                    try:
                        if type(listeners) is tuple:
                            call_all(listeners, (data,))
                        else:
                            listeners(data)  # type: ignore[operator]
                    except BaseException as exc:
                        self._listener_failed(exc, generation)
                else:
                    self._emit_text(data)
                # Only a full buffer promises more: another read would mostly be for nothing.
                if size < READ_BYTES or self._pipes or not self._goes_on(wire):
                    return
                reads += 1
        except BlockingIOError:
            pass
        except OSError as exc:
            self._fail(annotate(exc, "read"))
        except BaseException as exc:
            # A signal's handler has raised, or there is no memory: another try could fail at once.
            self._listener_failed(exc, generation)
        finally:
            # A listener may have dialled again, and the new connection be served meanwhile.
            if self._generation == generation:
                self._serving = None
                # The watcher was stopped if it fired meanwhile, or has served a blocked read; and
                # the flow may have been stopped, too.
                if self._watching != FLOW or not self._flow or self._ahead:
                    self._served()

    def _goes_on(self, wire: Transport) -> bool:
        """Whether the listeners still want what comes on the wire, now that one has returned."""
        return (
            self._flow is True
            and self._wire is wire
            and self._owner < LEFT
            and self._receiving < END_MET
        )

    def _served(self) -> None:
        """The listeners have returned: what was held back meanwhile goes on."""
        if self._receiving >= END_MET and self._receiving < END_TOLD and self._life == OPEN:
            # One of them has read up to the end; behind close() it was thrown away with the rest.
            if self._owner < LEFT:
                self._loop.defer(self._emit_end)
        else:
            self._rearm()

    def _leave_ended(self, pipes: list[Pipe]) -> bool:
        """Unpipe what has ended, before anything is read; tells whether there is still a flow."""
        for pipe in list(pipes):
            pipe.leave_if_over()
        return self._flow is True

    def _serve_pipe(self, wire: Transport, pipes: list[Pipe]) -> bool:
        """Let the kernel move what was received to the only one who wants it.

        :returns: whether it could.
        """
        if len(pipes) != 1 or self._decoder is not None:
            return False
        pipe = pipes[0]
        if not pipe.is_carrier(self._listeners.get("data")):
            return False
        # A subclass, or a socket, with a write() of its own wants to see the bytes.
        to = pipe.destination
        if getattr(type(to), "write", None) is not Writing.write or "write" in vars(to):
            return False
        for _ in range(MAX_READS):
            moved = pipe.splice(wire)
            if moved is None:
                return False
            if self._idle is not None:
                self._idle.touch()
            if not moved:
                self._serve_end()
                break
            self.bytes_read += moved
            if moved < MOVE_BYTES or not self._goes_on(wire):
                break
        return True

    def _emit_chunk(self, data: bytes) -> None:
        if self._decoder is None:
            self._deliver("data", data)
        else:
            self._emit_text(data)

    def _emit_text(self, data: bytes, final: bool = False) -> None:
        decoder = self._decoder
        assert decoder is not None
        try:
            text = decoder.decode(data, final)
            if not text:
                encodings.check_kept(decoder)
        except Exception as exc:
            self._fail(encodings.undecodable(exc))
            return
        if text:
            self._deliver("data", text)

    def _serve_onread(self, wire: Transport, onread: OnRead) -> None:
        generation = self._generation
        for _ in range(MAX_READS):
            try:
                onread.refresh()
            except BaseException as exc:
                self._listener_failed(exc, generation)
                return
            size = self._read_into(wire, onread.view)
            if not size:
                self._serve_end()
                return
            try:
                paused = onread.callback(size, onread.buffer) is False
            except BaseException as exc:
                self._listener_failed(exc, generation)
                return
            if self._generation != generation:
                return
            if paused:
                self.pause()
            if size < onread.size or not self._goes_on(wire):
                return

    def _read_into(self, wire: Transport, view: memoryview) -> int:
        """Read into the buffer of ``onread``: what was read ahead, or what the kernel has."""
        if self._ahead:
            data = self._take(view.nbytes)
            view[: len(data)] = data
            return len(data)
        size = wire.recv_into(view)
        self._touch()
        self.bytes_read += size
        return size

    def _serve_end(self, event: str = "meet_end") -> None:
        """The peer has ended: tell the listeners, then end the other side (rule 8)."""
        generation = self._generation
        self._step(event)
        if self._decoder is not None:
            self._emit_text(b"", final=True)
        if self._generation == generation and self._life == OPEN:
            self._emit_end()

    def _serve_unread_end(self) -> None:
        """In a borrowed greenlet: nobody reads, and the peer has ended."""
        if (
            self._life != OPEN or self._receiving >= END_MET
            or self._reader is not None or self._serving is not None
        ):  # fmt: skip
            return
        if self._flow:
            self._rearm()
            return
        self._return_undecoded()
        if self._ahead:
            # That stands before the end.
            return
        generation = self._generation
        self._serving = getcurrent()
        try:
            # A program in blocking style has still to read this end, and then to answer.
            self._serve_end("caller_meets_end")
        finally:
            if self._generation == generation:
                self._serving = None

    def _emit_end(self) -> None:
        self._step("tell_end")

    def _deliver_end(self) -> None:
        generation = self._generation
        self._deliver("end")
        # A listener may have dialled again: what follows would end the new connection.
        if self._generation == generation:
            self._step("heard_end")

    def _ends_with_peer(self) -> bool:
        """Whether the writable side ends by itself when the peer has ended (rule 8)."""
        return not (self.allow_half_open or self._owner == CALLER or self._is_handlers())

    def _refusal(self) -> BaseException:
        if self._sending != WRITABLE and self._receiving >= END_TOLD and not self.allow_half_open:
            # Both ends have ended, and the connection with them.
            return EndedError()
        return super()._refusal()

    # -- pipe ---------------------------------------------------------------------------------

    def pipe(self, destination: Any, end: bool = True) -> Any:
        """Write everything that arrives to a destination, no faster than that takes it.

        From Node's ``readable.pipe()``.

        When the destination ends, this socket is unpiped and paused. When this socket fails,
        the destination stays open. If this socket had ended before, the destination is ended.

        :param destination: anything with a ``write()``: a socket, a file. When that returns
            ``False``, this socket pauses until the destination's ``'drain'``. A file is flushed
            behind each chunk; when it takes a part of one, it gets the rest next.
        :param end: whether to ``end()`` the destination, or close the file, when the peer has
            ended; standard output and error are never closed.
        :returns: the destination.
        :raises TypeError: the destination has no ``write()``.
        """
        self._check_thread()
        if not callable(getattr(destination, "write", None)):
            raise arguments.wrong_kind("destination", destination, "something with a write()")
        pipe = Pipe(self, destination, arguments.flag("end", end))
        if self._pipes is None:
            self._pipes = []
        self._pipes.append(pipe)
        pipe.start()
        return destination

    def unpipe(self, destination: Any = None) -> Self:
        """Undo :meth:`pipe` for one destination, or for all.

        :returns: the socket.
        """
        self._check_thread()
        for pipe in list(self._pipes or ()):
            if destination is None or pipe.destination is destination:
                pipe.stop()
        return self

    # -- parts of the whole -------------------------------------------------------------------

    def _discard(self) -> None:
        """In the hub: something arrived after ``close()``."""
        raise NotImplementedError

    def wait(self, event: str, timeout: float | None = None) -> tuple[Any, ...]:
        if self._serving is getcurrent() and self._waits_for_itself(event):
            raise coded(
                RuntimeError(
                    f"wait({event!r}) inside a listener of this socket's stream would wait for "
                    "ever: the stream goes on when the listener has returned"
                ),
                "ERR_SOCKET_WAITS_FOR_ITSELF",
            )
        return super().wait(event, timeout)

    def _waits_for_itself(self, event: str) -> bool:
        """Whether the event comes when the listener of the stream that waits has returned."""
        if event in ("finish", "close") and self._receiving >= END_TOLD:
            # This is 'end', whose listeners may still write.
            return self._life == OPEN and self._sending == WRITABLE and self._ends_with_peer()
        return event in ("data", "end")

    wait.__doc__ = Departure.wait.__doc__

    def _came(self, event: str) -> tuple[Any, ...] | None:
        if event == "end" and self._receiving >= END_TOLD:
            return ()
        return super()._came(event)

    def _holds(self) -> bool:
        if self._life == OPEN and self._flow is False and self._out is None:
            return self._owner >= LEFT and super()._holds()
        return super()._holds()

    def _teardown(self) -> list[Callback]:
        for pipe in self._pipes or ():
            # Whatever becomes of their listeners.
            pipe.release()
        if self._read_watcher is not None:
            self._unwatch()
            self._read_watcher.close()
            self._read_watcher = None
        return super()._teardown()
