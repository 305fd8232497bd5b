"""What a name server's message says about a question, and for how long.

Nothing here asks anybody: a message in, an :class:`Answer` out.
"""

from __future__ import annotations

from dataclasses import dataclass

import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.SOA import SOA

# RFC 8767, section 4: a week at most. RFC 2308, section 5, proposes one to three hours for
# what does not exist.
_MAX_TTL = 7 * 86400
_MAX_NEGATIVE_TTL = 3 * 3600

_FAILURES = {
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
    #: The records of the type that was asked for.
    records: tuple[dns.rdata.Rdata, ...] = ()
    #: For how many seconds it holds; ``0`` for what must be asked again.
    ttl: int = 0
    #: A name that was said to be the true one, without a word about its records.
    alias: dns.name.Name | None = None
    #: Whether an alias stands between the name that was asked for and this.
    aliased: bool = False


def worst(*codes: str) -> str:
    """The code that tells most, of several questions' or servers' outcomes."""
    return max(codes, key=_weight)


def _weight(code: str) -> int:
    if not code:
        return -1
    return _WEIGHT.index(code) if code in _WEIGHT else len(_WEIGHT)


def read_answer(
    message: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
) -> Answer:
    """Read a message that answers the question for ``name`` and ``rdtype``.

    Its chain of aliases is followed as far as it goes.

    :returns: records; or ``ENOTFOUND`` or ``ENODATA``, which hold for as long as RFC 2308
        says; or an alias to ask for; or a failure of the server's, which holds for no time.
    """
    rcode = message.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Answer(_FAILURES.get(rcode, "EBADRESP"))
    ttl = _MAX_TTL
    passed = {name}
    while True:
        found = _rrset(message, name, rdtype)
        if found is not None and rcode == dns.rcode.NOERROR:
            return Answer("", tuple(found), min(ttl, found.ttl), aliased=len(passed) > 1)
        link = _rrset(message, name, dns.rdatatype.CNAME)
        if link is None:
            break
        ttl = min(ttl, link.ttl)
        name = link[0].target
        if name in passed:
            # What a recursive server says of a chain that bites its tail.
            return Answer("ESERVFAIL")
        passed.add(name)
    return _nothing(message, rcode, ttl, name if len(passed) > 1 else None)


def _nothing(
    message: dns.message.Message, rcode: int, ttl: int, alias: dns.name.Name | None
) -> Answer:
    """The answer that has no records, at the end of the chain or without one."""
    limit = _negative_ttl(message)
    if rcode == dns.rcode.NXDOMAIN:
        return Answer("ENOTFOUND", ttl=min(ttl, limit or 0), aliased=alias is not None)
    if alias is not None and limit is None:
        # No word about the end of the chain: the server does not follow aliases.
        return Answer(ttl=ttl, alias=alias, aliased=True)
    return Answer("ENODATA", ttl=min(ttl, limit or 0), aliased=alias is not None)


def _negative_ttl(message: dns.message.Message) -> int | None:
    """RFC 2308, section 5; ``None`` where there is no SOA record, so nothing to go by."""
    for rrset in message.authority:
        for record in rrset:
            if isinstance(record, SOA):
                return min(rrset.ttl, record.minimum, _MAX_NEGATIVE_TTL)
    return None


def _rrset(
    message: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    for rrset in message.answer:
        if rrset.rdtype == rdtype and rrset.name == name and rrset.rdclass == dns.rdataclass.IN:
            return rrset
    return None
