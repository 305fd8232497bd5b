"""How busy the loop is."""

from __future__ import annotations

import gevent


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
