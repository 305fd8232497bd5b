"""The guards of every test: each fails a test that deserves it, and leaves a good one alone."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.helpers.peers import PROGRAM_LIMIT, run

ROOT = Path(__file__).parent.parent

CONFTEST = """
import tests.conftest as guards
from tests.conftest import *
guards.SETTLING_LIMIT = 0.2
guards.FIXTURES_LIMIT = 0.5
"""

SUITE = """
import os
import gevent, gnet, pytest, zope.event
from gevent import socket
from gevent.event import Event

kept = []

def test_good_and_quick():
    pass

def test_good_and_slow_to_end():
    here, there = socket.socketpair()
    def answer():
        with there:
            there.sendall(here.recv(1))
        here.close()
    gevent.spawn(answer)
    there.sendall(b"x")

def test_good_with_a_death_that_it_expects(hub_errors):
    gevent.spawn(lambda: 1 / 0).join()
    assert isinstance(hub_errors.pop(), ZeroDivisionError)

def test_good_with_the_calls_that_it_expects(must_call, must_not_call):
    gevent.spawn(must_call(lambda x: x, times=1), 1)
    must_not_call("this one")
    must_call.wait()

def test_bad_leaves_a_descriptor():
    kept.append(socket.socket())

def test_bad_closes_what_is_not_its_own():
    os.close(kept.pop().detach())
    os.close(borrowed.fileno())

borrowed = open(os.devnull)

def wait_for_ever():
    Event().wait()

def test_bad_leaves_a_greenlet():
    kept.append(gevent.spawn(wait_for_ever))

def test_bad_leaves_a_watcher():
    timer = gevent.get_hub().loop.timer(1000, ref=False)
    timer.start(int)
    kept.append(timer)

def test_bad_has_a_greenlet_that_dies():
    gevent.spawn(lambda: 1 / 0)

def test_bad_is_not_called_back(must_call):
    must_call()

def test_bad_is_called_twice(must_call, hub_errors):
    listener = must_call()
    for _ in range(2):
        gevent.spawn(listener).join()
    hub_errors.clear()

def test_bad_is_called_all_the_same(must_not_call, hub_errors):
    gevent.spawn(must_not_call("this one")).join()
    hub_errors.clear()

@pytest.mark.limit(0.05)
def test_bad_hangs():
    here, there = socket.socketpair()
    with here, there:
        here.recv(1)

@pytest.fixture
def endless():
    yield
    here, there = socket.socketpair()
    with here, there:
        here.recv(1)

def test_bad_has_a_fixture_that_hangs(endless):
    pass

def test_bad_keeps_run():
    gnet._core.dispatcher.dispatcher().hold()

def test_good_although_another_keeps_run():
    gnet._core.dispatcher.dispatcher().release()

def test_bad_waits_for_nobody():
    Event().wait()

def test_good_has_no_subscriber_of_another_test():
    zope.event.subscribers.append(print)

def test_good_has_no_subscriber_of_another_test_either():
    assert print not in zope.event.subscribers
"""

# What the guards say of each bad test.
COMPLAINTS = {
    "test_bad_leaves_a_descriptor": "is open: socket:",
    "test_bad_closes_what_is_not_its_own": "was closed by somebody else: /dev/null",
    "test_bad_leaves_a_greenlet": "has not ended; it is in wait_for_ever",
    "test_bad_leaves_a_watcher": "watcher is active: <timer",
    "test_bad_has_a_greenlet_that_dies": "nobody caught .ZeroDivisionError",
    "test_bad_is_not_called_back": "was called 0 times instead of 1",
    "test_bad_is_called_twice": "was called 2 times instead of 1",
    "test_bad_is_called_all_the_same": "this one was called 1 times instead of 0",
    "test_bad_hangs": "Timeout: 0.05 seconds",
    "test_bad_has_a_fixture_that_hangs": "the fixtures took more than 0.5 seconds",
    "test_bad_keeps_run": "something keeps gnet.run",
    "test_bad_waits_for_nobody": "LoopExit",
}

DESCRIPTORS = ("test_bad_leaves_a_descriptor", "test_bad_closes_what_is_not_its_own")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest prints about the suite above."""
    directory = tmp_path_factory.mktemp("guarded")
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "test_suite.py").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        # Those are for this run: with --reruns a bad test would have several reports.
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        outcome = run(
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--tb=short",
            f"--config-file={ROOT / 'pyproject.toml'}", f"--rootdir={ROOT}", str(directory),
            limit=3 * PROGRAM_LIMIT,
        )  # fmt: skip
    return outcome.output.decode()


@pytest.mark.limit(4 * PROGRAM_LIMIT)
@pytest.mark.parametrize("name", COMPLAINTS)
def test_a_bad_test_is_told_what_is_wrong(name: str, report: str) -> None:
    if name in DESCRIPTORS and not Path("/proc/self/fd").exists():
        pytest.skip("descriptors are counted where the system has /proc")
    assert re.search(rf"^(FAILED|ERROR) \S+::{name}\b", report, re.MULTILINE), report
    section = re.search(rf"^_+ .*\b{name} _+$(.*?)(?=^[_=]+ )", report, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.search(COMPLAINTS[name], section[1]), report


@pytest.mark.parametrize("name", re.findall(r"test_good\w+", SUITE))
def test_a_good_test_passes(name: str, report: str) -> None:
    assert re.search(rf"^PASSED \S+::{name}$", report, re.MULTILINE), report
    assert not re.search(rf"^(FAILED|ERROR) \S+::{name}\b", report, re.MULTILINE), report
