"""What a name server's message says about a question, and for how long.

Nothing here asks anybody: a message in, an :class:`Answer` out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dns.name
import dns.rcode
from dns.rdatatype import RdataType

from .wire import Found, Reply, canonical, made_name

# RFC 8767, section 4: a week at most. RFC 2308, section 5, proposes one to three hours for
# what does not exist.
_MAX_TTL = 7 * 86400
_MAX_NEGATIVE_TTL = 3 * 3600

#: How many aliases are followed: as many as BIND does, in one message or by as many questions.
MAX_ALIASES = 16

_FAILURES: dict[int, str] = {
    dns.rcode.FORMERR: "EFORMERR",
    dns.rcode.SERVFAIL: "ESERVFAIL",
    dns.rcode.NOTIMP: "ENOTIMP",
    dns.rcode.REFUSED: "EREFUSED",
}

# From what says least about the name to what says most; a code that is not here, such as EMFILE,
# is the machine's own trouble and comes before all.
_WEIGHT = (
    "ENOTFOUND",
    "ENODATA",
    "ECONNREFUSED",
    "ETIMEOUT",
    "EBADRESP",
    "EFORMERR",
    "ENOTIMP",
    "EREFUSED",
    "ESERVFAIL",
)


@dataclass(frozen=True)
class Answer:
    """The outcome of one question."""

    #: Node's code of the error that it is; empty where there are records.
    code: str = ""
    #: The records of the type that was asked for, each once, in the form of
    #: :func:`gnet.dns.records.shape`.
    records: tuple[Any, ...] = ()
    #: For how many seconds it holds; ``0`` for what must be asked again.
    ttl: int = 0
    #: A name that was said to be the true one, without a word about its records.
    alias: dns.name.Name | None = None
    #: Whether an alias stands between the name that was asked for and this.
    aliased: bool = False
    #: How long the message was that had it.
    size: int = 0


def worst(*codes: str) -> str:
    """The code that tells most, of several questions' or servers' outcomes."""
    return max(codes, key=_weight)


def _weight(code: str) -> int:
    if not code:
        return -1
    return _WEIGHT.index(code) if code in _WEIGHT else len(_WEIGHT)


def read_answer(reply: Reply, name: dns.name.Name, rdtype: RdataType) -> Answer:
    """Read a message that answers the question for ``name`` and ``rdtype``.

    Its chain of aliases is followed as far as it goes.

    :returns: records; or ``ENOTFOUND`` or ``ENODATA``, which hold for as long as RFC 2308
        says; or an alias to ask for; or a failure of the server's, which holds for no time.
    :raises BadResponse: its records cannot be read.
    """
    if reply.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Answer(_FAILURES.get(reply.rcode, "EBADRESP"))
    ttl = _MAX_TTL
    key = canonical(name)
    alias: bytes | None = None
    for _ in range(MAX_ALIASES + 1):
        found = reply.answer.get((key, rdtype))
        if found is not None and reply.rcode == dns.rcode.NOERROR:
            records = tuple(dict.fromkeys(reply.values(found, rdtype)))
            ttl = min(ttl, found.ttl)
            return Answer("", records, ttl, aliased=alias is not None, size=reply.size)
        link = reply.answer.get((key, RdataType.CNAME))
        if link is None:
            return _nothing(reply, ttl, alias)
        ttl = min(ttl, link.ttl)
        alias = reply.name(link)
        key = alias.lower()
    # What a recursive server says of a chain that bites its tail, or does not end.
    return Answer("ESERVFAIL")


def _nothing(reply: Reply, ttl: int, alias: bytes | None) -> Answer:
    """The answer that has no records, at the end of the chain or without one."""
    limit = _negative_ttl(reply)
    if reply.rcode == dns.rcode.NXDOMAIN:
        return Answer("ENOTFOUND", ttl=min(ttl, limit or 0), aliased=alias is not None)
    if alias is not None and limit is None:
        # No word about the end of the chain: the server does not follow aliases.
        return Answer(ttl=ttl, alias=made_name(alias), aliased=True)
    return Answer("ENODATA", ttl=min(ttl, limit or 0), aliased=alias is not None)


def _negative_ttl(reply: Reply) -> int | None:
    """RFC 2308, section 5; ``None`` where there is no SOA record, so nothing to go by."""
    for (_, rdtype), found in reply.authority.items():
        if rdtype == RdataType.SOA:
            first = Found(found.ttl, found.spans[:1])
            [soa] = reply.values(first, RdataType.SOA)
            minimum: int = soa.minttl
            return min(found.ttl, minimum, _MAX_NEGATIVE_TTL)
    return None
