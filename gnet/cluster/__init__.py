"""Several processes that serve one port: a primary, which owns the listening handles, and workers.

From Node's ``cluster``, by which ``net`` shares the handles of ``exclusive=False``.

.. code-block:: python

    import gnet
    from gnet import cluster

    def main():
        server = gnet.create_server(lambda sock: sock.pipe(sock))
        server.listen(8124)

    if __name__ == "__main__":
        cluster.run(main, workers=4)

The primary starts its own program again, once for each worker; it does not fork itself. A forked
child would have a copy of every greenlet, timer and connection, which run on in it, and of every
lock that a thread held at that moment, those of gevent's own pool included, which nobody would
ever release. A program that was started has what it was given, and nothing else; and a restart
brings new code.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._values import arguments
from . import primary, this_worker
from .primary import Cluster
from .this_worker import Member
from .worker_process import Worker

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import ClusterOptions

__all__ = ["Cluster", "Member", "Worker", "fork", "is_primary", "is_worker", "run", "worker"]

#: In a worker: this process as the :class:`Member` of its cluster. Otherwise ``None``.
worker: Member | None = this_worker.join()
#: Whether this process is a worker. From Node's ``cluster.isWorker``.
is_worker: bool = worker is not None
#: Whether this process is none, and so may have workers. From Node's ``cluster.isPrimary``.
is_primary: bool = worker is None


def run(
    main: Callable[[], object], workers: int | None = None, **options: Unpack[ClusterOptions]
) -> None:
    """Run ``main`` in several workers; block until all have finished.

    In the primary this starts the workers, and replaces those that die; see :meth:`Cluster.run`
    for the signals. A worker comes to the same call, which there runs ``main``, and then blocks as
    long as :func:`gnet.run` does.

    :param main: called without arguments; it may return when its servers listen, or block.
    :param workers: how many; default: as many as there are processors for this process.
    :param options: those of :class:`Cluster`.
    """
    arguments.function("main", main)
    if worker is not None:
        main()
        worker.main_has_returned()
    else:
        if workers is None:
            workers = _processors()
        fork(arguments.integer("workers", workers, 1, 2**16), **options).run()


def fork(n: int = 1, **options: Unpack[ClusterOptions]) -> Cluster:
    """Start a cluster.

    :param n: the number of workers.
    :param options: those of :class:`Cluster`.
    :returns: the cluster; :meth:`Cluster.fork` adds workers to it.
    :raises OSError: the program cannot be started.
    :raises RuntimeError: this process is a worker itself.
    """
    cluster = Cluster(**options)
    cluster.fork(n)
    return cluster


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _leave_in_child() -> None:
    global worker, is_worker, is_primary
    primary.leave_in_child()
    if worker is not None:
        worker.leave_in_child()
    worker, is_worker, is_primary = None, False, True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_in_child)
