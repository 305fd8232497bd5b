"""The other processes of a program, as far as this one has started them."""

from __future__ import annotations

from typing import Any, Protocol
from weakref import WeakSet

__all__ = ["Neighbour", "Starter", "neighbours", "starters"]


class Neighbour(Protocol):
    """Another process of the program."""

    @property
    def pid(self) -> int:
        """The number of the process."""

    def line(self) -> int:
        """Block for a connection to the process, over which it answers the live view.

        :returns: its descriptor, the caller's to close.
        :raises OSError: there is none.
        """


class Starter(Protocol):
    """What has started processes."""

    def neighbours(self) -> list[Any]:
        """A :class:`Neighbour` for each of them that runs."""


#: What has started processes of the program, if anything has: each a :class:`Starter`.
starters: WeakSet[Any] = WeakSet()


def neighbours() -> list[Neighbour]:
    """The processes of the program that this one has started."""
    return [each for starter in list(starters) for each in starter.neighbours()]
