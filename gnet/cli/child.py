"""A program that serves one connection with its standard input and output."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, suppress
from typing import Any

import gevent
from gevent import subprocess

from .._socket.socket import Socket
from .pace import Pace
from .streams import Stream, open_stream

__all__ = ["Children"]


class Children:
    """Runs one command for many connections.

    :param command: for the system's shell.
    :param rate: bytes a second, each way; ``None`` for no limit.
    """

    def __init__(self, command: str, rate: float | None = None) -> None:
        self._command = command
        self._rate = rate
        self._running: set[Any] = set()

    def serve(self, sock: Socket) -> None:
        """Run the command, and block until its output has ended, or the connection is closed.

        It reads what the peer sends, up to the peer's end, and its output goes to the peer.

        :raises OSError: the system has no more processes or descriptors.
        """
        sink, source = self._start()
        sock.on("close", lambda had_error: source.destroy())
        feeder = gevent.spawn(_feed, sock, sink, Pace(self._rate))
        pace = Pace(self._rate)
        try:
            for chunk in source:
                for piece in pace.pieces(chunk):
                    sock.sendall(piece)
        except OSError:
            if not sock.destroyed:
                raise
        finally:
            feeder.kill()
            sink.destroy()
            source.destroy()

    def _start(self) -> tuple[Stream, Stream]:
        """Start the command; gives its input and its output."""
        with ExitStack() as ours, ExitStack() as theirs:
            stdin, ours_in = os.pipe()
            theirs.callback(os.close, stdin)
            ours.callback(os.close, ours_in)
            ours_out, stdout = os.pipe()
            ours.callback(os.close, ours_out)
            theirs.callback(os.close, stdout)
            process: Any = subprocess.Popen(
                self._command,
                shell=True,
                stdin=stdin,
                stdout=stdout,
                # Ctrl-C is for the server: the children read the ends of their connections.
                start_new_session=sys.platform != "win32",
            )
            ours.pop_all()
        self._running.add(process)
        process.rawlink(lambda _: self._running.discard(process))
        return open_stream(ours_in), open_stream(ours_out)

    def stop(self) -> None:
        """End those that still run: SIGTERM."""
        for process in tuple(self._running):
            with suppress(ProcessLookupError):
                if sys.platform == "win32":
                    process.terminate()
                else:
                    os.killpg(process.pid, signal.SIGTERM)


def _feed(sock: Socket, sink: Stream, pace: Pace) -> None:
    # It fails when the command reads no more, which may still write; or with the connection.
    with suppress(OSError):
        for chunk in sock:
            for piece in pace.pieces(chunk):
                sink.sendall(piece)
    sink.close()
