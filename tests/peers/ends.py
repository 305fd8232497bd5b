"""gnet's end of a connection, in both styles: what a program at the other end meets.

Each function takes the connection and a :class:`~gevent.event.AsyncResult` for what comes of
it, so that it can be a server's connection listener as well as a client.
"""

from __future__ import annotations

import socket as std_socket
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult

import gnet

End = Callable[[gnet.Socket, "AsyncResult[Any]"], None]
CHUNK = 65536


class Events:
    """Listeners do it; none of these functions blocks."""

    @staticmethod
    def echo(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
        """Send back what comes; the result is the number of bytes."""
        sock.pipe(sock)
        sock.on("close", lambda had_error: result.set(sock.bytes_read))

    @staticmethod
    def count(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
        """Read to the end, and answer with the number of bytes, which is the result."""
        sock.on("data", lambda chunk: None)
        sock.on("end", lambda: sock.end(str(sock.bytes_read)))
        sock.on("close", lambda had_error: result.set(sock.bytes_read))

    @staticmethod
    def copy(data: bytes) -> End:
        """Send ``data``, and then an end; the result is what comes."""

        def copy(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
            received: list[bytes] = []
            unsent = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
            unsent.reverse()

            def send() -> None:
                while unsent:
                    if not sock.write(unsent.pop()):
                        return
                sock.end()

            # The peer may end first, and this end has still to send.
            sock.allow_half_open = True
            sock.on("data", received.append)
            sock.on("drain", send)
            sock.on("close", lambda had_error: result.set(b"".join(received)))
            send()

        return copy

    @staticmethod
    def reset(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
        """Reset the connection when something has come."""
        sock.once("data", lambda chunk: sock.reset_and_destroy())
        sock.on("close", result.set)

    @staticmethod
    def fail(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
        """Send something; the result is the error that comes of it."""
        errors: list[BaseException] = []
        sock.on("error", errors.append)
        sock.on("close", lambda had_error: result.set(*errors))
        sock.write(b"go on")


class Calls:
    """Blocking calls do it; when the function returns, the connection is closed."""

    @staticmethod
    def echo(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
        for chunk in sock:
            sock.sendall(chunk)
        result.set(sock.bytes_read)

    @staticmethod
    def count(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
        total = sum(len(chunk) for chunk in sock)
        sock.sendall(str(total).encode())
        result.set(total)

    @staticmethod
    def copy(data: bytes) -> End:
        def copy(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
            def send() -> None:
                sock.sendall(data)
                sock.shutdown(std_socket.SHUT_WR)

            sender = gevent.spawn(send)
            received = b"".join(sock)
            sender.get()
            result.set(received)

        return copy

    @staticmethod
    def reset(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
        sock.recv()
        sock.reset_and_destroy()
        result.set(False)

    @staticmethod
    def fail(sock: gnet.Socket, result: AsyncResult[Any]) -> None:
        sock.sendall(b"go on")
        try:
            while sock.recv():
                pass
        except OSError as exc:
            result.set(exc)
        else:
            result.set(None)


STYLES: dict[str, Any] = {"event": Events, "blocking": Calls}
