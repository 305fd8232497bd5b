"""A resolver that asks name servers itself: gevent's sockets, dnspython's messages."""

from __future__ import annotations

import _socket
import os
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, Literal, overload

import dns.exception
import dns.name
import dns.rdatatype
import dns.reversename
from dns.rdatatype import RdataType

from .._values import arguments
from .._values.addresses import is_ip, split_zone
from ..errors import coded, lookup_error
from . import resolv_conf, settings
from .answer import Answer, worst
from .counted import counted
from .destinations import families, in_order, mapped
from .hosts import DEFAULT_PATH, HostsFile
from .names import Address, ascii_name, check_lookup
from .questions import Questions
from .records import CAA, MX, NAPTR, SOA, SRV

__all__ = ["Resolver"]

_RDTYPE = {4: RdataType.A, 6: RdataType.AAAA}
_LOOPBACK: list[Address] = [("127.0.0.1", 4), ("::1", 6)]

# With these the next domain of the search list may still do.
_GO_ON = ("ENOTFOUND", "ENODATA", "ESERVFAIL", "EREFUSED")

_EAI = {
    "ENOTFOUND": _socket.EAI_NONAME,
    "ENODATA": getattr(_socket, "EAI_NODATA", _socket.EAI_NONAME),
    "ECONNREFUSED": _socket.EAI_AGAIN,
    "ETIMEOUT": _socket.EAI_AGAIN,
    "ESERVFAIL": _socket.EAI_AGAIN,
}


