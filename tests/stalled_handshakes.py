"""Peers that stall in the handshake, and what they cost the others.

Run by hand, from the root: ``python -m tests.stalled_handshakes``; CI does less. A load of
connections over TLS is served alone, beside peers that stall in the handshake, and alone again. A
third of those peers says nothing, a third drips its first message at a byte a second, and a third
sends that and stops. It prints the echoes that were served a second, and the server's processor
time for each; what share of its processor the stalled peers take by themselves; how soon a
newcomer is let in beside them; and what has become of them: the server has to end each when its
``handshake_timeout`` is over, and to tell of it once. The rate depends on what else the machine
does; so what is judged is the fall of the rate that a server has which is always busy: the share
of the stalled peers, and what an echo costs more beside them.

It exits with 1 if that is 5 % or more in the median of its rounds, if a connection of the load
was hurt, or if a limit did not hold.
"""

from __future__ import annotations

import argparse
import json
import ssl
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import gevent
from gevent import socket, subprocess

import gnet
from tests.helpers.authority import client_context

LIMIT = 60.0
LOOPBACK = "127.0.0.1"
#: Seconds in which a peer that drips sends a byte.
PERIOD = 1.0
MESSAGE = b"x" * 1024
MANNERS = ("silent", "drips", "stops")

SERVER = """
import json, os, ssl, sys
from collections import Counter
import gnet
from tests.helpers.authority import authority, server_context

told = Counter()
server = gnet.create_server(
    tls=server_context(), handshake_timeout=float(sys.argv[1]), max_connections=int(sys.argv[2]),
)

@server.on("connection")
def connected(sock):
    sock.on("error", lambda error: told.update(["broken"]))
    sock.pipe(sock)

@server.on("tls_client_error")
def failed(error, info):
    told[getattr(error, "code", "")] += 1

@server.on("drop")
def dropped(info):
    told["drop " + info.reason] += 1

def tell(sock):
    for _ in sock.makefile("rb"):
        spent = os.times()
        facts = {
            "processor": spent.user + spent.system, "connections": len(server.connections),
            "descriptors": len(os.listdir("/proc/self/fd")), "told": dict(told),
        }
        sock.sendall(json.dumps(facts).encode() + b"\\n")

server.listen(0, "127.0.0.1")
control = gnet.create_server(tell).listen(0, "127.0.0.1")
ca = authority().cert_pem.bytes().decode()
print(json.dumps([server.address().port, control.address().port, ca]), flush=True)
gnet.run()
"""


class Facts(NamedTuple):
    """What the server says of itself.

    :ivar processor: its processor time so far, in seconds.
    :ivar connections: how many it has let in.
    :ivar descriptors: how many it has open.
    :ivar told: what its listeners were told, and how often.
    """

    processor: float
    connections: int
    descriptors: int
    told: dict[str, int]


class Costs(NamedTuple):
    """What a load has come to.

    :ivar rate: echoes a second.
    :ivar processor: the server's processor time for one, in seconds.
    """

    rate: float
    processor: float


class Report(NamedTuple):
    """What was seen.

    :ivar alone: what the load costs alone, before and behind.
    :ivar beside: what it costs beside the stalled peers.
    :ivar share: what part of the server's processor these take by themselves.
    :ivar newcomer: how long a handshake takes beside them, in seconds.
    :ivar wrong: what should not have been.
    """

    alone: list[Costs]
    beside: Costs
    share: float
    newcomer: float
    wrong: list[str]

    @property
    def fall(self) -> float:
        """By how much the rate of a server falls that is always busy: 0.01 is 1 %."""
        alone = sum(each.processor for each in self.alone) / len(self.alone)
        echo = self.beside.processor - self.share / self.beside.rate
        return self.share + max(0.0, 1 - alone / echo)


