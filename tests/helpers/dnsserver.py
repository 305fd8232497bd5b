"""A name server on loopback that answers as a test wants it to: rightly, wrongly, or not at all.

What it does with a query is a *behaviour*: a function of the query and of the right reply that
gives the messages to send, none for silence. A behaviour may block; each query has a greenlet.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import gevent
from gevent import socket
from gevent.pool import Group
from gevent.queue import Queue

Message = dns.message.Message
Behaviour = Callable[[Message, Message], Iterable[bytes]]


def honest(query: Message, reply: Message) -> list[bytes]:
    """The right answer."""
    return [reply.to_wire()]


def silent(query: Message, reply: Message) -> list[bytes]:
    """No answer."""
    return []


def failing(code: str) -> Behaviour:
    """An answer with an error code, for example ``"SERVFAIL"``."""

    def behaviour(query: Message, reply: Message) -> list[bytes]:
        failure = dns.message.make_response(query)
        failure.set_rcode(dns.rcode.from_text(code))
        return [failure.to_wire()]

    return behaviour


def with_code(code: str) -> Behaviour:
    """The right answer, but for its code."""

    def behaviour(query: Message, reply: Message) -> list[bytes]:
        reply.set_rcode(dns.rcode.from_text(code))
        return [reply.to_wire()]

    return behaviour


def noise(query: Message, reply: Message) -> list[bytes]:
    """What is no DNS message, and has nothing of the query."""
    wrong_id = query.id ^ 0xFFFF
    return [b"", b"?", wrong_id.to_bytes(2, "big") + bytes(range(64))]


def garbage(query: Message, reply: Message) -> list[bytes]:
    """The query's id and header, and then what cannot be read."""
    return [reply.to_wire()[:12] + b"\xff" * 30]


def wrong_id(query: Message, reply: Message) -> list[bytes]:
    """The right answer to a query with another id."""
    reply.id = query.id ^ 1
    return [reply.to_wire()]


def wrong_question(query: Message, reply: Message) -> list[bytes]:
    """An answer, with the query's id, to what nobody asked."""
    asked = query.question[0]
    other = dns.message.make_query("elsewhere.test", asked.rdtype, id=query.id)
    lie = dns.message.make_response(other)
    lie.answer.append(dns.rrset.from_text("elsewhere.test.", 60, "IN", "A", "203.0.113.66"))
    return [lie.to_wire()]


def echo(query: Message, reply: Message) -> list[bytes]:
    """The query itself."""
    return [query.to_wire()]


def truncated(query: Message, reply: Message) -> list[bytes]:
    """What says that the answer does not fit, cut off within its first record."""
    reply.flags |= dns.flags.TC
    wire = reply.to_wire()
    return [wire[:-3] if reply.answer else wire]


def then(*behaviours: Behaviour) -> Behaviour:
    """All that the behaviours send, one after the other, in answer to one query."""

    def behaviour(query: Message, reply: Message) -> Iterable[bytes]:
        for each in behaviours:
            # Each may spoil its reply.
            yield from each(query, dns.message.from_wire(reply.to_wire()))

    return behaviour


