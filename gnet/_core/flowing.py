"""The flow: what arrives at a socket goes to the listeners of ``'data'``, or into a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from .._transport import stream_socket
from .._transport.protocol import Transport
from .._values import arguments, encodings
from ..errors import EndedError, annotate, coded
from .emitter import call_all
from .inbound import MAX_READS, READ_BYTES, Inbound
from .on_read import OnRead
from .pipe import Pipe
from .states import (
    CALLER,
    END_MET,
    END_TOLD,
    FLOW,
    LEFT,
    OPEN,
    WRITABLE,
)
from .writing import Writing

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Flowing"]

# A pipe's move of less than this promises no more; the kernel moves in pieces of 64 KiB.
MOVE_BYTES = 65536


class Flowing(Inbound):
    """A host whose data goes to listeners and pipes."""

    __slots__ = ()

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
        # getcurrent(), as this is a job.
        self._serving = self._loop.running
        reads = 0
        reading = True
        try:
            if self._pipes and not self._leave_ended(self._pipes):
                return
            while self._ahead and self._onread is None:
                if reads == MAX_READS:
                    # A listener puts back what it gets, and the others have their turn, too.
                    return
                reads += 1
                self._emit_chunk(self._take(READ_BYTES))
                if not self._goes_on(wire):
                    return
            if self._onread is not None:
                self._serve_onread(wire, self._onread)
                return
            if self._pipes and self._serve_pipe(wire, self._pipes):
                return
            while reads < MAX_READS:
                reading = True
                data = stream_socket.receive_now(wire, READ_BYTES)
                if data is None:
                    return
                self._active = stream_socket.coarse_now()
                if self._idle is not None:
                    self._idle.touch()
                size = len(data)
                if not size:
                    if not self._ends_unheard("end_unheard"):
                        self._serve_end()
                    return
                self.bytes_read += size
                reading = False
                if self._decoder is None:
                    # emit() by hand: a call less for every message; isinstance() is another.
                    listeners = self._listeners.get("data", ())
                    if type(listeners) is tuple:
                        call_all(listeners, (data,))
                    else:
                        listeners(data)  # type: ignore[operator]
                else:
                    self._emit_text(data)
                # Only a full buffer promises more: another read would mostly be for nothing.
                if size < READ_BYTES or self._pipes or not self._goes_on(wire):
                    return
                reads += 1
        except BaseException as exc:
            if not reading or not isinstance(exc, OSError):
                # A listener or a signal's handler has raised, or there is no memory: another try
                # could fail at once.
                self._listener_failed(exc, generation)
            elif not isinstance(exc, BlockingIOError):
                self._fail(annotate(exc, "read"))
        finally:
            # A listener may have dialled again, and the new connection be served meanwhile.
            if self._generation == generation:
                self._serving = None
                # The watcher was stopped if it fired meanwhile, or has served a blocked read; and
                # the flow may have been stopped, too.
                if (
                    self._watching != FLOW or not self._flow or self._ahead
                ) and self._life == OPEN:  # fmt: skip
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
        if self._receiving >= END_MET and self._receiving < END_TOLD:
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
            self._active = stream_socket.coarse_now()
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
        self._active = stream_socket.coarse_now()
        self._touch()
        self.bytes_read: int = self.bytes_read + size
        return size

    def _serve_end(self, event: str = "meet_end") -> None:
        """The peer has ended: tell the listeners, then end the other side (rule 8)."""
        generation = self._generation
        self._meet_end(event, False)
        if self._decoder is not None:
            self._emit_text(b"", final=True)
        if self._generation == generation and self._life == OPEN:
            self._emit_end()

    def _meet_end(self, event: str, told: bool) -> None:
        """The peer's end was read.

        :param told: by a call that is about to tell its caller.
        """
        self._step(event)

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

    def _end_met(self) -> None:
        """In the hub: a blocking call has met the peer's end."""
        if self.listener_count("end") or self._ends_with_peer():
            self._loop.defer(self._emit_end)
        else:
            # What follows is its caller's to say, and nobody is told.
            self._emit_end()

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

    # -- waiting ------------------------------------------------------------------------------

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

    wait.__doc__ = Inbound.wait.__doc__
