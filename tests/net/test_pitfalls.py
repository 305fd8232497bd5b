"""Where such libraries go wrong: the points that no other file of the tests is about.

The list of all of them is in ``docs/evidence.rst``.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.queue import Queue

import gnet
from gnet._core.acceptor import Acceptor
from gnet._core.dispatcher import dispatcher
from gnet._transport.stream_socket import Wire
from tests.helpers.calls import Calls
from tests.helpers.servers import receive_all
from tests.net.conftest import Net

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's")


# -- 6: herd and starvation ---------------------------------------------------------------------


@pytest.mark.parametrize(("shared", "most"), [(True, 1), (False, 100)])
def test_of_a_shared_listener_one_connection_is_taken_in_a_turn(
    tcp: Net, shared: bool, most: int
) -> None:
    listener = tcp.listening_peer(backlog=200)
    for _ in range(150):
        tcp.peer(listener)
    turns: list[int] = [0]
    taken: list[Wire] = []
    loop = dispatcher()
    check = loop.loop.check(ref=False)
    check.start(lambda: turns.append(0))

    def admit(wire: Wire, remote: Any) -> None:
        turns[-1] += 1
        taken.append(wire)
        if len(taken) == 150:
            finished.set()

    finished = gevent.event.Event()
    wire = Wire.adopt(os.dup(listener.fileno()))
    acceptor = Acceptor(loop, wire, admit, print, print, shared=shared)
    finished.wait()
    acceptor.stop()
    check.close()
    for each in (wire, *taken):
        each.close()
    assert max(turns) == most


# -- 7: a descriptor's number that is used again ------------------------------------------------


def test_a_blocked_reader_never_reads_from_the_next_owner_of_its_descriptors_number(
    net: Net,
) -> None:
    first, _ = net.accepted()
    number = first.fileno()
    reader = net.start(first.recv)
    first.destroy()
    # The lowest free number is given out next.
    ends = socket.socketpair()
    with ends[0], ends[1]:
        (owner,) = [end for end in ends if end.fileno() == number]
        (other,) = [end for end in ends if end is not owner]
        other.sendall(b"for the next one")
        assert isinstance(reader.get(), gnet.errors.SocketClosedError)
        assert owner.recv(100) == b"for the next one"


# -- 12: a dropped connection is closed first ---------------------------------------------------


def test_a_dropped_connection_is_closed_before_its_listener_runs(
    tcp: Net, must_call: Calls
) -> None:
    server = tcp.server(max_connections=0)
    answers: Queue[bytes] = Queue()
    # While this listener blocks, its peer reads the end.
    server.on("drop", dropped := must_call(lambda info: answers.get()))
    peer = tcp.peer(server)
    assert receive_all(peer) == b""
    answers.put(b"go on")
    dropped.wait()


# -- 17: the files of Unix sockets --------------------------------------------------------------


@posix
def test_a_link_at_a_servers_path_is_not_followed(directory: Path) -> None:
    (directory / "link").symlink_to(directory / "victim")
    with pytest.raises(OSError) as caught:
        gnet.Server().listen(str(directory / "link"))
    assert caught.value.errno == errno.EADDRINUSE
    assert not (directory / "victim").exists()


@posix
@pytest.mark.parametrize("existing", [True, False])
def test_a_link_is_no_stale_socket(directory: Path, existing: bool) -> None:
    victim = directory / "victim"
    if existing:
        victim.write_text("precious")
    (directory / "path").symlink_to(victim)
    with pytest.raises(OSError) as caught:
        gnet.Server().listen(str(directory / "path"), replace_stale=True)
    assert caught.value.errno == errno.EADDRINUSE
    assert (directory / "path").is_symlink()
    assert not existing or victim.read_text() == "precious"


@posix
def test_a_link_at_the_lock_of_a_path_is_not_followed(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(directory / "stale"))
    (directory / "stale.lock").symlink_to(directory / "victim")
    with pytest.raises(OSError) as caught:
        gnet.Server().listen(str(directory / "stale"), replace_stale=True)
    assert caught.value.errno == errno.ELOOP
    assert not (directory / "victim").exists()


@posix
def test_the_mode_of_a_file_that_was_swapped_for_a_link_is_not_changed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = directory / "victim"
    victim.write_text("")
    victim.chmod(0o600)
    path = directory / "path"
    from gnet._transport.unix_path import SocketFile

    made = SocketFile.made

    def swapped(name: str) -> SocketFile | None:
        file = made(name)
        path.unlink()
        path.symlink_to(victim)
        return file

    monkeypatch.setattr(SocketFile, "made", swapped)
    if not hasattr(os, "O_PATH"):
        pytest.skip("only Linux can change a mode without following a link")
    with pytest.raises(OSError):
        gnet.Server().listen(str(path), readable_all=True, writable_all=True)
    assert victim.stat().st_mode & 0o777 == 0o600


# -- 18: binding ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backlog", [65_536, 131_072, 2**31 - 1])
def test_a_backlog_beyond_16_bits_is_a_large_one_and_no_small_one(tcp: Net, backlog: int) -> None:
    # 65,536 in 16 bits would be 0.
    server = gnet.Server(max_connections=0, when_full="wait")
    tcp.keep(server).listen(0, "127.0.0.1", backlog)
    for _ in range(20):
        tcp.peer(server)


# -- 19: what the system's signals and errors are -------------------------------------------------


@posix
def test_writing_to_who_has_gone_is_an_error_and_no_signal(net: Net) -> None:
    # A program that has the signal back would be killed by it.
    before = signal.signal(signal.SIGPIPE, lambda *_: signals.append(1))
    signals: list[int] = []
    try:
        sock, peer = net.accepted(allow_half_open=True)
        sock.on("error", lambda exc: None)
        peer.close()
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                sock.sendall(bytes(65536))
    finally:
        signal.signal(signal.SIGPIPE, before)


# -- 20: races of state ---------------------------------------------------------------------------


def test_a_server_may_be_closed_and_opened_in_its_connection_listener(tcp: Net) -> None:
    arrived: Queue[int] = Queue()

    def connected(sock: gnet.Socket) -> None:
        server.close()
        server.listen(0, "127.0.0.1")
        arrived.put(1)
        sock.destroy()

    server = tcp.server(connected)
    for _ in range(3):
        tcp.peer(server)
        arrived.get()
    assert server.listening


# -- past a block list ----------------------------------------------------------------------------


def loopback() -> gnet.BlockList:
    blocked = gnet.BlockList()
    blocked.add_subnet("127.0.0.0", 8)
    blocked.add_address("::1", "ipv6")
    return blocked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433",
        "::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:127.0.0.1", "::ffff:127.0.0.1%lo",
        "::1", "::1%lo", "::1%1", "0:0::1", "localhost",
    ],
)  # fmt: skip
def test_no_way_of_writing_an_address_leads_past_a_block_list(tcp: Net, host: str) -> None:
    server = tcp.server()
    server.on("connection", lambda sock: pytest.fail("a connection"))
    sock = tcp.keep(gnet.connect(tcp.target(server)[0], host, block_list=loopback()))
    with pytest.raises(OSError) as caught:
        sock.wait("connect")
    error = caught.value
    errors = error.errors if isinstance(error, gnet.AggregateError) else [error]
    assert {each.code for each in errors} == {"ERR_IP_BLOCKED"}  # type: ignore[attr-defined]


def test_an_answer_of_a_lookup_leads_past_a_block_list_in_no_form(tcp: Net) -> None:
    port = tcp.target(tcp.server())[0]
    for answer in ("127.0.0.1", ("::ffff:127.0.0.1", 6), [("127.0.0.1", 4), ("::1", 6)]):
        sock = tcp.keep(
            gnet.connect(
                port, "a.name", lookup=lambda *_, answer=answer, **__: answer,
                block_list=loopback(),
            )
        )  # fmt: skip
        with pytest.raises(OSError):
            sock.wait("connect")
        assert sock.auto_select_family_attempted_addresses == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux connects to itself")
@pytest.mark.parametrize(("host", "family"), [("0.0.0.0", "ipv4"), ("::", "ipv6")])
def test_the_unspecified_address_reaches_this_machine_unless_it_is_on_the_list(
    tcp: Net, host: str, family: str
) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.keep(gnet.Server(arrived.put)).listen(0, "::")
    port = server.address().port
    blocked = loopback()
    tcp.keep(gnet.connect(port, host, block_list=blocked)).wait("connect")
    arrived.get()
    blocked.add_address(host, family)
    with pytest.raises(PermissionError) as caught:
        tcp.keep(gnet.connect(port, host, block_list=blocked)).wait("connect")
    assert caught.value.code == "ERR_IP_BLOCKED"  # type: ignore[attr-defined]
