"""gevent's pools of threads in a forked child, which has none of the threads.

gevent renews the pool of the hub after a fork, and stumbles over what its threads have left: a
hub that a thread has made is destroyed with its own threads waited for, which are gone, and one
that the thread has destroyed itself raises. Then the pool stays the parent's, and whoever needs
it, a lookup for example, waits for ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

__all__ = ["kinds", "renew"]

_MODULE = "gevent.threadpool"


def kinds() -> tuple[type, ...]:
    """The classes of pools, and of what their threads are to answer; none if there is no pool."""
    # Whoever has one has imported it, which takes half as long as importing gnet does.
    module = sys.modules.get(_MODULE)
    found = (getattr(module, name, None) for name in ("ThreadPool", "ThreadResult"))
    return tuple(filter(None, found))


def renew(hub: Any, found: Iterable[Any]) -> None:
    """In a forked child: give the pools of a hub their own state, ahead of ``gevent.reinit()``.

    :param hub: the calling thread's.
    :param found: the process' instances of :func:`kinds`; those of other hubs stay as they are.
    """
    module: Any = sys.modules.get(_MODULE)
    # One that was not made whole has none.
    mine = [each for each in found if getattr(each, "hub", None) is hub]
    for each in mine:
        # No thread is left that would send it, and a watcher that waits for it keeps the loop from
        # ending. One that has been sent is the parent's.
        if isinstance(each, module.ThreadResult):
            each.destroy_in_main_thread()
    for each in mine:
        if isinstance(each, module.ThreadPool):
            for worker in list(each._worker_greenlets):
                _bury(worker, hub)
            # gevent makes another and drops this one as it is. libuv keeps the watcher in a list,
            # and runs through what has come to its place in memory: without an end, or to a crash.
            each.fork_watcher.stop()
            each.fork_watcher.close()
            each._on_fork()


def _bury(worker: Any, hub: Any) -> None:
    """Destroy the hub that a thread of a pool has made, and have gevent find none."""
    other, worker._hub_of_worker = worker._hub_of_worker, None
    # A hub that has been destroyed has no loop.
    if other is None or other is hub or other.loop is None:
        return
    # It would wait for threads of its own, and end the trace function of this one.
    del other.resolver, other.threadpool
    other.periodic_monitoring_thread = None
    with suppress(Exception):
        # Ahead of anything that is done with its watchers: its epoll descriptor is the parent's.
        other.loop.reinit()
        other.destroy(destroy_loop=True)
