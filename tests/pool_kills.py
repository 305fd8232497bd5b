"""Ten thousand greenlets over a hundred connections, and kills: ``python -m tests.pool_kills``.

Each greenlet asks some times over a pool. Meanwhile some of them are killed, wherever they are,
and connections are reset at the server's end. In the end everybody has had an answer who was not
killed and has met no reset, nobody waits, and the pool has all its turns.
"""

from __future__ import annotations

import argparse
import random
from typing import NamedTuple

import gevent
from gevent.pool import Group

import gnet

__all__ = ["Outcome", "run"]

# How long a greenlet may wait for its turn before it counts as starved, in seconds.
MOST_SECONDS = 120.0


class Outcome(NamedTuple):
    """What has become of the greenlets, and of the pool."""

    answered: int
    killed: int
    failed: int
    stuck: int
    lost_turns: int
    most_connections: int


def run(greenlets: int, size: int, kills: int, rounds: int = 2, seed: int = 0) -> Outcome:
    """Run it.

    :param greenlets: how many ask.
    :param size: that of the pool.
    :param kills: how many greenlets are killed, and as many connections reset.
    :param rounds: how often each asks.
    """
    chance = random.Random(seed)
    server = gnet.create_server(_echo, end_on_return=True).listen(0, "127.0.0.1")
    address = server.address()
    assert isinstance(address, gnet.AddressInfo)
    pool = gnet.Pool((address.address, address.port), size, wait_timeout=MOST_SECONDS)
    answered = failed = most = 0

    def work(number: int) -> None:
        nonlocal answered, failed, most
        message = b"%d\n" % number
        for _ in range(rounds):
            try:
                with pool.connection() as sock:
                    most = max(most, pool.stats().in_use)
                    sock.sendall(message)
                    received = b""
                    while len(received) < len(message):
                        chunk = sock.recv()
                        if not chunk:
                            raise ConnectionResetError
                        received += chunk
                    # Whoever had it before has left nothing of his.
                    assert received == message
            except ConnectionError:
                failed += 1
            else:
                answered += 1

    group = Group()
    workers = [group.spawn(work, number) for number in range(greenlets)]
    killed = 0
    for victim in chance.sample(workers, kills):
        gevent.sleep(0)
        killed += not victim.ready()
        victim.kill(block=False)
        connections = list(server.connections)
        if connections:
            chance.choice(connections).reset_and_destroy()
    group.join(timeout=MOST_SECONDS)
    stuck = len(group)
    told = pool.stats()
    group.kill()
    pool.close(grace=0)
    server.shutdown(grace=0)
    return Outcome(answered, killed, failed, stuck + told.waiting, told.in_use, most)


def _echo(sock: gnet.Socket) -> None:
    for chunk in sock:
        sock.sendall(chunk)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--greenlets", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--kills", type=int, default=1_000)
    options = parser.parse_args()
    outcome = run(options.greenlets, options.size, options.kills)
    print(outcome)
    if outcome.stuck or outcome.lost_turns or outcome.most_connections > options.size:
        raise SystemExit("the pool has lost somebody")


if __name__ == "__main__":
    main()
