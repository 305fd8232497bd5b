"""A proxy that does harm on purpose: it delays, splits, stalls, resets and ends too early.

It stands between a client and a server, on plain sockets of gevent's, so that no bug of gnet's
is in the tool. A fault is a generator over the pieces of one direction of one connection; several
of them are put behind each other::

    with FaultProxy(place, lambda random: Chosen([split], [])) as proxy:
        gnet.connect(*proxy.place)

The choices of the n-th connection follow from the seed and n alone, so that a failure can be
repeated. ``python -m tests.helpers.faults PORT`` is a proxy of its own process, with random
faults; it says where it listens.
"""

from __future__ import annotations

import argparse
import os
import socket as std_socket
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial, reduce
from random import Random
from typing import Any, NamedTuple

import gevent
from gevent import socket
from gevent.event import Event

from tests.helpers.servers import LOOPBACK, Place, place_of_raw

__all__ = ["FAULTS", "LOSSY", "Fault", "FaultProxy", "random_faults"]

NO_LINGER = struct.pack("ii", 1, 0)
CHUNK_BYTES = 65536
# How long a direction waits for the other one, and how long one side outlives the other, at most.
LONGEST_PAUSE = 0.05
# Behind single_bytes() there are thousands of pieces.
MOST_DELAYS = 20


class Cut(Exception):
    """A fault ends the connection at once.

    :ivar reset: by a reset, and not by an end.
    :ivar first: the number of the side that is closed first: 0 for the client's.
    :ivar pause: how much later the other one is closed, in seconds.
    """

    def __init__(self, reset: bool, first: int = 0, pause: float = 0) -> None:
        super().__init__(reset, first, pause)
        self.reset, self.first, self.pause = reset, first, pause


class Flow:
    """One direction of a connection.

    :ivar random: where all its choices come from.
    :ivar other_ended: set when nothing more comes the other way.
    """

    def __init__(self, source: socket.socket, sink: socket.socket, random: Random) -> None:
        self.random = random
        self.ended = Event()
        self.other_ended = self.ended
        self._source = source
        self._sink = sink

    def run(self, faults: Sequence[Fault]) -> BaseException | None:
        """Pass everything on, up to the end of this direction; gives what has cut it short."""
        try:
            pieces = reduce(lambda pieces, fault: fault(pieces, self), faults, self._received())
            for piece in pieces:
                self._sink.sendall(piece)
            self._sink.shutdown(std_socket.SHUT_WR)
            # A fault may end it too early; what comes then is for nobody.
            for _ in self._received():
                pass
        except (Cut, OSError) as error:
            return error
        finally:
            self.ended.set()
        return None

    def _received(self) -> Iterator[bytes]:
        while chunk := self._source.recv(CHUNK_BYTES):
            yield chunk


Fault = Callable[[Iterator[bytes], Flow], Iterator[bytes]]


# -- the faults. Those of the first group change nothing but the time -----------------------------


def delay(pieces: Iterator[bytes], flow: Flow, seconds: float) -> Iterator[bytes]:
    """Hold each piece back for some time, up to so many seconds; of many the first ones only."""
    for number, piece in enumerate(pieces):
        if number < MOST_DELAYS:
            gevent.sleep(flow.random.uniform(0.001, seconds))
        yield piece


def single_bytes(pieces: Iterator[bytes], flow: Flow, size: int) -> Iterator[bytes]:
    """Pass so many bytes on one by one, and then the rest."""
    for piece in pieces:
        for index in range(min(size, len(piece))):
            yield piece[index : index + 1]
            # Otherwise the kernel would put them together again.
            gevent.sleep(0)
        yield piece[size:]
        size = max(0, size - len(piece))


def split(pieces: Iterator[bytes], flow: Flow) -> Iterator[bytes]:
    """Cut the stream into pieces of other sizes."""
    for piece in pieces:
        while piece:
            size = flow.random.choice([1, 3, 1000, 20_000, CHUNK_BYTES])
            yield piece[:size]
            gevent.sleep(0)
            piece = piece[size:]


