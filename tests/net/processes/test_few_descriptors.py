"""A process with few descriptors: each call fails with a code, and goes on when there is room.

Each program here takes all descriptors but some, so that every step of a call comes to be the one
that has none left.
"""

from __future__ import annotations

import os
import sys

import pytest
from gevent import socket as std_socket

from tests.helpers.clusters import ROOT, SAY_PID
from tests.helpers.clusters import program as worker_program
from tests.helpers.commands import gnet_command
from tests.helpers.dnsserver import DNSServer
from tests.helpers.peers import python, running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's descriptors")

# libuv's loop takes six for itself.
LIMITS = [12, 16, 24, 40] if "libuv" not in os.environ.get("GEVENT_LOOP", "") else [18, 24, 40]

PRELUDE = f"""
import gc, os, resource, sys, time
from contextlib import contextmanager

sys.path.insert(0, {str(ROOT)!r})

import gevent
import gnet

# Without a descriptor gevent's own loop cannot be made: it is there before.
gevent.get_hub()

def limit(number):
    global LIMIT
    LIMIT = number
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True

def opened():
    gc.collect()
    return sum(is_open(fd) for fd in range(LIMIT))

@contextmanager
def short(free):
    "All descriptors but some are taken, and next to no time of the processor is used inside."
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        pass
    for _ in range(free):
        os.close(taken.pop())
    used = time.process_time()
    try:
        yield
        used = time.process_time() - used
    finally:
        for fd in taken:
            os.close(fd)
    assert used < 0.2, used

def attempts(call, most=8):
    "What a call gives with no descriptor, with one, with two, until it works."
    came = []
    for free in range(most):
        before = opened()
        with short(free), gevent.Timeout(5):
            try:
                call()
            except OSError as exc:
                came.append(exc.code)
            else:
                came.append("done")
        # What the call had deferred is over.
        for _ in range(20):
            gevent.sleep(0)
        assert opened() == before, (came, opened(), before)
        if came[-1] == "done":
            break
    return came

def check(call, codes={{"EMFILE"}}):
    "Each failure is the one of the descriptors, and there is one to begin with."
    came = attempts(call)
    assert came[-1] == "done" and came[:-1] and set(came[:-1]) <= codes, came
"""


def quiet(script: str, *complaints: str) -> None:
    """Run a program to its end; its complaints are as many lines, with these words in them."""
    with running(*python(PRELUDE + script)) as program:
        outcome = program.finish()
    said = outcome.complaints.decode()
    assert outcome.status == 0, said
    lines = said.splitlines()
    assert len(lines) == len(complaints), said
    assert all(words in line for words, line in zip(complaints, lines, strict=True))


@pytest.mark.parametrize("number", LIMITS)
def test_connections_and_lookups(number: int) -> None:
    # The clients' own descriptors are as short as the server's: both sides are in one process.
    script = f"""
import tempfile

limit({number})
folder = tempfile.TemporaryDirectory()
path = folder.name + "/sock"

servers = [
    gnet.create_server(lambda sock: sock.end(b"hello")).listen(*place)
    for place in ((0, "127.0.0.1"), (path,))
]
port = servers[0].address().port

def greeting(*target, **options):
    with gnet.connect(*target, **options) as sock:
        return sock.recv()

def settle():
    while any(server.connections for server in servers):
        gevent.sleep(0.001)

for target in ((port, "127.0.0.1"), (path,), (port, "localhost")):
    settle()
    with short(0):
        heard, errors = [], []
        sock = gnet.connect(*target)
        sock.on("error", errors.append)
        sock.on("close", heard.append)
        while not heard:
            gevent.sleep(0.001)
        assert [each.code for each in errors] == ["EMFILE"] and heard == [True], (errors, heard)
        try:
            greeting(*target)
        except OSError as exc:
            assert exc.code == "EMFILE", exc
        else:
            raise AssertionError("there was a descriptor")
    assert greeting(*target) == b"hello"
settle()
# The system's module for multicast DNS, where there is one, says EBUSY of its own descriptor.
check(lambda: gnet.dns.lookup("localhost"), {{"EMFILE", "EBUSY"}})
for server in servers:
    server.close()
    server.wait_closed()
assert not os.path.exists(path)
"""
    quiet(script)


