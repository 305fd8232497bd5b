"""The events of :mod:`gnet.events`, written with the standard library's :mod:`logging`.

.. code-block:: python

    import logging

    import zope.event

    from gnet.logging import subscriber

    logging.basicConfig(level=logging.INFO)
    zope.event.subscribers.append(subscriber)

The logger is ``gnet``. Servers are told of at the level ``INFO``, connections and lookups at
``DEBUG``, and what has failed, or was dropped, at ``WARNING``.
"""

from __future__ import annotations

import logging
from typing import Any

from . import events
from ._values.addresses import AddressInfo, place_text
from .errors import printable

__all__ = ["subscriber"]

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
        _log.info("a server has closed")
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
        return printable(str(address))
    return place_text(address.address, address.port)


def _peer(info: Any) -> str:
    """Who was dropped, as far as that is known."""
    if info is None or info.remote_address is None:
        return "a connection"
    return _place(AddressInfo(info.remote_address, info.remote_family, info.remote_port))