def stall(pieces: Iterator[bytes], flow: Flow, after: int, seconds: float) -> Iterator[bytes]:
    """Behind so many bytes take and give nothing for some time."""
    for piece in pieces:
        if 0 <= after <= len(piece):
            yield piece[:after]
            gevent.sleep(seconds)
            yield piece[after:]
        else:
            yield piece
        after -= len(piece)


def late_end(pieces: Iterator[bytes], flow: Flow, seconds: float) -> Iterator[bytes]:
    """Hold the end back."""
    yield from pieces
    gevent.sleep(seconds)


def crossed_ends(pieces: Iterator[bytes], flow: Flow) -> Iterator[bytes]:
    """Let the end of the other direction go first; but do not wait for it for long."""
    yield from pieces
    flow.other_ended.wait(LONGEST_PAUSE)


# -- and these let less arrive than was sent ------------------------------------------------------


def early_end(pieces: Iterator[bytes], flow: Flow, after: int) -> Iterator[bytes]:
    """End this direction behind so many bytes; the other one goes on."""
    yield from first_bytes(pieces, after)


def reset(pieces: Iterator[bytes], flow: Flow, after: int) -> Iterator[bytes]:
    """Reset both sides behind so many bytes."""
    yield from first_bytes(pieces, after)
    raise Cut(reset=True)


def cut(
    pieces: Iterator[bytes], flow: Flow, after: int, first: int, pause: float
) -> Iterator[bytes]:
    """Close one side behind so many bytes, and the other one a little later."""
    yield from first_bytes(pieces, after)
    raise Cut(reset=False, first=first, pause=pause)


def reset_one_by_one(
    pieces: Iterator[bytes], flow: Flow, after: int, first: int, pause: float
) -> Iterator[bytes]:
    """Reset one side behind so many bytes, and the other one a little later."""
    yield from first_bytes(pieces, after)
    raise Cut(reset=True, first=first, pause=pause)


