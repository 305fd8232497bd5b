"""Which addresses to ask for, and which to try first: the system's own view of its routes.

From RFC 3493, section 6.1 (the flags of ``getaddrinfo``), and RFC 6724.
"""

from __future__ import annotations

import _socket

from .names import ADDRCONFIG, ALL, V4MAPPED, Address

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


def in_order(found: list[Address]) -> list[Address]:
    """IPv6 first (RFC 6724, rule 6), unless it cannot be reached and IPv4 can (rule 1)."""
    six = [each for each in found if each[1] == 6]
    four = [each for each in found if each[1] == 4]
    if six and four and not _has_route(six[0]) and _has_route(four[0]):
        return four + six
    return six + four


def _has_route(address: Address) -> bool:
    """Whether the system knows a way there: connecting a UDP socket sends nothing."""
    try:
        sock = _socket.socket(_AF[address[1]], _socket.SOCK_DGRAM)
    except OSError:
        return False
    try:
        return sock.connect_ex((address[0], 53)) == 0
    finally:
        sock.close()
