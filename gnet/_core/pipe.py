"""A pipe from a socket to whatever can be written to, with back-pressure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from .._loop import splicer
from .._transport.protocol import Transport
from ..errors import annotate
from .emitter import EventEmitter
from .out_file import OutFile, is_file
from .states import END_TOLD, OPEN, SHUT, WRITABLE

__all__ = ["Pipe", "follow", "leave_former"]


class Pipe:
    """One ``source.pipe(destination)``."""

    __slots__ = ("_draining", "_generation", "_user", "_write", "destination", "end", "source")

    def __init__(self, source: Any, destination: Any, end: bool) -> None:
        self.source = source
        self.destination = destination
        self.end = end
        # A destination that dials again is another one.
        self._generation = getattr(destination, "_generation", None)
        self._draining = False
        # Whether it is one of the splicer's users, which is as long as it carries anything.
        self._user = False
        # A destination's own write() is looked up each time: a program may replace it.
        self._write: Callable[[Any], object] | None = (
            OutFile(destination).write if is_file(destination) else None
        )

    def start(self) -> None:
        """Attach the listeners; the source begins to flow."""
        source, destination = self.source, self.destination
        self._tell("pipe")
        if source._receiving >= END_TOLD or source._life >= SHUT:
            # Nothing comes any more; a source that has failed ends nothing.
            source._pipes.remove(self)
            # Taken now: the source may have dialled again by the next turn.
            ahead = source._ahead if not self.is_over() else None
            rest = source._take(len(ahead)) if ahead else b""
            source._loop.defer(
                partial(source._call, self._conclude, rest, source._receiving >= END_TOLD)
            )
            return
        self._user = True
        source._loop.splicer.acquire()
        if isinstance(destination, EventEmitter):
            destination.on("drain", self._drained)
            destination.on("finish", self._destination_over)
            destination.on("close", self._destination_over)
        source.on("end", self._ended)
        source.on("close", self._source_closed)
        source.on("data", self._data)
        if self.is_over():
            self._destination_over()
        elif getattr(destination, "writable_need_drain", False):
            self._pause()
        else:
            # Also a source that was paused: it flows now, as in Node.
            source.resume()

    def stop(self, pause: bool = False) -> None:
        """Detach the listeners; the source stops flowing if nobody else listens.

        :param pause: have it paused then.
        """
        source, destination = self.source, self.destination
        if self not in (source._pipes or ()):
            return
        source._pipes.remove(self)
        self.release()
        source.off("data", self._data)
        source.off("end", self._ended)
        source.off("close", self._source_closed)
        if isinstance(destination, EventEmitter):
            destination.off("drain", self._drained)
            destination.off("finish", self._destination_over)
            destination.off("close", self._destination_over)
        self._tell("unpipe")
        draining, self._draining = self._draining, False
        if source.listener_count("data"):
            self._go_on(draining)
        elif pause and source._life == OPEN:
            source.pause()
        elif draining:
            # What is still unread stays in the kernel for whoever comes next.
            source._set_flow(None)

    def release(self) -> None:
        """Nothing is carried any more."""
        if self._user:
            self._user = False
            self.source._loop.splicer.release()

    def is_over(self) -> bool:
        """Whether the destination has ended, and takes nothing more."""
        to = self.destination
        return (
            getattr(to, "writable", None) is False
            or getattr(to, "_generation", None) != self._generation
        )

    def leave_if_over(self) -> None:
        """Before the source is read: nothing is taken that nobody would get."""
        if self.is_over():
            self._destination_over()

    def is_carrier(self, listener: Any) -> bool:
        """Whether a listener of the source's ``'data'`` is this pipe's own."""
        return getattr(listener, "__self__", None) is self

    def _data(self, chunk: Any) -> None:
        if self._write is not None:
            self._write(chunk)
        elif self.is_over():
            # A listener ahead of this one has seen to that, or has outlasted it.
            self._destination_over()
        elif self.destination.write(chunk) is False:
            self._pause()

    def _pause(self) -> None:
        if self._user:
            self._draining = True
            self.source.pause()

    def splice(self, wire: Transport) -> int | None:
        """Move what the source's wire has received on, inside the kernel.

        :returns: how many bytes were received; ``None`` where :meth:`_data` must do it: the
            destination is no socket, or has something queued.
        """
        to = self.destination
        other: Transport | None = getattr(to, "_wire", None)
        if (
            not splicer.AVAILABLE
            or not wire.SPLICE
            or other is None
            or not other.SPLICE
            or to._outbox is not None
            or to._life != OPEN
            or to._sending != WRITABLE
            or not self.source._loop.splicer.ready()
        ):
            return None
        received: int
        received, rest, error = self.source._loop.splicer.move(wire.fileno(), other.fileno())
        to._moved(received - len(rest))
        if error is not None:
            to._fail(annotate(error, "write"))
        elif isinstance(rest, splicer.KernelBytes):
            to._keep_rest(rest)
            self._pause()
        elif rest:
            self._data(rest)
        return received

    def _drained(self, *_: Any) -> None:
        draining, self._draining = self._draining, False
        self._go_on(draining)

    def _go_on(self, drained: bool) -> None:
        # Another destination of the same source may still be full.
        if drained and not any(pipe._draining for pipe in self.source._pipes or ()):
            self.source.resume()

    def _ended(self) -> None:
        self.stop()
        self._end_destination()

    def _conclude(self, rest: bytes, ended: bool) -> None:
        """The source had ended, or failed, before there was a pipe.

        :param rest: what a file of its had read ahead.
        """
        if rest:
            self._data(rest)
        self._tell("unpipe")
        if ended:
            self._end_destination()

    def _end_destination(self) -> None:
        destination = self.destination
        end = getattr(destination, "end", None)
        if callable(end):
            if self.end:
                end()
        elif is_file(destination):
            destination.flush()
            # As in Node, whatever is asked for: they are everybody's.
            if self.end and not _is_standard(destination):
                destination.close()

    def _source_closed(self, had_error: bool) -> None:
        self.stop()

    def _destination_over(self, *_: Any) -> None:
        self.stop(pause=True)

    def _tell(self, event: str) -> None:
        """Emit on the destination; a socket does so in the next turn of the loop (rule 2)."""
        destination = self.destination
        if isinstance(destination, EventEmitter):
            report = getattr(destination, "_report_later", destination.emit)
            report(event, self.source)


def leave_former(sock: EventEmitter) -> None:
    """Take off the pipes into a socket that dials again: they were its former connection's."""
    for listener in sock.listeners("close"):
        pipe = getattr(listener, "__self__", None)
        if isinstance(pipe, Pipe) and pipe.destination is sock:
            pipe.stop(pause=True)


def follow(sock: EventEmitter) -> None:
    """Have the pipes into a socket that was lost be those of its next connection."""
    for listener in sock.listeners("close"):
        pipe = getattr(listener, "__self__", None)
        if isinstance(pipe, Pipe) and pipe.destination is sock:
            pipe._generation = sock._generation


def _is_standard(file: Any) -> bool:
    """Whether it is the program's standard output or error."""
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return any(file is each or file is getattr(each, "buffer", file) for each in streams if each)
