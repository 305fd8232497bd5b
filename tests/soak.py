"""A soak: many clients that misbehave at random, and a count of everything at the end.

Run by hand, from the root: ``python -m tests.soak --seconds 60 --connections 10000``; CI runs a
short one. It prints its figures and exits with 1 if a byte was lost or changed, or if a
descriptor, a greenlet or a watcher is left, or the memory has grown by more than 10 %.

Half of the servers' connections are event style, half blocking style. The clients are a process
of their own, as one alone may not have the descriptors for both ends. Each client is connected
nearly all the time: it sends bytes with pauses and checks the echo by a checksum, or leaves at a
random moment: with an end, a reset, in the middle of a message, or without having read what it
asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import random
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from typing import NamedTuple

import gevent
from gevent import socket, subprocess
from gevent.pool import Pool

import gnet
from tests.helpers.counts import descriptors, greenlets, watchers
from tests.helpers.servers import place_at

# Before the count.
WARMING_SECONDS = 30.0
RESET = struct.pack("ii", 1, 0)
#: A client's bytes: any part of it, from any place, as two clients' must not look alike.
PATTERN = random.Random(0).randbytes(1 << 20)


def echo(sock: gnet.Socket) -> None:
    """Blocking style."""
    for chunk in sock:
        sock.sendall(chunk)


def listen(style: str) -> gnet.Server:
    if style == "blocking":
        return gnet.Server(echo, end_on_return=True).listen(0, "127.0.0.1")
    server = gnet.Server(allow_half_open=True)

    @server.on("connection")
    def connected(sock: gnet.Socket) -> None:
        sock.on("error", lambda error: None)
        sock.pipe(sock)

    return server.listen(0, "127.0.0.1")


class Report(NamedTuple):
    """What the clients have seen: how often which outcome, and how many bytes were right."""

    outcomes: Counter[str]
    bytes: int


class Clients:
    """The clients, and what became of them.

    :param pause: how long one of them does nothing at a time, at most, in seconds.
    """

    def __init__(self, ports: list[int], seconds: float, pause: float) -> None:
        self.ports = ports
        self.end = time.monotonic() + seconds
        self.pause = pause
        self.outcomes: Counter[str] = Counter()
        self.bytes = 0

    def run(self, number: int) -> Report:
        """Have so many of them, to the end."""
        pool = Pool(number)
        for each in range(number):
            pool.spawn(self.client, each)
        pool.join()
        return Report(self.outcomes, self.bytes)

    def client(self, number: int) -> None:
        rng = random.Random(number)
        # Not all at once: the kernel's queue of a server is short.
        self.rest(rng)
        while time.monotonic() < self.end:
            try:
                self.outcomes[self.visit(rng)] += 1
            except OSError as error:
                # Its own reset, met again; everything else is counted under its name.
                self.outcomes[type(error).__name__] += 1
            gevent.sleep(0.001)

    def rest(self, rng: random.Random) -> None:
        left = max(0.0, self.end - time.monotonic())
        gevent.sleep(0.001 + min(rng.random() * self.pause, left))

    def visit(self, rng: random.Random) -> str:
        manner = rng.choice(["whole", "whole", "whole", "leaves", "resets", "unread", "silent"])
        with socket.create_connection(("127.0.0.1", rng.choice(self.ports))) as sock:
            if manner == "whole":
                return self.check(sock, rng)
            if manner != "silent":
                sock.sendall(piece(rng))
            if manner == "leaves":
                sock.recv(1)
            self.rest(rng)
            if manner == "resets":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return manner

    def check(self, sock: socket.socket, rng: random.Random) -> str:
        """Send with pauses, and read it all back."""
        writer = gevent.spawn(self.send, sock, random.Random(rng.random()))
        received, checksum = 0, 0
        while chunk := sock.recv(rng.choice([1, 1000, 65536])):
            received += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
        self.bytes += received
        return "whole" if (received, checksum) == writer.get() else "WRONG"

    def send(self, sock: socket.socket, rng: random.Random) -> tuple[int, int]:
        """Gives how much it was, and its checksum."""
        sent, checksum = 0, 0
        for _ in range(rng.randrange(1, 5)):
            data = piece(rng)
            sock.sendall(data)
            sent += len(data)
            checksum = zlib.crc32(data, checksum)
            self.rest(rng)
        sock.shutdown(socket.SHUT_WR)
        return sent, checksum


def piece(rng: random.Random) -> bytes:
    """Some bytes, from any place of the pattern."""
    begin = rng.randrange(len(PATTERN) - 1)
    return PATTERN[begin : begin + rng.choice([1, 100, 1000, 20_000, 200_000])]


def counts() -> dict[str, int]:
    gc.collect()
    return {
        "descriptors": len(descriptors()),
        "greenlets": len(greenlets()),
        "watchers": len(watchers()),
    }


def memory_kib() -> int:
    """What the process has in memory, without what the allocator keeps of what is free."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library that has none
            ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def run(
    connections: int, seconds: float, pause: float, apart: bool = False
) -> tuple[Report, int, dict[str, int]]:
    """One soak.

    :param pause: of the clients.
    :param apart: whether these are in a process of their own.
    :returns: what they say, how many connections there were at once, and what was there when all
        had left.
    """
    servers = [listen("event"), listen("blocking")]
    ports = [place_at(server)[0] for server in servers]
    most = [0]
    watching = gevent.spawn(watch, servers, most)
    if apart:
        report = run_apart(ports, connections, seconds, pause)
    else:
        report = Clients(ports, seconds, pause).run(connections)
    watching.kill()
    for server in servers:
        server.shutdown(5)
    gnet.run(10)
    return report, most[0], counts()


def run_apart(ports: list[int], connections: int, seconds: float, pause: float) -> Report:
    command = [sys.executable, "-m", "tests.soak", "--clients-of", *map(str, ports)]
    for name, value in ("connections", connections), ("seconds", seconds), ("pause", pause):
        command += [f"--{name}", str(value)]
    outcomes, size = json.loads(subprocess.check_output(command))
    return Report(Counter(outcomes), size)


def watch(servers: list[gnet.Server], most: list[int]) -> None:
    """Note how many connections there are at once."""
    while True:
        most[0] = max(most[0], sum(len(server.connections) for server in servers))
        gevent.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pause", type=float, default=20, help="of a client, in seconds")
    parser.add_argument("--clients-of", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.clients_of:
        clients = Clients(options.clients_of, options.seconds, options.pause)
        print(json.dumps(clients.run(options.connections)))
        return 0
    # Once before the count, as wide as the soak: what is made at the first use stays.
    warming = min(WARMING_SECONDS, options.seconds)
    run(options.connections, warming, options.pause, apart=True)
    before, kib = counts(), memory_kib()
    report, most, after = run(options.connections, options.seconds, options.pause, apart=True)
    grown = (memory_kib() - kib) / kib
    visits = report.outcomes.total()
    print(f"{visits:,} connections, {most:,} at once, {report.bytes:,} bytes echoed and checked")
    print(", ".join(f"{name}: {count:,}" for name, count in sorted(report.outcomes.items())))
    print(f"before: {before}, after: {after}; memory {grown:+.1%}, of {kib:,} KiB")
    wrong = report.outcomes["WRONG"] or any(after[name] > before[name] for name in before)
    return 1 if wrong or grown > 0.1 else 0


if __name__ == "__main__":
    sys.exit(main())
