"""A socket and its connection, by one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._values import arguments
from .._values.suggestions import names, option_error
from .options import ConnectionOptions, SocketOptions
from .socket import HandleRehearsal, Rehearsal, Socket

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["create_connection", "rehearse"]

# Options of the socket itself; all others of create_connection() are connect()'s.
_SOCKET_OPTIONS = names(SocketOptions)
_OPTIONS = names(ConnectionOptions)


def create_connection(
    target: Any = None,
    host: Any = None,
    connect_listener: Callable[[], object] | None = None,
    **options: Unpack[ConnectionOptions],
) -> Socket:
    """Make a socket and connect it in the background. From Node's ``net.createConnection()``.

    :param target: a port, a path, a ``(host, port)`` tuple, or a list of targets.
    :param host: the host, default ``"localhost"``.
    :param connect_listener: added as a listener of ``'connect'``, once.
    :param options: those of :class:`~gnet.Socket` and of :meth:`gnet.Socket.connect`; and
        ``timeout``, the idle timeout in seconds, which also watches over the connecting.
    :returns: the socket.
    """
    if not options.keys() <= _OPTIONS:
        raise option_error("connect()", options, _OPTIONS)
    rest: Any = options
    timeout = arguments.seconds("timeout", rest.pop("timeout", None))
    mine = {name: rest.pop(name) for name in _SOCKET_OPTIONS.intersection(rest)}
    if "fd" in mine or "handle" in mine:
        # What is refused must not cost the caller a descriptor.
        HandleRehearsal().connect(target, host, connect_listener, **rest)
    sock = Socket(**mine)
    if timeout is not None:
        sock.set_timeout(timeout)
    return sock.connect(target, host, connect_listener, **rest)


def rehearse(target: Any, options: Mapping[str, Any]) -> None:
    """Check what :func:`create_connection` is going to be given, and open nothing.

    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    """
    mine = {name: value for name, value in options.items() if name in _SOCKET_OPTIONS}
    rest: Any = {name: value for name, value in options.items() if name not in mine}
    arguments.seconds("timeout", rest.pop("timeout", None))
    # A signal is linked to a socket for as long as that lives.
    Socket(**{name: value for name, value in mine.items() if name != "signal"})
    Rehearsal().connect(target, **rest)
