"""From one stream to the other: both ways at once, each end passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent

from .._socket.socket import Socket
from ..errors import HandleTypeError
from .pace import Pace
from .streams import Stream

__all__ = ["OutputClosed", "StreamError", "exchange", "pipe_paced", "relay"]

Show = Callable[[bytes], object]


class OutputClosed(Exception):
    """Nobody wants any more of what is received."""


class StreamError(Exception):
    """Standard input or output has failed, and so no connection can have them any more.

    :param error: what it has failed with.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))


def exchange(
    sock: Socket,
    source: Stream,
    received: Show,
    *,
    ended: Callable[[], object] | None = None,
    prepare: Callable[[bytes], bytes] = bytes,
    sent: Show | None = None,
    rate: float | None = None,
    until_peer_ends: bool = False,
) -> None:
    """Send what the source has, and show what is received, until both have ended.

    The end of each is passed on while the other goes on.

    :param sock: the connection.
    :param source: its end ends the writable side.
    :param received: called with each chunk that is received, and in the end with ``b""``.
    :param ended: called when the peer has ended.
    :param prepare: makes of a chunk of the source what is sent.
    :param sent: called with each chunk ahead of its being sent.
    :param rate: bytes a second, each way.
    :param until_peer_ends: do not wait for the end of the source then.
    :raises OSError: what the connection has failed with.
    :raises StreamError: what the source has.
    """
    sender = gevent.spawn(_send, source, sock, prepare, sent, Pace(rate))
    try:
        pace = Pace(rate)
        for chunk in sock:
            for piece in pace.pieces(chunk):
                received(piece)
        received(b"")
        if ended is not None:
            ended()
        error = None if until_peer_ends else sender.get()
        if error is not None:
            raise error
    finally:
        sender.kill()


def _send(
    source: Stream,
    sock: Socket,
    prepare: Callable[[bytes], bytes],
    sent: Show | None,
    pace: Pace,
) -> Exception | None:
    try:
        for chunk in _chunks(source):
            for piece in pace.pieces(prepare(chunk)):
                if sent is not None:
                    sent(piece)
                sock.sendall(piece)
        sock.end()
    except Exception as exc:
        # Whoever receives has to know, and raises it.
        sock.destroy(exc)
        return exc
    return None


def _chunks(source: Stream) -> Iterator[bytes]:
    try:
        yield from source
    except OSError as exc:
        raise StreamError(exc) from exc


def relay(one: Socket, other: Socket, rate: float | None = None) -> None:
    """Pass on what comes at either of two half-open sockets to the other.

    An end is passed on. An error of one resets the other, so that its peer does not take what
    was cut off for the whole.

    :param rate: bytes a second, each way.
    """
    if rate is not None:
        for source, sink in ((one, other), (other, one)):
            gevent.spawn(pipe_paced, source, sink, Pace(rate))
        return
    one.pipe(other)
    other.pipe(one)
    _couple(one, other)
    _couple(other, one)


def pipe_paced(source: Socket, sink: Socket, pace: Pace) -> None:
    """Send to the sink what comes at the source, up to its end; block meanwhile.

    When one of them fails, both are reset.
    """
    try:
        for chunk in source:
            for piece in pace.pieces(chunk):
                sink.sendall(piece)
        sink.end()
    except OSError:
        for each in (source, sink):
            if not each.destroyed:
                _reset(each)


def _couple(one: Socket, other: Socket) -> None:
    @one.on("close")
    def closed(had_error: bool) -> None:
        if had_error:
            _reset(other)
        else:
            other.destroy_soon()


def _reset(sock: Socket) -> None:
    try:
        sock.reset_and_destroy()
    except HandleTypeError:
        sock.destroy()
