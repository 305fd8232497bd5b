"""Where a service is: the hosts of its SRV records, in the order in which they are tried."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import dns
from .._values import arguments
from ..dns.services import in_order
from ..errors import code_of, late_import, lookup_error
from .dial import MAX_ADDRESSES
from .goals import TcpTarget

if TYPE_CHECKING:
    from .secure import ClientTLS

__all__ = ["Service"]

# What is asked of a resolver.
_ASKED = ("resolve_srv", "lookup")
_NAME = re.compile(r"_[^._]+\._[^._]+\.(?P<domain>.+)")


@cache
def _systems_resolver() -> dns.Resolver:
    """One a process, so that its answers are kept for as long as they say."""
    return dns.Resolver()


class Service(NamedTuple):
    """A service of a domain. Every field has been validated.

    :ivar name: that of its records, ``_service._proto.domain``.
    :ivar domain: the domain.
    :ivar resolver: what they are asked of; it keeps them for their time to live.
    :ivar host: what is said of every host of it, but its name and port.
    :ivar named: whether ``server_hostname`` was given.
    """

    name: str
    domain: str
    resolver: Any
    host: TcpTarget
    named: bool

    @classmethod
    def parse(cls, srv: Any, resolver: Any, options: tuple[Any, ...], named: bool) -> Service:
        """From the options of ``connect()``.

        :param options: those of each host.
        """
        name = arguments.string("srv", srv)
        found = _NAME.fullmatch(name)
        if found is None:
            raise arguments.wrong_value("srv", srv, "a name such as '_redis._tcp.example.com'")
        domain = found["domain"].removesuffix(".")
        host = TcpTarget(domain, 0, *options)
        if resolver is None:
            owner = getattr(host.lookup, "__self__", None)
            resolver = owner if hasattr(owner, "resolve_srv") else None
        if resolver is None:
            with late_import():
                resolver = _systems_resolver()
        elif not all(
            callable(getattr(resolver, each, None)) for each in ("resolve_srv", "lookup")
        ):
            raise arguments.wrong_kind("resolver", resolver, "a gnet.dns.Resolver")
        if host.lookup is None:
            host = host._replace(lookup=resolver.lookup)
        return cls(name, domain, resolver, host, named)

    def hosts(self) -> list[TcpTarget]:
        """Its hosts, the first to try first. It blocks while they are asked for.

        :raises socket.gaierror: ``ENOTFOUND``, there is no such service.
        """
        # It takes as long to import as a good part of gnet, and few programs need it.
        with late_import():
            from random import randint

        try:
            records = self.resolver.resolve_srv(self.name)
        except OSError as exc:
            if code_of(exc) not in ("ENODATA", "ENOTFOUND"):
                raise
            records = []
        # An empty name says that there is none (RFC 2782, "Target").
        found = [
            each for each in in_order(records, partial(randint, 0)) if each.name not in ("", ".")
        ]
        if not found:
            raise lookup_error("ENOTFOUND", self.name, "querySrv")
        return [
            self.host._replace(host=each.name, port=each.port) for each in found[:MAX_ADDRESSES]
        ]

    def tls_of(self, host: TcpTarget, tls: ClientTLS) -> ClientTLS:
        """How to shake hands with one of its hosts.

        :param tls: the same for the domain.
        """
        # Whoever can forge the records could name a host of his own, with a certificate of its
        # own: one outside the domain has to be the domain.
        name = host.host.removesuffix(".").lower()
        inside = name == self.domain.lower() or name.endswith(f".{self.domain.lower()}")
        if self.named or not inside or not tls.server_hostname:
            return tls._replace(port=host.port)
        return tls._replace(server_hostname=name, port=host.port)
