"""Rule 11: what keeps gnet.run(), and what becomes of a socket that nothing refers to."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

ROOT = Path(__file__).parents[2]
SHORT = 0.05


def is_held() -> bool:
    """Whether something keeps gnet.run()."""
    return not gnet.run(timeout=SHORT)


# ---------------------------------------------------------------------------------------------
# run()


def test_run_returns_at_once_when_nothing_is_open() -> None:
    begun = time.monotonic()
    assert gnet.run() is True
    assert gnet.run(timeout=10) is True
    assert gnet.run(timeout=0) is True
    assert time.monotonic() - begun < 5


def test_a_server_keeps_run_while_it_is_open(net: Net) -> None:
    server = net.server()
    assert is_held()
    assert gnet.run(timeout=0) is False
    server.close()
    assert gnet.run() is True


def test_a_server_that_is_unrefed_does_not_keep_run(net: Net) -> None:
    server = net.server()
    assert server.unref() is server
    assert not is_held()
    server.unref()
    assert server.ref() is server
    server.ref()
    assert is_held()


def test_a_server_may_be_unrefed_before_it_listens(net: Net) -> None:
    server = net.keep(gnet.create_server())
    server.unref()
    server.listen(*net.place())
    assert not is_held()


def test_a_server_that_does_not_listen_does_not_keep_run() -> None:
    gnet.create_server()
    assert not is_held()


def test_a_socket_that_does_not_connect_does_not_keep_run() -> None:
    gnet.Socket()
    assert not is_held()


def test_a_connection_keeps_run_while_it_is_open(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    sock.on("data", lambda chunk: None)
    assert is_held()
    peer = net.keep(listener.accept()[0])
    assert is_held()
    peer.close()
    assert gnet.run() is True
    assert sock.closed


def test_a_connection_that_is_being_made_keeps_run(tcp: Net) -> None:
    resolved = Event()
    sock = tcp.resolving(resolved.wait)
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    server.unref()
    assert is_held()
    sock.destroy()
    resolved.set()
    assert gnet.run() is True


def test_a_connection_that_is_unrefed_does_not_keep_run(net: Net) -> None:
    sock, _ = net.connected()
    sock.on("data", lambda chunk: None)
    assert is_held()
    assert sock.unref() is sock
    assert not is_held()
    assert sock.ref() is sock
    assert is_held()
    sock.destroy()
    assert gnet.run() is True


def test_a_socket_may_be_unrefed_before_it_connects(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.keep(gnet.Socket())
    sock.unref()
    sock.connect(*net.target(listener))
    sock.wait("connect")
    assert not is_held()


def test_a_paused_connection_with_nothing_queued_holds_nothing(net: Net) -> None:
    sock, peer = net.connected()
    sock.on("data", lambda chunk: None)
    sock.pause()
    assert not is_held()
    sock.resume()
    assert is_held()
    sock.pause()
    sock.write(bytes(10_000_000))
    assert is_held()
    received = 0
    while received < 10_000_000:
        received += len(peer.recv(1_000_000))
    assert not is_held()


def test_run_returns_after_the_last_close_has_been_delivered(net: Net) -> None:
    server = net.server()
    log: list[str] = []

    def closed(*args: Any) -> None:
        net.turns(2)
        log.append("closed")

    server.on("connection", lambda sock: (sock.on("close", closed), sock.destroy()))
    server.once("connection", lambda sock: server.close(closed))
    server.on("close", closed)
    net.peer(server)
    assert gnet.run() is True
    assert log == ["closed"] * 3


def test_run_returns_after_the_last_callback_has_been_delivered(net: Net) -> None:
    sock, _peer = net.connected()
    log: list[str] = []

    def written(*args: Any) -> None:
        net.turns(2)
        log.append("written")

    sock.write(b"data", callback=written)
    sock.unref()
    assert gnet.run() is True
    assert log == ["written"]


def test_run_goes_on_while_a_listener_opens_something_new(net: Net) -> None:
    first = net.server()
    opened: list[gnet.Server] = []
    first.on("close", lambda: opened.append(net.server()))
    first.close()
    assert gnet.run(timeout=SHORT) is False
    assert opened[0].listening
    opened[0].close()
    assert gnet.run() is True


def test_run_may_be_called_in_a_greenlet_and_twice_at_a_time(net: Net) -> None:
    server = net.server()
    runs = [gevent.spawn(gnet.run) for _ in range(3)]
    net.turns()
    assert not any(run.ready() for run in runs)
    server.close()
    assert [run.get() for run in runs] == [True] * 3


def test_run_can_be_left_by_a_timeout_of_gevents(net: Net) -> None:
    server = net.server()
    with gevent.Timeout(SHORT, False):
        gnet.run()
        pytest.fail("run() returned")
    assert server.listening


def run_script(script: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program of its own, which imports gnet."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **options,
    )


@pytest.mark.limit(40)
def test_a_program_in_event_style_runs_to_its_end() -> None:
    done = run_script(
        """
