"""Host names: how they are written, and what a lookup may be asked.

Everything that looks a name up, the system's resolver or gnet's own, checks its arguments
here, and so fails alike.
"""

from __future__ import annotations

import _socket
from typing import Any

from .._values import arguments
from ..errors import lookup_error

#: Only the families that the machine has an address of, loopback ones not counted.
ADDRCONFIG: int = getattr(_socket, "AI_ADDRCONFIG", 0)
#: IPv4 addresses as IPv4-mapped IPv6 ones, where IPv6 is asked for and there is none.
V4MAPPED: int = getattr(_socket, "AI_V4MAPPED", 0)
#: With :data:`V4MAPPED`: IPv4-mapped addresses beside the IPv6 ones.
ALL: int = getattr(_socket, "AI_ALL", 0)

HINTS = ADDRCONFIG | V4MAPPED | ALL

# RFC 1035 allows 255 octets on the wire: 253 characters, and a final dot.
_MAX_LENGTH = 253
# Encoding takes time quadratic in the length of what is not ASCII, and what is longer than this
# comes out short enough only if it is made of characters that IDNA drops.
_MAX_UNENCODED = 1024

# What a lookup is about: an address, and 4 or 6.
Address = tuple[str, int]


def check_lookup(hostname: Any, family: Any, hints: Any, every: Any) -> tuple[int, bool]:
    """Check the arguments of a lookup.

    :returns: the family as a number, and whether all addresses are asked for.
    """
    arguments.string("hostname", hostname)
    check_hints(hints)
    return arguments.family(family), arguments.flag("all", every)


def check_hints(hints: Any) -> int:
    """The ``hints`` of a lookup: the flags that Node has, in any combination."""
    if isinstance(hints, bool) or not isinstance(hints, int):
        raise arguments.wrong_kind("hints", hints, "an int")
    if hints & ~HINTS:
        right = "a combination of ADDRCONFIG, V4MAPPED and ALL of gnet.dns"
        raise arguments.wrong_value("hints", hints, right)
    return hints


def ascii_name(hostname: str, syscall: str = "getaddrinfo") -> str:
    """A host name as it is asked for: in the form of IDNA 2008 where it is not ASCII.

    As for browsers and curl, it is mapped as UTS 46 has it first, without the transitional
    mappings: capitals are small ones, and ``"faß.example"`` is itself, not ``"fass.example"``.
    Labels in ASCII stay as they are, underscores and all.

    :param hostname: a name, with a final dot or without.
    :param syscall: what the error says was attempted.
    :raises socket.gaierror: ``ENOTFOUND`` for what can be no name: an empty one, empty labels,
        a label above 63 characters, a name above 253, NUL, what IDNA does not allow.

    From RFC 5891, and UTS 46.
    """
    if 0 < len(hostname) <= _MAX_UNENCODED and "\0" not in hostname:
        try:
            name = hostname if hostname.isascii() else idna_name(hostname)
        except UnicodeError:
            pass
        else:
            bare = name.removesuffix(".")
            if len(bare) <= _MAX_LENGTH and all(0 < len(each) < 64 for each in bare.split(".")):
                return name
    raise lookup_error("ENOTFOUND", hostname, syscall)


def idna_name(hostname: str) -> str:
    """A name that is not ASCII in the form of IDNA 2008, as :func:`ascii_name` has it.

    :raises UnicodeError: IDNA does not allow it.
    """
    # Its tables are 1 MB, and most programs never need them.
    import idna

    if len(hostname) > _MAX_UNENCODED:
        raise UnicodeError("label empty or too long")
    labels = idna.uts46_remap(hostname, std3_rules=False).split(".")
    return ".".join(
        each if each.isascii() else idna.alabel(each).decode("ascii") for each in labels
    )
