"""Telling of an exception that nobody handles (contract, rule 3)."""

from __future__ import annotations

from _socket import gaierror, herror
from collections.abc import Callable
from typing import Any

from gevent.hub import Hub

__all__ = ["guarded", "report"]


def report(hub: Any, context: object, error: BaseException) -> None:
    """Have the hub's error handler tell of an exception, with its traceback.

    :param hub: gevent's hub.
    :param context: what has failed, for the text.
    """
    hub.handle_error(context, type(error), error, error.__traceback__)
    # gevent's own handler passes these over, since its resolvers have a greenlet fail with them.
    # Here it is a lookup that has failed, or somebody's bug. A program's handler knows by now.
    if isinstance(error, (gaierror, herror)) and isinstance(error, hub.NOT_ERROR):
        handler = getattr(hub.handle_error, "__func__", None)
        if handler is Hub.handle_error:
            hub.print_exception(context, type(error), error, error.__traceback__)


def guarded(hub: Any, context: object, function: Callable[..., object], *args: Any) -> None:
    """Call a function of the program's; what it raises is the hub's to tell of.

    :param context: what has failed then, for the text.
    """
    try:
        function(*args)
    except BaseException as exc:
        report(hub, context, exc)
