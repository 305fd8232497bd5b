"""Turns of the loop: how many there are, and what they bring about."""

from __future__ import annotations

from collections.abc import Callable

import gevent


def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so that no event tells; the test's limit ends it."""
    while not condition():
        gevent.sleep(0.001)


def turns_of_the_loop(seconds: float) -> int:
    """How often the loop turns in some time: a busy one does so thousands of times a second."""
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1

    with gevent.get_hub().loop.check(ref=False) as check:
        check.start(count)
        gevent.sleep(seconds)
    return turns