@pytest.mark.parametrize("number", LIMITS)
def test_accepting(number: int) -> None:
    script = f"""
limit({number})
server = gnet.create_server(lambda sock: sock.end(b"hello")).listen(0, "127.0.0.1")
drops, errors = [], []
server.on("drop", drops.append)
server.on("error", errors.append)
client = gnet.connect(server.address().port, "127.0.0.1")
with short(1):
    client.wait("connect")
    gevent.sleep(0.3)
    assert [each.reason for each in drops] == ["emfile"] and not errors, (drops, errors)
    assert server.listening
assert client.recv() == b"hello"
client.close()
with gnet.connect(server.address().port, "127.0.0.1") as client:
    assert client.recv() == b"hello"
assert len(drops) == 1
server.shutdown()
"""
    quiet(script, "leaves connections waiting: Too many open files")


FIRST_CALLS = [
    'gnet.connect(1, "localhost").recv()',
    'gnet.dns.lookup("localhost")',
    'gnet.dns.Resolver(["127.0.0.1"]).lookup("some.test")',
    'gnet.take_over("/nowhere/sock")',
    'monkey.patch(); socket.create_connection(("localhost", 1))',
]


@pytest.mark.parametrize("before", ["", "gnet.Socket()"])
@pytest.mark.parametrize("call", FIRST_CALLS)
def test_the_first_call_of_a_process(call: str, before: str) -> None:
    # Nothing has been imported yet that the call imports, nor what tells of its error.
    script = f"""
import socket
from gnet import monkey

limit(40)
{before}
with short(0), gevent.Timeout(5):
    try:
        {call}
    except OSError as exc:
        assert exc.code == "EMFILE", repr(exc)
    else:
        raise AssertionError("there was a descriptor")
"""
    quiet(script)


def test_what_reports_events_imports_them_late() -> None:
    script = """
import zope.event

limit(40)
gnet.Socket()
seen = []
zope.event.subscribers.append(seen.append)
with short(0), gevent.Timeout(5):
    sock = gnet.connect(1, "127.0.0.1")
    sock.on("error", lambda error: None)
    sock.on("close", seen.append)
    while not seen:
        gevent.sleep(0.001)
assert seen == [True], seen
"""
    with running(*python(PRELUDE + script)) as program:
        outcome = program.finish()
    # That an event could not be made is said; the connection had its end all the same.
    assert outcome.status == 0, outcome.complaints
    assert b"failed with OSError" in outcome.complaints


def test_a_resolver() -> None:
    script = """
limit(40)
resolver = gnet.dns.Resolver(["127.0.0.1"], port=int(sys.argv[1]), cache=False)
check(lambda: resolver.lookup("four.test", family=4))
"""
    with DNSServer() as server:
        server.add("four.test", "A", "192.0.2.4")
        with running(*python(PRELUDE + script, str(server.port))) as program:
            outcome = program.finish()
    assert (outcome.status, outcome.complaints) == (0, b"")


def test_listening() -> None:
    script = """
import tempfile

limit(40)
with tempfile.TemporaryDirectory() as folder:
    path = folder + "/sock"

    def listen(*place, **options):
        server = gnet.create_server().listen(*place, **options)
        server.close()

    check(lambda: listen(0, "127.0.0.1"))
    for options in ({}, {"replace_stale": True}, {"readable_all": True}):
        check(lambda: listen(path, **options))
        # Its name goes with the server, however short of descriptors that is.
        assert os.listdir(folder) == [], (options, os.listdir(folder))
"""
    quiet(script)


def test_files_and_pipes_of_connections() -> None:
    script = """
limit(40)
arrived = []
server = gnet.create_server(arrived.append).listen(0, "127.0.0.1")

def pair():
    client = gnet.connect(server.address().port, "127.0.0.1")
    client.wait("connect")
    while not arrived:
        gevent.sleep(0)
    return client, arrived.pop()

SIZE = 3_000_000
a, source = pair()
destination, b = pair()
for free in (0, 1, 2, 3):
    source.pipe(destination)
    with short(free), gevent.Timeout(10):
        with a.makefile("wb") as file:
            sending = gevent.spawn(lambda: (file.write(bytes(SIZE)), file.flush()))
            with b.makefile("rb") as other:
                assert len(other.read(SIZE)) == SIZE
            sending.get()
    source.unpipe(destination)
    source.pause()
for sock in (a, source, destination, b):
    sock.destroy()
server.shutdown()
"""
    quiet(script)


