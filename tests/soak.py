"""A soak: many clients that misbehave at random, and a count of everything at the end.

Run by hand, from the root: ``python -m tests.soak --seconds 60 --connections 10000``; CI runs a
short one. It prints its figures and exits with 1 if a byte was lost or changed, or if a
descriptor, a greenlet or a watcher is left, or the memory has grown by more than 10 %.

Half of the servers' connections are event style, half blocking style; each client sends numbered
bytes and checks the echo by a checksum, or leaves at a random moment: with an end, a reset, in
the middle of a message, or without having read what it asked for.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import struct
import sys
import time
import zlib
from collections import Counter

import gevent
from gevent import socket
from gevent.pool import Pool

import gnet
from tests.helpers.counts import descriptors, greenlets, watchers

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


class Soak:
    """The clients, and what became of them."""

    def __init__(self, ports: list[int], seconds: float) -> None:
        self.ports = ports
        self.end = time.monotonic() + seconds
        self.outcomes: Counter[str] = Counter()
        self.bytes = 0

    def client(self, number: int) -> None:
        rng = random.Random(number)
        while time.monotonic() < self.end:
            try:
                self.outcomes[self.visit(rng)] += 1
            except OSError as error:
                # Its own reset, met again; everything else is counted under its name.
                self.outcomes[type(error).__name__] += 1
            gevent.sleep(0.001 + rng.random() * 0.5)

    def visit(self, rng: random.Random) -> str:
        manner = rng.choice(["whole", "whole", "whole", "leaves", "resets", "unread", "silent"])
        with socket.create_connection(("127.0.0.1", rng.choice(self.ports))) as sock:
            if manner == "silent":
                gevent.sleep(0.001 + rng.random())
                return manner
            begin = rng.randrange(len(PATTERN) - 1)
            message = PATTERN[begin : begin + rng.choice([1, 100, 1000, 20_000, 200_000])]
            if manner == "whole":
                return self.check(sock, message, rng)
            sock.sendall(message[: rng.randrange(1, len(message) + 1)])
            if manner == "leaves":
                sock.recv(1)
            if manner == "resets":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return manner

    def check(self, sock: socket.socket, message: bytes, rng: random.Random) -> str:
        """Send in pieces, read it all back."""
        writer = gevent.spawn(self.send, sock, message, rng)
        received, checksum = 0, 0
        while True:
            chunk = sock.recv(rng.choice([1, 1000, 65536]))
            if not chunk:
                break
            received += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
        writer.get()
        self.bytes += received
        right = received == len(message) and checksum == zlib.crc32(message)
        return "whole" if right else "WRONG"

    def send(self, sock: socket.socket, message: bytes, rng: random.Random) -> None:
        view = memoryview(message)
        while view:
            size = rng.choice([1, 500, 5000, len(view)])
            sock.sendall(view[:size])
            view = view[size:]
            if rng.random() < 0.1:
                gevent.sleep(0.001 + rng.random() * 0.05)
        sock.shutdown(socket.SHUT_WR)


def counts() -> dict[str, int]:
    gc.collect()
    return {
        "descriptors": len(descriptors()),
        "greenlets": len(greenlets()),
        "watchers": len(watchers()),
    }


def memory_kib() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def run(connections: int, seconds: float) -> tuple[Soak, dict[str, int]]:
    """One soak; gives what happened, and what was there when all had left."""
    servers = [listen("event"), listen("blocking")]
    ports = [server.address().port for server in servers]
    soak = Soak(ports, seconds)
    pool = Pool(connections)
    for number in range(connections):
        pool.spawn(soak.client, number)
    pool.join()
    for server in servers:
        server.shutdown(5)
    gnet.run(10)
    return soak, counts()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Once before the count, as wide as the soak: what is made at the first use stays, and the
    # allocator keeps what ten thousand connections once needed.
    run(options.connections, min(5.0, options.seconds))
    before, kib = counts(), memory_kib()
    soak, after = run(options.connections, options.seconds)
    grown = (memory_kib() - kib) / kib
    print(f"{sum(soak.outcomes.values()):,} visits, {soak.bytes:,} bytes echoed and checked")
    print(", ".join(f"{name}: {count:,}" for name, count in sorted(soak.outcomes.items())))
    print(f"before: {before}, after: {after}; memory {grown:+.1%}")
    wrong = soak.outcomes["WRONG"] or any(after[name] > before[name] for name in before)
    return 1 if wrong or grown > 0.1 else 0


if __name__ == "__main__":
    sys.exit(main())