def first_bytes(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The pieces up to so many bytes, at which one may be parted: its rest is lost.

    Ends at the stream's end also where that has come before.
    """
    for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return


# -- with random measures -------------------------------------------------------------------------


def _size(random: Random) -> int:
    """Where in a stream: near its beginning as often as deep in it."""
    return int(10 ** random.uniform(0, 5.5))


def _pause(random: Random) -> float:
    """Seconds that each timer can keep, and not many."""
    return random.uniform(0.001, LONGEST_PAUSE)


def _side(random: Random) -> int:
    return random.randrange(2)


FAULTS: dict[str, Callable[[Random], Fault]] = {
    "delay": lambda random: partial(delay, seconds=_pause(random)),
    "single_bytes": lambda random: partial(single_bytes, size=min(_size(random), 2000)),
    "split": lambda random: split,
    "stall": lambda random: partial(stall, after=_size(random), seconds=_pause(random)),
    "late_end": lambda random: partial(late_end, seconds=_pause(random)),
    "crossed_ends": lambda random: crossed_ends,
    "early_end": lambda random: partial(early_end, after=_size(random)),
    "reset": lambda random: partial(reset, after=_size(random)),
    "cut": lambda random: partial(
        cut, after=_size(random), first=_side(random), pause=_pause(random)
    ),
    "reset_one_by_one": lambda random: partial(
        reset_one_by_one, after=_size(random), first=_side(random), pause=_pause(random)
    ),
}
#: Behind which not all has to arrive.
LOSSY = frozenset({"early_end", "reset", "cut", "reset_one_by_one"})


class Chosen(NamedTuple):
    """The faults of one connection: of what its client sends, and of what its server sends."""

    up: Sequence[Fault]
    down: Sequence[Fault]


Choice = Callable[[Random], Chosen]


def random_faults(random: Random) -> Chosen:
    """Up to three faults for each direction."""
    directions = (random.choices(list(FAULTS), k=random.randrange(4)) for _ in range(2))
    return Chosen(*([FAULTS[name](random) for name in names] for names in directions))


class FaultProxy:
    """Listens, and does to each connection what is chosen for it.

    :param to: where the server is.
    :param choose: gives the faults of a connection.
    :param seed: what all choices follow from.
    :param at: where to listen.
    :ivar place: where it listens.
    """

    def __init__(
        self, to: Place, choose: Choice = random_faults, seed: int = 0, at: Place = LOOPBACK
    ) -> None:
        self._to = to
        self._choose = choose
        self._seed = seed
        self._listener = _socket_for(at)
        self._listener.bind(_address(at))
        self._listener.listen(128)
        self.place = place_of_raw(self._listener)
        self._links: set[gevent.Greenlet[..., None]] = set()
        self._accepting = gevent.spawn(self._accept)

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def serve(self) -> None:
        """Block for ever."""
        self._accepting.get()

    def close(self) -> None:
        """Listen no more, and end all connections."""
        self._accepting.kill()
        self._listener.close()
        if len(self.place) == 1:
            os.unlink(self.place[0])
        gevent.killall(list(self._links))

    def _accept(self) -> None:
        number = 0
        while True:
            client, _ = self._listener.accept()
            link = gevent.spawn(self._link, client, Random(f"{self._seed} {number}"))
            self._links.add(link)
            link.rawlink(self._links.discard)
            number += 1

    def _link(self, client: socket.socket, random: Random) -> None:
        """One connection, from its beginning to its end."""
        with client, _socket_for(self._to) as server:
            try:
                server.connect(_address(self._to))
            except OSError:
                return
            _relay(client, server, random, self._choose(random))


def _relay(client: socket.socket, server: socket.socket, random: Random, chosen: Chosen) -> None:
    for sock in client, server:
        if sock.family != getattr(std_socket, "AF_UNIX", None):
            sock.setsockopt(std_socket.IPPROTO_TCP, std_socket.TCP_NODELAY, 1)
    up = Flow(client, server, Random(random.random()))
    down = Flow(server, client, Random(random.random()))
    up.other_ended, down.other_ended = down.ended, up.ended
    flows = [gevent.spawn(up.run, chosen.up), gevent.spawn(down.run, chosen.down)]
    error = None
    try:
        for flow in gevent.iwait(flows):
            error = flow.value
            if error is not None:
                break
    finally:
        gevent.killall(flows)
    if error is not None:
        # An error of one side is passed on to the other one as what it is: a reset.
        _close(client, server, error if isinstance(error, Cut) else Cut(reset=True))


def _close(client: socket.socket, server: socket.socket, how: Cut) -> None:
    for sock in (client, server) if how.first == 0 else (server, client):
        if how.reset:
            with suppress(OSError):  # it has been reset by its peer already
                sock.setsockopt(std_socket.SOL_SOCKET, std_socket.SO_LINGER, NO_LINGER)
        sock.close()
        if how.pause:
            gevent.sleep(how.pause)


def _socket_for(place: Place) -> socket.socket:
    if len(place) == 1:
        return socket.socket(std_socket.AF_UNIX)
    return socket.socket(std_socket.AF_INET6 if ":" in place[1] else std_socket.AF_INET)


def _address(place: Place) -> Any:
    return place[0] if len(place) == 1 else (place[1], place[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("port", type=int, help="of the server, on 127.0.0.1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", choices=["random", "none", *FAULTS], default="random")
    options = parser.parse_args()

    def choose(random: Random) -> Chosen:
        if options.faults == "random":
            return random_faults(random)
        made = [] if options.faults == "none" else [FAULTS[options.faults](random)]
        return Chosen(made, made)

    with FaultProxy((options.port, "127.0.0.1"), choose, options.seed) as proxy:
        print(f"listening on 127.0.0.1:{proxy.place[0]}", file=sys.stderr, flush=True)
        proxy.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
