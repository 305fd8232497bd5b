"""What happens to one connection, as it happens, without a part in it.

A listener would be one: with it ``'data'`` flows, an error is handled, and an unused connection is
kept. So the connection is looked at ten times a second, and what has changed is what has happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from time import time
from typing import Any

import gevent
from zope.event import subscribers

from .. import events as process_events
from .._socket.socket import Socket
from ..errors import printable

__all__ = ["events"]

LOOK_SECONDS = 0.1
# So often something is said, that a listener who has gone is noticed; in looks.
_SIGN_OF_LIFE = 20

_Event = dict[str, Any]


class _Seen:
    """What a connection is like, as far as a program is told when it changes."""

    # Each with the events that say that it has become true, and false.
    FLAGS = (
        ("connecting", "connecting", "connect"),
        ("encrypted", "secure_connect", ""),
        ("readable_ended", "end", ""),
        ("writable_ended", "ending", ""),
        ("writable_finished", "finish", ""),
        ("writable_need_drain", "full", "drain"),
        ("closed", "close", ""),
    )

    def __init__(self, sock: Socket) -> None:
        self._sock = sock
        self._flags = self._look()
        self._paused = sock.is_paused()
        self._read, self._written = sock.bytes_read, sock.bytes_written
        self._timeout = sock.timeout

    def _look(self) -> dict[str, bool]:
        return {name: bool(getattr(self._sock, name)) for name, _, _ in self.FLAGS}

    def changes(self) -> Iterator[_Event]:
        """What has happened since the last call."""
        sock = self._sock
        read, written = sock.bytes_read, sock.bytes_written
        if read != self._read:
            yield {"name": "data", "bytes": read - self._read}
        if written != self._written:
            yield {"name": "write", "bytes": written - self._written}
        self._read, self._written = read, written
        paused = sock.is_paused()
        if paused != self._paused:
            yield {"name": "pause" if paused else "resume"}
        self._paused = paused
        if sock.timeout != self._timeout:
            yield {"name": "set_timeout", "seconds": sock.timeout}
        self._timeout = sock.timeout
        flags = self._look()
        for name, became, ceased in self.FLAGS:
            word = became if flags[name] else ceased
            if flags[name] != self._flags[name] and word:
                yield {"name": word}
        self._flags = flags


def events(sock: Socket) -> Iterator[_Event | None]:
    """What happens to a connection, from now on until it has closed; blocks in between.

    ``None`` stands for nothing, and comes now and then.
    """
    errors: list[BaseException] = []

    def told(event: object) -> None:
        kinds = process_events.ConnectionClosed, process_events.ConnectionFailed
        if isinstance(event, kinds) and event.socket is sock and event.error is not None:
            errors.append(event.error)

    seen = _Seen(sock)
    subscribers.append(told)
    try:
        yield {"name": sock.ready_state, "time": time()}
        for look in count():
            over = sock.closed
            for event in seen.changes():
                yield {**event, "time": time()}
            if over:
                break
            if look % _SIGN_OF_LIFE == 0:
                yield None
            gevent.sleep(LOOK_SECONDS)
        for error in errors:
            yield {"name": "error", "error": printable(str(error)), "time": time()}
    finally:
        # The program may have taken it off.
        with suppress(ValueError):
            subscribers.remove(told)
