"""How many bytes have come and gone, and how fast, for people who watch."""

from __future__ import annotations

from time import monotonic
from typing import Any

import gevent

from .._socket.socket import Socket
from .console import Console

__all__ = ["Progress", "Traffic", "amount"]

# Seconds between two looks at the counters.
INTERVAL = 0.25


def amount(count: float, unit: str = "B") -> str:
    """A number of bytes with a decimal prefix: ``12 B``, ``3.4 kB``."""
    if count < 999.5:
        return f"{count:.0f} {unit}"
    prefixes = iter("kMGTPE")
    while True:
        count, prefix = count / 1000, next(prefixes)
        if count < 999.95 or prefix == "E":
            return f"{count:.1f} {prefix}{unit}"


class Traffic:
    """The bytes of some connections, those that have closed included."""

    def __init__(self) -> None:
        self._open: set[Socket] = set()
        self._received = 0
        self._sent = 0
        self.connections: int = 0

    def add(self, sock: Socket) -> None:
        """Count this connection, too."""
        self.connections += 1
        self._open.add(sock)

        @sock.on("close")
        def closed(had_error: bool) -> None:
            self._open.discard(sock)
            self._received += sock.bytes_read
            self._sent += sock.bytes_written

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._open)

    @property
    def received(self) -> int:
        return self._received + sum(sock.bytes_read for sock in self._open)

    @property
    def sent(self) -> int:
        return self._sent + sum(sock.bytes_written for sock in self._open)

    def __str__(self) -> str:
        return f"{amount(self.received)} received, {amount(self.sent)} sent"


class Progress:
    """The traffic as the status of the console, from ``with`` on; and in the end, as a line.

    :param console: where; nothing is shown where it is no terminal.
    :param traffic: what.
    :param live: whether to show it before the end, too.
    :param several: whether the connections are counted, too.
    """

    def __init__(
        self, console: Console, traffic: Traffic, *, live: bool = True, several: bool = False
    ) -> None:
        self._console = console
        self._traffic = traffic
        self._live = live
        self._several = several
        self._begun = monotonic()
        self._ticks: Any = None

    def __enter__(self) -> Progress:
        if self._live and self._console.is_terminal:
            self._ticks = gevent.spawn(self._tick)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._ticks is not None:
            self._ticks.kill()
        self._console.show("")
        if self._console.is_watched and self._traffic.connections:
            self._console.say(self.summary())

    def summary(self) -> str:
        """The whole, and the rate over all of the time."""
        traffic = self._traffic
        seconds = monotonic() - self._begun
        count = ""
        if self._several:
            count = f"{traffic.connections} connection{'s' * (traffic.connections != 1)}, "
        rate = amount((traffic.received + traffic.sent) / max(seconds, 1e-3), "B/s")
        return f"{count}{traffic} in {seconds:.1f} s, {rate}"

    def _tick(self) -> None:
        traffic = self._traffic
        before, then = traffic.received + traffic.sent, monotonic()
        while True:
            gevent.sleep(INTERVAL)
            total, now = traffic.received + traffic.sent, monotonic()
            rate = amount((total - before) / (now - then), "B/s")
            before, then = total, now
            count = "" if not self._several else f"{traffic.open} open, "
            if traffic.connections:
                self._console.show(f"{count}{traffic}, {rate}")
