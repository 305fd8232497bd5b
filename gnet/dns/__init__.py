"""Host names to addresses: the lookup that ``connect()`` makes, and what may replace it.

A ``lookup=`` hook is any callable that takes what :func:`lookup` takes and gives what it gives.
It may block: only its own greenlet waits.

``gnet.dns.Resolver`` is imported when it is first asked for, and dnspython with it, so a
program without it does not pay for it; so are the classes of records.

From Node's ``dns``: *dns.lookup()*, *Supported getaddrinfo flags*, *Class: dns.Resolver*.
"""

from __future__ import annotations

import _socket
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, overload

import gevent

from .._values.addresses import is_ip
from ..errors import late_import, lookup_error, printable, type_error, value_error
from . import libc
from .counted import counted
from .names import ADDRCONFIG, ALL, V4MAPPED, Address, ascii_name, check_lookup

if TYPE_CHECKING:
    from .records import CAA, MX, NAPTR, SOA, SRV
    from .resolver import Resolver

__all__ = [
    "ADDRCONFIG",
    "ALL",
    "CAA",
    "MX",
    "NAPTR",
    "SOA",
    "SRV",
    "V4MAPPED",
    "Resolver",
    "lookup",
]

_AF = {0: _socket.AF_UNSPEC, 4: _socket.AF_INET, 6: _socket.AF_INET6}
_FAMILY = {_socket.AF_INET: 4, _socket.AF_INET6: 6}
_ANSWERED_FAMILY = {4: 4, 6: 6, "IPv4": 4, "IPv6": 6}
# Nobody tries as many addresses, and looking at each takes a few microseconds.
_MAX_ANSWER = 1024
# What is imported when it is first asked for, and from where.
_LATE = {
    "Resolver": "resolver",
    **dict.fromkeys(("CAA", "MX", "NAPTR", "SOA", "SRV"), "records"),
}
# Stands for the family of an address that came without one.
_UNSAID: Any = object()


@overload
def lookup(
    hostname: str, *, family: int | str = 0, hints: int = 0, all: Literal[False] = False
) -> Address: ...
@overload
def lookup(
    hostname: str, *, family: int | str = 0, hints: int = 0, all: Literal[True]
) -> list[Address]: ...
@overload
def lookup(
    hostname: str, *, family: int | str = 0, hints: int = 0, all: bool = False
) -> Address | list[Address]: ...
def lookup(
    hostname: str, *, family: int | str = 0, hints: int = 0, all: bool = False
) -> Address | list[Address]:
    """Look a host name up with the resolver of gevent's hub.

    That is ``getaddrinfo`` in a thread, unless gevent was told otherwise
    (``GEVENT_RESOLVER``); only the calling greenlet waits. An IP address is its own answer,
    whatever the family.

    :param hostname: a name, or an IP address.
    :param family: ``4`` or ``6`` (``"IPv4"``, ``"IPv6"``), or ``0`` for both.
    :param hints: :data:`ADDRCONFIG`, :data:`V4MAPPED` and :data:`ALL`, in any combination.
    :param all: give every address, not only the first.
    :returns: ``(address, family)``, the family as ``4`` or ``6``; with ``all``, a list of
        these in the resolver's order, without repetitions.
    :raises socket.gaierror: with ``code`` (``ENOTFOUND``, ``EAI_AGAIN``, …), ``hostname``, and
        ``syscall`` ``"getaddrinfo"``. A name that cannot exist is ``ENOTFOUND`` before
        anything is asked.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.

    From Node's ``dns``: *dns.lookup(hostname, options, callback)*. Unlike in Node, an empty
    name is not found.
    """
    wanted, every = check_lookup(hostname, family, hints, all)
    literal = is_ip(hostname)
    found = [(hostname, literal)] if literal else addresses_of(hostname, wanted, hints)
    return found if every else found[0]


vars(lookup)["gnet_counts"] = True


