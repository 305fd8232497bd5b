"""Connections through a proxy that does harm: what arrives is right, and an end always comes.

Both ends are gnet's, each in both styles, and both send at once. ``GNET_MIXES`` sets how many
random mixes of faults are tried, and ``GNET_MIX`` the first one's number; each is a seed, and
says the same faults again. ``GNET_MIXES=3000 pytest -s`` on this file is a long run.
"""

from __future__ import annotations

import os
import ssl
from collections import Counter
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import AsyncResult

import gnet
from gnet.errors import DeadlineError
from tests.helpers.authority import client_context, server_context
from tests.helpers.faults import FAULTS, LOSSY, Choice, Chosen, FaultProxy, random_faults, stall
from tests.helpers.servers import (
    LOOPBACK,
    STYLES,
    Place,
    path_at,
    place_at,
    receive_all,
    send_reset,
    serving,
)
from tests.helpers.windows import SLOWNESS

if TYPE_CHECKING:
    from tests.net.conftest import Net

MIXES = int(os.environ.get("GNET_MIXES", "60"))
FIRST_MIX = int(os.environ.get("GNET_MIX", "0"))
AT_ONCE = 20
# Seconds after which a party that has heard neither an end nor an error is one in silence.
SILENCE = 8.0 * SLOWNESS
BYTES = Random(0).randbytes(1 << 20)

PAIRS = list(product(STYLES, STYLES))
HERE = [LOOPBACK, LOOPBACK]


class Party:
    """One end of a connection: what it sends, what it has received, and how it came to its end.

    :ivar over: ``None`` when the peer's end has come, or else the connection's error.
    :ivar truncated: whether that end was one of the transport below TLS alone.
    """

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.received = bytearray()
        self.over: AsyncResult[BaseException | None] = AsyncResult()
        self.truncated = False

    def fail(self, error: BaseException) -> None:
        """There has been no connection to take."""
        assert not self.over.ready()
        self.over.set(error)

    def take(self, sock: gnet.Socket, style: str) -> None:
        """Talk, in one of the styles, up to the connection's end."""
        if style == "event":
            self._flow(sock)
        else:
            self._block(sock)

    def _flow(self, sock: gnet.Socket) -> None:
        errors: list[BaseException] = []
        sock.on("data", self.received.extend)
        sock.on("error", errors.append)

        @sock.on("close")
        def closed(had_error: bool) -> None:
            self.truncated = sock.truncated
            self.over.set(errors[0] if had_error else None)

        pieces = (self.message[at : at + 10_000] for at in range(0, len(self.message), 10_000))

        def send() -> None:
            for piece in pieces:
                if not sock.write(piece):
                    sock.once("drain", send)
                    return
            sock.end()

        send()

    def _block(self, sock: gnet.Socket) -> None:
        try:
            with sock:
                over = self._read(sock)
        except OSError as error:
            # There is no connection.
            over = error
        self.truncated = sock.truncated
        self.over.set(over)

    def _read(self, sock: gnet.Socket) -> BaseException | None:
        """Read to the end, and write meanwhile; gives the error of the reading, if it failed."""
        over = None
        writer = gevent.spawn(self._send, sock)
        try:
            for chunk in sock:
                self.received += chunk
        except OSError as error:
            over = error
        writer.join()
        return over

    def _send(self, sock: gnet.Socket) -> None:
        try:
            sock.sendall(self.message)
            sock.end()
        except OSError:
            # The reader hears of it, too, or has had its end before.
            pass


