"""The control socket: who may ask, how much, and how it is answered.

A line of JSON is a request, and lines of JSON are its answer, each an object with ``version``;
the last has ``end``, or ``error``. A request has 64 KiB, and ten seconds until its last byte;
there are at most 32 clients. An answer of many lines leaves the loop its turns in between.
"""

from __future__ import annotations

import _socket
import json
import os
import sys
from collections.abc import Generator
from contextlib import closing, suppress
from typing import Any

import gevent
from gevent.hub import get_hub

from .._server.threads import call_in
from .._socket.socket import Socket
from .._transport import unix_path
from ..errors import printable
from .requests import VERSION, RequestError, answer
from .uncounted import Uncounted

__all__ = [
    "MAX_CLIENTS",
    "MAX_REQUEST_BYTES",
    "REQUEST_SECONDS",
    "Control",
    "Line",
    "line_to_here",
    "turn",
]

MAX_CLIENTS = 32
MAX_REQUEST_BYTES = 65536
#: How long a request may take from the end of the answer before it, in seconds.
REQUEST_SECONDS = 10.0
# A client that takes nothing of its answer for so long is let go, in seconds.
_WRITE_SECONDS = 10.0


def turn() -> None:
    """Have the loop look for events, without waiting for any; for long work in a greenlet."""
    hub: Any = get_hub()
    # With sleep(0) it would look when many such callbacks have had their turn.
    with hub.loop.timer(0, ref=False) as now:
        hub.wait(now)


class Control:
    """The control socket of this process.

    :param path: where.
    :raises OSError: it cannot be bound.
    """

    def __init__(self, path: str) -> None:
        self.path: str = path
        self._lines: set[Line] = set()
        self._server = Uncounted(
            self._connected, max_connections=MAX_CLIENTS, write_timeout=_WRITE_SECONDS
        )
        with _for_this_user_alone(path):
            self._server.listen(path=path, exclusive=True, replace_stale=sys.platform != "win32")
        self._server.unref()
        # The program may end in another thread than the server's.
        self._file = None if sys.platform == "win32" else unix_path.SocketFile.made(path)

    def _connected(self, sock: Socket) -> None:
        line = Line(sock)
        self._lines.add(line)
        sock.on("close", lambda had_error: self._lines.discard(line))

    def close(self) -> None:
        """Listen no more, and end the conversations; from any thread."""
        if self._file is not None:
            self._file.remove()
        with suppress(RuntimeError):
            # At the end of that thread it has ended by itself.
            call_in(self._server, self._close)

    def _close(self) -> None:
        self._server.close()
        for line in list(self._lines):
            line.close()


def line_to_here() -> int:
    """A connection to this process, over which it answers as over a control socket.

    :returns: the descriptor of its other end, the caller's to close.
    :raises OSError: there is no descriptor left.
    """
    ours, theirs = _socket.socketpair()  # type: ignore[attr-defined,unused-ignore]
    Line(Uncounted().take(ours.detach()))
    return int(theirs.detach())


class Line:
    """The conversation with one client, in a greenlet of its own, which keeps no program.

    :param sock: the connection to it.
    """

    def __init__(self, sock: Socket) -> None:
        self._sock = sock.unref()
        # The client that leaves without reading is no error of the program's.
        sock.on("error", lambda error: None)
        self._received = b""
        gevent.spawn(self._talk)

    def close(self) -> None:
        self._sock.destroy()

    def _talk(self) -> None:
        try:
            with suppress(OSError):
                self._answer_all()
        finally:
            self._sock.close()

    def _answer_all(self) -> None:
        try:
            while True:
                request = self._request()
                if request is None:
                    return
                self._send(answer(request))
        except RequestError as exc:
            # Of what comes behind it nobody can say where it begins.
            self._sock.sendall(encoded(exc.line()))

    def _request(self) -> Any:
        """The next request; ``None`` at the end.

        :raises RequestError: it is none, is too long, or took too long.
        """
        late = RequestError(f"no request in {REQUEST_SECONDS:g} seconds", "ERR_REQUEST_TIMEOUT")
        with gevent.Timeout(REQUEST_SECONDS, late, ref=False):
            while b"\n" not in self._received:
                if len(self._received) >= MAX_REQUEST_BYTES:
                    break
                data = self._sock.recv(MAX_REQUEST_BYTES)
                if not data:
                    return None
                self._received += data
        text, newline, self._received = self._received.partition(b"\n")
        if not newline or len(text) >= MAX_REQUEST_BYTES:
            raise RequestError(
                f"a request has at most {MAX_REQUEST_BYTES} bytes", "ERR_REQUEST_TOO_LONG"
            )
        return _parsed(text)

    def _send(self, lines: Generator[Any]) -> None:
        """Send an answer as it is made, and leave the others their turns."""
        with closing(lines):
            try:
                for line in lines:
                    self._sock.sendall(line if isinstance(line, bytes) else encoded(line))
                    turn()
            except RequestError as exc:
                self._sock.sendall(encoded(exc.line()))


def encoded(line: dict[str, Any]) -> bytes:
    """A line of an answer, as it is sent."""
    text = json.dumps({"version": VERSION, **line}, separators=(",", ":"), default=_plain)
    return text.encode("ascii") + b"\n"


def _plain(value: object) -> str:
    return printable(str(value))


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError("a request is a line of JSON", "ERR_INVALID_REQUEST") from None
    if not isinstance(request, dict):
        raise RequestError("a request is an object of JSON", "ERR_INVALID_REQUEST")
    return request


class _for_this_user_alone:
    """A file of a socket that is made inside is this user's alone, from its first moment on."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._mask = 0

    def __enter__(self) -> None:
        self._mask = os.umask(0o177)

    def __exit__(self, *exc_info: Any) -> None:
        os.umask(self._mask)