def addresses_of(hostname: str, family: int, hints: int) -> list[Address]:
    """All that :func:`lookup` gives for a name, which is no address; nothing is checked."""
    with counted():
        return _ask_hub(hostname, family, hints)


def _ask_hub(hostname: str, family: int, hints: int) -> list[Address]:
    name = ascii_name(hostname)
    try:
        # The hub imports it when first asked, for which a descriptor may be lacking.
        resolver = gevent.get_hub().resolver
        answer = libc.ask(resolver, name, 0, _AF[family], _socket.SOCK_STREAM, 0, hints)
    except OSError as exc:
        lookup_error(exc, hostname)
        raise
    found = dict.fromkeys(
        [(each[4][0], _FAMILY[each[0]]) for each in answer if each[0] in _FAMILY]
    )
    if not found:
        raise lookup_error("ENOTFOUND", hostname)
    return list(found)


def check_answer(answer: Any, hostname: str, port: int, *, family: int = 0) -> list[Address]:
    """Read what a ``lookup=`` hook gave.

    As in Node, text that is not an address is passed over while the list has an address. Of
    a longer list the first 1,024 are looked at.

    :param answer: ``(address, family)``, a bare address, or a list of either; ``None`` is empty.
    :param hostname: the name that the hook was asked for.
    :param port: the port that the addresses are for.
    :param family: the family that the hook was asked for; addresses of another are passed over
        while there is one of it.
    :returns: at least one ``(address, family)``, in the answer's order, without repetitions.
    :raises socket.gaierror: the answer is empty (``ENOTFOUND``).
    :raises ValueError: no address in it is one (``ERR_INVALID_IP_ADDRESS``), or is of the
        family that the answer says (``ERR_INVALID_ADDRESS_FAMILY``); with ``host`` and
        ``port``.
    :raises TypeError: the answer is of no kind that a hook may give.

    From Node's ``net``: *socket.connect(options)*, option ``lookup``.
    """
    found: dict[Address, None] = {}
    first_error: ValueError | None = None
    for address, said in islice(_entries(answer), _MAX_ANSWER):
        number = is_ip(address) if isinstance(address, str) else 0
        if number == 0:
            error = value_error(f"Invalid IP address: {address!r}", "ERR_INVALID_IP_ADDRESS")
        elif said is not _UNSAID and _said_family(said) != number:
            message = (
                f"Invalid address family: {said!r} for {address}, {printable(hostname)}:{port}"
            )
            error = value_error(message, "ERR_INVALID_ADDRESS_FAMILY")
        else:
            found[address, number] = None
            continue
        vars(error).update(host=hostname, port=port)
        first_error = first_error or error
    if first_error is not None and not found:
        raise first_error
    if not found:
        raise lookup_error("ENOTFOUND", hostname)
    return [each for each in found if each[1] == family] or list(found)


def _entries(answer: Any) -> Iterator[tuple[Any, Any]]:
    """The answer's addresses, each with the family that it was said to be of."""
    if answer is None:
        return
    if isinstance(answer, str):
        yield answer, _UNSAID
    elif isinstance(answer, list):
        for entry in answer:
            if isinstance(entry, (list, type(None))):
                raise _no_answer(answer)
            yield from _entries(entry)
    elif isinstance(answer, tuple) and len(answer) == 2:
        yield answer
    else:
        raise _no_answer(answer)


def _no_answer(answer: object) -> TypeError:
    return type_error(
        "A lookup hook must return (address, family), an address as a str, or a list of these. "
        f"Received {answer!r} ({type(answer).__name__})"
    )


def _said_family(family: Any) -> int | None:
    hashable = isinstance(family, (int, str)) and not isinstance(family, bool)
    return _ANSWERED_FAMILY.get(family) if hashable else None


def __getattr__(name: str) -> Any:
    if name in _LATE:
        with late_import():
            found = getattr(import_module(f".{_LATE[name]}", __name__), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
