"""How near ``rate=`` comes to what it is told: ``python -m tests.rates``.

A server sends to a client, and receives from it; now the one has the rate, and now the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from time import monotonic
from typing import Any, NamedTuple

import gevent

import gnet

__all__ = ["Run", "measure"]

RATES = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
SECONDS = 3.0
#: How far a rate may be off.
MOST_ERROR = 0.05

PIECE = bytes(1 << 18)


class Run(NamedTuple):
    """One direction at one rate.

    :ivar paced: ``"sender"`` or ``"receiver"``.
    :ivar rate: bytes a second, as it was told.
    :ivar measured: and as it was.
    """

    paced: str
    rate: int
    measured: float

    @property
    def error(self) -> float:
        """How far the one is from the other."""
        return self.measured / self.rate - 1


def measure(rate: int, paced: str, seconds: float) -> Run:
    """Send for some time, from the first byte that is received to the last.

    :param paced: which end has the rate.
    """
    options: dict[str, Any] = {"rate": rate}
    server = gnet.create_server(**(options if paced == "sender" else {}))
    server.listen(0, "127.0.0.1")
    with server:
        receiver = gnet.connect(
            server.port, "127.0.0.1", **(options if paced == "receiver" else {})
        )
        with next(iter(server)) as sender, receiver:
            size = max(1, int(rate * seconds))
            sending = gevent.spawn(_send, sender, size)
            # What comes first has not taken any time.
            received = first = len(receiver.recv(64))
            begun = monotonic()
            while received < size:
                received += len(receiver.recv(min(1 << 18, size - received)))
            took = monotonic() - begun
            sending.get()
        server.close()
    return Run(paced, rate, (size - first) / took)


def _send(sender: gnet.Socket, size: int) -> None:
    while size:
        piece = PIECE[:size]
        sender.sendall(piece)
        size -= len(piece)


def runs(rates: tuple[int, ...], seconds: float) -> Iterator[Run]:
    for rate in rates:
        for paced in ("sender", "receiver"):
            yield measure(rate, paced, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each of them")
    parser.add_argument("rates", type=int, nargs="*", default=RATES, help="bytes a second")
    given = parser.parse_args()
    worst = 0.0
    for run in runs(tuple(given.rates), given.seconds):
        worst = max(worst, abs(run.error))
        text = f"{run.rate:>12,} by the {run.paced:<9} {run.measured:>14,.0f}   {run.error:+.1%}"
        print(text, flush=True)
    return int(worst > MOST_ERROR)


if __name__ == "__main__":
    raise SystemExit(main())