class Resolver:
    """Looks names up in DNS without the system's resolver, and without its threads.

    Any number of greenlets may use one resolver at once. Each call blocks its own greenlet only,
    equal questions are asked once while they are on their way, and a call that is ended by a
    :class:`gevent.Timeout` or a kill leaves nothing behind. The resolver is cooperative whether
    or not :mod:`gevent.monkey` has patched anything. Between calls it holds no descriptor, so
    there is nothing to close.

    :param nameservers: IP addresses of the servers, ``"192.0.2.1"``, ``"192.0.2.1:5353"`` or
        ``"[2001:db8::1]:5353"``, in the order in which they are asked; the one that answered
        last is asked first. Default: those of ``/etc/resolv.conf`` (on Windows, of the
        registry), as they are now; a server behind an interface that is down is skipped.
    :param port: the port of the servers that are given without one.
    :param timeout: seconds for a whole call, including all servers, tries, aliases and search
        domains. The time that one server has for its answer is a part of it, and doubles with
        each try. Default: if ``resolv.conf`` has a ``timeout``, each server has that time for
        each try, and the call has the sum of them; otherwise 5.
    :param cache: whether to keep answers for their time to live, including those that say that
        there is nothing (RFC 2308); or how many to keep: ``True`` means 1,024. An answer above
        1 KiB counts for several.
    :param tries: how often each server is asked; from 1 to 10. Default: the ``attempts`` of
        ``resolv.conf``, else 3.
    :param search: domains in which a name with fewer than ``ndots`` dots is looked for first,
        and another name last; a name with a final dot is not looked for there. Default: the
        system's, which without a ``search`` or ``domain`` is the host's own domain.
    :param ndots: see ``search``; from 0 to 15. Default: the system's.
    :param hosts: a file like ``/etc/hosts``, in which :meth:`lookup` and :meth:`reverse` look
        first; it is read again when it has changed. ``None`` for no file.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value, or a name server is not an IP address
        (``ERR_INVALID_IP_ADDRESS``).

    The resolver obeys the options ``ndots``, ``timeout``, ``attempts``, ``rotate``, ``edns0``,
    ``use-vc``, ``single-request``, ``no-aaaa`` and ``trust-ad`` of ``resolv.conf(5)``, and
    ``LOCALDOMAIN`` and ``RES_OPTIONS`` in the environment.

    It reads an answer in turns with everything else, however long it is, so the owner of a name
    cannot hold the loop with long records. It follows at most 16 aliases in a chain.

    Every method raises :class:`socket.gaierror` with Node's ``code``, ``syscall`` and
    ``hostname``: ``ENOTFOUND`` (there is no such name), ``ENODATA`` (it has no such records),
    ``ETIMEOUT``, ``ECONNREFUSED`` (no server can be reached), ``ESERVFAIL``, ``EREFUSED``,
    ``EFORMERR``, ``ENOTIMP`` (a server said so), ``EBADRESP`` (a server's answer cannot be read),
    ``ECANCELLED`` (see :meth:`cancel`).

    From Node's ``dns``: *Class: dns.Resolver*; RFC 1034, RFC 1035.
    """

    def __init__(
        self,
        nameservers: Iterable[str] | None = None,
        port: int = 53,
        timeout: float | None = None,
        cache: bool | int = True,
        *,
        tries: int | None = None,
        search: Iterable[str] | None = None,
        ndots: int | None = None,
        hosts: str | os.PathLike[str] | None = DEFAULT_PATH,
    ) -> None:
        if timeout is not None:
            timeout = arguments.positive_seconds("timeout", timeout)
        if tries is not None:
            tries = arguments.integer("tries", tries, 1, settings.MAX_TRIES)
        system = resolv_conf.read_system()
        self._search = settings.search_list(search, ndots, system)
        self._hosts = HostsFile(None if hosts is None else arguments.path("hosts", hosts))
        servers = settings.name_servers(nameservers, arguments.port(port), system)
        plan, self._timeout = settings.plan(timeout, tries, len(servers), system)
        self._no_ipv6 = system.no_aaaa
        self._one_by_one = system.single_request
        self._questions = Questions(servers, plan, settings.cache_size(cache))

    # -- what is asked ------------------------------------------------------------------------

    @overload
    def lookup(
        self, hostname: str, *, family: int | str = 0, hints: int = 0, all: Literal[False] = False
    ) -> Address: ...
    @overload
    def lookup(
        self, hostname: str, *, family: int | str = 0, hints: int = 0, all: Literal[True]
    ) -> list[Address]: ...
    @overload
    def lookup(
        self, hostname: str, *, family: int | str = 0, hints: int = 0, all: bool = False
    ) -> Address | list[Address]: ...
    def lookup(
        self, hostname: str, *, family: int | str = 0, hints: int = 0, all: bool = False
    ) -> Address | list[Address]:
        """Look up the addresses of a host; this is a ``lookup=`` hook.

        An IP address is its own answer. Other names are looked for in the hosts file, and then
        asked of the name servers, A and AAAA at the same time. ``localhost``, and every name
        that ends in it, is this host, and nobody is asked (RFC 6761, section 6.3). If there are
        addresses of both families, IPv6 comes first, unless the system has a route for IPv4
        only.

        :param hostname: a name, or an IP address.
        :param family: ``4`` or ``6`` (``"IPv4"``, ``"IPv6"``), or ``0`` for both.
        :param hints: ``ADDRCONFIG``, ``V4MAPPED`` and ``ALL`` of :mod:`gnet.dns`.
        :param all: give every address, not only the first.
        :returns: ``(address, family)``; with ``all``, a list of these.
        :raises socket.gaierror: see the class; ``syscall`` is ``"getaddrinfo"``.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: an argument has a wrong value.

        From Node's ``dns``: *dns.lookup(hostname, options, callback)*.
        """
        wanted, every = check_lookup(hostname, family, hints, all)
        literal = is_ip(hostname)
        if literal:
            found = [(hostname, literal)]
        else:
            with counted():
                found = in_order(self._addresses(hostname, families(wanted, hints)))
            if wanted == 6:
                found = mapped(found, hints)
        return found if every else found[0]

    vars(lookup)["gnet_counts"] = True

    def resolve(self, hostname: str, rdtype: str = "A") -> list[Any]:
        """Ask for the records of a name.

        :param hostname: a name; ``"."`` is the root.
        :param rdtype: the type of the records, for example ``"AAAA"``.
        :returns: for ``A``, ``AAAA``, ``CNAME``, ``NS`` and ``PTR`` a list of :class:`str`; for
            ``TXT`` a list of each record's list of strings; for ``MX``, ``SRV``, ``SOA``,
            ``NAPTR`` and ``CAA`` a list of the named tuples of :mod:`gnet.dns`; for any other
            type a list of the records' text in a zone file. A very long record, other than a
            key, has the generic form of RFC 3597.
        :raises socket.gaierror: see the class; ``syscall`` is for example ``"queryMx"``.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: there is no such type, or it is not a type of records (``ANY``,
            ``AXFR``).

        From Node's ``dns``: *dns.resolve(hostname, rrtype, callback)*. Unlike in Node, the
        search domains apply, and ``SOA`` gives a list as well.
        """
        arguments.string("hostname", hostname)
        number = settings.record_type(rdtype)
        name = dns.rdatatype.to_text(number)
        syscall = f"query{name.capitalize()}"
        with counted():
            answer = self._search_for(hostname, [number], syscall)[0]
        if number == RdataType.TXT:
            return [list(each) for each in answer.records]
        return list(answer.records)

    def resolve4(self, hostname: str) -> list[str]:
        """The IPv4 addresses of a name in DNS. From Node's ``dns``: *dns.resolve4()*."""
        return self.resolve(hostname, "A")

    def resolve6(self, hostname: str) -> list[str]:
        """The IPv6 addresses of a name in DNS. From Node's ``dns``: *dns.resolve6()*."""
        return self.resolve(hostname, "AAAA")

    def resolve_mx(self, hostname: str) -> list[MX]:
        """The mail servers of a domain. From Node's ``dns``: *dns.resolveMx()*."""
        return self.resolve(hostname, "MX")

    def resolve_srv(self, hostname: str) -> list[SRV]:
        """Where a service is, in the answer's order. From Node's ``dns``: *dns.resolveSrv()*."""
        return self.resolve(hostname, "SRV")

    def resolve_txt(self, hostname: str) -> list[list[str]]:
        """The texts of a name, each in its pieces. From Node's ``dns``: *dns.resolveTxt()*."""
        return self.resolve(hostname, "TXT")

    def resolve_cname(self, hostname: str) -> list[str]:
        """What a name is an alias for. From Node's ``dns``: *dns.resolveCname()*."""
        return self.resolve(hostname, "CNAME")

    def resolve_ns(self, hostname: str) -> list[str]:
        """The name servers of a domain. From Node's ``dns``: *dns.resolveNs()*."""
        return self.resolve(hostname, "NS")

    def resolve_ptr(self, hostname: str) -> list[str]:
        """What a name points to. From Node's ``dns``: *dns.resolvePtr()*."""
        return self.resolve(hostname, "PTR")

    def resolve_soa(self, hostname: str) -> SOA:
        """The start of a zone. From Node's ``dns``: *dns.resolveSoa()*."""
        found: SOA = self.resolve(hostname, "SOA")[0]
        return found

    def resolve_naptr(self, hostname: str) -> list[NAPTR]:
        """The rules that rewrite a name. From Node's ``dns``: *dns.resolveNaptr()*."""
        return self.resolve(hostname, "NAPTR")

    def resolve_caa(self, hostname: str) -> list[CAA]:
        """Who may issue certificates for a name. From Node's ``dns``: *dns.resolveCaa()*."""
        return self.resolve(hostname, "CAA")

    def reverse(self, ip: str) -> list[str]:
        """The names of an IP address, from the hosts file or else from DNS.

        :param ip: an IPv4 or IPv6 address; a zone id is ignored.
        :returns: the names, without a final dot.
        :raises socket.gaierror: see the class; ``syscall`` is ``"getHostByAddr"``.
        :raises TypeError: ``ip`` is not a :class:`str`.
        :raises ValueError: ``ip`` is not an IP address (``ERR_INVALID_IP_ADDRESS``).

        From Node's ``dns``: *dns.reverse(ip, callback)*.
        """
        if not is_ip(arguments.string("ip", ip)):
            right = "an IP address"
            raise arguments.wrong_value("ip", ip, right, "ERR_INVALID_IP_ADDRESS")
        known = self._hosts.names(ip)
        if known:
            return known
        name = dns.reversename.from_address(split_zone(ip)[0])
        with counted():
            [answer] = self._questions.ask(name, [RdataType.PTR], monotonic() + self._timeout)
            if not answer.records:
                raise _error(answer.code, ip, "getHostByAddr")
        return list(answer.records)

    def cancel(self) -> None:
        """End every call of this thread that waits for an answer, with ``ECANCELLED``.

        From Node's ``dns``: *resolver.cancel()*.
        """
        self._questions.cancel()

    def clear_cache(self) -> None:
        """Forget all answers."""
        self._questions.cache.clear()

    # -- names --------------------------------------------------------------------------------

    def _addresses(self, hostname: str, wanted: Sequence[int]) -> list[Address]:
        name = ascii_name(hostname)
        for known in (self._hosts.addresses(name), _loopback(name)):
            found = [each for each in known if each[1] in wanted]
            if found:
                return found
        rdtypes = [_RDTYPE[each] for each in wanted if each == 4 or not self._no_ipv6]
        if not rdtypes:
            raise _error("ENOTFOUND", hostname, "getaddrinfo")
        answers = self._search_for(hostname, rdtypes, "getaddrinfo")
        records = dict.fromkeys(each for answer in answers for each in answer.records)
        return [(address, 6 if ":" in address else 4) for address in records]

    def _search_for(
        self, hostname: str, rdtypes: Sequence[RdataType], syscall: str
    ) -> list[Answer]:
        """The answers for the first form of the name that has records."""
        deadline = monotonic() + self._timeout
        failure = "ENOTFOUND"
        for name in self._search.candidates(hostname, syscall):
            answers = self._ask(name, rdtypes, deadline)
            if any(each.records for each in answers):
                return answers
            code = worst(*(each.code for each in answers))
            failure = worst(failure, code)
            if code not in _GO_ON:
                break
        raise _error(failure, hostname, syscall)

    def _ask(
        self, name: dns.name.Name, rdtypes: Sequence[RdataType], deadline: float
    ) -> list[Answer]:
        if not self._one_by_one:
            return self._questions.ask(name, rdtypes, deadline)
        return [found for each in rdtypes for found in self._questions.ask(name, [each], deadline)]


def _error(code: str, hostname: str, syscall: str) -> OSError:
    error = _socket.gaierror(_EAI.get(code, _socket.EAI_FAIL), "")
    return lookup_error(coded(error, code), hostname, syscall)


def _loopback(name: str) -> list[Address]:
    name = name.removesuffix(".").lower()
    return _LOOPBACK if name == "localhost" or name.endswith(".localhost") else []
