"""What is counted of the lookups of a thread, which alone writes it."""

from __future__ import annotations

from .durations import SHORT_BOUNDS, Histogram
from .originals import original

__all__ = ["Lookups", "forget", "lookups_of_threads", "of_this_thread"]


class Lookups:
    """The lookups of a thread.

    :ivar asked: how many names were looked up.
    :ivar cache_hits: how many questions an answer was known to.
    :ivar failed_lookups: how many lookups have failed.
    :ivar lookup_seconds: how long they have taken.
    """

    __slots__ = ("asked", "cache_hits", "failed_lookups", "lookup_seconds")

    def __init__(self) -> None:
        self.asked = 0
        self.cache_hits = 0
        self.failed_lookups = 0
        self.lookup_seconds = Histogram(SHORT_BOUNDS)


# A patched one gives the number of the greenlet.
_this_thread = original("_thread", "get_ident")

# By the thread's number, which a later thread may have again: it goes on in the same object, and
# of threads that come and go none is left behind.
_lookups: dict[int, Lookups] = {}


def of_this_thread() -> Lookups:
    """Those of the calling thread."""
    ident = _this_thread()
    return _lookups.get(ident) or _lookups.setdefault(ident, Lookups())


def lookups_of_threads() -> list[Lookups]:
    """Those of all threads, of those that have ended as well."""
    return list(_lookups.values())


def forget() -> None:
    """In a forked child: what was counted is the parent's."""
    _lookups.clear()
