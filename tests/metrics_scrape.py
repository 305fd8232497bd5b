"""How long a scrape of the metrics holds the loop, with many connections.

``python -m tests.metrics_scrape`` makes some thousand connections in this process, which takes
twice as many descriptors, and prints the shortest of some scrapes.
"""

from __future__ import annotations

import argparse
import resource
import socket
from time import perf_counter
from typing import NamedTuple

import gevent

import gnet
import gnet.metrics

__all__ = ["Outcome", "measure"]

CONNECTIONS = 9_900
# What the process needs of descriptors beside those of the connections.
SPARE = 100
ROUNDS = 5


class Outcome(NamedTuple):
    """What was measured.

    :ivar connections: how many there were.
    :ivar seconds: the shortest scrape.
    """

    connections: int
    seconds: float


def measure(connections: int = CONNECTIONS, rounds: int = ROUNDS) -> Outcome:
    """Scrape some times beside so many connections of a server."""
    server = gnet.create_server(lambda sock: sock.on("data", sock.write)).listen(0, "127.0.0.1")
    clients = []
    try:
        for number in range(connections):
            clients.append(socket.create_connection(("127.0.0.1", server.port)))
            if number % 100 == 99:
                # Before the queue is full: connecting blocks the server, too.
                while server.stats().accepted <= number:
                    gevent.sleep(0.001)
        while server.stats().active < connections:
            gevent.sleep(0.001)
        collector = gnet.metrics.collector()
        seconds = []
        for _ in range(rounds):
            begun = perf_counter()
            for _ in collector.collect():
                pass
            seconds.append(perf_counter() - begun)
        return Outcome(server.stats().active, min(seconds))
    finally:
        for client in clients:
            client.close()
        server.shutdown(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if given.connections * 2 + SPARE > hard:
        parser.error(f"{hard} descriptors are for {(hard - SPARE) // 2} connections at the most")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    outcome = measure(given.connections, given.rounds)
    print(f"{outcome.connections} connections: {outcome.seconds * 1000:.2f} ms a scrape")


if __name__ == "__main__":
    main()
