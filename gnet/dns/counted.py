"""Lookups are counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic

from .._values.durations import record, watchers
from .._values.lookups import of_this_thread

__all__ = ["counted", "counted_unless_it_counts", "hit"]


@contextmanager
def counted() -> Iterator[None]:
    """Count the lookup inside, and how long it takes."""
    lookups = of_this_thread()
    lookups.asked += 1
    begun = monotonic()
    error: BaseException | None = None
    try:
        yield
    except BaseException as exc:
        error = exc
        raise
    finally:
        seconds = monotonic() - begun
        lookups.failed_lookups += error is not None
        lookups.lookup_seconds.add(seconds)
        if watchers:
            record("lookup", seconds, error=error)


def counted_unless_it_counts(lookup: object) -> AbstractContextManager[None]:
    """:func:`counted`, for any lookup hook: gnet's own count themselves."""
    return nullcontext() if getattr(lookup, "gnet_counts", False) is True else counted()


def hit() -> None:
    """The answer to a question was known."""
    of_this_thread().cache_hits += 1
