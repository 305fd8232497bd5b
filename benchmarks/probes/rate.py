"""What the Python probes share: their clock, and their last line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

SECONDS = float(sys.argv[-1])


MESSAGE = b"x" * 1000


class Rate(NamedTuple):
    """What was measured."""

    per_second: float
    cpu_us_per_message: float


class Watch:
    """A clock, and the processor's beside it."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.cpu = time.process_time()
        self.count = 0

    def runs(self, length: float) -> bool:
        """Whether the time is not over."""
        self.now = time.perf_counter()
        return self.now < self.began + length

    def rate(self) -> Rate:
        used = time.process_time() - self.cpu
        return Rate(self.count / (self.now - self.began), 1e6 * used / self.count)


def report(measured: Rate) -> None:
    """Print the result, as the runner reads it."""
    used = measured.cpu_us_per_message
    print(json.dumps({**measured._asdict(), "per_cpu_second": 1e6 / used if used else 0.0}))


def rate(step: Callable[[], object], batch: int = 1) -> Rate:
    """Steps in a second, after a tenth of the time that does not count.

    :param step: what is measured.
    :param batch: steps for each look at the clock.
    """
    for length in (SECONDS / 10, SECONDS):
        watch = Watch()
        while watch.runs(length):
            for _ in range(batch):
                step()
            watch.count += batch
    return watch.rate()


async def async_rate(step: Callable[[], Awaitable[object]]) -> Rate:
    """The same of a step that is awaited."""
    for length in (SECONDS / 10, SECONDS):
        watch = Watch()
        while watch.runs(length):
            await step()
            watch.count += 1
    return watch.rate()
