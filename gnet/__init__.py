"""gnet: Node's ``net`` module for Python programs that run on gevent.

Servers and sockets that emit events, and whose blocking calls block one greenlet only, over TCP
and Unix-domain sockets.
"""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

# It comes first, as nothing works beside a namesake.
from ._values import namesake  # noqa: F401  # isort: skip
from . import dns, errors
from ._core import dispatcher as dispatchers
from ._core.emitter import EventEmitter
from ._core.on_read import OnRead
from ._server import after_fork, at_exit, threads
from ._server.dropped import DropInfo
from ._server.notify import notify
from ._server.serve import run as _run
from ._server.serve import serve
from ._server.server import Server
from ._server.threads import call_in
from ._socket.creating import create_connection
from ._socket.facts import PeerCredentials
from ._socket.planning import MIN_ATTEMPT_SECONDS, Defaults
from ._socket.socket import Socket
from ._transport.bound_socket import BoundSocket
from ._values import arguments
from ._values.addresses import AddressInfo, SocketAddress, is_ip, is_ipv4, is_ipv6
from .errors import AggregateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack

    from . import events
    from ._core.block_list import BlockList
    from ._server.handover import take_over
    from ._server.inherited import InheritedListener, inherited_listeners
    from ._server.options import ServerOptions
    from ._sight.process import stats
    from ._socket.pool import Pool, PoolStats
    from ._socket.relay import relay
    from ._values.reconnect import Reconnect
    from ._values.stats import ConnectStats, LookupStats, ProcessStats, ServerStats, SocketStats

__all__ = [
    "AddressInfo",
    "AggregateError",
    "BlockList",
    "BoundSocket",
    "ConnectStats",
    "DropInfo",
    "EventEmitter",
    "InheritedListener",
    "LookupStats",
    "OnRead",
    "PeerCredentials",
    "Pool",
    "PoolStats",
    "ProcessStats",
    "Reconnect",
    "Server",
    "ServerStats",
    "Socket",
    "SocketAddress",
    "SocketStats",
    "call_in",
    "connect",
    "create_connection",
    "create_server",
    "dns",
    "errors",
    "events",
    "get_default_auto_select_family",
    "get_default_auto_select_family_attempt_timeout",
    "inherited_listeners",
    "is_ip",
    "is_ipv4",
    "is_ipv6",
    "notify",
    "relay",
    "run",
    "serve",
    "set_default_auto_select_family",
    "set_default_auto_select_family_attempt_timeout",
    "stats",
    "take_over",
]

__version__ = "0.1.0"

# The modules that are imported when they are first asked for. gnet.events needs dataclasses, and
# gnet.tls OpenSSL, which take longer to import than all the rest; the others are for few programs.
_LATE = ("cluster", "events", "live", "testing", "tls")
# What a program imports by itself.
_MODULES = ("logging", "metrics", "monkey", "shared", "wsgi")
# The names that few programs ask for, and what they are imported from then.
_FROM = {
    "BlockList": "_core.block_list",
    "ConnectStats": "_values.stats",
    "InheritedListener": "_server.inherited",
    "LookupStats": "_values.stats",
    "Pool": "_socket.pool",
    "PoolStats": "_socket.pool",
    "ProcessStats": "_values.stats",
    "Reconnect": "_values.reconnect",
    "ServerStats": "_values.stats",
    "SocketStats": "_values.stats",
    "inherited_listeners": "_server.inherited",
    "relay": "_socket.relay",
    "stats": "_sight.process",
    "take_over": "_server.handover",
}

after_fork.install()
at_exit.install()
threads.install()


def _look_for_live(loop: Any) -> None:
    """The first server or connect: have ``GNET_LIVE`` do what it says."""
    dispatchers.begun = None
    path = os.environ.get("GNET_LIVE")
    if path:
        loop.defer(partial(_enable_live, path))


def _enable_live(path: str) -> None:
    with errors.late_import():
        live = import_module(".live", __name__)
    live.enable_or_warn(path, "GNET_LIVE")


dispatchers.begun = _look_for_live


def __getattr__(name: str) -> Any:
    with errors.late_import():
        if name in _LATE:
            return import_module(f".{name}", __name__)
        if name in _FROM:
            found = getattr(import_module(f".{_FROM[name]}", __name__), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # What an editor or a prompt completes: what is promised, and what has been imported of the
    # modules that are.
    own = {name for name in globals() if name.startswith("__") or name in _MODULES}
    return sorted({*__all__, *_LATE, *own})


def create_server(
    connection_listener: Callable[[Socket], object] | None = None,
    **options: Unpack[ServerOptions],
) -> Server:
    """Make a server. From Node's ``net.createServer()``.

    :param connection_listener: added as a listener of ``'connection'``.
    :param options: those of :class:`Server`.
    :returns: the server; :meth:`Server.listen` starts it.
    """
    return Server(connection_listener, **options)


connect = create_connection


def run(
    timeout: float | None = None, *, signals: bool = False, grace: float | None = None
) -> bool:
    """Block until nothing is open any more, except what was ``unref()``-ed.

    That is every server and socket, every event that is still to be emitted, and every listener
    that has not returned. Greenlets that the program has started are not waited for.

    :param timeout: how long to block at the most, in seconds; ``None`` for no limit.
    :param signals: shut all servers of the process down at SIGINT and SIGTERM, in the way of
        :meth:`Server.shutdown`. A second signal destroys what is left of the connections, a third
        has its usual effect. In the main thread only, where alone Python handles signals, and not
        in a worker of :mod:`gnet.cluster`, which handles them itself. Without this, Ctrl-C raises
        :class:`KeyboardInterrupt` here.
    :param grace: how long the connections have after the first signal, in seconds; ``None`` for no
        limit.
    :returns: ``True`` when nothing was left, ``False`` when the time was over.
    """
    return _run(
        arguments.limit("timeout", timeout),
        arguments.flag("signals", signals),
        arguments.limit("grace", grace),
    )


def get_default_auto_select_family() -> bool:
    """The default of ``connect()``'s ``auto_select_family``: ``True``, unless it was set."""
    return Defaults.auto_select_family


def set_default_auto_select_family(value: bool) -> None:
    """Set the default of ``connect()``'s ``auto_select_family``."""
    Defaults.auto_select_family = arguments.flag("value", value)


def get_default_auto_select_family_attempt_timeout() -> float:
    """The default of ``connect()``'s ``auto_select_family_attempt_timeout``, in seconds."""
    return Defaults.attempt_timeout


def set_default_auto_select_family_attempt_timeout(value: float) -> None:
    """Set the default of ``connect()``'s ``auto_select_family_attempt_timeout``.

    :param value: seconds, above zero; less than 0.01 is raised to that.
    """
    Defaults.attempt_timeout = max(MIN_ATTEMPT_SECONDS, arguments.positive_seconds("value", value))
