"""What the page on security promises, where no other test shows it."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent import socket
from gevent.queue import Queue

import gnet
from gnet._core import inbound, writing
from gnet._loop import splicer
from gnet._transport import unix_path

if TYPE_CHECKING:
    from tests.net.conftest import Net

PEERS = 10
LIMIT = writing.HIGH_WATER_BYTES
CHUNK = inbound.READ_BYTES
# What there is of a connection and of its greenlets beside its bytes.
OBJECTS_BYTES = 100_000


def echo(sock: gnet.Socket) -> None:
    for chunk in sock:
        sock.sendall(chunk)


def pipe_back(sock: gnet.Socket) -> None:
    sock.pipe(sock)


def write_back(sock: gnet.Socket) -> None:
    """As a program has to that uses write() without a limit: it waits for 'drain'."""

    def received(data: bytes) -> None:
        if not sock.write(data):
            sock.pause()
            sock.once("drain", sock.resume)

    sock.on("data", received)


def limited(sock: gnet.Socket) -> None:
    """And as one may that has a limit."""
    sock.on("data", sock.write)


def listen_only(sock: gnet.Socket) -> None:
    sock.on("end", lambda: None)


@pytest.mark.limit(30)
@pytest.mark.parametrize(
    ("handle", "options", "most"),
    [
        (echo, {}, CHUNK),
        # The kernel moves it, a pipe of its own at a time.
        (pipe_back, {}, max(CHUNK, splicer.PIPE_BYTES)),
        (write_back, {}, LIMIT + CHUNK),
        # One message is always taken, and the next one waits.
        (limited, {"write_limit": LIMIT, "when_over": "block"}, LIMIT + 2 * CHUNK),
        (listen_only, {}, 0),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_peers_that_send_all_they_can_and_read_nothing_cost_a_bounded_memory_each(
    tcp: Net, handle: Callable[[gnet.Socket], object], options: dict[str, Any], most: int
) -> None:
    arrived: Queue[gnet.Socket] = Queue()

    def connected(sock: gnet.Socket) -> None:
        arrived.put(sock)
        handle(sock)

    server = tcp.server(connected, **options)
    peers = [tcp.peer(server) for _ in range(PEERS)]
    socks = [arrived.get() for _ in peers]
    tracemalloc.start()
    try:
        sent = stuff(tcp, peers)
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert size <= PEERS * (most + OBJECTS_BYTES)
    assert max(sock.writable_length for sock in socks) <= most
    assert sent > PEERS * 65536


def stuff(net: Net, peers: list[socket.socket]) -> int:
    """Send until the other end has taken all it will; gives the number of bytes."""
    total = 0
    while sent := sum(map(net.fill, peers)):
        total += sent
        net.turns(20)
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="needs the addresses of 127.0.0.0/8")
def test_a_name_that_changes_its_mind_is_connected_to_where_the_list_was_asked(tcp: Net) -> None:
    server = tcp.keep(gnet.Server()).listen(0, "0.0.0.0")
    answers = [("127.0.0.2", 4), ("127.0.0.1", 4), ("127.0.0.1", 4)]
    asked: list[str] = []

    def lookup(hostname: str, **options: Any) -> Any:
        asked.append(hostname)
        answer = answers.pop(0)
        return [answer] if options.get("all") else answer

    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.1")
    port = server.address().port
    sock = tcp.keep(gnet.connect(port, "a.name", lookup=lookup, block_list=blocked))
    sock.wait("connect")
    assert sock.getpeername()[0] == "127.0.0.2"
    assert asked == ["a.name"]
    # And the next connection asks anew, of the name and of the list.
    again = tcp.keep(gnet.connect(port, "a.name", lookup=lookup, block_list=blocked))
    with pytest.raises(PermissionError) as caught:
        again.wait("connect")
    assert caught.value.code == "ERR_IP_BLOCKED"  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix sockets")
def test_nobody_can_connect_before_the_file_has_its_permissions(
    tcp: Net, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(directory / "server")
    allow = unix_path.SocketFile.allow
    refused = []

    def look(self: unix_path.SocketFile, *permissions: bool) -> None:
        with socket.socket(socket.AF_UNIX) as early:
            refused.append(early.connect_ex(path))
        allow(self, *permissions)

    monkeypatch.setattr(unix_path.SocketFile, "allow", look)
    server = tcp.keep(gnet.Server()).listen(path, readable_all=True, writable_all=True)
    assert len(refused) == 1
    assert refused[0]
    with gevent.Timeout(5), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        server.wait("connection")
