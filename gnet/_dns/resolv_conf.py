"""What the system says about its name servers: ``/etc/resolv.conf``, or Windows' registry."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

from ..address import is_ip

PATH = "/etc/resolv.conf"

# The limit of resolv.conf(5).
MAX_NDOTS = 15

# Where no name server is named, there may be one on this machine.
_LOCAL = "127.0.0.1"


class ResolvConf(NamedTuple):
    """The settings; what the file does not say has the defaults of ``resolv.conf(5)``."""

    #: The IP addresses of the name servers, in the order in which they are asked.
    nameservers: list[str]
    #: The domains in which a short name is looked for.
    search: list[str]
    #: A name with as many dots is asked for as it is before it is looked for in ``search``.
    ndots: int


def read_system() -> ResolvConf:
    """The system's settings now."""
    if sys.platform == "win32":
        return _read_registry()
    try:
        with open(PATH, encoding="utf-8", errors="replace") as lines:
            return parse(lines)
    except OSError:
        return parse(())


def parse(lines: Iterable[str]) -> ResolvConf:
    """Read the lines of a ``resolv.conf``; what is malformed in it is passed over."""
    nameservers: list[str] = []
    search: list[str] = []
    ndots = 1
    for line in lines:
        keyword, *values = line.split() or [""]
        if keyword == "nameserver" and values and is_ip(values[0]):
            nameservers.append(values[0])
        elif keyword in ("search", "domain"):
            # The last of them counts. systemd-resolved writes "search ." for none.
            search = [each for each in values if each != "."]
        elif keyword == "options":
            for option in values:
                name, _, number = option.partition(":")
                if name == "ndots" and number.isdecimal():
                    # int() refuses thousands of digits.
                    ndots = min(int(number[:9]), MAX_NDOTS)
    return ResolvConf(nameservers or [_LOCAL], search, ndots)


def _read_registry() -> ResolvConf:
    # dnspython knows the many places where Windows keeps this. Not imported elsewhere: it pulls
    # in ssl, which gevent should patch before anyone imports it.
    import dns.resolver

    try:
        system = dns.resolver.Resolver()
    except (OSError, dns.resolver.NoResolverConfiguration):
        return parse(())
    nameservers = [str(each) for each in system.nameservers if is_ip(each)]
    search = [each.to_text(omit_final_dot=True) for each in system.search]
    return ResolvConf(nameservers or [_LOCAL], search, 1)
