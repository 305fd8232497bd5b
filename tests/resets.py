"""Many connections that reset at random moments, and a count of everything at the end.

Run by hand, from the root: ``python -m tests.resets --connections 100000``; CI resets fewer. It
prints its figures, and exits with 1 if a server does not answer in the end, if anything was
written to stderr, or if a descriptor, a greenlet or a watcher is left.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import struct
import sys
import time
from collections import Counter
from typing import NamedTuple

import gevent
from gevent import socket
from gevent.pool import Pool

import gnet
from tests import soak
from tests.helpers.servers import place_at

NO_LINGER = struct.pack("ii", 1, 0)
AT_ONCE = 200
MESSAGE = random.Random(0).randbytes(200_000)
SIZES = [1, 100, 5000, 70_000, 200_000]


class Outcome(NamedTuple):
    """What a run has come to.

    :ivar moments: how many connections reset at which moment.
    :ivar accepted: how many the servers have seen.
    :ivar answers: the servers that still answered in the end.
    :ivar complaints: what was written to stderr.
    :ivar seconds: how long it took.
    :ivar left: what was there when all had gone.
    """

    moments: Counter[str]
    accepted: int
    answers: int
    complaints: str
    seconds: float
    left: dict[str, int]


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    sock.close()


def connection(port: int, rng: random.Random) -> str:
    """Connect and reset; gives at which moment that was."""
    moment = rng.choice(
        ["connecting", "connected", "sent", "echoed", "echo unread", "ended", "later"]
    )
    sock = socket.socket()
    try:
        if moment == "connecting":
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            return moment
        sock.connect(("127.0.0.1", port))
        if moment == "connected":
            return moment
        message = MESSAGE[: rng.choice(SIZES)]
        sender = gevent.spawn(send, sock, message)
        if moment == "sent":
            gevent.sleep(0)
        elif moment == "echoed":
            sock.recv(rng.choice([1, 1000, 65536]))
        elif moment == "echo unread":
            sock.recv(1, socket.MSG_PEEK)
        elif moment == "ended":
            sender.join()
            sock.shutdown(socket.SHUT_WR)
        elif moment == "later":
            gevent.sleep(0.001 + rng.random() * 0.02)
        sender.kill()
        return moment
    finally:
        reset(sock)


def send(sock: socket.socket, message: bytes) -> None:
    # Nobody may read the echo of it, and so it may be stuck: the reset is its end.
    with contextlib.suppress(OSError):
        sock.sendall(message)


def answers(port: int) -> bool:
    """Whether a server still echoes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"still there?")
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(100), b"")) == b"still there?"


def run(connections: int, seed: int = 0) -> Outcome:
    """Reset so many connections to two servers, one in each style."""
    servers = [soak.listen("event"), soak.listen("blocking")]
    accepted = Counter[str]()
    for server in servers:
        server.on("connection", lambda sock: accepted.update(["connections"]))
    ports = [place_at(server)[0] for server in servers]
    rng = random.Random(seed)
    moments: Counter[str] = Counter()
    complaints = io.StringIO()
    started = time.monotonic()

    def one(number: int) -> None:
        moments[connection(ports[number % 2], random.Random(rng.random()))] += 1

    with contextlib.redirect_stderr(complaints):
        pool = Pool(AT_ONCE)
        for number in range(connections):
            pool.spawn(one, number)
        pool.join()
        seconds = time.monotonic() - started
        answering = sum(answers(port) for port in ports)
        for server in servers:
            server.shutdown(5)
        gnet.run(10)
    return Outcome(
        moments, accepted.total(), answering, complaints.getvalue(), seconds, soak.counts()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # What is made at the first use stays.
    run(1000, options.seed + 1)
    before = soak.counts()
    done = run(options.connections, options.seed)
    print(f"{done.moments.total():,} connections reset in {done.seconds:.0f} seconds; ", end="")
    print(f"the servers saw {done.accepted:,}, and {done.answers} of 2 still answer")
    print(", ".join(f"{name}: {count:,}" for name, count in sorted(done.moments.items())))
    print(f"before: {before}, after: {done.left}")
    print(f"on stderr: {len(done.complaints)} characters {done.complaints[:1000]}")
    wrong = done.answers < 2 or done.complaints
    return 1 if wrong or any(done.left[name] > before[name] for name in before) else 0


if __name__ == "__main__":
    sys.exit(main())