class Server:
    """A server in a process of its own."""

    def __init__(self, handshake_timeout: float, max_connections: int) -> None:
        arguments = [str(handshake_timeout), str(max_connections)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            with gevent.Timeout(LIMIT):
                self.port, control, ca = json.loads(self._process.stdout.readline())
        except BaseException:
            self._process.kill()
            raise
        self.context = ssl.create_default_context(cadata=ca)
        self._control = socket.create_connection((LOOPBACK, control), LIMIT)
        self._file = self._control.makefile("rb")

    def facts(self) -> Facts:
        self._control.sendall(b"\n")
        return Facts(**json.loads(self._file.readline()))

    def close(self) -> bytes:
        """Gives what it has written to standard error."""
        self._file.close()
        self._control.close()
        self._process.kill()
        complaints: bytes = self._process.stderr.read()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()
        return complaints


@contextmanager
def load_of(server: Server, connections: int) -> Iterator[Load]:
    load = Load(server, connections)
    try:
        yield load
    finally:
        load.close()


class Load:
    """Connections over TLS that send a message as soon as the last one has come back.

    :ivar hurt: what any of them has failed with, or that it has ended.
    """

    def __init__(self, server: Server, connections: int) -> None:
        self._server = server
        self._count = 0
        self._goes_on = False
        self._closing = False
        self.hurt: list[str] = []
        self._socks = [self._connect() for _ in range(connections)]
        for sock in self._socks:
            sock.wait("secure_connect")

    def _connect(self) -> gnet.Socket:
        sock = gnet.connect(
            self._server.port, LOOPBACK, tls=self._server.context, server_hostname="localhost"
        )
        left = len(MESSAGE)

        def received(data: bytes) -> None:
            nonlocal left
            left -= len(data)
            if not left:
                left = len(MESSAGE)
                self._count += 1
                if self._goes_on:
                    sock.write(MESSAGE)

        sock.on("data", received)
        sock.on("error", lambda error: self.hurt.append(repr(error)))
        sock.on("close", lambda had_error: self._closing or self.hurt.append("closed"))
        return sock

    def measure(self, seconds: float) -> Costs:
        """Have them all go on for so long."""
        self._goes_on = True
        for sock in self._socks:
            sock.write(MESSAGE)
        # Not from the beginning, which is a burst.
        gevent.sleep(seconds / 10)
        before, count, begun = self._server.facts(), self._count, time.monotonic()
        gevent.sleep(seconds)
        after, count = self._server.facts(), self._count - count
        seconds = time.monotonic() - begun
        self._goes_on = False
        # What is under way comes back.
        gevent.sleep(0.1)
        return Costs(count / seconds, (after.processor - before.processor) / count)

    def close(self) -> None:
        self._closing = True
        for sock in self._socks:
            sock.destroy()


class Stalled:
    """Peers that stall in the handshake.

    :ivar ended: how long each was let wait, in seconds, once it was ended.
    """

    def __init__(self, port: int, count: int) -> None:
        self.ended: list[float] = []
        self._port = port
        self._count = count
        hello = ssl.MemoryBIO()
        client = client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        self._hello = hello.read()
        self._greenlets = [gevent.spawn(self._stall, each) for each in range(count)]

    def _stall(self, number: int) -> None:
        sock = socket.create_connection((LOOPBACK, self._port), LIMIT)
        begun = time.monotonic()
        dripping = None
        try:
            manner = MANNERS[number % len(MANNERS)]
            if manner == "stops":
                sock.sendall(self._hello)
            elif manner == "drips":
                dripping = gevent.spawn(self._drip, sock, number)
            with suppress(ConnectionError):
                while sock.recv(65536):
                    pass
            self.ended.append(time.monotonic() - begun)
        finally:
            if dripping is not None:
                dripping.kill()
            sock.close()

    def _drip(self, sock: socket.socket, number: int) -> None:
        gevent.sleep(PERIOD * number / self._count)
        with suppress(OSError):
            for byte in self._hello:
                sock.send(bytes([byte]))
                gevent.sleep(PERIOD)

    def wait(self) -> None:
        """Block until all are ended."""
        gevent.joinall(self._greenlets, raise_error=True)

    def close(self) -> None:
        gevent.killall(self._greenlets)


def newcomer(server: Server) -> float:
    """How long it takes one to be let in, in seconds."""
    begun = time.monotonic()
    with gnet.connect(
        server.port, LOOPBACK, tls=server.context, server_hostname="localhost"
    ) as sock:
        sock.sendall(b"x")
        sock.recv(1)
        return time.monotonic() - begun


def run(peers: int, connections: int, seconds: float, handshake_timeout: float) -> Report:
    """A load alone, beside stalled peers, and alone again.

    :param seconds: how long each load lasts.
    :param handshake_timeout: the server's; twice so long, and more, has to fit in.
    """
    # Room for one more than there are.
    server = Server(handshake_timeout, peers + connections + 1)
    wrong: list[str] = []
    try:
        with load_of(server, connections) as load:
            alone = [load.measure(seconds)]
            before = server.facts()
            stalled = Stalled(server.port, peers)
            try:
                wrong += await_accepts(server, before.descriptors + peers)
                share = share_of(server, seconds)
                beside = load.measure(seconds)
                meanwhile = server.facts()
                came_in = newcomer(server)
                stalled.wait()
            finally:
                stalled.close()
            alone.append(load.measure(seconds))
            after = server.facts()
            wrong += load.hurt
        wrong += broken_limits(connections, handshake_timeout, stalled, before, meanwhile, after)
    finally:
        complaints = server.close()
    if complaints:
        wrong.append(f"standard error: {complaints.decode()}")
    return Report(alone, beside, share, came_in, wrong)


def share_of(server: Server, seconds: float) -> float:
    """What part of its processor a server uses that serves nobody."""
    before, begun = server.facts(), time.monotonic()
    gevent.sleep(seconds)
    after = server.facts()
    return (after.processor - before.processor) / (time.monotonic() - begun)


def await_accepts(server: Server, descriptors: int) -> list[str]:
    """Wait until the server has so many descriptors."""
    for _ in range(1000):
        if server.facts().descriptors >= descriptors:
            return []
        gevent.sleep(0.01)
    return ["the server does not accept them all"]


def broken_limits(
    connections: int,
    handshake_timeout: float,
    stalled: Stalled,
    before: Facts,
    meanwhile: Facts,
    after: Facts,
) -> list[str]:
    """What of the server's promises did not hold."""
    peers = len(stalled.ended)
    late = handshake_timeout * 1.5 + 2
    expected = {"ERR_TLS_HANDSHAKE_TIMEOUT": peers, "drop tls": peers}
    checks = {
        f"told before: {before.told}": not before.told,
        f"ended before its time: {meanwhile.told}": not meanwhile.told,
        f"let in: {meanwhile.connections}": meanwhile.connections == connections,
        f"told: {after.told}": after.told == expected,
        f"descriptors: {before} {after}": after.descriptors <= before.descriptors,
        f"too early: {min(stalled.ended)}": min(stalled.ended) > handshake_timeout * 0.9,
        f"too late: {max(stalled.ended)}": max(stalled.ended) < late,
    }
    return [text for text, holds in checks.items() if not holds]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--handshake-timeout", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    falls, right = [], True
    for _ in range(options.rounds):
        report = run(
            options.peers, options.connections, options.seconds, options.handshake_timeout
        )
        tell(report, options.peers)
        falls.append(report.fall)
        right = right and not report.wrong
    fall = statistics.median(falls)
    print(f"the rate falls by {fall:.1%}, the median of {options.rounds} rounds")
    return 0 if right and fall < 0.05 else 1


def tell(report: Report, peers: int) -> None:
    """Print what was seen."""
    loads = (report.alone[0], report.beside, report.alone[1])
    for name, costs in zip(("alone", "beside", "alone"), loads, strict=True):
        print(f"{name:6} {costs.rate:7,.0f} echoes/s, {costs.processor * 1e6:5.1f} µs each")
    print(
        f"{peers:,} stalled peers take {report.share:.2%} of the processor; the rate falls by "
        f"{report.fall:.1%}; a newcomer was let in within {report.newcomer * 1e3:.0f} ms"
    )
    for line in report.wrong:
        print(line)


if __name__ == "__main__":
    sys.exit(main())
