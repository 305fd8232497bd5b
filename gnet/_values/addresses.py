"""IP addresses as text: what is one, how it is written, and with a port.

Only the forms that every system reads alike are addresses here: four decimal numbers without
leading zeros, and RFC 4291's hexadecimal groups, with RFC 4007's zone id. ``inet_aton`` also
reads ``0177.1`` and ``2130706433`` as 127.0.0.1; whoever checks such text against a list of
addresses and then connects to it has been led past the list, so to gnet it is a host name.

From Node's ``net``: *Class: net.SocketAddress*, *net.isIP()*, *net.isIPv4()*, *net.isIPv6()*.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from ..errors import type_error
from . import arguments

__all__ = ["AddressInfo", "SocketAddress", "is_ip", "is_ipv4", "is_ipv6", "place_text"]

IPAddress = IPv4Address | IPv6Address

# The field of RFC 6437 has 20 bits; Node aborts its process above them.
_MAX_FLOWLABEL = 0xFFFFF
# Patterns, which re compiles when they are first needed.
# Names of interfaces, and their numbers. ipaddress itself takes everything but a second "%",
# blanks and line ends included.
_ZONE = r"[0-9A-Za-z._:~-]+"
_WITH_PORT = r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?"


class AddressInfo(NamedTuple):
    """Where a server or a socket is bound, as ``address()`` gives it."""

    #: The IP address; for a link-local one with its zone: ``"fe80::1%eth0"``. Of vsock the number
    #: of the machine.
    address: str
    #: ``"IPv4"`` or ``"IPv6"``; or ``"vsock"``.
    family: str
    port: int

    @classmethod
    def from_sockaddr(cls, sockaddr: Sequence[Any]) -> AddressInfo:
        """From what ``getsockname()`` and its like give.

        :param sockaddr: ``(host, port)``, or ``(host, port, flowinfo, scope_id)``.
        """
        return cls(sockaddr[0], family_of(sockaddr[0]), sockaddr[1])


def place_text(host: str, port: int | None) -> str:
    """A host and a port for people to read: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_ip(value: object) -> int:
    """Tell whether something is an IP address.

    The whole text must be an address: no blanks around it, no port, no prefix. A zone id is
    part of an IPv6 address.

    :param value: any object; its :class:`str` is looked at.
    :returns: ``4``, ``6``, or ``0`` if it is not an address.

    From Node's ``net``: *net.isIP(input)*.
    """
    ip = parse_ip(str(value))
    return ip.version if ip is not None else 0


def is_ipv4(value: object) -> bool:
    """Tell whether something is an IPv4 address: four decimal numbers without leading zeros.

    :param value: anything; its :class:`str` is looked at.

    From Node's ``net``: *net.isIPv4(input)*.
    """
    return is_ip(value) == 4


def is_ipv6(value: object) -> bool:
    """Tell whether something is an IPv6 address, with a zone id or without.

    :param value: anything; its :class:`str` is looked at.

    From Node's ``net``: *net.isIPv6(input)*.
    """
    return is_ip(value) == 6


def parse_ip(text: str) -> IPAddress | None:
    """The address that ``text`` is, or ``None``; an IPv6 one keeps its zone id."""
    # Programs dial few addresses again and again. What is longer may be anything.
    return _recent(text) if len(text) <= _LONGEST_KEPT else _parsed(text)


def _parsed(text: str) -> IPAddress | None:
    try:
        if ":" not in text:
            return IPv4Address(text)
        _, zone = split_zone(text)
        return IPv6Address(text) if zone is None or re.fullmatch(_ZONE, zone) else None
    except ValueError:
        return None


_LONGEST_KEPT = 64
_recent = lru_cache(maxsize=256)(_parsed)


def split_zone(address: str) -> tuple[str, str | None]:
    """Part an IPv6 address from its zone id (RFC 4007, section 11).

    :param address: for example ``"fe80::1%eth0"``.
    :returns: ``("fe80::1", "eth0")``, with ``None`` where there is no zone.
    """
    bare, percent, zone = address.partition("%")
    return bare, zone if percent else None


def family_of(address: str) -> str:
    """``"IPv4"`` or ``"IPv6"``: the family of what is known to be an IP address."""
    return "IPv6" if ":" in address else "IPv4"


def canonical(ip: IPAddress) -> str:
    """The one text of an address: RFC 5952, an IPv4-mapped one with its dots, zone id kept.

    Pythons before 3.13 write ``::ffff:1.2.3.4`` as ``::ffff:102:304``, unlike the system, Node,
    and the RFC's section 5.
    """
    if isinstance(ip, IPv4Address) or ip.ipv4_mapped is None:
        return str(ip)
    zone = f"%{ip.scope_id}" if ip.scope_id else ""
    return f"::ffff:{ip.ipv4_mapped}{zone}"


