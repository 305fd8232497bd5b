"""The end of the program: what its sockets still have to say is sent first.

When the main thread has nothing left to do, the interpreter calls the exit hooks, and then closes
every descriptor. What is queued would be lost, and the peer would read a clean end behind half a
message. So the hook has the hub run on until everything is with the kernel that was queued by
then, and the peers have had the time that ``close()`` gives them.
"""

from __future__ import annotations

import atexit
import struct
import sys
from contextlib import suppress
from typing import Any

import gevent
from gevent._hub_local import get_hub_if_exists
from gevent.event import Event
from gevent.exceptions import LoopExit

from .._core.states import CONNECTING, LEFT, OPEN, WRITABLE
from .._socket.socket import Socket
from .._transport.protocol import Transport
from .after_fork import _instances
from .server import Server

if sys.platform != "win32":
    import fcntl
    import termios

__all__ = ["install", "send_last_words"]

#: A peer that takes nothing for so long, or is not reached, is not waited for any more; seconds.
PATIENCE_SECONDS = 10.0


def install() -> None:
    """Have the end of the program wait for it."""
    # The interpreter calls the last one first. The sockets ask their threads how far they are,
    # which is told once: whoever waits for the threads has to come behind that.
    atexit.register(_let_threads_finish)
    atexit.register(send_last_words)


def send_last_words() -> None:
    """Block until nothing is left to send; what cannot be sent ends in a reset.

    Servers accept no more meanwhile. An interruption (Ctrl-C) ends the waiting.
    """
    hub: Any = get_hub_if_exists()
    loop = getattr(hub, "gnet_dispatcher", None)
    if loop is None or hub.loop is None:
        return
    found = _instances(Socket, Server)
    own = [each for each in found if each._loop is loop]
    speaking = [each for each in own if _has_last_words(each)]
    if speaking:
        for each in own:
            if isinstance(each, Server):
                each._stop_listening()
        # The loop's time is that of its last turn, which may be long ago.
        hub.loop.update_now()
        with suppress(KeyboardInterrupt, SystemExit, LoopExit):
            gevent.joinall([gevent.spawn(_see_off, sock) for sock in speaking])
        found = _instances(Socket)
    for each in found:
        _cut_off(each)
        if each._loop is loop:
            _hear_out(each)


def _let_threads_finish() -> None:
    """Block until what threads write for the sockets of files is written."""
    # Imported by the first socket that has one.
    file_thread = sys.modules.get("gnet._transport.file_thread")
    if file_thread is not None:
        file_thread.let_finish()


def _has_last_words(sock: Any) -> bool:
    """Whether something is still to be sent, or its arrival to be waited for."""
    if isinstance(sock, Server):
        return False
    if sock._life == CONNECTING:
        return bool(sock._outbox) or sock._sending != WRITABLE
    if sock._life != OPEN:
        return False
    # What was sent would be lost by a reset, if something arrives that nobody reads.
    wire: Transport | None = sock._wire
    at_risk = wire is not None and wire.UNREAD_RESETS
    lingers = (sock._sending != WRITABLE or sock._owner >= LEFT) and sock._written and at_risk
    return bool(sock._outbox) or lingers


def _see_off(sock: Any) -> None:
    """Block until everything is sent that is queued by now, and the socket has closed."""
    if sock._outbox or sock._life == CONNECTING:
        sent = Event()
        sock._when_sent(sent.set)
        if not _wait_patiently(sock, sent):
            return
    if sock._life == OPEN:
        closed = Event()
        sock.once("close", lambda had_error: closed.set())
        sock._give_up()
        _wait_patiently(sock, closed)


def _wait_patiently(sock: Any, event: Event) -> bool:
    """Wait for the event, for as long as the peer takes something now and then."""
    while True:
        before = _progress(sock)
        if event.wait(PATIENCE_SECONDS):
            return True
        if _progress(sock) == before:
            return False


def _progress(sock: Any) -> tuple[Any, ...]:
    return sock._life, sock.writable_length, _in_kernel(sock._wire)


def _in_kernel(wire: Transport | None) -> int:
    """How many bytes the kernel has that the peer's has not confirmed."""
    size = 0
    if sys.platform != "win32" and wire is not None and wire.fileno() >= 0:
        with suppress(OSError):
            told = fcntl.ioctl(wire.fileno(), termios.TIOCOUTQ, b"\0" * 4)
            (size,) = struct.unpack("i", told)
    return size


def _cut_off(sock: Any) -> None:
    """Have what follows a part of a message be no clean end; also of another thread's."""
    wire: Transport | None = getattr(sock, "_wire", None)
    if wire is not None and wire.RESET and sock._outbox:
        with suppress(OSError):
            wire.reset_on_close()


def _hear_out(sock: Any) -> None:
    """Have what follows be an end: the interpreter closes what is left."""
    wire: Transport | None = getattr(sock, "_wire", None)
    if wire is not None:
        wire.hear_out()
