"""A program that has SIGPIPE at its default lives on when a peer resets."""

from __future__ import annotations

import sys

import pytest

from tests.helpers.peers import python, run

if sys.platform == "win32":
    pytest.skip("Windows has no SIGPIPE", allow_module_level=True)

BEGIN = """
import os, signal, socket, struct
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
import gevent, gnet

def pair():
    listener = socket.create_server(("127.0.0.1", 0))
    there = socket.create_connection(listener.getsockname())
    here = listener.accept()[0]
    return gnet.Socket(handle=here), there

def vanish(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()

def quietly(call, *args):
    try:
        call(*args)
    except OSError as exc:
        print(type(exc).__name__)

big = bytes(16 << 20)
"""
END = """
gevent.sleep(0.05)
print("alive")
"""

PROGRAMS = {
    "write": """
sock, peer = pair()
sock.on("error", lambda exc: None)
vanish(peer)
for _ in range(3):
    sock.write(b"x")
""",
    "sendall": """
sock, peer = pair()
vanish(peer)
for _ in range(3):
    quietly(sock.sendall, b"x")
    quietly(sock.sendall, bytearray(b"x"))
""",
    "a queue": """
sock, peer = pair()
sock.on("error", lambda exc: None)
sock.write(big)
sock.write(b"more")
vanish(peer)
gevent.sleep(0.05)
""",
    "a Unix socket": """
ends = socket.socketpair()
sock = gnet.Socket(handle=ends[0])
sock.on("error", lambda exc: None)
ends[1].close()
for _ in range(3):
    sock.write(b"x")
sock = gnet.Socket(handle=socket.socketpair()[0])
quietly(sock.sendall, b"x")
""",
    "a pipe": """
reader, writer = os.pipe()
sock = gnet.Socket(fd=writer)
sock.on("error", lambda exc: None)
sock.write(big)
os.close(reader)
gevent.sleep(0.05)
reader, writer = os.pipe()
sock = gnet.Socket(fd=writer)
os.close(reader)
quietly(sock.sendall, b"x")
""",
    "bytes that the kernel moves": """
source, sender = pair()
sink, peer = pair()
sink.on("error", lambda exc: None)
source.pipe(sink)
peer.close()
for _ in range(5):
    sender.sendall(b"x" * 1000)
    gevent.sleep(0.02)
""",
    "bytes that the kernel has kept": """
source, sender = pair()
sink, peer = pair()
sink.on("error", lambda exc: None)
source.pipe(sink)
sender.setblocking(False)
for _ in range(200):
    try:
        sender.send(big)
    except BlockingIOError:
        gevent.sleep(0.001)
vanish(peer)
gevent.sleep(0.05)
""",
}


@pytest.mark.limit(60)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_peer_that_has_gone_ends_no_process(name: str) -> None:
    outcome = run(*python(BEGIN + PROGRAMS[name] + END))
    assert outcome.status == 0, outcome.complaints
    assert outcome.output.splitlines()[-1:] == [b"alive"]


def test_the_signal_that_was_held_back_is_gone() -> None:
    program = """
import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
from gnet._transport.sigpipe import without_sigpipe
reader, writer = os.pipe()
os.close(reader)
try:
    without_sigpipe(os.write, writer, b"x")
except BrokenPipeError:
    print("broken")
print(signal.SIGPIPE in signal.sigpending(), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
sys.stdout.flush()
os.write(writer, b"x")
print("alive")
"""
    outcome = run(*python(program))
    assert outcome.output.splitlines() == [b"broken", b"False set()"]
    assert outcome.status < 0