def checked_ip(name: str, address: str, family: str) -> IPAddress:
    """The address, if it is one of its family.

    :param name: the argument's name, for the message.
    :param family: ``"ipv4"`` or ``"ipv6"``, as :func:`checked_family` gives it.
    :raises ValueError: it is not an address of its family (``ERR_INVALID_ADDRESS``).
    """
    ip = parse_ip(address)
    if ip is None or ip.version != int(family[-1]):
        right = f"an IPv{family[-1]} address"
        raise arguments.wrong_value(name, address, right, "ERR_INVALID_ADDRESS")
    return ip


def checked_family(family: Any) -> str:
    """``"ipv4"`` or ``"ipv6"``, whatever case it was given in.

    :raises TypeError: it is not a ``str``; with Node's code, the same as for a wrong one.
    :raises ValueError: it is another ``str``.
    """
    right = "'ipv4' or 'ipv6'"
    if not isinstance(family, str):
        message = f'The "family" argument must be {right}. Received {family!r}'
        raise type_error(message, "ERR_INVALID_ARG_VALUE")
    name = family.lower()
    if name not in ("ipv4", "ipv6"):
        raise arguments.wrong_value("family", family, right)
    return name


class SocketAddress:
    """An IP address with a port; immutable and hashable, equal where all four attributes are.

    :param address: an IP address of ``family``, IPv6 with a zone id or without; ``None`` is
        ``127.0.0.1`` or ``::``. Kept in its canonical form (RFC 5952).
    :param family: ``"ipv4"`` or ``"ipv6"``, in any case.
    :param port: from 0 to 65535.
    :param flowlabel: of IPv6 (RFC 6437), from 0 to 1048575; with IPv4 it is 0.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value, or the address is not of ``family``
        (``ERR_INVALID_ADDRESS``).

    From Node's ``net``: *Class: net.SocketAddress*. Unlike Node's, it keeps the zone id, without
    which a link-local address leads nowhere.
    """

    # By hand: importing dataclasses takes longer than importing the rest of gnet.
    __slots__ = ("address", "family", "flowlabel", "port")

    #: The address, in its canonical form.
    address: str
    #: ``"ipv4"`` or ``"ipv6"``.
    family: str
    #: From 0 to 65535.
    port: int
    #: IPv6's, from 0 to 1048575.
    flowlabel: int

    def __init__(
        self,
        address: str | None = None,
        family: str = "ipv4",
        port: int | str = 0,
        flowlabel: int = 0,
    ) -> None:
        family = checked_family(family)
        if address is None:
            address = "127.0.0.1" if family == "ipv4" else "::"
        ip = checked_ip("address", arguments.string("address", address), family)
        label = arguments.integer("flowlabel", flowlabel, 0, _MAX_FLOWLABEL)
        store = super().__setattr__
        store("address", canonical(ip))
        store("family", family)
        store("port", arguments.port(port))
        store("flowlabel", label if family == "ipv6" else 0)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a SocketAddress cannot be changed: {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a SocketAddress cannot be changed: {name!r}")

    def _fields(self) -> tuple[str, str, int, int]:
        return self.address, self.family, self.port, self.flowlabel

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SocketAddress):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __reduce__(self) -> tuple[Any, ...]:
        return SocketAddress, self._fields()

    def __repr__(self) -> str:
        return (
            f"SocketAddress(address={self.address!r}, family={self.family!r}, "
            f"port={self.port!r}, flowlabel={self.flowlabel!r})"
        )

    @staticmethod
    def parse(text: str) -> SocketAddress | None:
        """Read an IP address with a port or without.

        It reads ``"123.1.2.3:1234"``, ``"[1::1]:1234"``, ``"123.1.2.3"``, ``"[1::1]"`` and
        ``"1::1"``; without a port, that is 0. It looks nothing up.

        Node passes the text through a URL parser, and so also takes octal, hexadecimal and
        short IPv4 forms (``0x7f.1``), and a user's name in front. Other programs read those
        as something else, or not at all; for gnet they are not addresses.

        :param text: the address.
        :returns: the address, or ``None`` if the text is not one.
        :raises TypeError: ``text`` is not a :class:`str`.

        From Node's ``net``: *SocketAddress.parse(input)*.
        """
        match = re.fullmatch(_WITH_PORT, arguments.string("text", text))
        # What has no such form may still be IPv6 without brackets, and so without a port.
        bracketed, plain, port = match.groups() if match else (None, text, None)
        host, number = bracketed or plain, int(port or 0)
        ip = parse_ip(host)
        if ip is None or number > arguments.MAX_PORT or (bracketed and ip.version == 4):
            return None
        return SocketAddress(host, f"ipv{ip.version}", number)

    def __str__(self) -> str:
        """The address and the port, as :meth:`parse` reads them."""
        return place_text(self.address, self.port)
