"""How long connecting takes when one host of three is dead: ``python -m tests.failover``.

The dead one gives no answer at all, and stands first, as it is when it has just died.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import gevent

import gnet
from tests.helpers.blackhole import blackhole

__all__ = ["run"]

# So many connect at the same time.
AT_ONCE = 20
# What the 99th percentile has to stay below, in seconds.
MOST_SECONDS = 0.3


def run(count: int, delay: float | None = None) -> list[float]:
    """Connect so often; gives how long each took, in seconds, in ascending order.

    :param delay: between the starts of two hosts; ``None`` for the default.
    """
    times: list[float] = []
    servers = [gnet.create_server(lambda sock: sock.end()) for _ in range(2)]
    with blackhole() as dead:
        targets = [(dead.host, dead.port)]
        for server in servers:
            server.listen(0, "127.0.0.1")
            address = server.address()
            assert isinstance(address, gnet.AddressInfo)
            targets.append((address.address, address.port))
        left = count

        def connect() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                began = perf_counter()
                with gnet.connect(targets, auto_select_family_attempt_timeout=delay):
                    times.append(perf_counter() - began)

        gevent.joinall([gevent.spawn(connect) for _ in range(AT_ONCE)], raise_error=True)
    for server in servers:
        server.shutdown(grace=0)
    return sorted(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    times = run(parser.parse_args().count)
    percentile = times[len(times) * 99 // 100]
    print(
        f"{len(times)} connections: median {times[len(times) // 2]:.3f} s, 99 % {percentile:.3f} s"
    )
    if percentile > MOST_SECONDS:
        raise SystemExit(f"more than {MOST_SECONDS} s")


if __name__ == "__main__":
    main()
