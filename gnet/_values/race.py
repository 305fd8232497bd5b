"""The plan of a connection race: which attempt starts when (RFC 8305). No sockets, no clock.

Attempts overlap: when one takes longer than the delay, the next starts beside it, and the slow
one stays in the race. One that fails lets the next start at once. The first to connect wins.

    >>> race = Race(count=2, delay=0.25)
    >>> race.advance(now=0.0), race.due
    ([('start', 0)], 0.25)
    >>> race.advance(now=0.25), race.due
    ([('timeout', 0), ('start', 1)], None)
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Race", "interleave"]

Address = tuple[str, int]


def interleave(addresses: Iterable[Address]) -> list[Address]:
    """The order of the attempts: families in turn, the first address's family first.

    RFC 8305, section 4, with a First Address Family Count of one.

    :param addresses: (address, family) pairs, as the lookup gave them.
    """
    found = list(dict.fromkeys(addresses))
    if not found:
        return []
    preferred = [each for each in found if each[1] == found[0][1]]
    others = [each for each in found if each[1] != found[0][1]]
    order: list[Address] = []
    while preferred or others:
        order += preferred[:1] + others[:1]
        del preferred[:1], others[:1]
    return order


class Race:
    """Decides about ``count`` attempts, numbered in their order.

    :ivar due: when the next attempt starts if nothing happens before; ``None`` when no more
        start by the clock.
    :ivar running: the attempts that have started and not failed.
    """

    __slots__ = ("_delay", "_next", "_slow", "count", "due", "running")

    def __init__(self, count: int, delay: float) -> None:
        self.count = count
        self.running: set[int] = set()
        self.due: float | None = 0.0 if count else None
        self._delay = delay
        self._next = 0
        self._slow: int | None = None

    @property
    def lost(self) -> bool:
        """Whether every attempt has failed."""
        return not self.running and self._next >= self.count

    def advance(self, now: float) -> list[tuple[str, int]]:
        """What is to be done at the time ``now``.

        :returns: ``("timeout", i)``: report attempt ``i`` as slow; ``("start", i)``: start it.
        """
        actions: list[tuple[str, int]] = []
        if self.due is None or (now < self.due and self._next):
            return actions
        if self._slow is not None and self._slow in self.running:
            actions.append(("timeout", self._slow))
        number = self._next
        self._next += 1
        self.running.add(number)
        self._slow = number
        self.due = now + self._delay if self._next < self.count else None
        actions.append(("start", number))
        return actions

    def failed(self, number: int, now: float) -> None:
        """Attempt ``number`` has failed: the next need not wait for the clock."""
        self.running.discard(number)
        if self.due is not None and number == self._slow:
            self.due = now
