"""Not more than so many bytes a second."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import gevent

__all__ = ["Pace"]

# How much of a second's bytes go at once.
PART = 0.1
# A shorter wait is left to the next piece, in seconds: libuv knows none.
SHORTEST = 0.001


class Pace:
    """The pace of one direction of a connection.

    :param rate: bytes a second; ``None`` for no limit.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        # When the next piece may go.
        self._due = monotonic()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The data in pieces, each when it is its time; blocks between them."""
        if self._rate is None:
            yield data
            return
        size = max(1, int(self._rate * PART))
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            now = monotonic()
            if self._due > now + SHORTEST:
                gevent.sleep(self._due - now)
            self._due = max(self._due, now)
            yield piece
            self._due += len(piece) / self._rate
