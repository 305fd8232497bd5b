"""The names of hosts, as the program whose calls are replaced would look them up."""

from __future__ import annotations

import _socket
import socket as std_socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import FunctionType
from typing import Any, NamedTuple

import gevent
from gevent import socket as gevent_socket

from .._values.addresses import is_ip
from ..dns.names import idna_name
from ..errors import code_of, coded, late_import
from .functions import URLLIB3

__all__ = ["Goal", "is_systems", "looked_up", "namespace", "timed_out"]

_GEVENT = "gevent.socket"
# Where the functions are defined that nobody has put in the place of others.
_SYSTEMS = ("socket", _GEVENT, "gevent._socketcommon")
_CLASSES = (("socket", "socket"), (gevent_socket.socket.__module__, "socket"))
_FAMILY_NUMBERS = {_socket.AF_INET: 4, _socket.AF_INET6: 6}


class Goal(NamedTuple):
    """What a caller has asked for, checked."""

    host: str
    port: int
    timeout: float | None
    options: dict[str, Any]


def timed_out() -> TimeoutError:
    return coded(TimeoutError("timed out"), "ETIMEDOUT")


def namespace(module: str) -> Any:
    """Where the original function of a module finds ``socket`` and ``getaddrinfo``."""
    return gevent_socket if module == _GEVENT else std_socket


def is_systems(found: Any) -> bool:
    """Whether a function or class is the standard library's or gevent's, and none in its place."""
    if isinstance(found, FunctionType):
        # Whoever wraps a function gives his the name and the module of the other.
        return found.__globals__["__name__"] in _SYSTEMS
    return isinstance(found, type) and (found.__module__, found.__name__) in _CLASSES


def looked_up(goal: Goal, module: str, family: int, plain: bool) -> Goal:
    """The same goal, with the addresses that ``getaddrinfo`` knows for it.

    :raises OSError: it knows none.
    :raises UnicodeError: the name can be none; for urllib3 it is its ``LocationParseError``.
    """
    host = goal.host
    # gevent's function looks into gevent's module only; but it may be socket's by patching.
    known = [namespace(module).getaddrinfo, std_socket.getaddrinfo]
    own = [each for each in known if not is_systems(each)]
    if own:
        # The program's, which pins a name for example.
        if module == URLLIB3:
            _name(host, module)
        ask = own[0]
    elif is_ip(host):
        return goal
    else:
        host = _name(host, module)
        ask = _system(plain)
    try:
        with gevent.Timeout(goal.timeout) if not plain else nullcontext() as limit:
            answer = list(ask(host, goal.port, family, _socket.SOCK_STREAM))
    except gevent.Timeout as exc:
        if exc is not limit:
            raise
        raise timed_out() from None
    except OSError as exc:
        if not hasattr(exc, "code"):
            coded(exc, code_of(exc), syscall="getaddrinfo", hostname=goal.host)
        raise
    found = [place for each in answer for place in _places(each, plain)]
    if not found:
        raise OSError("getaddrinfo returns an empty list")
    port = found[0][2]
    addresses = [each[:2] for each in found if each[2] == port]
    # The address of a literal host is not asked for.
    host = f"[{goal.host}]" if is_ip(goal.host) else goal.host
    return Goal(host, port, goal.timeout, {**goal.options, "lookup": _knowing(addresses)})


def _name(host: str, module: str) -> str:
    """A name as the system is asked for it."""
    try:
        name = host if host.isascii() else idna_name(host)
        # Python's getaddrinfo() looks at the labels just so.
        with late_import():
            return name.encode("idna").decode("ascii")
    except UnicodeError:
        if module != URLLIB3:
            raise
        unparsable: Any = sys.modules["urllib3.exceptions"].LocationParseError
        raise unparsable(f"'{host}', label empty or too long") from None


def _system(plain: bool) -> Callable[..., Any]:
    """The ``getaddrinfo`` that blocks no more than it must."""
    found: Callable[..., Any] = _socket.getaddrinfo if plain else gevent_socket.getaddrinfo
    return found


def _places(entry: Any, plain: bool) -> list[tuple[str, int, int]]:
    """An entry of ``getaddrinfo``'s answer: its address with its zone, its family and port."""
    family, _, _, _, place = entry
    if family not in _FAMILY_NUMBERS:
        return []
    host, port, *rest = place
    number = is_ip(host)
    if not number:
        # The program's own function may give a name.
        again = _system(plain)(host, port, family, _socket.SOCK_STREAM)
        return [known for each in again for known in _places(each, plain)]
    zone = rest[1] if len(rest) > 1 else 0
    return [(f"{host}%{zone}" if zone and "%" not in host else host, number, port)]


def _knowing(addresses: list[tuple[str, int]]) -> Callable[..., Any]:
    """A lookup hook that has its answer."""

    def lookup(hostname: str, *, family: int = 0, all: bool = False, **options: Any) -> Any:
        wanted = [each for each in addresses if family in (0, each[1])] or addresses
        return wanted if all else wanted[0]

    return lookup
