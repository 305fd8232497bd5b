"""Adding up what connections have counted.

Compiled, no other thread comes in between: the numbers of all connections are of one moment, and
ten thousand of them take a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .ledger import Ledger, Settled

__all__ = ["Tally", "consistent", "tally"]

# A connection that closes has another look taken; where they close faster than that, one is off.
MAX_LOOKS = 100


class Tally(NamedTuple):
    """What some connections come to.

    :ivar bytes_in: what was received on them.
    :ivar bytes_out: what was sent on them.
    :ivar queued: how many bytes are queued.
    :ivar longest: the most bytes that are, or were, queued on one of them.
    :ivar ages: how many of them are how old, by the upper bounds that were given.
    """

    bytes_in: int
    bytes_out: int
    queued: int
    longest: int
    ages: list[int]


def consistent(
    ledger: Ledger, owner: object, living: Callable[[], list[Any]]
) -> tuple[Settled, list[Any]]:
    """What has closed and what lives, of one moment.

    :param ledger: where the connections are counted that have closed.
    :param owner: whose they are.
    :param living: gives the others.
    """
    for _ in range(MAX_LOOKS):
        settled = ledger.settled
        sockets = living()
        if ledger.settled is settled:
            break
    return Settled(*settled), [] if settled[3] is owner else sockets


def tally(sockets: list[Any], leaving: Any, now: float, bounds: Sequence[float]) -> Tally:
    """Add up the numbers of connections.

    :param sockets: the connections.
    :param leaving: the one whose bytes are counted already.
    :param now: the time, by :func:`time.monotonic`.
    :param bounds: the upper bounds of the ages, in seconds; the last one is infinite.
    """
    bytes_in = bytes_out = queued = longest = 0
    ages = [0] * len(bounds)
    for sock in sockets:
        out = sock._outbox
        size = 0
        if out is not None:
            size = out.size
            queued += size
            if out.peak > longest:
                longest = out.peak
        place = 0
        while now - sock._begun > bounds[place]:
            place += 1
        ages[place] += 1
        if sock is not leaving:
            bytes_in += sock.bytes_read
            bytes_out += sock._written - sock._unsent - size
    return Tally(bytes_in, bytes_out, queued, longest, ages)
