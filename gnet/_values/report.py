"""Telling of an exception that nobody handles (contract, rule 3)."""

from __future__ import annotations

import sys
from _socket import gaierror, herror
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
from gevent.hub import Hub
from greenlet import getcurrent

from ..errors import printable
from .publish import is_publishing, publish

__all__ = ["guarded", "handler_failed", "job_failed", "report"]


def report(hub: Any, context: object, error: BaseException) -> None:
    """Have an exception be told of, with its traceback.

    It goes to the logger ``gnet`` where anybody has configured that, and else to the hub's error
    handler, which prints it. A program that has replaced that handler gets it in any case.

    :param hub: gevent's hub.
    :param context: what has failed, for the text.
    """
    own = getattr(hub.handle_error, "__func__", None) is Hub.handle_error
    lookup = isinstance(error, (gaierror, herror))
    log = _configured_log() if own and _is_for_the_log(hub, error, lookup) else None
    if log is not None:
        _write(hub, log, context, error)
        return
    hub.handle_error(context, type(error), error, error.__traceback__)
    # gevent's own handler passes these over, since its resolvers have a greenlet fail with them.
    # Here it is a lookup that has failed, or somebody's bug. A program's handler knows by now.
    if lookup and own and isinstance(error, hub.NOT_ERROR):
        hub.print_exception(context, type(error), error, error.__traceback__)


def _is_for_the_log(hub: Any, error: BaseException, lookup: bool) -> bool:
    """Whether it is no more than an exception; what ends the program goes to the hub."""
    ending = isinstance(error, hub.SYSTEM_ERROR)
    return isinstance(error, Exception) and not ending and (
        lookup or not isinstance(error, hub.NOT_ERROR)
    )  # fmt: skip


def _configured_log() -> Any:
    """The logger, where anybody has configured it."""
    # Who has not imported the module has configured none.
    logging = sys.modules.get("logging")
    log = None if logging is None else logging.getLogger("gnet")
    return log if log is not None and log.hasHandlers() else None


def _write(hub: Any, log: Any, context: object, error: BaseException) -> None:
    name = context if isinstance(context, str) else repr(context)
    kind = type(error)
    write = partial(
        log.error,
        "%s in %s",
        kind.__name__,
        printable(name),
        exc_info=(kind, error, error.__traceback__),
    )
    if getcurrent() is hub:
        # A handler of the log may block.
        gevent.spawn(write)
    else:
        write()


def handler_failed(hub: Any, sock: Any, error: BaseException) -> None:
    """Publish that an exception has left the program's own code.

    :param hub: gevent's hub.
    :param sock: whose listener it was; ``None``: no socket's.
    """
    loop = getattr(hub, "gnet_dispatcher", None)
    # What ends a greenlet or the program is no failure.
    if loop is not None and isinstance(error, Exception):
        publish(loop.defer, "HandlerFailed", sock, error)


def job_failed(hub: Any, job: object, error: BaseException) -> None:
    """A job of the dispatcher's has raised."""
    if not is_publishing(job):
        handler_failed(hub, None, error)
    report(hub, job, error)


def guarded(hub: Any, context: object, function: Callable[..., object], *args: Any) -> None:
    """Call a function of the program's; what it raises is told.

    :param context: what has failed then, for the text.
    """
    try:
        function(*args)
    except BaseException as exc:
        handler_failed(hub, None, exc)
        report(hub, context, exc)
