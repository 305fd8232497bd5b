"""What a resolver is told: checked, and filled up with what the system says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dns.exception
import dns.rdatatype
from dns.rdatatype import RdataType

from .._values import arguments
from .._values.addresses import SocketAddress
from . import resolv_conf
from .nameserver import Manner, NameServer
from .questions import Plan
from .search import SearchList, domain_name

__all__ = ["MAX_TRIES", "cache_size", "name_servers", "plan", "record_type", "search_list"]

_CACHE_SIZE = 1024
# Where neither the program nor resolv.conf says anything.
_TIMEOUT_SECONDS = 5.0
_TRIES = 3
#: The first try has 1/1023 of the time then, and cannot get shorter with any sense.
MAX_TRIES = 10


def cache_size(cache: Any) -> int:
    """How many answers are kept."""
    if isinstance(cache, bool):
        return _CACHE_SIZE if cache else 0
    if not isinstance(cache, int):
        raise arguments.wrong_kind("cache", cache, "a bool or an int")
    return arguments.integer("cache", cache, 0, 1 << 30)


def _strings(name: str, values: Any) -> list[str]:
    # A str is an iterable of str: one address would be read as its characters.
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise arguments.wrong_kind(name, values, "a list of str")
    return [arguments.string(name, each) for each in values]


def plan(
    timeout: float | None, tries: int | None, servers: int, system: resolv_conf.ResolvConf
) -> tuple[Plan, float]:
    """How to ask, and how many seconds a call has."""
    tries = tries or system.attempts or _TRIES
    manner = Manner(system.edns0, system.use_vc, system.trust_ad)
    if timeout is None and system.timeout is not None:
        plan = Plan(tries, system.timeout, 1, system.rotate, manner)
        return plan, float(system.timeout * tries * servers)
    timeout = timeout or _TIMEOUT_SECONDS
    # All waits together are the timeout.
    first_wait = timeout / (servers * (2**tries - 1))
    return Plan(tries, first_wait, 2, system.rotate, manner), timeout


def name_servers(addresses: Any, port: int, system: resolv_conf.ResolvConf) -> list[NameServer]:
    """Whom to ask.

    :raises TypeError: ``addresses`` is no list of strings.
    :raises ValueError: one is no IP address, or there is none.
    """
    if addresses is None:
        # One whose zone is no interface now may have it later, and is passed over until then.
        return [NameServer(each, port) for each in system.nameservers]
    servers = [_server(each, port) for each in _strings("nameservers", addresses)]
    if not servers:
        raise arguments.wrong_value("nameservers", addresses, "at least one IP address")
    return servers


def _server(text: str, port: int) -> NameServer:
    address = SocketAddress.parse(text)
    if address is not None:
        server = NameServer(address.address, address.port or port)
        try:
            server.check()
        except OSError:
            # Its zone is no interface of this machine.
            pass
        else:
            return server
    right = "a list of IP addresses, each with a port or without"
    raise arguments.wrong_value("nameservers", text, right, "ERR_INVALID_IP_ADDRESS")


def search_list(domains: Any, ndots: Any, system: resolv_conf.ResolvConf) -> SearchList:
    """Where to look for a name that is not whole.

    :raises TypeError: ``domains`` is no list of strings, or ``ndots`` no number.
    :raises ValueError: one is no domain, or ``ndots`` is out of range.
    """
    if domains is None:
        domains = system.search
    else:
        domains = _strings("search", domains)
        for each in domains:
            if domain_name(each) is None:
                raise arguments.wrong_value("search", each, "a list of domains")
    if ndots is None:
        ndots = system.ndots
    return SearchList(domains, arguments.integer("ndots", ndots, 0, resolv_conf.MAX_NDOTS))


def record_type(rdtype: Any) -> RdataType:
    """The number of a type of records.

    :raises TypeError: ``rdtype`` is not a :class:`str`.
    :raises ValueError: there is no such type, or it is not a type of records.
    """
    try:
        number = dns.rdatatype.from_text(arguments.string("rdtype", rdtype))
    except (dns.exception.DNSException, ValueError):
        number = dns.rdatatype.NONE
    if number == dns.rdatatype.NONE or dns.rdatatype.is_metatype(number):
        raise arguments.wrong_value("rdtype", rdtype, 'a type of DNS records, such as "MX"')
    return number
