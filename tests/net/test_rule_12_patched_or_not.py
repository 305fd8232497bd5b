"""Rule 12: everything is the same with gevent.monkey.patch_all() and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PATCH = "from gevent import monkey; monkey.patch_all()\n"

EXCHANGE = """
import gnet, os, tempfile, gevent

def shout(sock):
    for line in sock.makefile("rb"):
        sock.sendall(line.upper())

log = []
with tempfile.TemporaryDirectory() as directory:
    for place in ((0, "127.0.0.1"), (0, "::1"), (os.path.join(directory, "s"),)):
        blocking = gnet.create_server(shout, end_on_return=True).listen(*place)
        address = blocking.address()
        target = (address,) if isinstance(address, str) else (address.port, address.address)
        with gnet.connect(*target) as sock:
            sock.sendall(b"one\\ntwo\\n")
            lines = sock.makefile("rb")
            log.append([lines.readline(), lines.readline()])
            lines.close()
        blocking.close()
    events = gnet.create_server(no_delay=True)
    @events.on("connection")
    def connected(sock):
        sock.set_timeout(5)
        sock.write("hello ")
        sock.pipe(sock)
    events.listen(0, "localhost")
    client = gnet.connect(events.address().port, "localhost")
    client.set_encoding("utf-8")
    client.on("data", lambda text: log.append(text))
    client.on("connect", lambda: log.append("connect"))
    client.on("close", lambda had_error: log.append(("close", had_error)))
    client.wait("connect")
    while "hello" not in "".join(each for each in log if isinstance(each, str)):
        client.wait("data")
    refused = gnet.connect(1, "127.0.0.1")
    try:
        refused.recv()
    except ConnectionRefusedError as exc:
        log.append((exc.code, exc.syscall, exc.address, exc.port))
    client.set_timeout(0.05)
    try:
        client.wait("drain")
    except TimeoutError as exc:
        log.append(exc.code)
    client.set_timeout(0)
    client.end()
    client.wait("close")
    events.close()
    log.append(gnet.run())
print(log)
"""

EXPECTED = (
    "[[b'ONE\\n', b'TWO\\n'], [b'ONE\\n', b'TWO\\n'], [b'ONE\\n', b'TWO\\n'], 'connect', "
    "'hello ', ('ECONNREFUSED', 'connect', '127.0.0.1', 1), 'ETIMEDOUT', ('close', False), "
    "True]\n"
)


def run(script: str) -> str:
    """Run a program of its own; gives what it has printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


pytestmark = pytest.mark.limit(40)


@pytest.mark.parametrize("patch", ["", PATCH], ids=["plain", "patched"])
def test_an_exchange_is_the_same(patch: str) -> None:
    assert run(patch + EXCHANGE) == EXPECTED


def test_an_exchange_is_the_same_when_gnet_was_imported_before_the_patch() -> None:
    assert run("import gnet\n" + PATCH + EXCHANGE) == EXPECTED


def test_gnet_patches_nothing() -> None:
    assert (
        run(
            """
import select, socket, threading, time, ssl, os, signal, subprocess, queue
from gevent import monkey
modules = (select, socket, threading, time, ssl, os, signal, subprocess, queue)
before = [dict(vars(module)) for module in modules]
import gnet, gnet.dns, gnet.errors, gnet.events
server = gnet.create_server(lambda sock: sock.end("hello")).listen(0, "127.0.0.1")
with gnet.connect(server.address().port, "127.0.0.1") as sock:
    sock.recv()
server.close()
gnet.run()
print([vars(module) == names for module, names in zip(modules, before)])
print(monkey.saved, monkey.is_module_patched("socket"))
"""
        )
        == f"{[True] * 9}\n{{}} False\n"
    )


