"""The order in which the hosts of a service are tried (RFC 2782)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .records import SRV

__all__ = ["in_order"]


def in_order(records: Iterable[SRV], draw: Callable[[int], int]) -> list[SRV]:
    """Records of a service, the first to try first.

    A lower priority comes earlier. Among equal ones chance decides: who has twice the weight
    comes first twice as often.

    :param records: those of one name.
    :param draw: gives a number from zero up to its argument, by chance.
    """
    ordered: list[SRV] = []
    left = sorted(records, key=lambda each: (each.priority, each.weight))
    while left:
        equal = [each for each in left if each.priority == left[0].priority]
        drawn = draw(sum(each.weight for each in equal))
        # Those without weight come first in the sum, and so have their small chance.
        for chosen in equal:
            drawn -= chosen.weight
            if drawn <= 0:
                break
        left.remove(chosen)
        ordered.append(chosen)
    return ordered
