"""The events of :mod:`gnet.events`, written with the standard library's :mod:`logging`.

.. code-block:: python

    import logging

    import zope.event

    from gnet.logging import subscriber

    logging.basicConfig(level=logging.INFO)
    zope.event.subscribers.append(subscriber)

The logger is ``gnet``. Servers are told of at the level ``INFO``, connections and lookups at
``DEBUG``, and what has failed, or was dropped, at ``WARNING``.

Once this logger, or one above it, has a handler, an exception that leaves a program's listener
goes there, too, with its traceback, instead of to standard error; no subscriber is needed for
that.

:func:`access_log` writes a line for each connection of a server, as an access log has it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from . import events
from ._values import arguments
from ._values.addresses import AddressInfo, place_text
from .errors import code_of, printable

__all__ = ["access_log", "subscriber"]

_log = logging.getLogger("gnet")


def subscriber(event: object) -> None:
    """Write an event of gnet to the log; ignore any other.

    Append it to ``zope.event.subscribers``. A log handler that blocks holds back later events,
    and no connection.

    :param event: what ``zope.event.notify`` was called with.
    """
    if isinstance(event, events.ServerListening):
        _log.info("listening on %s", _place(event.address))
    elif isinstance(event, events.ServerClosed):
        _log.info("%r has closed", event.server)
    elif isinstance(event, events.ConnectionDropped):
        _log.warning("dropped for %s: %s", event.reason, _peer(event.info))
    elif isinstance(event, events.ConnectionAccepted):
        _log.debug("accepted %r", event.socket)
    elif isinstance(event, events.ConnectionOpened):
        _log.debug("connected %r", event.socket)
    elif isinstance(event, events.ConnectionFailed | events.ConnectionClosed):
        word = "has closed" if isinstance(event, events.ConnectionClosed) else "has not connected"
        if event.error is None:
            _log.debug("%r %s", event.socket, word)
        else:
            _log.warning("%r %s: %s", event.socket, word, printable(str(event.error)))
    elif isinstance(event, events.LookupFinished):
        _log_lookup(event)


def access_log(
    format: str = "text", logger: str | logging.Logger = "gnet.access"
) -> Callable[[object], None]:
    """A subscriber that writes one line for each connection of a server, when it has closed.

    Append it to ``zope.event.subscribers``. The lines are of the level ``INFO``. They have the
    time, the server's address, the client's, that of the proxy that has told of the client, the
    seconds that the connection has lasted, the bytes received and sent, and how it has ended:
    ``"end"``, or the ``code`` of its error, or the error's type. In ``"text"`` they stand in this
    order, a ``-`` for what is not there; in ``"json"`` they are the fields ``time``, ``server``,
    ``peer``, ``proxy``, ``seconds``, ``bytes_in``, ``bytes_out`` and ``ended`` of an object.

    :param format: ``"text"`` or ``"json"``.
    :param logger: the logger, or its name.
    :returns: the subscriber.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: there is no such format.
    """
    arguments.string("format", format)
    if format not in _FORMATS:
        raise arguments.wrong_value("format", format, "'text' or 'json'")
    line = _FORMATS[format]
    log = logging.getLogger(logger) if isinstance(logger, str) else logger
    if not isinstance(log, logging.Logger):
        raise arguments.wrong_kind("logger", logger, "a str or a logging.Logger")

    def subscriber(event: object) -> None:
        if isinstance(event, events.ConnectionClosed) and event.socket.server is not None:
            log.info("%s", line(_access(event)))

    return subscriber


def _access(event: events.ConnectionClosed) -> dict[str, Any]:
    stats = event.socket.stats()
    zone = time.strftime("%z")
    return {
        "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S')}{zone[:3]}:{zone[3:]}",
        "server": event.socket.server._place_text(),
        "peer": _place(stats.peer),
        "proxy": None if stats.proxy is None else _place(stats.proxy),
        "seconds": round(stats.age, 6),
        "bytes_in": stats.bytes_in,
        "bytes_out": stats.bytes_out,
        "ended": "end" if event.error is None else _reason(event.error),
    }


def _reason(error: BaseException) -> str:
    code = code_of(error)
    return type(error).__name__ if code == "UNKNOWN" else printable(code)


def _text(fields: dict[str, Any]) -> str:
    return " ".join("-" if each in (None, "") else str(each) for each in fields.values())


_FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {"text": _text, "json": json.dumps}


def _log_lookup(event: events.LookupFinished) -> None:
    name = printable(event.hostname)
    if event.error is not None:
        error = printable(str(event.error))
        _log.warning("lookup of %s failed in %.3f s: %s", name, event.seconds, error)
    elif _log.isEnabledFor(logging.DEBUG):
        addresses = ", ".join(address for address, _ in event.addresses)
        _log.debug("lookup of %s took %.3f s: %s", name, event.seconds, printable(addresses))


def _place(address: Any) -> str:
    if not isinstance(address, AddressInfo):
        return printable(str(address or ""))
    return place_text(address.address, address.port)


def _peer(info: Any) -> str:
    """Who was dropped, as far as that is known."""
    if info is None or info.remote_address is None:
        return "a connection"
    return _place(AddressInfo(info.remote_address, info.remote_family, info.remote_port))
