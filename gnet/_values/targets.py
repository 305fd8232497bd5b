"""Where to connect to or listen: the forms in which a program may say it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import type_error, value_error
from . import arguments
from .addresses import is_ipv6

__all__ = ["Target", "parse", "parse_several"]


BOTH_WAYS = "give the address by position or by keyword, not both"

ONE_OF_SEVERAL = "host:port, [IPv6]:port, unix:path, a (host, port) tuple, a port or a path"
# In a list, where a string is never a path.
_UNIX = "unix:"

# What other programs take for an address in one string. A path has a slash, or its NUL.
# re compiles it when it is first needed.
_HOST_AND_PORT = r"(?:\[([^\[\]/\\\0]+)\]|([^:\[\]/\\\0\s]*)):([0-9]{1,5})"


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
        :class:`os.PathLike`), or a ``(host, port)`` tuple; a callable is the listener. A ``str``
        that reads as ``host:port`` is an error.
    :param host: the host; a callable is the listener.
    :param listener: the listener.
    :param port: the port, by keyword: also a ``0x`` string.
    :param path: the path, by keyword; ignored beside a port.
    :param listener_name: what the caller calls the listener, for its error.
    :raises TypeError: a wrong kind, or both forms of an address at once.
    :raises ValueError: a wrong value.
    """
    if callable(target) and _is_listener(target):
        target, listener = None, target
    if callable(host):
        host, listener = None, host
    if listener is not None:
        arguments.function(listener_name, listener)
    if isinstance(target, tuple):
        if host is not None:
            raise type_error(f"give {target!r} alone, or port and host, not both")
        if port is not None or path is not None:
            raise type_error(BOTH_WAYS)
        host, port = _host_and_port(target)
    elif target is not None:
        if port is not None or path is not None:
            raise type_error(BOTH_WAYS)
        # os.PathLike takes long to look at what is none.
        number = isinstance(target, int) or _is_digits(target)
        if not number and isinstance(target, (str, os.PathLike)):
            return Target(None, None, _path(target, host), listener)
        port = target
    host = None if host is None else arguments.string("host", host)
    if port is not None:
        return Target(arguments.port(port), host, None, listener)
    if path is not None:
        return Target(None, None, arguments.path("path", path), listener)
    return Target(None, host, None, listener)


def parse_several(
    target: Any, host: Any, listener: Any, *, port: Any, path: Any, srv: Any
) -> tuple[list[Target], Callable[..., Any] | None]:
    """Make sense of a list of targets, or of ``srv=`` in the place of one.

    :param target: the list, or ``None``. In it a ``str`` is ``host:port``, ``[IPv6]:port`` or
        ``unix:path``; what else it may have is what :func:`parse` takes.
    :param srv: the name of a service, or ``None``.
    :returns: the places, none of them for a service; and the listener.
    :raises TypeError: a wrong kind, or another address beside it.
    :raises ValueError: a wrong value.
    """
    if srv is not None and target is not None and not _is_listener(target):
        raise type_error("give the target or srv=, not both")
    rest = parse(
        target if srv is not None else None, host, listener, port=port, path=path,
        listener_name="connect_listener",
    )  # fmt: skip
    given = [name for name in ("port", "host", "path") if getattr(rest, name) is not None]
    if given:
        what = "a list of targets" if srv is None else "srv="
        raise type_error(f"give {what} or the {given[0]}, not both")
    if srv is not None:
        return [], rest.listener
    if not target:
        raise arguments.wrong_value("target", target, "a list with a target in it")
    return [_parse_one(each) for each in target], rest.listener


def _is_listener(target: Any) -> bool:
    return callable(target) and not isinstance(target, (str, os.PathLike))


def _parse_one(target: Any) -> Target:
    """One of a list."""
    if isinstance(target, str):
        if target.startswith(_UNIX):
            return Target(None, None, arguments.path("target", target[len(_UNIX) :]), None)
        match = re.fullmatch(_HOST_AND_PORT, target)
        if match is None or (match[1] is not None and not is_ipv6(match[1])):
            raise arguments.wrong_value("target", target, ONE_OF_SEVERAL)
        return Target(arguments.port(match[3]), match[1] or match[2] or None, None, None)
    if not isinstance(target, (int, tuple, os.PathLike)):
        raise arguments.wrong_kind("target", target, ONE_OF_SEVERAL)
    return parse(target)


def _host_and_port(address: tuple[Any, ...]) -> tuple[Any, Any]:
    # getsockname() of an IPv6 socket gives four.
    if len(address) not in (2, 4):
        raise arguments.wrong_kind("target", address, "a (host, port) tuple")
    host, port = address[:2]
    if isinstance(host, int) and isinstance(port, str) and not _is_digits(port):
        raise type_error(
            f"an address is (host, port) as a tuple, or port, host as two arguments: "
            f"({port!r}, {host!r}), or {host!r}, {port!r}"
        )
    return arguments.string("host", host), port


def _path(target: Any, host: Any) -> str:
    if host is not None:
        raise type_error(
            f"an address is port, host as two arguments, or (host, port) as a tuple: "
            f"{host!r}, {target!r}, or ({target!r}, {host!r})"
        )
    if isinstance(target, str):
        _check_no_host_and_port(target)
    return arguments.path("path", target)


def _check_no_host_and_port(text: str) -> None:
    """Refuse ``host:port``: a Unix socket of that name is not what is meant."""
    match = re.fullmatch(_HOST_AND_PORT, text)
    if match is None:
        return
    v6, name, digits = match.groups()
    port = int(digits)
    if port > arguments.MAX_PORT or (v6 is not None and not is_ipv6(v6)):
        return
    host = v6 or name
    forms = f"{port}, {host!r} as two arguments, or ({host!r}, {port})" if host else f"{port}"
    raise value_error(
        f"{text!r} is host and port in one string: give {forms}; a path of that name is "
        f"path={text!r}"
    )


def _is_digits(target: Any) -> bool:
    return isinstance(target, str) and target.isascii() and target.isdigit()
