"""``kill -9`` in mid-transfer: of the peer, and of a proxy between. Nobody is left in silence.

Of a cluster's worker: ``test_cluster.py``.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import gevent
import pytest
from gevent.event import AsyncResult, Event

import gnet
from tests.helpers.commands import ROOT, gnet_server, place_said, target_of
from tests.helpers.peers import Peer, python, running
from tests.helpers.servers import LOOPBACK, STYLES, Place, path_at, place_at, serving

# Seconds after which one who has heard neither an end nor an error is in silence.
SILENCE = 8.0
# Of a transfer before it is in its midst.
ENOUGH_BYTES = 2_000_000
BYTES = Random(0).randbytes(1 << 18)

PATH = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
PEER = """
import sys, gevent, gnet
from random import Random
data = Random(0).randbytes(1 << 18)
def talk(sock):
    gevent.spawn(lambda: [sock.sendall(data) for _ in iter(int, 1)])
    for chunk in sock:
        pass
server = gnet.create_server(talk, end_on_return=True)
place = sys.argv[1]
server.listen(*([0, "127.0.0.1"] if place == "0" else [place]))
address = server.address()
said = f"unix:{address}" if isinstance(address, str) else f"127.0.0.1:{address.port}"
print("listening on", said, file=sys.stderr, flush=True)
gnet.run()
"""


class Transfer:
    """One end of a connection on which both send for ever.

    :ivar begun: set when it is in its midst.
    :ivar over: ``None`` at the peer's end, or the connection's error.
    """

    def __init__(self) -> None:
        self.begun = Event()
        self.over: AsyncResult[BaseException | None] = AsyncResult()
        self._size = 0

    def take(self, sock: gnet.Socket, style: str) -> None:
        if style == "event":
            self._flow(sock)
        else:
            self._block(sock)

    def _flow(self, sock: gnet.Socket) -> None:
        errors: list[BaseException] = []
        sock.on("data", self._received)
        sock.on("error", errors.append)
        sock.on("close", lambda had_error: self.over.set(errors[0] if had_error else None))

        def send(error: BaseException | None = None) -> None:
            if error is None and sock.writable:
                sock.write(BYTES, callback=send)

        send()

    def _block(self, sock: gnet.Socket) -> None:
        over = None
        with sock:
            writer = gevent.spawn(self._send, sock)
            try:
                for chunk in sock:
                    self._received(chunk)
            except OSError as error:
                over = error
            writer.kill()
        self.over.set(over)

    def _send(self, sock: gnet.Socket) -> None:
        try:
            while True:
                sock.sendall(BYTES)
        except OSError:
            pass  # the reader hears of it, too

    def _received(self, chunk: bytes) -> None:
        begin = self._size % len(BYTES)
        assert (BYTES * (len(chunk) // len(BYTES) + 2)).startswith(chunk, begin)
        self._size += len(chunk)
        if self._size >= ENOUGH_BYTES:
            self.begun.set()

    def hears(self) -> bool:
        """Wait for an end or an error; tells whether one has come."""
        self.over.wait(SILENCE)
        return self.over.ready()


def kill(process: Peer) -> None:
    process.signal(signal.SIGKILL)
    process.wait()


@contextmanager
def gnet_peer(place: str) -> Iterator[tuple[Peer, Place]]:
    with running(*python(PATH + PEER, place)) as process:
        yield process, place_said(process.complaint().decode())


@contextmanager
def fault_proxy(to: Place) -> Iterator[tuple[Peer, Place]]:
    start = "from tests.helpers.faults import main; main()"
    with running(*python(PATH + start, str(to[0]), "--faults", "split")) as process:
        yield process, place_said(process.complaint().decode())


@contextmanager
def gnet_proxy(to: Place) -> Iterator[tuple[Peer, Place]]:
    with gnet_server("proxy", "0", target_of(to)) as (process, place):
        yield process, place


@pytest.mark.limit(30)
@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("style", STYLES)
def test_when_the_peer_is_killed_the_other_end_hears_of_it(
    style: str, transport: str, directory: Path
) -> None:
    place = "0" if transport == "tcp" else str(path_at(directory)[0])
    with gnet_peer(place) as (process, at):
        transfer = Transfer()
        talking = gevent.spawn(transfer.take, gnet.connect(*at), style)
        assert transfer.begun.wait(SILENCE)
        kill(process)
        assert transfer.hears()
        talking.get()


@pytest.mark.limit(30)
@pytest.mark.parametrize("proxy", [gnet_proxy, fault_proxy], ids=["gnet proxy", "another"])
@pytest.mark.parametrize("style", STYLES)
def test_when_a_proxy_is_killed_both_ends_hear_of_it(style: str, proxy: object) -> None:
    client, served = Transfer(), Transfer()

    def connected(sock: gnet.Socket) -> None:
        served.take(sock, style)

    with ExitStack() as stack:
        server = stack.enter_context(serving(connected, LOOPBACK))
        process, at = stack.enter_context(proxy(place_at(server)))  # type: ignore[operator]
        talking = gevent.spawn(client.take, gnet.connect(*at), style)
        assert client.begun.wait(SILENCE)
        assert served.begun.wait(SILENCE)
        kill(process)
        assert client.hears()
        assert served.hears()
        talking.get()
