"""What the Python probes share: their clock, and their last line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable

SECONDS = float(sys.argv[-1])


def report(per_second: float) -> None:
    """Print the result, as the runner reads it."""
    print(json.dumps({"per_second": per_second}))


def rate(step: Callable[[], object], batch: int = 1) -> float:
    """Steps in a second, after a tenth of the time that does not count.

    :param step: what is measured.
    :param batch: steps for each look at the clock.
    """
    for length in (SECONDS / 10, SECONDS):
        count, began = 0, time.perf_counter()
        while (now := time.perf_counter()) < began + length:
            for _ in range(batch):
                step()
            count += batch
    return count / (now - began)


async def async_rate(step: Callable[[], Awaitable[object]]) -> float:
    """The same of a step that is awaited."""
    for length in (SECONDS / 10, SECONDS):
        count, began = 0, time.perf_counter()
        while (now := time.perf_counter()) < began + length:
            await step()
            count += 1
    return count / (now - began)
