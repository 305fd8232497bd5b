"""A transport that sends and receives no faster than so many bytes a second.

Each direction has a budget that grows with time. Who wants more than there is waits until there
is a piece worth a call: 20 milliseconds' worth, or 256 KiB. What a late timer has cost is made up
for; what nobody wanted is not saved.

The kernel's own pacing (``SO_MAX_PACING_RATE``) spreads what it is given between two pieces; it
alone would let the first ten segments go unpaced, which on the loopback are 640 KiB.
"""

from __future__ import annotations

import _socket
import errno
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from .._transport.around import Around
from .._transport.protocol import READ, Transport, Watcher, refuse
from .._transport.tcp_options import Settings
from .._values import arguments
from .timers import start_timer

__all__ = ["PacedWire", "checked_byte_rate", "paced"]

#: How long a piece is, in seconds, unless that is more than so many bytes.
PIECE_SECONDS = 0.02
PIECE_BYTES = 262144
# So much that was wanted and came too late is made up for, in seconds.
ARREARS_SECONDS = 0.5
# At most one second's bytes lie in the kernel's buffer, but it may be so large. One that may be
# larger than what the system makes it by itself is left to the system.
LEAST_BUFFER_BYTES = 65536
SYSTEMS_BUFFER_BYTES = 1 << 22

# The name that the interpreter does not have; and how far the kernel's rate is above: it counts
# headers, only spreads the pieces, and must not hold back what a late timer has cost.
_SO_MAX_PACING_RATE = 47 if sys.platform == "linux" else None
_MARGIN = 1.25
_MOST_PACING = 2**31 - 1

_ASIDE = _socket.MSG_PEEK | _socket.MSG_OOB


