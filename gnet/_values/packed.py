"""IP addresses as sixteen bytes, in the order of their numbers, and where one stands in a list.

An IPv4 address has the bytes of its IPv4-mapped form ``::ffff:a.b.c.d`` (RFC 4291, section
2.5.5.2). So both forms of an address are one, whichever of them a rule, a program or the kernel
uses: a socket that listens on ``::`` reports its IPv4 peers as mapped ones.

Measured at 20,000 edges: Python's own ``inet_pton`` and ``bisect`` take 0.35 µs for an IPv4
address and 0.53 µs for an IPv6 one; those of the ``.pxd`` beside, which become part of what is
compiled, a third of that.
"""

from __future__ import annotations

import _socket
import sys
from bisect import bisect_right
from ipaddress import IPv4Address, IPv6Address

__all__ = ["MAPPED", "packed", "place"]

#: What stands before the four bytes of an IPv4 address.
MAPPED = bytes(10) + b"\xff\xff"


def packed(text: str) -> bytes | None:
    """The bytes of an address of either family, or ``None`` for what is none.

    Any zone id is left out unread. What is compiled has the function of the ``.pxd`` beside
    instead.
    """
    try:
        if ":" in text:
            return _ipv6(text.partition("%")[0])
        return MAPPED + _ipv4(text)
    except (OSError, ValueError):
        return None


if sys.platform == "win32":
    # Its inet_pton() takes octal numbers.
    def _ipv4(text: str) -> bytes:
        return IPv4Address(text).packed

    def _ipv6(text: str) -> bytes:
        return IPv6Address(text).packed
else:

    def _ipv4(text: str) -> bytes:
        return _socket.inet_pton(_socket.AF_INET, text)

    def _ipv6(text: str) -> bytes:
        return _socket.inet_pton(_socket.AF_INET6, text)


def place(edges: list[bytes], key: bytes) -> int:
    """How many of the edges, which are in order, stand at a key or below it.

    What is compiled has the function of the ``.pxd`` beside instead.
    """
    return bisect_right(edges, key)
