"""What is measured: one line for each scenario."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .peers import PROBES, SERVERS, Peer


@dataclass(frozen=True)
class Scenario:
    """One comparison.

    :ivar name: what ``--scenario`` and the reports call it.
    :ivar title: the same in words.
    :ivar behaviour: what the servers do, or what the probes measure.
    :ivar mode: the load generator's mode; empty where probes measure themselves.
    :ivar connections: how many, open at once.
    :ivar size: bytes in a message.
    :ivar depth: messages in flight on each connection.
    :ivar resumes: whether a connection resumes the TLS session of the one before.
    :ivar value: the key of the value that is compared, in a run's results.
    :ivar unit: the unit of that value.
    :ivar more_is_better: whether the larger value wins.
    """

    name: str
    title: str
    behaviour: str
    mode: str = ""
    connections: int = 1
    size: int = 1000
    depth: int = 1
    resumes: bool = False
    value: str = "per_second"
    unit: str = "per second"
    more_is_better: bool = True

    def by_cpu(self) -> Scenario:
        """The same, compared by what a second of the server's CPU time does."""
        if self.mode == "hold" or (not self.mode and self.behaviour not in CLIENTS):
            return self
        unit = self.unit.replace("second", "CPU second").replace("/s", "/CPU second")
        return replace(self, value=self.value.replace("per_", "per_cpu_"), unit=unit)

    @property
    def encrypted(self) -> bool:
        """Whether it is over TLS."""
        return self.behaviour == "tls"

    def peers(self) -> list[Peer]:
        """The servers, or the probes, that know its behaviour."""
        return [each for each in (SERVERS if self.mode else PROBES) if self.behaviour in each.does]


#: What probes do as clients of a server.
CLIENTS = ("client", "connect", "race")

SIZES = {"1k": 1000, "10k": 10 * 1024, "100k": 100 * 1024, "1m": 1024 * 1024}


def _count(connections: int) -> str:
    return f"{connections:,} connection{'s' * (connections > 1)}"


def _echo(size: str, connections: int) -> Scenario:
    title = f"echo, {SIZES[size]:,} bytes, {_count(connections)}"
    return Scenario(f"echo-{size}-{connections}", title, "echo", "echo", connections, SIZES[size])


def _pipelined(connections: int) -> Scenario:
    title = f"pipelined echo, 64 bytes, 16 in flight, {_count(connections)}"
    return Scenario(f"pipelined-{connections}", title, "echo", "echo", connections, 64, 16)


def _tls_echo(name: str, size: int) -> Scenario:
    title = f"TLS, echo, {size:,} bytes, {_count(10)}"
    return Scenario(f"tls-echo-{name}", title, "tls", "echo", 10, size)


SCENARIOS = (
    *(_echo(size, connections) for size in SIZES for connections in (1, 10, 100, 1000)),
    _echo("1k", 10_000),
    Scenario(
        name="timeout-1000",
        title="echo, 1,000 bytes, 1,000 connections with an idle timeout",
        behaviour="timeout",
        mode="echo",
        connections=1000,
    ),
    _pipelined(10),
    _pipelined(100),
    Scenario(
        name="churn",
        title="connect, echo 1,000 bytes, close; 10 at once",
        behaviour="echo",
        mode="churn",
        connections=10,
    ),
    Scenario(
        name="memory",
        title="memory of an idle connection, of 5,000",
        behaviour="echo",
        mode="hold",
        connections=5000,
        value="bytes_each",
        unit="bytes",
        more_is_better=False,
    ),
    Scenario(
        name="proxy",
        title="proxy, both ways without end in 64 KiB chunks, 10 connections",
        behaviour="proxy",
        mode="stream",
        connections=10,
        size=64 * 1024,
        value="mb_per_second",
        unit="MB/s",
    ),
    Scenario(
        name="relay",
        title="proxy, 64 KiB there and back, 10 connections",
        behaviour="proxy",
        mode="relay",
        connections=10,
        size=64 * 1024,
    ),
    Scenario(
        name="line",
        title="lines of 100 bytes, 16 in flight, 10 connections",
        behaviour="line",
        mode="line",
        connections=10,
        size=100,
        depth=16,
    ),
    Scenario(
        name="sink-100k",
        title="receive without end in 100 KiB chunks, 10 connections",
        behaviour="sink",
        mode="sink",
        connections=10,
        size=100 * 1024,
        value="mb_per_second",
        unit="MB/s",
    ),
    Scenario(
        name="fanout",
        title="broadcast of 100 bytes to 10,000 connections",
        behaviour="fanout",
        mode="fanout",
        connections=10_000,
        size=100,
    ),
    _tls_echo("1k", 1024),
    _tls_echo("16k", 16 * 1024),
    _tls_echo("1m", 1024 * 1024),
    Scenario(
        name="tls-handshake",
        title="TLS, full handshake, one byte, close; 10 at once",
        behaviour="tls",
        mode="churn",
        connections=10,
        size=1,
    ),
    Scenario(
        name="tls-resumed",
        title="TLS, resumed handshake, one byte, close; 10 at once",
        behaviour="tls",
        mode="churn",
        connections=10,
        size=1,
        resumes=True,
    ),
    Scenario(
        name="tls-memory",
        title="memory of an idle connection over TLS, of 1,000",
        behaviour="tls",
        mode="hold",
        connections=1000,
        value="bytes_each",
        unit="bytes",
        more_is_better=False,
    ),
    Scenario("client", "connect, send 1,000 bytes, receive them, close", "client"),
    Scenario("connect", "connect to one address, and close", "connect"),
    Scenario("race", "connect where the first of two addresses refuses", "race"),
    Scenario(
        name="import",
        title="import in a new interpreter",
        behaviour="import",
        value="milliseconds",
        unit="ms",
        more_is_better=False,
    ),
    Scenario("blocklist", "BlockList.check against 300 rules", "blocklist"),
    Scenario("emit", "EventEmitter.emit of one argument to one listener", "emit"),
)
