"""Where to connect to or listen: the forms in which a program may say it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from . import _validate
from .errors import type_error

__all__ = ["Target", "parse"]


BOTH_WAYS = "give the address by position or by keyword, not both"


class Target(NamedTuple):
    """A place: ``path``, or ``port`` and perhaps ``host``. And the listener found among them."""

    port: int | None
    host: str | None
    path: str | None
    listener: Callable[..., Any] | None


def parse(
    target: Any,
    host: Any = None,
    listener: Any = None,
    *,
    port: Any = None,
    path: Any = None,
    listener_name: str = "listener",
) -> Target:
    """Make sense of the arguments of ``connect()`` and ``listen()``.

    :param target: a port (``int`` or a ``str`` of digits), a path (any other ``str`` or an
        :class:`os.PathLike`), or a ``(host, port)`` tuple; a callable is the listener.
    :param host: the host; a callable is the listener.
    :param listener: the listener.
    :param port: the port, by keyword: also a ``0x`` string.
    :param path: the path, by keyword; ignored beside a port.
    :param listener_name: what the caller calls the listener, for its error.
    :raises TypeError: a wrong kind, or both forms of an address at once.
    :raises ValueError: a wrong value.
    """
    if callable(target) and not isinstance(target, (str, os.PathLike)):
        target, listener = None, target
    if callable(host):
        host, listener = None, host
    _validate.optional_function(listener_name, listener)
    if isinstance(target, tuple):
        if host is not None:
            raise type_error(f"give {target!r} alone, or port and host, not both")
        if port is not None or path is not None:
            raise type_error(BOTH_WAYS)
        host, port = _host_and_port(target)
    elif target is not None:
        if port is not None or path is not None:
            raise type_error(BOTH_WAYS)
        if isinstance(target, (str, os.PathLike)) and not _is_digits(target):
            return Target(None, None, _path(target, host), listener)
        port = target
    host = None if host is None else _validate.string("host", host)
    if port is not None:
        return Target(_validate.port(port), host, None, listener)
    if path is not None:
        return Target(None, None, _validate.path("path", path), listener)
    return Target(None, host, None, listener)


def _host_and_port(address: tuple[Any, ...]) -> tuple[Any, Any]:
    # getsockname() of an IPv6 socket gives four.
    if len(address) not in (2, 4):
        raise _validate.wrong_kind("target", address, "a (host, port) tuple")
    host, port = address[:2]
    if isinstance(host, int) and isinstance(port, str) and not _is_digits(port):
        raise type_error(
            f"an address is (host, port) as a tuple, or port, host as two arguments: "
            f"({port!r}, {host!r}), or {host!r}, {port!r}"
        )
    return _validate.string("host", host), port


def _path(target: Any, host: Any) -> str:
    if host is not None:
        raise type_error(
            f"an address is port, host as two arguments, or (host, port) as a tuple: "
            f"{host!r}, {target!r}, or ({target!r}, {host!r})"
        )
    return _validate.path("path", target)


def _is_digits(target: Any) -> bool:
    return isinstance(target, str) and target.isascii() and target.isdigit()
