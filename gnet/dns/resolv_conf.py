"""What the system says about its name servers: ``/etc/resolv.conf``, or Windows' registry."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from .._values.addresses import is_ip

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
    ndots: int = 1
    #: Seconds that a server has for its answer; ``None`` where nothing is said.
    timeout: int | None = None
    #: How often each server is asked; ``None`` where nothing is said.
    attempts: int | None = None
    #: Begin each question with the next server.
    rotate: bool = False
    #: Say that longer answers may come in one datagram (RFC 6891).
    edns0: bool = False
    #: Ask over TCP only.
    use_vc: bool = False
    #: Never ask for IPv6 addresses.
    no_aaaa: bool = False
    #: Ask for the addresses of one family after the other.
    single_request: bool = False
    #: Ask whether answers are verified.
    trust_ad: bool = False


# The largest value of each option that has a number, as glibc has it.
_NUMBERS = {"ndots": (0, MAX_NDOTS), "timeout": (1, 30), "attempts": (1, 5)}
_FLAGS = {
    "rotate": "rotate",
    "edns0": "edns0",
    "use-vc": "use_vc",
    "no-aaaa": "no_aaaa",
    "single-request": "single_request",
    # Every question has a socket of its own here.
    "single-request-reopen": "single_request",
    "trust-ad": "trust_ad",
}


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
    """Read the lines of a ``resolv.conf``; what is malformed in it is passed over.

    ``LOCALDOMAIN`` of the environment takes the place of its search domains, ``RES_OPTIONS``
    comes behind its options, and without search domains the host's own domain is one.
    """
    nameservers: list[str] = []
    search: list[str] | None = None
    options: dict[str, Any] = {}
    for line in lines:
        keyword, *values = line.split() or [""]
        if keyword == "nameserver" and values and is_ip(values[0]):
            nameservers.append(values[0])
        elif keyword in ("search", "domain") and values:
            # The last of them counts.
            search = values if keyword == "search" else values[:1]
        elif keyword == "options":
            _read_options(values, options)
    _read_options(os.environ.get("RES_OPTIONS", "").split(), options)
    local = os.environ.get("LOCALDOMAIN")
    if local is not None:
        search = local.split()
    elif search is None:
        _, _, domain = socket.gethostname().partition(".")
        search = [domain] if domain else []
    # systemd-resolved writes "search ." for none.
    search = [each for each in search if each != "."]
    return ResolvConf(nameservers or [_LOCAL], search, **options)


def _read_options(words: Iterable[str], options: dict[str, Any]) -> None:
    for word in words:
        name, _, number = word.partition(":")
        if name in _NUMBERS and number.isdecimal():
            least, most = _NUMBERS[name]
            # int() refuses thousands of digits.
            options[name] = min(max(int(number[:9]), least), most)
        elif word in _FLAGS:
            options[_FLAGS[word]] = True


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
    return ResolvConf(nameservers or [_LOCAL], search)
