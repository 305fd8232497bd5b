"""Which addresses to ask for, and which to try first: the system's own view of its routes.

From RFC 3493, section 6.1 (the flags of ``getaddrinfo``), and RFC 6724.
"""

from __future__ import annotations

import _socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any

from .._values.addresses import split_zone
from .names import ADDRCONFIG, ALL, V4MAPPED, Address
from .turns import Turns

# Any but 0, which some systems refuse.
_ANY_PORT = 53
_AF = {4: _socket.AF_INET, 6: _socket.AF_INET6}


def families(family: int, hints: int) -> list[int]:
    """The families whose addresses answer a lookup.

    :param family: ``4``, ``6``, or ``0`` for both.
    :param hints: ``ADDRCONFIG`` leaves out a family that the machine has no address of; none
        is left out on a machine that has loopback addresses only.
    """
    wanted = [6, 4] if family == 0 or (family == 6 and hints & V4MAPPED) else [family]
    if hints & ADDRCONFIG:
        configured = [each for each in (6, 4) if _configured(each)] or [6, 4]
        return [each for each in wanted if each in configured]
    return wanted


def _configured(family: int) -> bool:
    """Whether the machine has an address of the family, other than loopback ones."""
    host = "127.0.0.1" if family == 4 else "::1"
    flags = _socket.AI_NUMERICHOST | ADDRCONFIG
    try:
        # The system knows; a literal address takes it no time.
        return bool(_socket.getaddrinfo(host, 0, _AF[family], _socket.SOCK_DGRAM, 0, flags))
    except OSError:
        return False


def mapped(found: list[Address], hints: int) -> list[Address]:
    """The addresses for a caller who speaks IPv6 only, as ``getaddrinfo(3)`` has it."""
    real = [each for each in found if each[1] == 6]
    if real and not hints & ALL:
        return real
    return real + [(f"::ffff:{address}", 6) for address, family in found if family == 4]


# RFC 6724, section 2.1: what begins with so many bits of this has that precedence and label. The
# longest prefix comes first.
_POLICIES = [
    (IPv6Network(prefix), precedence, label)
    for prefix, precedence, label in (
        ("::1/128", 50, 0),
        ("::ffff:0:0/96", 35, 4),
        ("::/96", 1, 3),
        ("2001::/32", 5, 5),
        ("2002::/16", 30, 2),
        ("3ffe::/16", 1, 12),
        ("fec0::/10", 1, 11),
        ("fc00::/7", 3, 13),
        ("::/0", 40, 1),
    )
]
_LINK_LOCAL, _SITE_LOCAL, _GLOBAL = 0x2, 0x5, 0xE
_SITE = IPv6Network("fec0::/10")
# What Linux says of its own addresses: the deprecated ones, and a mobile node's home.
_OWN_ADDRESSES = "/proc/net/if_inet6"
_DEPRECATED, _HOME = 0x20, 0x10
# An interface has at least so many bits of an address; what they are says nothing about routes.
_NETWORK_BITS = 64
# So many addresses are put in order. Each takes a system call or two, and nobody tries as many.
_MAX_ORDERED = 256


def in_order(found: list[Address]) -> list[Address]:
    """The addresses, the one to try first in front: RFC 6724, section 6.

    Where the address that a connection would come from is unknown, the rules that look at it
    say nothing; rule 7, about tunnels, needs what no portable call tells. Rule 9 is for IPv6
    only: addresses of IPv4 share no more than chance has them share, and would no longer take
    turns.
    """
    if len(found) < 2:
        return found
    turns = Turns()
    own = _own_addresses()
    ranks = {}
    for each in found[:_MAX_ORDERED]:
        ranks[each] = _rank(each, _has_route(each), own)
        turns.pause()
    return sorted(ranks, key=ranks.__getitem__) + found[_MAX_ORDERED:]


def _rank(destination: Address, reachable: bool, own: dict[int, int]) -> tuple[Any, ...]:
    """What is lower comes first: the rules of RFC 6724, section 6, in their order."""
    ip = _as_ipv6(destination[0])
    precedence, label = _policy(ip)
    scope = _scope(ip)
    source = _source(destination) if reachable else None
    if source is None:
        return (not reachable, False, False, True, False, -precedence, scope, 0)
    local = _as_ipv6(source)
    flags = own.get(int(local), 0)
    return (
        False,
        scope != _scope(local),
        bool(flags & _DEPRECATED),
        not flags & _HOME,
        label != _policy(local)[1],
        -precedence,
        scope,
        -_common_bits(ip, local) if destination[1] == 6 else 0,
    )


def _as_ipv6(address: str) -> IPv6Address:
    """An address; one of IPv4 in its mapped form."""
    if ":" not in address:
        return IPv6Address(0xFFFF << 32 | int(IPv4Address(address)))
    return IPv6Address(split_zone(address)[0])


def _policy(ip: IPv6Address) -> tuple[int, int]:
    """The precedence and the label of an address."""
    return next((rank, label) for network, rank, label in _POLICIES if ip in network)


def _scope(ip: IPv6Address) -> int:
    """The scope of an address (RFC 6724, section 3.1 and 3.2)."""
    four = ip.ipv4_mapped
    if four is not None:
        return _LINK_LOCAL if four.is_loopback or four.is_link_local else _GLOBAL
    if ip.is_multicast:
        return ip.packed[1] & 0xF
    if ip.is_link_local or ip.is_loopback:
        return _LINK_LOCAL
    return _SITE_LOCAL if ip in _SITE else _GLOBAL


def _common_bits(one: IPv6Address, other: IPv6Address) -> int:
    return min(_NETWORK_BITS, 128 - (int(one) ^ int(other)).bit_length())


def _own_addresses() -> dict[int, int]:
    """The flags of the system's own IPv6 addresses; empty where it does not tell."""
    try:
        with open(_OWN_ADDRESSES, encoding="ascii") as lines:
            rows = [line.split() for line in lines]
        return {int(row[0], 16): int(row[4], 16) for row in rows}
    except (OSError, ValueError, IndexError):
        return {}


def _has_route(address: Address) -> bool:
    """Whether the system knows a way there."""
    return _source(address) is not None


def _source(address: Address) -> str | None:
    """The address that a connection there would come from; ``None`` where there is no way.

    Connecting a UDP socket sends nothing.
    """
    family = _AF[address[1]]
    numeric = _socket.AI_NUMERICHOST
    try:
        # It knows the numbers of zones.
        found = _socket.getaddrinfo(address[0], _ANY_PORT, family, _socket.SOCK_DGRAM, 0, numeric)
        sock = _socket.socket(family, _socket.SOCK_DGRAM)
    except OSError:
        return None
    try:
        sock.connect(found[0][4])
        local: str = sock.getsockname()[0]
        return local
    except OSError:
        return None
    finally:
        sock.close()
