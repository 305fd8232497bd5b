"""Which IP addresses count as one."""

from __future__ import annotations

import _socket
from collections.abc import Hashable
from typing import Any, NamedTuple

from . import arguments
from .addresses import split_zone

__all__ = ["Prefix", "checked_prefix"]

IPV4_BITS = 32
IPV6_BITS = 128


class Prefix(NamedTuple):
    """How many bits of an address tell one client from another.

    :ivar ipv4: those of an IPv4 address.
    :ivar ipv6: those of an IPv6 address.
    """

    ipv4: int
    ipv6: int

    def key(self, host: str) -> Hashable:
        """The same small value for all addresses that count as one.

        An IPv4 address counts as such also where IPv6 has written it (RFC 4291, 2.5.5.2).

        :param host: an IP address, as the system or a PROXY header gives it.
        """
        if host.startswith("::ffff:") and "." in host:
            host = host[7:]
        if ":" not in host:
            number = int.from_bytes(_socket.inet_pton(_socket.AF_INET, host), "big")
            return number >> (IPV4_BITS - self.ipv4)
        bare, zone = split_zone(host)
        number = int.from_bytes(_socket.inet_pton(_socket.AF_INET6, bare), "big")
        # Below zero are those of IPv6.
        network = ~(number >> (IPV6_BITS - self.ipv6))
        return network if zone is None else (network, zone)


def checked_prefix(name: str, value: Any) -> Prefix:
    """A pair of numbers of bits.

    :raises TypeError: it is something else.
    :raises ValueError: a number is out of the range of its family.
    """
    right = "two numbers of bits, for IPv4 and for IPv6"
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise arguments.wrong_kind(name, value, right)
    for bits, most in zip(value, (IPV4_BITS, IPV6_BITS), strict=True):
        if isinstance(bits, bool) or not isinstance(bits, int):
            raise arguments.wrong_kind(name, value, right)
        if not 1 <= bits <= most:
            right += f", from 1 to {IPV4_BITS} and from 1 to {IPV6_BITS}"
            raise arguments.wrong_value(name, value, right, "ERR_OUT_OF_RANGE")
    return Prefix(*value)
