"""A connection that is becoming encrypted, or plain again.

Between the call and its end the stream has this in the place of a transport: what was written
before still goes out as it was meant to, what is written after waits, and nobody reads what is
the handshake's.
"""

from __future__ import annotations

import _socket
import errno
from collections.abc import Callable
from typing import Any

from .._transport.protocol import READ, Transport, Watcher, refuse
from .._transport.wakeup import Wakeup
from .._values.buffers import first_bytes

__all__ = ["ChangingWire", "Leftover"]


class ChangingWire(Transport):
    """What stands in for a transport while it changes.

    :param before: what it was so far.
    :param left: how many bytes are still to be sent on that.
    :param drained: called when these are sent; not if there are none.
    :param readable: whether the program still reads from that, up to its end.
    :param closing: called when it is closed before the change is done.
    :ivar deaf: whether this side is to read no more.
    """

    __slots__ = (
        "PEEK", "PEER_END", "RESET", "SHARED", "TCP_OPTIONS", "UNREAD_RESETS", "_before",
        "_closing", "_drained", "_given", "_left", "_readable", "_watchers", "deaf",
    )  # fmt: skip

    FAREWELL = True

    def __init__(
        self,
        before: Transport,
        left: int,
        drained: Callable[[], object],
        readable: bool,
        closing: Callable[[], object],
    ) -> None:
        self._before = before
        self._closing = closing
        self._left = left
        self._drained = drained
        self._readable = readable
        self.deaf = False
        self._given = False
        self._watchers: list[Watcher] = []
        self.PEEK = before.PEEK
        self.PEER_END = before.PEER_END
        self.RESET = before.RESET
        self.SHARED = before.SHARED
        self.TCP_OPTIONS = before.TCP_OPTIONS
        self.UNREAD_RESETS = before.UNREAD_RESETS

    @property
    def left(self) -> int:
        """How many bytes are still to be sent as before."""
        return self._left

    def give_away(self) -> None:
        """What stands below is somebody else's to close."""
        self._given = True

    def let_go(self) -> None:
        """The change is done: close the watchers that are left."""
        while self._watchers:
            self._watchers.pop().close()

    # -- bytes --------------------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = self._before.recv(size, flags) if self._readable else b""
        if not data and size:
            # The end is that of the change, and not the program's.
            refuse(errno.EAGAIN)
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        count = self._before.recv_into(buffer, size, flags) if self._readable else 0
        if not count:
            refuse(errno.EAGAIN)
        return count

    def send(self, data: Any, flags: int = 0) -> int:
        return self.sendmsg([data], (), flags)

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        if not self._left:
            if any(len(memoryview(each)) for each in buffers):
                refuse(errno.EAGAIN)
            return 0
        data = memoryview(first_bytes(buffers, self._left)).cast("B")[: self._left]
        sent = self._before.send(data, flags)
        self._left -= sent
        if not self._left:
            self._drained()
        return sent

    def take_owed(self) -> int:
        owed = self._before.take_owed()
        self._left -= owed
        if owed and not self._left:
            self._drained()
        return owed

    def at_end(self) -> bool:
        if not self._readable or self._before.at_end():
            refuse(errno.EAGAIN)
        return False

    def sides(self) -> tuple[bool, bool]:
        return True, True

    def watch(self, loop: Any, events: int) -> Watcher:
        watcher = _Watcher(self, self._before.watch(loop, events), events)
        self._watchers.append(watcher)
        return watcher

    def may_fire(self, events: int) -> bool:
        """Whether a watcher of the transport below has something to tell the stream."""
        return self._readable if events == READ else self._left > 0

    # -- the end ------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        if how != _socket.SHUT_WR:
            self.deaf = True
        if how != _socket.SHUT_RD:
            # Behind what is written after the change.
            refuse(errno.EAGAIN)

    def hear_out(self) -> None:
        self._before.hear_out()

    def reset_on_close(self) -> None:
        self._before.reset_on_close()

    @property
    def closed(self) -> bool:
        return self._given or self._before.closed

    def close(self) -> None:
        self.let_go()
        self._closing()
        if not self._given:
            self._before.close()

    def detach(self) -> int:
        if self.closed:
            return -1
        refuse(errno.ENOTSUP)

    def abandon(self) -> int:
        self.let_go()
        self._closing()
        return self._before.abandon()

    # -- what is known of it ------------------------------------------------------------------

    def fileno(self) -> int:
        return self._before.fileno()

    @property
    def family(self) -> int:
        return self._before.family

    @property
    def proto(self) -> int:
        return self._before.proto

    def is_connected(self) -> bool:
        return self._before.is_connected()

    def local_name(self) -> Any:
        return self._before.local_name()

    def remote_name(self) -> Any:
        return self._before.remote_name()

    def option(self, level: int, name: int, /, *size: int) -> int | bytes:
        return self._before.option(level, name, *size)

    def set_option(self, level: int, name: int, /, *value: Any) -> None:
        self._before.set_option(level, name, *value)


