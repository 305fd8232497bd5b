"""DNS records in the shapes that Node's ``dns`` gives them.

The fields have Node's names in Python's writing. Domain names come without their final dot;
the root, as in an ``MX`` record that declines mail, is ``""``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class MX(NamedTuple):
    """A mail server of a domain; a lower priority is tried earlier. *dns.resolveMx()*."""

    exchange: str
    priority: int


class SRV(NamedTuple):
    """Where a service is (RFC 2782). *dns.resolveSrv()*."""

    name: str
    port: int
    priority: int
    weight: int


class SOA(NamedTuple):
    """The start of a zone; times in seconds. *dns.resolveSoa()*."""

    nsname: str
    hostmaster: str
    serial: int
    refresh: int
    retry: int
    expire: int
    minttl: int


class NAPTR(NamedTuple):
    """A rule that rewrites a name (RFC 3403). *dns.resolveNaptr()*."""

    flags: str
    service: str
    regexp: str
    replacement: str
    order: int
    preference: int


class CAA(NamedTuple):
    """Who may issue certificates for a domain (RFC 8659). *dns.resolveCaa()*."""

    critical: int
    tag: str
    value: str


def shape(rdtype: str, rdata: Any) -> Any:
    """A record as it is given to the user.

    :param rdtype: the type's name, for example ``"MX"``.
    :param rdata: dnspython's object of that type.
    :returns: a name as :class:`str`, or one of the classes of this module; for any other type
        its text in a zone file.
    """
    shaped = SHAPES.get(rdtype)
    return shaped(rdata) if shaped is not None else rdata.to_text()


def generic(data: bytes) -> str:
    """A record's text in a zone file that knows nothing of its type (RFC 3597, section 5)."""
    return rf"\# {len(data)} {data.hex()}"


def _name(name: Any) -> str:
    written: str = name.to_text(omit_final_dot=True)
    return "" if written == "." else written


def text(data: bytes) -> str:
    """A string of a record."""
    # The standard names no encoding; what is no UTF-8 can be had back with the same handler.
    return data.decode("utf-8", "surrogateescape")


def _target(rdata: Any) -> str:
    return _name(rdata.target)


SHAPES: dict[str, Callable[[Any], Any]] = {
    "CNAME": _target,
    "NS": _target,
    "PTR": _target,
    "MX": lambda rdata: MX(_name(rdata.exchange), rdata.preference),
    "SRV": lambda rdata: SRV(_name(rdata.target), rdata.port, rdata.priority, rdata.weight),
    "SOA": lambda rdata: SOA(
        _name(rdata.mname),
        _name(rdata.rname),
        rdata.serial,
        rdata.refresh,
        rdata.retry,
        rdata.expire,
        rdata.minimum,
    ),
    "NAPTR": lambda rdata: NAPTR(
        text(rdata.flags),
        text(rdata.service),
        text(rdata.regexp),
        _name(rdata.replacement),
        rdata.order,
        rdata.preference,
    ),
    "CAA": lambda rdata: CAA(rdata.flags, text(rdata.tag), text(rdata.value)),
}