def test_handing_a_listener_over() -> None:
    script = """
import tempfile

limit(40)
with tempfile.TemporaryDirectory() as folder:
    path = folder + "/successor"
    came = []
    for free in range(2, 8):
        server = gnet.create_server().listen(0, "127.0.0.1")
        before = opened()
        with short(free), gevent.Timeout(5):
            server.hand_over(path)
            try:
                successor = gnet.create_server().listen(gnet.take_over(path, 0.1))
            except OSError as exc:
                came.append(exc.code)
                assert server.listening
            else:
                successor.close()
        server.close()
        server.wait_closed()
        if came[-1:] != ["EMFILE"] and free > 3:
            break
    # With two, the predecessor cannot accept: the successor waits in its queue.
    assert came == ["ETIMEDOUT", "EMFILE"], came
    server = gnet.create_server().listen(0, "127.0.0.1")
    with short(0):
        try:
            server.hand_over(path)
        except OSError as exc:
            assert exc.code == "EMFILE", repr(exc)
        else:
            raise AssertionError("there was a descriptor")
    server.hand_over(path)
    server.close()
"""
    quiet(script)


def test_a_clusters_primary() -> None:
    script = f"""
from gevent.queue import Queue
from gnet import cluster

limit(40)
group = cluster.Cluster(argv={worker_program(SAY_PID)!r}, env={{"PYTHONPATH": {str(ROOT)!r}}})
said = Queue()
group.on("listening", lambda worker, address: said.put(address))
before = opened()
with short(0):
    for _ in range(2):
        try:
            group.fork(1)
        except OSError as exc:
            assert (exc.code, exc.syscall) == ("EMFILE", "spawn"), repr(exc)
        else:
            raise AssertionError("there was a descriptor")
assert opened() == before
group.fork(1)
address = said.get()
with gnet.connect(address.port, address.address) as sock:
    assert b"".join(sock).isdigit()
group.shutdown(0)
"""
    quiet(script)


def test_a_wsgi_server() -> None:
    script = """
from gnet.wsgi import WSGIServer

def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

limit(40)
server = WSGIServer(application).listen(0, "127.0.0.1")
SIZE = 1_000_000
clients = []
for _ in range(3):
    client = gnet.connect(server.address().port, "127.0.0.1")
    client.wait("connect")
    clients.append(client)
request = b"POST / HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n" % SIZE + bytes(SIZE)
with short(0), gevent.Timeout(10):
    for client in clients:
        client.write(request)
    gevent.sleep(0.2)
for client in clients:
    with client:
        answer = b"".join(client)
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(bytes(SIZE)), answer[:200]
server.shutdown()
"""
    quiet(script)


def test_legacy_code() -> None:
    script = """
import socket
from gnet import monkey

limit(40)
server = gnet.create_server(lambda sock: sock.end(b"hello")).listen(0, "127.0.0.1")
monkey.patch()

def connect(host):
    # Who is accepted late has no descriptor of its own.
    with socket.create_connection((host, server.address().port), 0.05):
        pass

for host in ("127.0.0.1", "localhost"):
    with short(0):
        try:
            connect(host)
        except OSError as exc:
            assert exc.code == "EMFILE", repr(exc)
        else:
            raise AssertionError("there was a descriptor")
    with socket.create_connection((host, server.address().port)) as sock:
        assert sock.recv(5) == b"hello"
server.shutdown()
"""
    quiet(script)


@pytest.mark.parametrize("number", LIMITS)
def test_the_command(number: int) -> None:
    command = gnet_command("listen", 0)
    command[2] = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({number}, {number})); "
        + command[2]
    )
    with running(*command) as process:
        line = process.complaint().decode()
        assert line.startswith("listening on "), line
        with std_socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2]))) as client:
            client.sendall(b"hello\n")
            assert process.line() == b"hello"
