"""``gnet wsgi``: an application is loaded, and served in one process or several."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import gevent

from . import report
from .encryption import server_options

__all__ = ["ApplicationError", "run"]

#: How often the files of the application are looked at, in seconds.
LOOK_SECONDS = 0.5


class ApplicationError(Exception):
    """There is no application to serve; the user has to be told in one line."""


class _StandardOutput:
    """Where lines of the access log go; a line is written at once, so that none is torn."""

    def write(self, text: str) -> None:
        """Write it, if there is a standard output."""
        if sys.stdout is not None:
            sys.stdout.write(text)
            sys.stdout.flush()


def run(session: Any, options: Any) -> None:
    """Serve until told to stop.

    :raises ApplicationError: there is nothing to serve.
    """
    if options.workers is None and not options.reload:
        session.serve(_server(session, options), options)
        return
    from .. import cluster

    if cluster.worker is None:
        _supervise(session, options)
        return
    server = _server(session, options)
    if options.max_connections is not None:
        server.max_connections = options.max_connections
    server.on("error", session.complain)
    server.listen(**options.target.listening(options.family))
    if options.reload:
        gevent.spawn(_watch, session, cluster.worker)
    cluster.worker.main_has_returned()


def _server(session: Any, options: Any) -> Any:
    if options.patch:
        # Before the application is imported, and whatever that imports.
        from gevent import monkey

        monkey.patch_all()
    try:
        from ..wsgi import WSGIServer
    except ImportError as exc:
        raise ApplicationError(str(exc)) from exc
    log = sys.stderr if session.verbose else None
    if options.access_log:
        log = _StandardOutput()
    wanted = options.cert is not None or options.self_signed
    return WSGIServer(
        _load(options.application),
        log=log,
        threads=options.threads,
        **server_options(options, wanted),
    )


def _load(name: str) -> Any:
    """The application of that name.

    :param name: ``MODULE:APP``, or ``MODULE:FACTORY()`` for what makes it.
    """
    module, _, attribute = name.removesuffix("()").partition(":")
    # As with "python -m": what is in the working directory is found.
    sys.path.insert(0, os.getcwd())
    found: Any
    try:
        found = importlib.import_module(module)
        for each in attribute.split("."):
            found = getattr(found, each)
        if name.endswith("()"):
            found = found()
    except Exception as exc:
        what = f"{type(exc).__name__}: {report.message(exc)}"
        raise ApplicationError(f"{name} cannot be imported: {what}") from exc
    if not callable(found):
        raise ApplicationError(f"{name} is no WSGI application: it cannot be called")
    return found


# -- several processes ----------------------------------------------------------------------------


def _supervise(session: Any, options: Any) -> None:
    """Be the primary: have workers serve."""
    from .. import cluster

    workers = cluster.Cluster(grace=options.grace)
    listening: set[int] = set()
    mode = ExitStack()

    def listens(worker: Any, address: Any) -> None:
        mode.close()
        if not listening and not session.verbose:
            session.say_where(options.target, address)
        listening.add(worker.id)

    def exited(worker: Any, code: int | None, number: int | None) -> None:
        if not listening and code:
            # It has said why. Others would not do better.
            workers.shutdown(0)

    def told(worker: Any, message: Any) -> None:
        if message == "changed":
            gevent.spawn(_reload, session, workers)

    workers.on("listening", listens)
    workers.on("exit", exited)
    workers.on("message", told)
    workers.fork(options.workers or 1)
    # Behind the fork: the files of the application have their usual modes.
    mode.enter_context(session.file_mode(options.mode, options.target.path))
    with _told_of_the_grace(session, options.grace):
        workers.run()
    if not listening:
        raise ApplicationError("no worker has come to serve")


@contextmanager
def _told_of_the_grace(session: Any, grace: float) -> Iterator[None]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    watchers = [
        gevent.signal_handler(each, lambda: session.say_that_it_waits(grace)) for each in numbers
    ]
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()


def _reload(session: Any, workers: Any) -> None:
    try:
        # An idle client is not to be answered by what was there before.
        workers.restart(0)
    except (OSError, RuntimeError) as exc:
        session.console.say(f"gnet: the former application goes on: {report.message(exc)}")


def _watch(session: Any, worker: Any) -> None:
    """In a worker: tell the primary when a file has changed that was imported."""
    before = _times()
    while True:
        gevent.sleep(LOOK_SECONDS)
        now = _times()
        changed = [path for path, time in now.items() if before.get(path, time) != time]
        before.update(now)
        if changed:
            session.console.say(f"gnet: {changed[0]} has changed: starting again")
            worker.send("changed")


def _times() -> dict[str, float]:
    """When the files of the modules were changed."""
    times = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path:
            try:
                times[path] = os.stat(path).st_mtime
            except OSError:
                # It is being written anew, or was never there.
                continue
    return times
