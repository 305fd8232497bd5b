"""gnet: ``gnet_probe.py client | connect | race PORT SECONDS``, ``blocklist | emit SECONDS``."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rate import MESSAGE, rate, report

import gnet

BATCH = 100


def lookup(hostname: str, **options: object) -> list[tuple[str, int]]:
    """Two addresses; on the first nobody listens."""
    return [("::1", 6), ("127.0.0.1", 4)]


def connect() -> None:
    with gnet.connect(int(sys.argv[2]), "127.0.0.1"):
        pass


def client() -> None:
    with gnet.connect(int(sys.argv[2]), "127.0.0.1", no_delay=True) as sock:
        sock.sendall(MESSAGE)
        left = len(MESSAGE)
        while left:
            left -= len(sock.recv(left))


def race() -> None:
    with gnet.connect(int(sys.argv[2]), "two.test", lookup=lookup):
        pass


def checking() -> Callable[[], object]:
    """One address in a hundred rules of each kind, the same in every probe."""
    rules = gnet.BlockList()
    for number in range(100):
        rules.add_address(f"10.0.0.{number}")
        rules.add_range(f"10.1.{number}.0", f"10.1.{number}.9")
        rules.add_subnet(f"10.2.{number}.0", 24)
    return lambda: rules.check("192.168.0.1")


def emitting() -> Callable[[], object]:
    emitter = gnet.EventEmitter()
    emitter.on("data", lambda data: None)
    return lambda: emitter.emit("data", b"x")


measured = {
    "client": lambda: rate(client),
    "connect": lambda: rate(connect),
    "race": lambda: rate(race),
    "blocklist": lambda: rate(checking(), BATCH),
    "emit": lambda: rate(emitting(), BATCH),
}
report(measured[sys.argv[1]]())
