"""``gnet.run(signals=True)``: a program with several servers ends in good order; and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

import gnet
from tests.helpers.peers import python, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot signal itself")

# Two servers, a connection that its peer keeps open, and the signals in turn.
PROGRAM = """
import os, signal, sys
import gevent, gnet

before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
path, signals = sys.argv[1], sys.argv[2:]
held = gnet.create_server(lambda sock: accepted.set()).listen(0, "127.0.0.1")
other = gnet.create_server().listen(path)
accepted = gevent.event.Event()
client = gnet.connect(held.port, "127.0.0.1", allow_half_open=True)
client.on("data", print)

def send():
    accepted.wait()
    for name in signals:
        os.kill(os.getpid(), getattr(signal, name))
        gevent.sleep(0.1)

gevent.spawn(send)
result = gnet.run(signals=True)
after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
print(result, held.listening, other.listening, os.path.exists(path), before == after)
"""


def outcome(directory: Path, *signals: str) -> tuple[int, bytes, bytes]:
    done = run(*python(PROGRAM, str(directory / "sock"), *signals))
    return done.status, done.output.rstrip(), done.complaints


@pytest.mark.parametrize("names", [("SIGTERM", "SIGINT"), ("SIGINT", "SIGTERM")])
def test_a_second_signal_destroys_what_the_first_one_waits_for(
    directory: Path, names: tuple[str, str]
) -> None:
    assert outcome(directory, *names) == (0, b"True False False False True", b"")


def test_the_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="grace"):
        gnet.run(0, signals=True, grace=-1)


def test_the_time_holds_with_signals_as_well() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with gnet.create_server().listen(0, "127.0.0.1"):
        assert gnet.run(0.01, signals=True) is False
    assert signal.getsignal(signal.SIGTERM) == before
    assert gnet.run(signals=True) is True


def test_ctrl_c_is_one_exception_and_no_traceback_of_the_hubs() -> None:
    program = """
import os, signal, gevent, gnet
gnet.create_server().listen(0, "127.0.0.1")
gevent.get_hub().loop.run_callback(os.kill, os.getpid(), signal.SIGINT)
try:
    gnet.run()
except KeyboardInterrupt:
    print("interrupted")
"""
    done = run(*python(program))
    assert (done.status, done.output.rstrip(), done.complaints) == (0, b"interrupted", b"")
