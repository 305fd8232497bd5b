"""A child that is forked when its parent's loop has been woken, and has not looked yet."""

from __future__ import annotations

import os

import pytest

from tests.conftest import PATCHED
from tests.helpers.peers import python, run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# The first child ends while the loop waits for events, and the signal of that is noted. Of what
# runs ahead of the loop's look at its notes, a watcher of checks is one. The grandchild has ended
# ahead of the child's first wait for events, which then has nothing but that signal to end it.
PROGRAM = f"""
if {PATCHED}:
    import gevent.monkey
    gevent.monkey.patch_all()
import os
import time
import warnings
from _socket import close

import gevent
from gevent.event import Event
from gevent.monkey import get_original

import gnet

warnings.simplefilter("ignore", DeprecationWarning)
fork = get_original("os", "fork")
read = get_original("os", "read")
loop = gevent.get_hub().loop
loop.install_sigchld()
results, there = os.pipe()
gone, go = os.pipe()
forked = Event()

first = fork()
if not first:
    close(go)
    read(gone, 1)
    os._exit(0)
end_of_first = loop.child(first)
end_of_first.start(end_of_first.close)


def see_the_end_of_a_child():
    with gevent.Timeout(5, False):
        pid = fork()
        if not pid:
            os._exit(0)
        end = loop.child(pid)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        begun = time.monotonic()
        gevent.get_hub().wait(end)
        # When the time limit ends the wait, the signal is seen ahead of it.
        if time.monotonic() - begun < 4:
            os.write(there, b"seen")
    os._exit(0)


def fork_when_woken():
    # libuv's loop has no such note.
    if getattr(loop, "sig_pending", True):
        check.stop()
        if fork():
            forked.set()
        else:
            gevent.spawn(see_the_end_of_a_child)


check = loop.check()
check.start(fork_when_woken)
loop.run_callback(close, go)
assert forked.wait(10)
close(there)
print(read(results, 100).decode())
"""


def test_the_child_sees_the_end_of_its_own_child_at_once() -> None:
    outcome = run(*python(PROGRAM))
    assert outcome.output == b"seen\n", outcome.complaints