class Leftover(ChangingWire):
    """A transport of which something was read already that the program has still to get.

    :param kept: these bytes.
    """

    __slots__ = ("_kept",)

    FAREWELL = False

    def __init__(self, before: Transport, kept: bytes) -> None:
        super().__init__(before, 0, _nothing, True, _nothing)
        self._kept = kept
        self.PEEK = True

    def recv(self, size: int, flags: int = 0) -> bytes:
        kept = self._kept
        if not kept:
            return self._before.recv(size, flags)
        if not flags & _socket.MSG_PEEK:
            self._kept = kept[size:]
        return kept[:size]

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        return self._before.sendmsg(buffers, ancdata, flags)

    def take_owed(self) -> int:
        return self._before.take_owed()

    def at_end(self) -> bool:
        return False if self._kept else self._before.at_end()

    def watch(self, loop: Any, events: int) -> Watcher:
        if events != READ:
            return self._before.watch(loop, events)
        watcher = _LeftoverWatcher(self._before.watch(loop, events), loop, self.has_kept)
        self._watchers.append(watcher)
        return watcher

    def has_kept(self) -> bool:
        """Whether there is something that the transport below knows nothing of."""
        return bool(self._kept)

    def shutdown(self, how: int) -> None:
        self._before.shutdown(how)

    def detach(self) -> int:
        if self._kept:
            refuse(errno.ENOTSUP)
        self.let_go()
        return self._before.detach()


def _nothing() -> None:
    """Nothing is to be done."""


class _LeftoverWatcher(Watcher):
    """A watcher of the transport below, and of what is left beside."""

    __slots__ = ("_source", "_wakeup", "args", "callback")

    def __init__(self, source: Watcher, loop: Any, ready: Callable[[], bool]) -> None:
        self._source = source
        self._wakeup = Wakeup(loop, ready)
        self.callback: Callable[..., object] | None = None
        self.args: tuple[Any, ...] = ()

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        self.callback = callback
        self.args = args
        self._source.start(self._fired)
        self._wakeup.start(self._fired)

    def stop(self) -> None:
        self.callback = None
        self.args = ()
        self._source.stop()
        self._wakeup.stop()

    def close(self) -> None:
        self.callback = None
        self.args = ()
        self._source.close()
        self._wakeup.close()

    def _fired(self) -> None:
        if self.callback is not None:
            self.callback(*self.args)


class _Watcher(Watcher):
    """A watcher of the transport below, which is silent where the stream could do nothing."""

    __slots__ = ("_events", "_source", "_wire", "args", "callback")

    def __init__(self, wire: ChangingWire, source: Watcher, events: int) -> None:
        self._wire = wire
        self._source = source
        self._events = events
        self.callback: Callable[..., object] | None = None
        self.args: tuple[Any, ...] = ()

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        self.callback = callback
        self.args = args
        if self._wire.may_fire(self._events):
            self._source.start(self._fired)
        else:
            self._source.stop()

    def stop(self) -> None:
        self.callback = None
        self.args = ()
        self._source.stop()

    def close(self) -> None:
        self.callback = None
        self.args = ()
        self._source.close()

    def _fired(self) -> None:
        if self.callback is None or not self._wire.may_fire(self._events):
            self._source.stop()
        else:
            self.callback(*self.args)
