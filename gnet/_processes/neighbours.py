"""The other processes of a program, as far as this one has started them."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol
from weakref import WeakSet

from .._values.weak_sets import members

__all__ = ["Figures", "Neighbour", "Starter", "figures", "neighbours", "starters"]


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


class Figures(NamedTuple):
    """What the sockets of processes come to, each a :class:`gnet.ProcessStats`.

    :ivar living: of each process that runs, by its number.
    :ivar ended: of those that have ended; nothing of theirs is open any more.
    """

    living: dict[int, Any]
    ended: list[Any]


class Starter(Protocol):
    """What has started processes."""

    def neighbours(self) -> list[Any]:
        """A :class:`Neighbour` for each of them that runs."""

    def figures(self) -> Figures:
        """What they have told of their sockets."""


#: What has started processes of the program, if anything has: each a :class:`Starter`.
starters: WeakSet[Any] = WeakSet()


def neighbours() -> list[Neighbour]:
    """The processes of the program that this one has started."""
    return [each for starter in list(starters) for each in starter.neighbours()]


def figures() -> Figures:
    """What all of them have told of their sockets; may be called from any thread."""
    living: dict[int, Any] = {}
    ended: list[Any] = []
    for starter in members(starters):
        its = starter.figures()
        living |= its.living
        ended += its.ended
    return Figures(living, ended)
