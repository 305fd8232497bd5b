"""From one stream to the other: both ways at once, each end passed on."""

from __future__ import annotations

import gevent

from .._socket.socket import Socket
from ..errors import HandleTypeError
from .streams import Stream

__all__ = ["OutputClosed", "exchange", "relay"]


class OutputClosed(Exception):
    """Nobody wants any more of what is received."""


def exchange(
    sock: Socket, source: Stream, sink: Stream, *, until_peer_ends: bool = False
) -> bytes:
    """Send what the source has, and give the sink what is received, until both have ended.

    The end of each is passed on while the other goes on.

    :param sock: the connection.
    :param source: its end ends the writable side.
    :param sink: closed when the peer has ended.
    :param until_peer_ends: do not wait for the end of the source then.
    :returns: the last chunk that was received.
    :raises OutputClosed: the sink takes no more.
    :raises OSError: what the connection, the source or the sink has failed with.
    """
    sender = gevent.spawn(_send, source, sock)
    try:
        last = _receive(sock, sink)
        error = None if until_peer_ends else sender.get()
        if error is not None:
            raise error
        return last
    finally:
        sender.kill()


def _send(source: Stream, sock: Socket) -> Exception | None:
    try:
        for chunk in source:
            sock.sendall(chunk)
        sock.end()
    except Exception as exc:
        # Whoever receives has to know, and raises it.
        sock.destroy(exc)
        return exc
    return None


def _receive(sock: Socket, sink: Stream) -> bytes:
    last = b""
    for chunk in sock:
        try:
            sink.sendall(chunk)
        except BrokenPipeError:
            raise OutputClosed from None
        last = chunk
    sink.close()
    return last


def relay(one: Socket, other: Socket) -> None:
    """Pipe two half-open sockets into each other.

    An end is passed on. An error of one resets the other, so that its peer does not take what
    was cut off for the whole.
    """
    one.pipe(other)
    other.pipe(one)
    _couple(one, other)
    _couple(other, one)


def _couple(one: Socket, other: Socket) -> None:
    @one.on("close")
    def closed(had_error: bool) -> None:
        if not had_error:
            other.destroy_soon()
            return
        try:
            other.reset_and_destroy()
        except HandleTypeError:
            other.destroy()