import gnet
server = gnet.create_server()
@server.on("connection")
def connected(sock):
    sock.write("hello")
    sock.pipe(sock)
server.listen(0, "127.0.0.1")
client = gnet.connect(server.address().port, "127.0.0.1")
client.set_encoding()
@client.on("data")
def received(text):
    print(text, flush=True)
    client.end()
    server.close()
client.on("close", lambda had_error: print("closed", had_error))
print(gnet.run())
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\nclosed False\nTrue\n", "")


@pytest.mark.limit(40)
def test_a_program_with_an_unrefed_server_ends() -> None:
    done = run_script(
        "import gnet; s = gnet.create_server().listen(0, '127.0.0.1').unref(); print(gnet.run())"
    )
    assert (done.returncode, done.stdout) == (0, "True\n")


@pytest.mark.limit(40)
def test_a_program_that_is_interrupted_leaves_run() -> None:
    done = run_script(
        """
import gnet, os, signal, threading
server = gnet.create_server().listen(0, "127.0.0.1")
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    gnet.run()
except KeyboardInterrupt:
    print("interrupted")
    server.close()
    print(gnet.run())
"""
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\nTrue\n")


# ---------------------------------------------------------------------------------------------
# Collected.


def collected(reference: Callable[[], Any]) -> bool:
    for _ in range(5):
        gc.collect()
        gevent.sleep(0)
    return reference() is None


def test_a_connected_socket_that_nothing_refers_to_is_closed_with_a_warning(net: Net) -> None:
    listener = net.listening_peer()
    sock = gnet.connect(*net.target(listener))
    peer = net.keep(listener.accept()[0])
    sock.wait("connect")
    reference = weakref.ref(sock)
    with pytest.warns(ResourceWarning, match="unclosed.*Socket"):
        del sock
        gc.collect()
    # The record of the warning refers to its source: only now is it gone.
    assert collected(reference)
    assert peer.recv(1) == b""


def test_a_socket_that_was_read_is_collected_as_well(net: Net) -> None:
    listener = net.listening_peer()
    sock = gnet.connect(*net.target(listener))
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"hello")
    assert sock.recv() == b"hello"
    sock.sendall(b"hello")
    listener = sock.once("data", lambda chunk: None)
    sock.remove_all_listeners()
    reference = weakref.ref(sock)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del sock, listener
        gc.collect()
    assert collected(reference)
    assert peer.recv(100) == b"hello"
    assert peer.recv(1) == b""


@pytest.mark.parametrize("how", ["destroy", "close", "end", "never", "refused"])
def test_a_socket_that_is_over_is_collected_without_a_warning(
    net: Net, how: str, recwarn: pytest.WarningsRecorder
) -> None:
    if how == "never":
        sock = gnet.Socket()
    elif how == "refused":
        sock = gnet.connect(*net.refusing())
        with pytest.raises(ConnectionRefusedError):
            sock.wait("connect")
        net.closed(sock)
    else:
        listener = net.listening_peer()
        sock = gnet.connect(*net.target(listener))
        peer = net.keep(listener.accept()[0])
        sock.wait("connect")
        getattr(sock, how)()
        peer.close()
        net.closed(sock)
    reference = weakref.ref(sock)
    del sock
    assert collected(reference)
    assert not [each for each in recwarn if each.category is ResourceWarning]


