"""Ctrl-C ends a program that waits, whatever its connections wait for."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.helpers.peers import python, running

if sys.platform == "win32":
    pytest.skip("on Windows a process cannot signal itself", allow_module_level=True)

PROGRAM = """
import os, signal, sys, threading
if {patched}:
    from gevent import monkey
    monkey.patch_all()
import gevent, gnet
from gevent.monkey import get_original

def turn():
    with gevent.get_hub().loop.timer(0) as now:
        gevent.get_hub().wait(now)

def interrupt():
    # Until the main thread blocks in the loop, of which nothing tells.
    get_original("time", "sleep")(0.3)
    os.kill(os.getpid(), signal.SIGINT)

server = gnet.create_server({handler}).listen(0, "127.0.0.1")
sock = gnet.connect(server.port, "127.0.0.1")
sock.sendall(b"x")
# All is read that comes, so that nothing wakes the loop when the signal does.
for _ in range(10):
    turn()
get_original("_thread", "start_new_thread")(interrupt, ())
{wait}
print("nobody heard of it", flush=True)
"""

LISTENS = "lambda sock: sock.on('data', lambda chunk: None)"
RECEIVES = "lambda sock: (sock.recv(), sock.recv())"

WAITS = {
    "a server whose connections have listeners": (LISTENS, "gnet.run()"),
    "a server whose handlers receive": (RECEIVES, "server.serve_forever()"),
    "a server that reads nothing": ("lambda sock: None", "gnet.run()"),
    "a server that pipes": ("lambda sock: sock.pipe(sock)", "gnet.run()"),
    "a read": (LISTENS, "sock.recv()"),
    "an iteration": (LISTENS, "list(sock)"),
    "an event": (LISTENS, "sock.wait('close')"),
    "a timer beside connections": (LISTENS, "gevent.sleep(60)"),
}


@pytest.mark.limit(60)
@pytest.mark.parametrize("patched", [False, True], ids=["plain", "patched"])
@pytest.mark.parametrize("what", WAITS)
def test_ctrl_c_ends_a_program_that_waits_for(what: str, patched: bool) -> None:
    handler, wait = WAITS[what]
    program = PROGRAM.format(patched=patched, handler=handler, wait=wait)
    with running(*python(program)) as waiting:
        outcome = waiting.wait()
    assert (outcome.output, outcome.status) == (b"", -signal.SIGINT)
    assert b"KeyboardInterrupt" in outcome.complaints