def checked_byte_rate(name: str, value: Any) -> float | None:
    """So many bytes a second; ``None`` for no limit.

    :raises TypeError: it is not a number.
    :raises ValueError: it is below one.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise arguments.wrong_kind(name, value, "a number of bytes a second")
    if not 1 <= value < float("inf"):
        right = "1 byte a second or more"
        raise arguments.wrong_value(name, value, right, "ERR_OUT_OF_RANGE")
    return float(value)


class _Budget:
    """How many bytes may pass in one direction."""

    __slots__ = ("_bytes", "_rate", "_since", "_wanted", "piece")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.piece = max(1.0, min(rate * PIECE_SECONDS, PIECE_BYTES))
        self._bytes = self.piece
        self._since = monotonic()
        self._wanted = False

    def claim(self) -> int:
        """How many bytes may pass now.

        :raises BlockingIOError: so few that it is not worth a call.
        """
        room = self.room()
        if not room:
            self._wanted = True
            refuse(errno.EAGAIN)
        return room

    def room(self) -> int:
        """How many bytes may pass now; none where that is not worth a call."""
        now = monotonic()
        most = self.piece
        if self._wanted:
            most = max(most, self._rate * ARREARS_SECONDS)
        self._bytes = min(self._bytes + (now - self._since) * self._rate, most)
        self._since = now
        return int(self._bytes) if self._bytes >= self.piece else 0

    def use(self, count: int, room: int) -> None:
        """So many bytes have passed.

        :param room: of so many that there was room for.
        """
        self._bytes -= count
        self._wanted = count >= room

    @property
    def wait(self) -> float:
        """How long until there is room, in seconds."""
        return max(0.0, (self.piece - self._bytes) / self._rate)


class PacedWire(Around):
    """A transport with a rate.

    :param rate: bytes a second, each way.
    """

    __slots__ = ("_receiving", "_sending", "_watchers")

    def __init__(self, inner: Transport, rate: float) -> None:
        super().__init__(inner)
        self._receiving = _Budget(rate)
        self._sending = _Budget(rate)
        self._watchers: list[_PacedWatcher] = []
        if inner.MESSAGES:
            _tell_kernel(inner, rate)

    # -- bytes --------------------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags & _ASIDE or not size:
            return self.inner.recv(size, flags)
        budget = self._receiving
        room = budget.claim()
        data = self.inner.recv(min(size, room), flags)
        budget.use(len(data), room)
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        wanted = size or len(view)
        if flags & _ASIDE or not wanted:
            return self.inner.recv_into(buffer, size, flags)
        budget = self._receiving
        room = budget.claim()
        count = self.inner.recv_into(view, min(wanted, room), flags)
        budget.use(count, room)
        return count

    def recvfrom(self, size: int, flags: int = 0) -> Any:
        return self._message("recvfrom", size, flags, flags=flags)

    def recvmsg(self, size: int, room: int = 0, flags: int = 0) -> Any:
        return self._message("recvmsg", size, room, flags, flags=flags)

    def recvmsg_into(self, buffers: list[Any], room: int = 0, flags: int = 0) -> Any:
        views = [memoryview(each).cast("B") for each in buffers]
        data, *others = self.recvmsg(sum(map(len, views)), room, flags)
        rest = memoryview(data)
        for view in views:
            part = rest[: len(view)]
            view[: len(part)] = part
            rest = rest[len(part) :]
        return (len(data), *others)

    def _message(self, name: str, size: int, *others: Any, flags: int) -> Any:
        if flags & _ASIDE or not size:
            return self.call(name)(size, *others)
        budget = self._receiving
        room = budget.claim()
        message = self.call(name)(min(size, room), *others)
        budget.use(len(message[0]), room)
        return message

    def send(self, data: Any, flags: int = 0) -> int:
        view = memoryview(data).cast("B")
        if not len(view):
            return self.inner.send(data, flags)
        budget = self._sending
        room = budget.claim()
        part = view[:room] if room < len(view) else data
        sent = self.inner.send(part, flags)
        budget.use(sent, room)
        return sent

    def sendmsg(self, buffers: list[Any], ancdata: Any = (), flags: int = 0) -> int:
        if not any(map(len, buffers)):
            return self.inner.sendmsg(buffers, ancdata, flags)
        budget = self._sending
        room = budget.claim()
        sent = self.inner.sendmsg(_first(buffers, room), ancdata, flags)
        budget.use(sent, room)
        return sent

    # -- watching -----------------------------------------------------------------------------

    def watch(self, loop: Any, events: int) -> Watcher:
        budget = self._receiving if events == READ else self._sending
        watcher = _PacedWatcher(loop, self.inner.watch(loop, events), budget)
        self._watchers.append(watcher)
        return watcher

    def close(self) -> None:
        self._forget_watchers()
        self.inner.close()

    def detach(self) -> int:
        fd = self.inner.detach()
        self._forget_watchers()
        return fd

    def abandon(self) -> int:
        self._forget_watchers()
        return self.inner.abandon()

    def _forget_watchers(self) -> None:
        while self._watchers:
            self._watchers.pop().close()


def _first(buffers: list[Any], size: int) -> list[Any]:
    """The first bytes of several buffers."""
    parts = []
    for each in buffers:
        if size <= 0:
            break
        parts.append(each if len(each) <= size else memoryview(each)[:size])
        size -= len(each)
    return parts


def _tell_kernel(wire: Transport, rate: float) -> None:
    """Have the kernel space what it sends, and keep no more than a second's bytes."""
    size = max(LEAST_BUFFER_BYTES, int(rate))
    if _SO_MAX_PACING_RATE is not None and wire.TCP_OPTIONS:
        with suppress(OSError):
            pace = min(_MOST_PACING, int(rate * _MARGIN) + 1)
            wire.set_option(_socket.SOL_SOCKET, _SO_MAX_PACING_RATE, pace)
    if size < SYSTEMS_BUFFER_BYTES:
        for name in (_socket.SO_SNDBUF, _socket.SO_RCVBUF):
            with suppress(OSError):
                wire.set_option(_socket.SOL_SOCKET, name, size)


class _PacedWatcher(Watcher):
    """A watcher of the transport below, which is still while there is no room."""

    __slots__ = ("_budget", "_loop", "_source", "_timer", "args", "callback")

    def __init__(self, loop: Any, source: Watcher, budget: _Budget) -> None:
        self._loop = loop
        self._source = source
        self._budget = budget
        self._timer: Any = None
        self.callback: Callable[..., object] | None = None
        self.args: tuple[Any, ...] = ()

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        self.callback = callback
        self.args = args
        if self._timer is None:
            self._go_on()

    def stop(self) -> None:
        self.callback = None
        self.args = ()
        self._stop_timer()
        self._source.stop()

    def close(self) -> None:
        self.callback = None
        self.args = ()
        self._stop_timer()
        self._source.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _go_on(self) -> None:
        if self._budget.room():
            self._source.start(self._fired)
        else:
            self._source.stop()
            self._timer = start_timer(self._loop, self._budget.wait, self._due)

    def _due(self) -> None:
        self._stop_timer()
        if self.callback is not None:
            self._go_on()

    def _fired(self) -> None:
        if self.callback is None:
            self._source.stop()
        elif self._budget.room():
            self.callback(*self.args)
        else:
            self._go_on()


def paced(wire: Transport, settings: Settings) -> Transport:
    """The transport with the rate that is among the settings, if one is."""
    for name, value in settings:
        if name == "rate":
            return PacedWire(wire, value)
    return wire