def test_a_closing_socket_lives_until_everything_is_sent(net: Net) -> None:
    listener = net.listening_peer()
    sock = gnet.connect(*net.target(listener))
    peer = net.keep(listener.accept()[0])
    sock.write(bytes(5_000_000))
    sock.close()
    reference = weakref.ref(sock)
    del sock
    gc.collect()
    assert len(peer.makefile("rb").read()) == 5_000_000
    peer.close()
    gnet.run()
    assert collected(reference)


def test_a_servers_connection_is_freed_when_it_has_closed(net: Net) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    server = net.server(arrivals.put)
    peer = net.peer(server)
    sock = arrivals.get()
    sock.on("data", sock.write)
    reference = weakref.ref(sock)
    peer.close()
    net.closed(sock)
    del sock
    assert collected(reference)
    assert server.connections == frozenset()


def test_an_accepted_socket_whose_server_has_closed_is_collected(net: Net) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    server = net.server(arrivals.put)
    peer = net.peer(server)
    sock = arrivals.get()
    reference = weakref.ref(sock)
    # The server has not emitted 'close', for one of its connections is open.
    server.close()
    del sock
    gc.collect()
    assert reference() is not None
    reference().destroy()  # type: ignore[union-attr]
    assert peer.recv(1) == b""
    assert collected(reference)


def test_a_server_that_nothing_refers_to_goes_on_serving(net: Net) -> None:
    server = gnet.create_server(lambda sock: sock.end(b"hello"))
    server.listen(*net.place())
    target = net.target(server)
    reference = weakref.ref(server)
    del server
    gc.collect()
    with gnet.connect(*target) as sock:
        assert sock.recv() == b"hello"
    server = reference()
    assert server is not None
    server.close()
    del server
    gnet.run()
    assert collected(reference)


def test_a_finalizer_closes_and_emits_nothing(net: Net) -> None:
    """It may run anywhere: in the hub, in the midst of anybody's call."""
    listener = net.listening_peer()
    sock = gnet.connect(*net.target(listener))
    peer = net.keep(listener.accept()[0])
    sock.wait("connect")
    calls: list[Any] = []
    sock.on("close", calls.append)
    sock.off("close", calls.append)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del sock
        gc.collect()
    net.turns()
    assert peer.recv(1) == b""
    assert calls == []


def test_a_socket_over_a_handle_is_closed_when_it_is_collected(net: Net) -> None:
    here, there = socket.socketpair()
    with there:
        sock = gnet.Socket(handle=here)
        net.turns()
        reference = weakref.ref(sock)
        with pytest.warns(ResourceWarning, match="unclosed"):
            del sock, here
            gc.collect()
        assert collected(reference)
        assert there.recv(1) == b""


def test_detach_gives_the_descriptor_away(net: Net, must_call: Calls) -> None:
    sock, peer = net.connected()
    number = sock.detach()
    assert sock.fileno() == -1
    taken = socket.socket(fileno=number)
    with taken:
        taken.sendall(b"still open")
        assert peer.recv(100) == b"still open"


def test_many_short_connections_leave_no_objects(tcp: Net) -> None:
    server = tcp.server(lambda sock: sock.pipe(sock))

    def visit() -> None:
        with gnet.connect(*tcp.target(server)) as sock:
            sock.sendall(b"x")
            sock.recv()
            sock.end()
            assert sock.recv() == b""

    def alive() -> int:
        gc.collect()
        return sum(type(each) is gnet.Socket for each in gc.get_objects())

    for _ in range(5):
        visit()
    tcp.turns()
    before = alive()
    for _ in range(50):
        visit()
    tcp.turns()
    assert alive() <= before
