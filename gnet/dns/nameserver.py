"""One question to one name server: UDP, and TCP when the answer does not fit.

dnspython makes the messages. Its own sockets and selectors would block the hub, so the sockets
here are gevent's.
"""

from __future__ import annotations

import _socket
import errno
import os
import secrets
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rcode
import gevent
from dns.rdatatype import RdataType
from gevent import socket as _gsocket

from .wire import BadResponse, Reply
from .wire import read_reply as _read_reply

_MAX_MESSAGE_BYTES = 65535
# What passes every network in one piece (DNS Flag Day 2020).
_EDNS_BYTES = 1232
# Linux keeps some 280 small messages for a socket (of 768 bytes each, in 212,992). So many are
# looked through when the time is over: whoever sends false ones for ever makes it no longer.
_MOST_LATE = 300
_WITHOUT_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)


class Manner(NamedTuple):
    """How a server is asked; the options of ``resolv.conf(5)``."""

    #: ``edns0``: say that a longer answer may come in one datagram (RFC 6891).
    edns: bool = False
    #: ``use-vc``: over TCP only.
    over_tcp: bool = False
    #: ``trust-ad``: ask whether the server has verified its answer.
    trusts: bool = False


class NameServer(NamedTuple):
    """Where a name server is.

    :ivar address: an IP address, which may have a zone id.
    """

    address: str
    port: int

    @property
    def _place(self) -> tuple[int, Any]:
        """Its family, and where it is as :mod:`socket` has it.

        :raises OSError: its zone is no interface of this machine, or none now.
        """
        numeric = _socket.AI_NUMERICHOST
        found = _socket.getaddrinfo(self.address, self.port, 0, _socket.SOCK_DGRAM, 0, numeric)
        return found[0][0], found[0][4]

    def check(self) -> None:
        """See whether there can be a way to it.

        :raises OSError: its zone is no interface of this machine.
        """
        self._place  # noqa: B018

    def ask(
        self, name: dns.name.Name, rdtype: RdataType, deadline: float, manner: Manner
    ) -> Reply:
        """Ask, and wait for the answer.

        What comes from elsewhere, has another id, or answers another question is dropped:
        whoever wants to slip a false answer in has to guess the id and the port of a socket
        that lives for this one question (RFC 5452).

        :param deadline: the time, in seconds of the monotonic clock, at which to give up.
        :raises TimeoutError: no answer came in time.
        :raises OSError: the server cannot be reached.
        :raises BadResponse: what came cannot be read.
        """
        reply = self._ask_once(_query(name, rdtype, manner, manner.edns), deadline, manner)
        if manner.edns and reply.rcode in _WITHOUT_EDNS:
            # RFC 6891, section 7: it may be the extension that the server does not know.
            reply = self._ask_once(_query(name, rdtype, manner, False), deadline, manner)
        return reply

    def _ask_once(self, query: dns.message.QueryMessage, deadline: float, manner: Manner) -> Reply:
        if not manner.over_tcp:
            reply = self._over_udp(query, deadline)
            if not reply.truncated:
                return reply
        return self._over_tcp(query, deadline)

    def _over_udp(self, query: dns.message.QueryMessage, deadline: float) -> Reply:
        family, sockaddr = self._place
        with _gsocket.socket(family, _socket.SOCK_DGRAM) as sock:
            sock.settimeout(_left(deadline))
            # Connected, so that the kernel drops what others send, and tells of a closed port.
            sock.connect(sockaddr)
            sock.send(query.to_wire())
            late = 0
            while late < _MOST_LATE:
                late += monotonic() >= deadline
                reply = _read_reply(query, _receive_some(sock, _MAX_MESSAGE_BYTES, deadline))
                if reply is not None:
                    return reply
                # Whoever sends faster than this is read must not keep the hub from the others.
                gevent.sleep(0)
            raise TimeoutError

    def _over_tcp(self, query: dns.message.QueryMessage, deadline: float) -> Reply:
        wire = query.to_wire()
        family, sockaddr = self._place
        with _gsocket.socket(family, _socket.SOCK_STREAM) as sock:
            _connect(sock, sockaddr, deadline)
            sock.settimeout(_left(deadline))
            sock.sendall(len(wire).to_bytes(2, "big") + wire)
            size = int.from_bytes(_receive(sock, 2, deadline), "big")
            reply = _read_reply(query, _receive(sock, size, deadline))
        if reply is None or reply.truncated:
            raise BadResponse
        return reply


def _query(
    name: dns.name.Name, rdtype: RdataType, manner: Manner, edns: bool
) -> dns.message.QueryMessage:
    query = dns.message.make_query(
        name,
        rdtype,
        use_edns=0 if edns else False,
        payload=_EDNS_BYTES,
        id=secrets.randbelow(1 << 16),
    )
    if manner.trusts:
        query.flags |= dns.flags.AD
    return query


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _receive_some(sock: Any, size: int, deadline: float) -> bytes:
    """What comes before a deadline.

    The process may have stood still until then, and not have looked: what the kernel has is in
    time.

    :raises TimeoutError: there is nothing.
    """
    for seconds in max(0.0, deadline - monotonic()), 0.0:
        sock.settimeout(seconds)
        with suppress(TimeoutError, BlockingIOError):
            data: bytes = sock.recv(size)
            return data
    raise TimeoutError


def _receive(sock: Any, size: int, deadline: float) -> bytes:
    # Appended in place: it may come byte by byte.
    data = bytearray()
    while len(data) < size:
        chunk = _receive_some(sock, size - len(data), deadline)
        if not chunk:
            raise BadResponse
        data += chunk
    return bytes(data)


def _connect(sock: Any, sockaddr: Any, deadline: float) -> None:
    """Connect a stream socket of gevent's.

    By hand, as ``gnet.monkey`` guards its ``connect`` with the program's block list: a private
    name server is not what that is to keep the program from.
    """
    number = sock._sock.connect_ex(sockaddr)
    if number in (errno.EINPROGRESS, errno.EWOULDBLOCK):
        _gsocket.wait_write(sock.fileno(), _left(deadline), TimeoutError())
        number = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))