class DNSServer:
    """A name server, on UDP and TCP, on one port of one loopback address.

    :ivar asked: a ``(name, type, transport)`` for each query that came, in their order.
    :ivar arrivals: the same as a queue, to wait for them.
    :ivar recursive: whether aliases are followed in the answer.
    :ivar soa: TTL and minimum of the SOA record that negative answers bring, or ``None``.
    :ivar udp: what is done with the next queries, one each, and then with all others.
    :ivar tcp: the same for TCP.
    """

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.arrivals: Queue[tuple[str, str, str]] = Queue()
        self.recursive = True
        self.soa: tuple[int, int] | None = None
        self.udp: list[Behaviour] = [honest]
        self.tcp: list[Behaviour] = [honest]
        self.clients: list[Any] = []
        self._records: dict[tuple[dns.name.Name, str], dns.rrset.RRset] = {}
        self._greenlets = Group()
        self._datagrams, self._listener = _bound_pair(address, port)
        self.port: int = self._datagrams.getsockname()[1]

    def __enter__(self) -> DNSServer:
        self._greenlets.spawn(self._serve_udp)
        self._greenlets.spawn(self._serve_tcp)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._greenlets.kill()
        self._datagrams.close()
        self._listener.close()

    def add(self, name: str, rdtype: str, *texts: str, ttl: int = 300) -> None:
        """Have records."""
        absolute = dns.name.from_text(name)
        self._records[absolute, rdtype] = dns.rrset.from_text(absolute, ttl, "IN", rdtype, *texts)

    def remove(self, name: str, rdtype: str) -> None:
        """Have the records no more."""
        del self._records[dns.name.from_text(name), rdtype]

    # -- the right reply ------------------------------------------------------------------------

    def reply(self, query: Message) -> Message:
        """What the records say."""
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        question = query.question[0]
        name, rdtype = question.name, dns.rdatatype.to_text(question.rdtype)
        passed = set()
        while name not in passed:
            passed.add(name)
            found = self._records.get((name, rdtype))
            if found is not None:
                reply.answer.append(found)
                return reply
            alias = self._records.get((name, "CNAME"))
            if alias is None:
                break
            reply.answer.append(alias)
            if not self.recursive:
                return reply
            name = alias[0].target
        if not any(known == name for known, _ in self._records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if self.soa is not None:
            ttl, minimum = self.soa
            text = f"ns.test. admin.test. 1 3600 600 86400 {minimum}"
            reply.authority.append(dns.rrset.from_text("test.", ttl, "IN", "SOA", text))
        return reply

    # -- the network ----------------------------------------------------------------------------

    def _serve_udp(self) -> None:
        while True:
            wire, client = self._datagrams.recvfrom(65535)
            self.clients.append(client)
            query = dns.message.from_wire(wire)
            behaviour = self._next(query, "udp", self.udp)
            self._greenlets.spawn(self._answer_udp, query, behaviour, client)

    def _answer_udp(self, query: Message, behaviour: Behaviour, client: Any) -> None:
        for wire in behaviour(query, self.reply(query)):
            self._datagrams.sendto(wire, client)

    def _serve_tcp(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self._greenlets.spawn(self._answer_tcp, connection)

    def _answer_tcp(self, connection: Any) -> None:
        with connection, connection.makefile("rwb") as stream:
            size = int.from_bytes(stream.read(2), "big")
            query = dns.message.from_wire(stream.read(size))
            for wire in self._next(query, "tcp", self.tcp)(query, self.reply(query)):
                stream.write(len(wire).to_bytes(2, "big") + wire)
                stream.flush()

    def _next(self, query: Message, transport: str, behaviours: list[Behaviour]) -> Behaviour:
        question = query.question[0]
        rdtype = dns.rdatatype.to_text(question.rdtype)
        record = (question.name.to_text(omit_final_dot=True), rdtype, transport)
        self.asked.append(record)
        self.arrivals.put(record)
        return behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]


def _bound_pair(address: str, port: int) -> tuple[Any, Any]:
    """A UDP and a listening TCP socket on one port; the system picks it, for the first only."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            datagrams.bind((address, port))
            listener.bind((address, datagrams.getsockname()[1]))
        except OSError as exc:
            datagrams.close()
            listener.close()
            if port or exc.errno != errno.EADDRINUSE:
                raise
        else:
            listener.listen(16)
            return datagrams, listener


def released(gate: Any, behaviour: Behaviour = honest) -> Behaviour:
    """Do it when the event ``gate`` is set."""

    def waiting(query: Message, reply: Message) -> Iterable[bytes]:
        gate.wait()
        yield from behaviour(query, reply)

    return waiting


def by_type(**behaviours: Behaviour) -> Behaviour:
    """A behaviour for each type of record; types without one are answered honestly."""

    def chosen(query: Message, reply: Message) -> Iterable[bytes]:
        rdtype = dns.rdatatype.to_text(query.question[0].rdtype)
        return behaviours.get(rdtype, honest)(query, reply)

    return chosen


def wait_for_queries(server: DNSServer, count: int) -> list[tuple[str, str, str]]:
    """The next queries, waited for under a time limit."""
    with gevent.Timeout(10):
        return [server.arrivals.get() for _ in range(count)]
