"""What ``create_connection`` does instead: it connects through gnet."""

from __future__ import annotations

import _socket
import errno
import os
import socket as std_socket
import sys
from time import monotonic
from types import NoneType
from typing import Any, NoReturn

from gevent import monkey as gevent_monkey
from gevent import socket as gevent_socket

from .. import dns
from .._loop.timers import SHORTEST
from .._socket.socket import Socket
from .._values.addresses import is_ip
from ..errors import AggregateError
from . import hubs
from .functions import functions
from .lookups import Goal, is_systems, looked_up, namespace, timed_out
from .settings import Settings, in_force

__all__ = ["connect"]


def connect(
    module: str,
    address: Any,
    timeout: Any,
    source_address: Any,
    *,
    all_errors: bool = False,
    socket_options: Any = None,
    family: int = 0,
) -> Any:
    """What the ``create_connection`` of a module does now."""
    if not is_systems(namespace(module).socket):
        # A proxy's, or a test's.
        given = {"all_errors": all_errors, "socket_options": socket_options}
        options = {name: value for name, value in given.items() if value}
        return functions.original(module)(address, timeout, source_address, **options)
    active = in_force() or Settings()
    # Nothing else can run in such a thread while it blocks, and any other may use the socket.
    plain = hubs.has_none() and not gevent_monkey.is_module_patched("socket")
    started = monotonic()
    try:
        goal = _goal(address, timeout, source_address, family, active)
        if active.lookup is None and goal.timeout != 0:
            goal = looked_up(goal, module, family, plain)
        try:
            sock = _dial(goal, plain, started, active.tls)
        except OSError as exc:
            _fail(exc, all_errors)
    finally:
        if plain:
            hubs.leave()
    try:
        for option in socket_options or ():
            sock.setsockopt(*option)
    except BaseException:
        sock.close()
        raise
    return sock


def _fail(exc: OSError, all_errors: bool) -> NoReturn:
    """Raise what whoever calls ``create_connection`` knows."""
    if getattr(exc, "syscall", None) == "getaddrinfo":
        # The error of a lookup hook.
        raise exc
    errors = exc.errors if isinstance(exc, AggregateError) else [exc]
    for each in errors:
        _use_the_systems_words(each)
    if all_errors and sys.version_info >= (3, 11):
        raise ExceptionGroup("create_connection failed", errors) from None  # type: ignore[type-var]  # noqa: F821
    raise errors[0] from None


def _use_the_systems_words(exc: BaseException) -> None:
    """Have a system error say what the system says; its fields stay.

    Programs look for ``Connection refused`` in it.
    """
    known = isinstance(exc, OSError) and exc.errno is not None and hasattr(exc, "syscall")
    # Python's own words for Windows' numbers come from a call that it does not offer.
    if known and sys.platform != "win32":
        error: Any = exc
        words = os.strerror(error.errno)
        error.args = (error.errno, words)
        error.strerror = words


def _goal(address: Any, timeout: Any, source_address: Any, family: int, active: Settings) -> Goal:
    host, port = address[:2]
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii")
    if isinstance(port, str) and not port.isdecimal():
        port = _socket.getservbyname(port, "tcp")
    if not isinstance(timeout, (int, float, NoneType)):
        # The mark that stands for the default: socket's, or urllib3's.
        timeout = std_socket.getdefaulttimeout()
    if timeout is not None and timeout < 0:
        raise ValueError("Timeout value out of range")
    options = active.options()
    if family:
        options["family"] = {_socket.AF_INET: 4, _socket.AF_INET6: 6}[family]
    if source_address:
        local, options["local_port"] = source_address[:2]
        if local:
            options["local_address"] = local if is_ip(local) else dns.lookup(local)[0]
    return Goal((host or "localhost").strip("[]"), port, timeout, options)


def _dial(goal: Goal, plain: bool, started: float, tls: bool) -> Any:
    """Connect; gives the socket that the caller expects."""
    if goal.timeout == 0:
        # No connection is made in no time.
        raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))
    # Python's sockets may send when their peers have ended.
    made = (hubs.HublessSocket if plain else Socket)(allow_half_open=True) if tls else Socket()
    try:
        made.connect(port=goal.port, host=goal.host, **goal.options)
        left = goal.timeout
        if left is not None:
            left = max(SHORTEST, started + left - monotonic())
        try:
            made.wait("connect", left)
        except TimeoutError:
            if made.destroyed:
                raise
            raise timed_out() from None
        if tls:
            made.settimeout(goal.timeout)
            return made
        family, proto = made.family, made.proto
        fd = made.detach()
    except BaseException:
        made.destroy()
        raise
    patched = gevent_monkey.is_module_patched("socket")
    kind: Any = std_socket.socket if plain or patched else gevent_socket.socket
    sock = kind(family, _socket.SOCK_STREAM, proto, fd)
    sock.settimeout(goal.timeout)
    return sock
