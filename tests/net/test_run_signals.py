"""``gnet.run(signals=True)``: a program with several servers ends in good order; and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from socket import socketpair

import pytest

import gnet
from tests.helpers.peers import python, run

pytestmark = [
    pytest.mark.limit(40),
    pytest.mark.skipif(sys.platform == "win32", reason="a process cannot signal itself"),
]

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


@pytest.mark.parametrize("call", ["gnet.run()", "server.serve_forever()"])
def test_ctrl_c_is_one_exception_and_no_traceback_of_the_hubs(call: str) -> None:
    program = f"""
import os, signal, gevent, gnet
server = gnet.create_server().listen(0, "127.0.0.1")
gevent.get_hub().loop.run_callback(os.kill, os.getpid(), signal.SIGINT)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted")
"""
    done = run(*python(program))
    assert (done.status, done.output.rstrip(), done.complaints) == (0, b"interrupted", b"")


# On libuv gevent loses the exception of a signal's handler that is called ahead of an event.
BUSY = """
import os, signal
import gevent, gnet
from gevent.monkey import get_original

Socket = get_original("socket", "socket")
server = gnet.create_server(lambda sock: sock.pipe(sock)).listen(0, "127.0.0.1")

def talk(busy=100):
    with Socket() as sock:
        sock.connect(("127.0.0.1", server.port))
        while True:
            try:
                sock.send(b"x")
                if not sock.recv(1):
                    return
            except OSError:
                return
            busy -= 1
            if not busy:
                os.kill(os.getpid(), signal.{name})

get_original("_thread", "start_new_thread")(talk, ())
print(gnet.run(signals=True, grace=0.1))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_busy_program_hears_a_signal(name: str) -> None:
    done = run(*python(BUSY.format(name=name)))
    assert (done.status, done.output.rstrip(), done.complaints) == (0, b"True", b"")


@pytest.mark.parametrize(
    ("third", "status", "complaint"),
    [("SIGTERM", -signal.SIGTERM, b""), ("SIGINT", -signal.SIGINT, b"KeyboardInterrupt")],
)
def test_a_third_signal_has_the_effect_that_it_has_without(
    third: str, status: int, complaint: bytes
) -> None:
    program = f"""
import os, signal, gevent, gnet
server = gnet.create_server().listen(0, "127.0.0.1")

@server.on("close")
def never_done():
    while True:
        gevent.sleep(1)

def send():
    for number in signal.SIGTERM, signal.SIGINT, signal.{third}:
        os.kill(os.getpid(), number)

gevent.spawn(send)
gnet.run(signals=True)
"""
    done = run(*python(program))
    assert done.status == status
    assert done.complaints.rstrip().endswith(complaint)


# The interpreter only notes a signal, and calls the handler ahead of its next step. A signal that
# another thread gets leaves the main one in the loop's call of the system, as one does that comes
# just ahead of this call.
SIGNAL_ELSEWHERE = """
import signal, sys, time
import gevent, gnet
from gevent.monkey import get_original

if sys.argv[2:]:
    from gevent import monkey; monkey.patch_all()

def kill():
    get_original("time", "sleep")(0.2)
    signal.pthread_kill(get_original("_thread", "get_ident")(), signal.SIGTERM)

server = gnet.create_server()
gevent.spawn(get_original("_thread", "start_new_thread"), kill, ())
"""
WAYS_TO_SERVE = {
    "serve": 'gnet.serve(print, 0, "127.0.0.1")',
    "run": 'server.listen(0, "127.0.0.1"); gnet.run(signals=True)',
    "wsgi": 'from gnet import wsgi; wsgi.serve(lambda *_: [], 0, "127.0.0.1")',
    "own": """
# Not in the handler itself: on libuv gevent may be about to call the watcher that is closed there.
signal.signal(signal.SIGTERM, lambda *_: gevent.spawn(server.close))
server.listen(0, "127.0.0.1")
if sys.argv[1:] == ["forever"]:
    server.serve_forever()
else:
    gnet.run()
""",
}


@pytest.mark.parametrize("patched", [[], ["patched"]], ids=["plain", "patched"])
@pytest.mark.parametrize("way", [*WAYS_TO_SERVE, "forever"])
def test_a_signal_is_not_forgotten_while_nothing_else_happens(
    way: str, patched: list[str]
) -> None:
    program = SIGNAL_ELSEWHERE + WAYS_TO_SERVE.get(way, WAYS_TO_SERVE["own"])
    done = run(*python(program, way, *patched))
    assert (done.status, done.complaints) == (0, b"")


def test_the_wakeup_of_somebody_else_is_left_alone() -> None:
    ours, theirs = socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno())
        try:
            gnet.run(0)
            with gnet.create_server().listen(0, "127.0.0.1"):
                gnet.run(0.01)
            assert signal.set_wakeup_fd(theirs.fileno()) == theirs.fileno()
        finally:
            signal.set_wakeup_fd(before)


def test_a_program_that_has_no_descriptor_left_runs() -> None:
    program = """
import os, resource, signal
import gevent, gnet
server = gnet.create_server().listen(0, "127.0.0.1")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
gevent.spawn(server.close)
print(gnet.run(), signal.set_wakeup_fd(-1))
"""
    done = run(*python(program))
    assert (done.status, done.output.rstrip(), done.complaints) == (0, b"True -1", b"")


def test_a_forked_childs_signals_do_not_wake_its_parent() -> None:
    program = """
import os, signal, sys
import gevent, gnet
server = gnet.create_server().listen(0, "127.0.0.1")

def fork():
    pid = os.fork()
    if not pid:
        os._exit(signal.set_wakeup_fd(-1) != -1)
    status.append(os.waitpid(pid, 0)[1])
    server.close()

status = []
gevent.spawn(fork)
print(gnet.run(), status)
"""
    done = run(*python(program))
    assert done.output.rstrip() == b"True [0]", done.complaints
