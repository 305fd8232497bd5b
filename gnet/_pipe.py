"""A pipe from a socket to whatever can be written to, with back-pressure."""

from __future__ import annotations

from typing import Any

from . import _splice
from ._state import OPEN
from ._wire import AnyWire, Wire
from .emitter import EventEmitter
from .errors import annotate

__all__ = ["Pipe"]


class Pipe:
    """One ``source.pipe(destination)``."""

    __slots__ = ("_draining", "destination", "end", "source")

    def __init__(self, source: Any, destination: Any, end: bool) -> None:
        self.source = source
        self.destination = destination
        self.end = end
        self._draining = False

    def start(self) -> None:
        """Attach the listeners; the source begins to flow."""
        destination = self.destination
        if isinstance(destination, EventEmitter):
            destination.on("drain", self._drained)
            destination.on("close", self._destination_closed)
            _tell(destination, "pipe", self.source)
        self.source.on("end", self._ended)
        self.source.on("close", self._source_closed)
        self.source.on("data", self._data)
        self.source._loop.splicer.acquire()
        if getattr(destination, "writable_need_drain", False):
            self._pause()
        else:
            # Also a source that was paused: it flows now, as in Node.
            self.source.resume()

    def stop(self) -> None:
        """Detach the listeners; the source stops flowing if nobody else listens."""
        source, destination = self.source, self.destination
        if self not in (source._pipes or ()):
            return
        source._pipes.remove(self)
        source._loop.splicer.release()
        source.off("data", self._data)
        source.off("end", self._ended)
        source.off("close", self._source_closed)
        if isinstance(destination, EventEmitter):
            destination.off("drain", self._drained)
            destination.off("close", self._destination_closed)
            _tell(destination, "unpipe", source)
        if self._draining and not source.listener_count("data"):
            # What is still unread stays in the kernel for whoever comes next.
            self._draining = False
            source._set_flow(None)
        self._drained()

    def _data(self, chunk: Any) -> None:
        if self.destination.write(chunk) is False:
            self._pause()

    def _pause(self) -> None:
        self._draining = True
        self.source.pause()

    def splice(self, wire: AnyWire) -> int | None:
        """Move what the source's wire has received on, inside the kernel.

        :returns: how many bytes were received; ``None`` where :meth:`_data` must do it: the
            destination is no socket, or has something queued.
        """
        to = self.destination
        if (
            not _splice.AVAILABLE
            or not isinstance(wire, Wire)
            or not isinstance(getattr(to, "_wire", None), Wire)
            or to._out is not None
            or to._life is not OPEN
            or to._corked
            or to._ending
            or not self.source._loop.splicer.ready()
        ):
            return None
        received: int
        received, rest, error = self.source._loop.splicer.move(wire.fileno(), to._wire.fileno())
        to._moved(received - len(rest))
        if error is not None:
            to._fail(annotate(error, "write"))
        elif isinstance(rest, _splice.KernelBytes):
            to._hold(rest)
            self._pause()
        elif rest:
            self._data(rest)
        return received

    def _drained(self, *_: Any) -> None:
        if self._draining:
            self._draining = False
            # Another destination of the same source may still be full.
            if not any(pipe._draining for pipe in self.source._pipes or ()):
                self.source.resume()

    def _ended(self) -> None:
        destination = self.destination
        self.stop()
        if self.end and callable(getattr(destination, "end", None)):
            destination.end()

    def _source_closed(self, had_error: bool) -> None:
        self.stop()

    def _destination_closed(self, *_: Any) -> None:
        self.stop()


def _tell(destination: EventEmitter, event: str, source: Any) -> None:
    """Emit on the destination; a socket does so in the next turn of the loop (rule 2)."""
    report = getattr(destination, "_report_later", destination.emit)
    report(event, source)