def message(random: Random, size: int | None = None) -> bytes:
    """Any part of the bytes; short as often as long."""
    begin = random.randrange(1000)
    end = begin + (size or int(10 ** random.uniform(0, 5.7)))
    return (BYTES * (end // len(BYTES) + 1))[begin:end]


def exchange(
    styles: tuple[str, str],
    choose: Choice,
    seed: int,
    at: list[Place],
    size: int | None = None,
    version: ssl.TLSVersion | None = None,
    **options: Any,
) -> tuple[Party, Party]:
    """One connection through the proxy; gives the client's and the server's view of it.

    :param at: where the server and the proxy listen.
    :param size: of what each of them sends; a random one where it is not given.
    :param version: the one of TLS; ``None`` for none.
    :param options: of both ends.
    """
    random = Random(seed)
    client, served = Party(message(random, size)), Party(message(random, size))
    options = {"allow_half_open": True, **options}

    def connected(sock: gnet.Socket) -> None:
        served.take(sock, styles[1])

    theirs, mine = dict(options), dict(options)
    if version is not None:
        context = client_context()
        context.minimum_version = context.maximum_version = version
        mine |= {"tls": context, "server_hostname": "localhost"}
        theirs |= {"tls": server_context()}
    with (
        serving(connected, at[0], **theirs) as server,
        FaultProxy(place_at(server), choose, seed, at[1]) as proxy,
    ):
        server.on("tls_client_error", lambda error, info: served.fail(error))
        sock = gnet.connect(*proxy.place, **mine)
        talking = gevent.spawn(client.take, sock, styles[0])
        for name, party in ("client", client), ("server", served):
            party.over.wait(SILENCE)
            assert party.over.ready(), f"the {name} hears nothing; seed {seed}, {styles}"
        talking.get()
    return client, served


def check(client: Party, served: Party) -> None:
    """What has arrived is the beginning of what was sent."""
    for sender, receiver in (client, served), (served, client):
        assert sender.message.startswith(receiver.received)


def check_tls(client: Party, served: Party, strict: bool) -> None:
    """:func:`check`; and an end that was cut off is told."""
    check(client, served)
    for sender, receiver in (client, served), (served, client):
        if receiver.over.get() is None and receiver.received != sender.message:
            assert receiver.truncated
            assert not strict


def check_whole(client: Party, served: Party) -> None:
    """All of it has arrived, and then the end."""
    for sender, receiver in (client, served), (served, client):
        assert receiver.over.get() is None
        assert receiver.received == sender.message


def places_in(directory: Path, number: int) -> list[Place]:
    """Where a server and a proxy may listen, as Unix sockets."""
    return [path_at(directory, f"{number}.{name}") for name in ("server", "proxy")]


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("direction", ["up", "down", "both"])
@pytest.mark.parametrize("name", FAULTS)
def test_behind_a_fault_what_arrives_is_right_and_an_end_comes(
    name: str, direction: str, transport: str, directory: Path
) -> None:
    def choose(random: Random) -> Chosen:
        fault = [FAULTS[name](random)]
        return Chosen(fault if direction != "down" else [], fault if direction != "up" else [])

    def one(seed: int) -> None:
        at = places_in(directory, seed) if transport == "unix" else HERE
        parties = exchange(PAIRS[seed], choose, seed, at)
        check(*parties)
        if name not in LOSSY:
            check_whole(*parties)

    gevent.joinall([gevent.spawn(one, seed) for seed in range(len(PAIRS))], raise_error=True)


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("styles", PAIRS, ids="-".join)
def test_an_end_that_comes_early_leaves_the_other_direction_whole(
    styles: tuple[str, str], direction: str
) -> None:
    def choose(random: Random) -> Chosen:
        fault = [FAULTS["early_end"](random)]
        return Chosen(fault, []) if direction == "up" else Chosen([], fault)

    client, served = exchange(styles, choose, 1, HERE)
    check(client, served)
    sender, receiver = (served, client) if direction == "up" else (client, served)
    assert receiver.over.get() is None
    assert receiver.received == sender.message


@pytest.mark.limit(20 + MIXES)
def test_random_mixes_of_faults_change_nothing_and_leave_nobody_in_silence(
    directory: Path,
) -> None:
    outcomes: Counter[str] = Counter()

    def mix(seed: int) -> None:
        unix = seed % 3 == 0 and hasattr(gevent.socket, "AF_UNIX")
        places = places_in(directory, seed) if unix else HERE
        try:
            parties = exchange(PAIRS[seed % len(PAIRS)], random_faults, seed, places)
            check(*parties)
        except AssertionError as error:
            raise AssertionError(f"mix {seed}: {error}") from error
        for party in parties:
            outcomes[type(party.over.get()).__name__] += 1
            outcomes["bytes"] += len(party.received)

    for begin in range(FIRST_MIX, FIRST_MIX + MIXES, AT_ONCE):
        group = range(begin, min(begin + AT_ONCE, FIRST_MIX + MIXES))
        gevent.joinall([gevent.spawn(mix, seed) for seed in group], raise_error=True)
    size = outcomes.pop("bytes")
    print(f"{MIXES:,} mixes of faults, {size:,} bytes checked; how they ended: {dict(outcomes)}")
    assert len(outcomes) > 1


@pytest.mark.parametrize(
    ("deadline", "after"), [("lifetime", 1000), ("write_timeout", 1000), ("first_byte_timeout", 0)]
)
@pytest.mark.parametrize("styles", PAIRS, ids="-".join)
def test_a_stall_for_good_is_ended_by_a_deadline(
    styles: tuple[str, str], deadline: str, after: int
) -> None:
    def choose(random: Random) -> Chosen:
        faults = [partial(stall, after=after, seconds=60)]
        return Chosen(faults, faults)

    # More than the kernel takes on the way.
    parties = exchange(styles, choose, 0, HERE, 16 << 20, **{deadline: 0.1})
    check(*parties)
    for party in parties:
        error = party.over.get()
        assert isinstance(error, DeadlineError)
        assert error.deadline == deadline


@pytest.mark.parametrize("style", STYLES)
def test_a_reset_right_behind_data_is_heard_of(tcp: Net, style: str) -> None:
    sock, peer = tcp.connected(allow_half_open=True)
    party = Party(b"")
    gevent.spawn(party.take, sock, style)
    assert receive_all(peer) == b""
    peer.sendall(b"data")
    # Both before the loop looks again.
    send_reset(peer)
    assert isinstance(party.over.get(timeout=SILENCE), ConnectionResetError)
    assert party.received == b"data"
