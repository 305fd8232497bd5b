"""Twisted: ``python twisted_protocol.py echo | line | fanout``."""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import LineReceiver

members: set[Protocol] = set()


class Echo(Protocol):
    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Line(LineReceiver):
    delimiter = b"\n"

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(line.upper())


class Fanout(Echo):
    def connectionMade(self) -> None:
        super().connectionMade()
        members.add(self)
        self.transport.write(b"+")

    def dataReceived(self, data: bytes) -> None:
        for member in members:
            member.transport.write(data)

    def connectionLost(self, reason: object) -> None:
        members.discard(self)


protocol = {"echo": Echo, "line": Line, "fanout": Fanout}[sys.argv[1]]
port = reactor.listenTCP(0, Factory.forProtocol(protocol), backlog=511, interface="127.0.0.1")
print("listening", port.getHost().port, flush=True)
reactor.run()
