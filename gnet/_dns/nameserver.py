"""One question to one name server: UDP, and TCP when the answer does not fit.

dnspython makes and reads the messages. Its own sockets and selectors would block the hub, so
the sockets here are gevent's.
"""

from __future__ import annotations

import _socket
import errno
import os
import secrets
from time import monotonic
from typing import Any, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import gevent
from gevent import socket as _gsocket

_HEADER_BYTES = 12
_MAX_MESSAGE_BYTES = 65535


class BadResponse(Exception):
    """The server sent what is no DNS message, or no answer to the question."""


class NameServer(NamedTuple):
    """Where a name server is, as :mod:`socket` has it."""

    family: int
    sockaddr: Any

    @classmethod
    def at(cls, address: str, port: int) -> NameServer:
        """The name server at an IP address, which may have a zone id."""
        numeric = _socket.AI_NUMERICHOST
        found = _socket.getaddrinfo(address, port, 0, _socket.SOCK_DGRAM, 0, numeric)
        return cls(found[0][0], found[0][4])

    def ask(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, deadline: float
    ) -> dns.message.Message:
        """Ask, and wait for the answer.

        What comes from elsewhere, has another id, or answers another question is dropped:
        whoever wants to slip a false answer in has to guess the id and the port of a socket
        that lives for this one question (RFC 5452).

        :param deadline: the time, in seconds of the monotonic clock, at which to give up.
        :raises TimeoutError: no answer came in time.
        :raises OSError: the server cannot be reached.
        :raises BadResponse: what came cannot be read.
        """
        query = dns.message.make_query(name, rdtype, use_edns=False, id=secrets.randbelow(1 << 16))
        reply = self._over_udp(query, deadline)
        if reply.flags & dns.flags.TC:
            reply = self._over_tcp(query, deadline)
        return reply

    def _over_udp(self, query: dns.message.QueryMessage, deadline: float) -> dns.message.Message:
        with _gsocket.socket(self.family, _socket.SOCK_DGRAM) as sock:
            sock.settimeout(_left(deadline))
            # Connected, so that the kernel drops what others send, and tells of a closed port.
            sock.connect(self.sockaddr)
            sock.send(query.to_wire())
            while True:
                sock.settimeout(_left(deadline))
                reply = _read_reply(query, sock.recv(_MAX_MESSAGE_BYTES))
                if reply is not None:
                    return reply
                # Whoever sends faster than this is read must not keep the hub from the others.
                gevent.sleep(0)

    def _over_tcp(self, query: dns.message.QueryMessage, deadline: float) -> dns.message.Message:
        wire = query.to_wire()
        with _gsocket.socket(self.family, _socket.SOCK_STREAM) as sock:
            _connect(sock, self.sockaddr, deadline)
            sock.settimeout(_left(deadline))
            sock.sendall(len(wire).to_bytes(2, "big") + wire)
            size = int.from_bytes(_receive(sock, 2, deadline), "big")
            reply = _read_reply(query, _receive(sock, size, deadline))
        if reply is None:
            raise BadResponse
        return reply


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _receive(sock: Any, size: int, deadline: float) -> bytes:
    data = b""
    while len(data) < size:
        sock.settimeout(_left(deadline))
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise BadResponse
        data += chunk
    return data


def _read_reply(query: dns.message.QueryMessage, wire: bytes) -> dns.message.Message | None:
    """The message; ``None`` for one that is not the answer to ``query``."""
    if len(wire) < _HEADER_BYTES or wire[:2] != query.id.to_bytes(2, "big"):
        return None
    try:
        reply = dns.message.from_wire(wire, ignore_trailing=True, raise_on_truncation=True)
    except dns.message.Truncated as exc:
        # It may end within a record; its question is still whole.
        reply = exc.message()  # type: ignore[no-untyped-call]
    except dns.exception.DNSException as exc:
        raise BadResponse from exc
    return reply if query.is_response(reply) else None


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
