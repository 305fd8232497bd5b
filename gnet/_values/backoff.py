"""How long to wait before a worker that has died is replaced."""

from __future__ import annotations

__all__ = ["Backoff"]

#: A worker that lived so long, in seconds, is not one of a series that cannot start.
STEADY_SECONDS = 10.0
#: The pause ahead of the second replacement in a series, in seconds; then it doubles.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0


class Backoff:
    """The pauses: none at first, and longer and longer while what is started dies at once."""

    def __init__(self) -> None:
        self._pause = 0.0

    def pause(self, lived: float) -> float:
        """How long to wait now.

        :param lived: how long the worker had lived, in seconds.
        :returns: the pause, in seconds.
        """
        pause = 0.0 if lived >= STEADY_SECONDS else self._pause
        self._pause = min(max(FIRST_PAUSE, pause * 2), LONGEST_PAUSE)
        return pause
