"""The threaded servers of the documentation, with the two lines changed that it says."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent import socket

from tests.helpers.peers import python, running
from tests.helpers.servers import receive_all
from tests.test_docs import PORT, ROOT, RUNNER, blocks

CONNECTIONS = 2000
# Connections that a test has in the making at once: so many fit into the queue of a listener.
AT_ONCE = 200

PROGRAMS = [
    pytest.param(block.text, id=f"line {block.line}")
    for block in blocks(ROOT / "docs" / "howto-retrofit.rst")
    if block.language == "diff"
]

[PATCH, *_] = [
    block.text.strip()
    for block in blocks(ROOT / "docs" / "howto-retrofit.rst")
    if block.language == "python"
]

# A handler as it was written for threads: a lock over sendall(), and its name in a local.
THREADED = """
import threading
import gnet

mine = threading.local()
turn = threading.Lock()

def greet(conn):
    lines = conn.makefile("rb")
    mine.name = lines.readline()
    lines.readline()
    with turn:
        conn.sendall(mine.name * 1_000_000)

gnet.serve(greet, 0)
"""


def side(diff: str, marks: str) -> str:
    """One side of a diff."""
    lines = (line or " " for line in diff.splitlines())
    return "".join(line[1:] + "\n" for line in lines if line[0] in marks)


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Allow so many of them, to this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            pytest.skip(f"this system allows {hard} descriptors, and {count} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_documentation_has_both_servers() -> None:
    texts = [str(each.values[0]) for each in PROGRAMS]
    assert ["socketserver" in text for text in texts] == [True, False]


@pytest.mark.parametrize("diff", PROGRAMS)
def test_no_more_than_two_lines_are_changed_behind_the_patch(diff: str) -> None:
    first, *added = [line for line in diff.splitlines() if line.startswith("+")]
    assert first == "+" + PATCH and diff.startswith(first)
    assert len(added) <= 2
    assert side(diff, "+").count("gnet.serve(") == 1
    compile(side(diff, " -"), "before", "exec")


@pytest.mark.limit(60)
@pytest.mark.parametrize("diff", PROGRAMS)
def test_it_holds_two_thousand_connections(
    diff: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    program = tmp_path / "server.py"
    program.write_text(PORT.sub("0", side(diff, " +")), encoding="utf-8")
    with (
        descriptors(CONNECTIONS + 500),
        running(*python(RUNNER, str(program)), limit=60) as server,
    ):
        port = int(server.line().decode().removeprefix("listening on "))
        clients: list[socket.socket] = []

        def join(number: int) -> None:
            client = socket.create_connection(("127.0.0.1", port))
            clients.append(client)
            ask(client, f"hello {number}")

        def ask(client: socket.socket, text: str) -> None:
            client.sendall(text.encode() + b"\n")
            expected = text.upper().encode() + b"\n"
            answer = b""
            while len(answer) < len(expected):
                answer += client.recv(1000)
            assert answer == expected

        def every(calls: list[tuple[object, ...]]) -> None:
            for start in range(0, len(calls), AT_ONCE):
                batch = [gevent.spawn(*call) for call in calls[start : start + AT_ONCE]]
                gevent.joinall(batch, raise_error=True)

        try:
            every([(join, number) for number in range(CONNECTIONS)])
            assert len(clients) == CONNECTIONS
            # All of them are there at the same time, and answered by one thread.
            every([(ask, client, f"and {number}") for number, client in enumerate(clients)])
            assert threads(server.pid) < 20
        finally:
            for client in clients:
                client.close()


def threads(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 1


@pytest.mark.limit(60)
def test_a_lock_over_sendall_and_a_local_of_threads_are_right_behind_the_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    program = tmp_path / "server.py"
    program.write_text(PATCH + "\n" + THREADED, encoding="utf-8")
    with running(*python(RUNNER, str(program)), limit=60) as server:
        port = int(server.line().decode().removeprefix("listening on "))
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
        try:
            for number, client in enumerate(clients):
                client.sendall(b"%4d\n" % number)
            # None of them reads, so that each sendall() waits; then all do, the last one first.
            for client in clients:
                client.sendall(b"go\n")
            readers = [gevent.spawn(receive_all, client) for client in reversed(clients)]
            gevent.joinall(readers, raise_error=True)
            for number, reader in enumerate(reversed(readers)):
                assert reader.value == b"%4d\n" % number * 1_000_000
        finally:
            for client in clients:
                client.close()
        server.signal(signal.SIGTERM)
        assert server.wait().status == 0
