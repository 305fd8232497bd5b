"""Standard input and output as the other end of connections."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gevent.lock import RLock

import gnet

from . import streams
from .copying import OutputClosed, StreamError, exchange
from .session import GRACE, CommandError, Interrupted, Session
from .streams import ReaderWatch, Stream
from .traffic import Progress, Traffic
from .visible import HexDump, Visible

__all__ = ["Talk"]


class Talk:
    """What the connections of one run have: who types, where what comes is shown, and how.

    :param session: the run of the command.
    :param options: ``crlf``, ``hex``, ``raw``, ``rate`` and ``timeout``.
    """

    def __init__(self, session: Session, options: argparse.Namespace) -> None:
        self._session = session
        self._options = options
        self._interactive = streams.is_terminal(sys.stdin)
        self._visible = streams.is_terminal(sys.stdout)
        self._source: Stream = streams.standard_input()
        self._sink: Stream = streams.standard_output()
        self._watch: ReaderWatch | None = None

    @classmethod
    @contextmanager
    def begun(cls, session: Session, options: argparse.Namespace) -> Iterator[Talk]:
        """Take standard input and output. Nobody reading the output any more ends the block.

        :raises OutputClosed: nobody does.
        """
        talk = cls(session, options)
        try:
            with streams.throwing() as throw:
                talk._watch = ReaderWatch(talk._sink, lambda: throw(OutputClosed()))
                yield talk
        finally:
            talk._source.destroy()
            talk._end_output()
            talk._sink.destroy()

    def _end_output(self) -> None:
        """Whoever reads the output gets its end, behind what is still on its way."""
        if self._watch is not None:
            self._watch.close()
        self._sink.close()

    def have(self, sock: gnet.Socket, *, last: bool = True) -> None:
        """Connect a connection with standard input and output, until both have ended.

        :param last: whether no other connection comes behind it. Otherwise its end is its
            peer's, and standard output stays open.
        :raises OutputClosed: nobody reads the output any more.
        :raises CommandError: nothing has come or gone for as long as is allowed.
        :raises OSError: what the connection has failed with.
        :raises StreamError: standard input or output has.
        """
        traffic = Traffic()
        traffic.add(sock)
        show = _Display(self._sink, self._options, self._visible)
        try:
            # What is shown there is not to be written over.
            with Progress(self._session.console, traffic, live=not self._visible):
                with self._idle_limit(sock):
                    exchange(
                        sock,
                        self._source,
                        show.received,
                        # A dump goes on with what is sent.
                        ended=self._end_output if last and not self._options.hex else None,
                        prepare=_CRLF() if self._options.crlf else bytes,
                        sent=show.sent if self._options.hex else None,
                        rate=self._options.rate,
                        # Nobody wants to end the input by hand when there is nobody to type for.
                        until_peer_ends=self._interactive or not last,
                    )
                show.end_line(self._session.console.say)
        except OutputClosed:
            # There is nothing to wait for: who has left is whom all of this was for.
            sock.destroy()
            raise
        except Interrupted:
            sock.close()
            self._session.say_that_it_waits(GRACE, 0 if sock.closed else 1)
            raise
        finally:
            sock.close()

    @contextmanager
    def _idle_limit(self, sock: gnet.Socket) -> Iterator[None]:
        """Have the block fail when nothing has come or gone for so long as is allowed."""
        seconds = self._options.timeout
        if seconds is None:
            yield
            return
        error = CommandError(f"nothing has come or gone for {seconds:g} seconds")
        with streams.throwing() as throw:
            sock.set_timeout(seconds, lambda: throw(error))
            yield
        sock.set_timeout(0)


class _Display:
    """Shows what travels on standard output: as it is, without effects, or as a dump."""

    def __init__(self, sink: Stream, options: argparse.Namespace, on_terminal: bool) -> None:
        self._sink = sink
        self._dump = HexDump() if options.hex else None
        self._visible = None
        if on_terminal and not options.raw and self._dump is None:
            self._visible = Visible(getattr(sys.stdout, "encoding", None) or "ascii")
        self._on_terminal = on_terminal
        self._last = b""
        # The lines of both directions are written whole.
        self._lock = RLock()

    def received(self, data: bytes) -> None:
        """Show what has come; behind the last of it ``b""``."""
        if self._dump is not None:
            self._write(self._dump("<", data))
        elif self._visible is not None:
            self._write(self._visible(data, final=not data))
        else:
            self._write(data)

    def sent(self, data: bytes) -> None:
        """Show what has gone."""
        if self._dump is not None:
            self._write(self._dump(">", data))

    def _write(self, data: bytes) -> None:
        if not data:
            return
        try:
            with self._lock:
                self._sink.sendall(data)
        except BrokenPipeError:
            raise OutputClosed from None
        except OSError as exc:
            raise StreamError(exc) from exc
        self._last = data

    def end_line(self, say: Callable[[str], Any]) -> None:
        """Have what is said next on the terminal begin a line."""
        if self._on_terminal and self._last and not self._last.endswith(b"\n"):
            say("")


class _CRLF:
    """The line ends of the network in the place of POSIX's."""

    def __init__(self) -> None:
        self._carriage_return = False

    def __call__(self, data: bytes) -> bytes:
        # Those that the input has already stay; one may be cut in two.
        start = b"\r" if self._carriage_return else b""
        text = (start + data).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self._carriage_return = data.endswith(b"\r")
        return text[len(start) :]
