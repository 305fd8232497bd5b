"""Pauses between tries, each twice as long as the one before."""

from __future__ import annotations

__all__ = ["Backoff"]


class Backoff:
    """The pauses of one series of tries.

    :param first: the first one, in seconds.
    :param longest: none is longer, in seconds.
    :param at_once: whether there is none ahead of the first try of a series.
    """

    __slots__ = ("_first", "_longest", "_pause", "_start")

    def __init__(self, first: float, longest: float, at_once: bool = False) -> None:
        self._first = first
        self._longest = longest
        self._start = self._pause = 0.0 if at_once else first

    def pause(self) -> float:
        """How long to wait now, in seconds."""
        pause = self._pause
        self._pause = min(max(self._first, pause * 2), self._longest)
        return pause

    def reset(self) -> None:
        """A try has succeeded: the next one begins another series."""
        self._pause = self._start