@pytest.mark.parametrize("patch", ["", PATCH], ids=["plain", "patched"])
def test_blocking_calls_block_their_own_greenlet_only(patch: str) -> None:
    assert (
        run(
            patch
            + """
import gevent, gnet
class Ticked(Exception):
    pass
def tick(blocked):
    for _ in range(6):
        gevent.sleep(0.01)
    gevent.kill(blocked, Ticked)
arrivals = []
server = gnet.create_server(arrivals.append).listen(0, "127.0.0.1")
sock = gnet.connect(server.address().port, "localhost")
sock.wait("connect")
for call in (sock.recv, lambda: sock.sendall(bytes(50_000_000)), lambda: sock.wait("data"),
             lambda: gnet.run(), server.wait_closed):
    gevent.spawn(tick, gevent.getcurrent())
    try:
        call()
    except Ticked:
        print(True)
sock.destroy()
[each.destroy() for each in arrivals]
server.close()
print(gnet.run())
"""
        )
        == "True\n" * 6
    )


def test_patched_blocking_calls_in_a_listener_hold_back_their_own_connection_only() -> None:
    assert (
        run(
            PATCH
            + """
import socket, threading, time, gnet
log = []
def connected(sock):
    def received(chunk):
        if chunk == b"slow":
            time.sleep(0.3)
        log.append(chunk)
        sock.write(chunk)
    sock.on("data", received)
server = gnet.create_server(connected).listen(0, "127.0.0.1")
slow = socket.create_connection(("127.0.0.1", server.address().port))
fast = socket.create_connection(("127.0.0.1", server.address().port))
slow.sendall(b"slow")
time.sleep(0.05)
for _ in range(3):
    fast.sendall(b"fast")
    fast.recv(10)
slow.recv(10)
print(log)
slow.close()
fast.close()
server.close()
gnet.run()
"""
        )
        == "[b'fast', b'fast', b'fast', b'slow']\n"
    )


def test_patched_thread_locals_belong_to_the_connection_with_end_on_return() -> None:
    assert (
        run(
            PATCH
            + """
import socket, threading, gnet
own = threading.local()
log = []
def handler(sock):
    log.append((hasattr(own, "name"), threading.current_thread().name != "MainThread"))
    own.name = sock.recv()
    sock.sendall(b"next")
    sock.recv()
    log.append(own.name)
server = gnet.create_server(handler, end_on_return=True).listen(0, "127.0.0.1")
peers = [socket.create_connection(("127.0.0.1", server.address().port)) for _ in range(3)]
for number, peer in enumerate(peers):
    peer.sendall(b"%d" % number)
for peer in peers:
    peer.recv(10)
for peer in peers:
    peer.sendall(b"go")
    peer.recv(1)
    peer.close()
server.close()
gnet.run()
print(log)
"""
        )
        == "[(False, True), (False, True), (False, True), b'0', b'1', b'2']\n"
    )


@pytest.mark.parametrize("patch", ["", PATCH], ids=["plain", "patched"])
@pytest.mark.parametrize("kind", ["socket", "gevent.socket", "_socket"])
def test_a_handle_may_be_any_kind_of_socket(patch: str, kind: str) -> None:
    assert (
        run(
            patch
            + f"""
import {kind}, gnet
import socket as plain
here, there = {kind}.socketpair()
sock, other = gnet.Socket(handle=here), gnet.Socket(handle=there)
sock.sendall(b"hello")
print(other.recv())
other.on("data", print)
sock.end(b"bye")
print(other.wait("close"))
print(gnet.run(timeout=5))
"""
        )
        == "b'hello'\nb'bye'\n(False,)\nTrue\n"
    )


@pytest.mark.parametrize("patch", ["", PATCH], ids=["plain", "patched"])
def test_a_hub_belongs_to_its_thread(patch: str) -> None:
    """Two real threads, each with its servers and its run()."""
    assert (
        run(
            patch
            + """
import gevent, gnet
results = []
def program():
    server = gnet.create_server(lambda sock: sock.end(b"hello"))
    server.listen(0, "127.0.0.1")
    with gnet.connect(server.address().port, "127.0.0.1") as sock:
        results.append(sock.recv())
    server.close()
    results.append(gnet.run(timeout=5))
    gevent.get_hub().destroy()
pool = gevent.get_hub().threadpool
jobs = [pool.spawn(program) for _ in range(2)]
gevent.joinall(jobs)
[job.get() for job in jobs]
print(results.count(b"hello"), results.count(True))
"""
        )
        == "2 2\n"
    )
