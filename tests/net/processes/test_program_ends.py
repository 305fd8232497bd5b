"""The end of a program: what its sockets have still to say is said first."""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

import gevent
import pytest
from gevent import socket

from tests.helpers.blackhole import blackhole
from tests.helpers.peers import python, run, running
from tests.helpers.servers import receive_all
from tests.net.conftest import Net

SIZE = 20_000_000

BEGIN = """
import os, sys
if os.environ.get("PATCHED"):
    from gevent import monkey
    monkey.patch_all()
import gevent, gnet
target = (sys.argv[1],) if "/" in sys.argv[1] else (int(sys.argv[1]), "127.0.0.1")
big = b"x" * 20_000_000
"""

PROGRAMS = {
    "behind close()": "with gnet.connect(*target) as sock: sock.write(big)",
    "behind end()": "sock = gnet.connect(*target); sock.end(big)",
    "queued": "sock = gnet.connect(*target); sock.wait('connect'); sock.write(big)",
    "corked": "sock = gnet.connect(*target); sock.cork(); sock.wait('connect'); sock.write(big)",
    "while connecting": "sock = gnet.connect(*target); sock.write(big); sock.close()",
    "behind run()": """
sock = gnet.connect(*target).unref()
sock.wait("connect")
sock.write(big)
gnet.run()
""",
    "behind an exception": """
sock = gnet.connect(*target)
sock.end(big)
raise SystemExit(0)
""",
    "in a greenlet of its own": """
def send():
    with gnet.connect(*target) as sock:
        sock.write(big)
gevent.spawn(send).join()
""",
    "with something unread": """
sock = gnet.connect(*target)
sock.wait("connect")
sock.end(big)
""",
}


@pytest.fixture(params=["", "1"], ids=["plain", "patched"])
def patched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHED", request.param)


def target_of(peer: Any) -> str:
    return str(Net.target(peer)[0])


@pytest.mark.limit(60)
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.usefixtures("patched")
def test_everything_arrives_that_was_written(net: Net, name: str) -> None:
    if net.kind == "ipv6":
        pytest.skip("as IPv4")
    listener = net.listening_peer()
    with running(*python(BEGIN + PROGRAMS[name], target_of(listener))) as program:
        peer = net.keep(listener.accept()[0])
        if name == "with something unread":
            peer.sendall(b"nobody reads this")
        received = receive_all(peer)
        peer.close()
        assert program.finish().status == 0
    assert len(received) == SIZE


@pytest.mark.limit(60)
def test_what_a_peer_does_not_take_ends_in_a_reset(tcp: Net) -> None:
    listener = tcp.listening_peer()
    program = (
        BEGIN
        + "import gnet._server.at_exit; gnet._server.at_exit.PATIENCE_SECONDS = 0.2\n"
        + PROGRAMS["queued"]
    )
    with running(*python(program, target_of(listener))) as running_program:
        peer = tcp.keep(listener.accept()[0])
        assert running_program.finish().status == 0
        with pytest.raises(ConnectionResetError):
            while peer.recv(1 << 20):
                pass


@pytest.mark.limit(60)
def test_a_connection_that_is_not_made_is_waited_for_no_longer_than_a_peer(tcp: Net) -> None:
    program = BEGIN + "import gnet._server.at_exit; gnet._server.at_exit.PATIENCE_SECONDS = 0.2\n"
    with blackhole() as hole:
        begun = time.monotonic()
        with running(*python(program + PROGRAMS["while connecting"], str(hole.port))) as ending:
            assert ending.finish().status == 0
        assert time.monotonic() - begun < 30


@pytest.mark.limit(60)
def test_a_connection_that_is_refused_is_reported(tcp: Net) -> None:
    port, _ = tcp.refusing()
    with running(*python(BEGIN + PROGRAMS["while connecting"], str(port))) as program:
        assert b"ConnectionRefusedError" in program.finish().complaints


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
@pytest.mark.limit(60)
@pytest.mark.usefixtures("patched")
def test_an_interruption_ends_the_waiting(tcp: Net) -> None:
    listener = tcp.listening_peer()
    program = (
        BEGIN
        # Longer than this program may run.
        + "import gnet._server.at_exit; gnet._server.at_exit.PATIENCE_SECONDS = 3600\n"
        + PROGRAMS["queued"]
        + "\nprint('waits', flush=True)"
    )
    with running(*python(program, target_of(listener))) as waiting:
        peer = tcp.keep(listener.accept()[0])
        assert waiting.line() == b"waits"
        # Its exit hook stops what it has listening, and has nothing to say of it: be sure that
        # it has begun.
        gevent.sleep(0.5)
        waiting.signal(signal.SIGINT)
        waiting.wait()
        with pytest.raises(ConnectionResetError):
            while peer.recv(1 << 20):
                pass


@pytest.mark.limit(60)
def test_servers_accept_no_more_while_the_program_ends(tcp: Net) -> None:
    listener = tcp.listening_peer()
    program = BEGIN + PROGRAMS["queued"] + (
        "\nserver = gnet.create_server().listen(0, '127.0.0.1')"
        "\nprint(server.address().port, flush=True)"
    )  # fmt: skip
    with running(*python(program, target_of(listener))) as ending:
        peer = tcp.keep(listener.accept()[0])
        port = int(ending.line())
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                break
            gevent.sleep(0.01)
        assert len(receive_all(peer)) == SIZE
        peer.close()
        assert ending.finish().status == 0


@pytest.mark.limit(60)
def test_a_program_with_nothing_to_say_does_not_wait(tcp: Net) -> None:
    listener = tcp.listening_peer()
    program = BEGIN + (
        "sock = gnet.connect(*target); sock.sendall(b'x'); gnet.connect(*target)\n"
        "server = gnet.create_server().listen(0)\n"
        "import gnet._server.at_exit; gnet._server.at_exit.gevent.joinall = None"
    )
    with running(*python(program, target_of(listener))) as ending:
        outcome = ending.finish()
    assert (outcome.status, outcome.complaints) == (0, b"")


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
@pytest.mark.limit(60)
def test_a_forked_child_does_not_send_what_is_its_parents(tcp: Net) -> None:
    listener = tcp.listening_peer()
    program = (
        BEGIN
        + PROGRAMS["queued"]
        + """
if os.fork() == 0:
    sys.exit()
print(os.wait()[1], flush=True)
"""
    )
    with running(*python(program, target_of(listener))) as parent:
        peer = tcp.keep(listener.accept()[0])
        # The child has ended although nobody reads.
        assert parent.line() == b"0"
        assert len(receive_all(peer)) == SIZE
        peer.close()
        assert parent.finish().status == 0


@pytest.mark.limit(60)
def test_the_pure_form_does_the_same(tcp: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNET_PURE", "1")
    test_everything_arrives_that_was_written(tcp, "behind close()")


@pytest.mark.limit(60)
@pytest.mark.parametrize("pure", ["", "1"], ids=["compiled", "pure"])
def test_a_socket_that_is_left_open_says_nothing_at_the_end(
    monkeypatch: pytest.MonkeyPatch, pure: str
) -> None:
    """On libuv the loop keeps it until the modules are cleared away."""
    monkeypatch.setenv("GNET_PURE", pure)
    program = """
import sys
from socket import socketpair
if "patched" in sys.argv:
    import gevent.monkey
    gevent.monkey.patch_all()
import gnet
sock = gnet.Socket(handle=socketpair()[0])
"""
    for arguments in [], ["patched"]:
        outcome = run(*python(program, *arguments))
        assert (outcome.status, outcome.complaints) == (0, b"")
