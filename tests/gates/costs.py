"""What a connection and a message cost: instructions, counted by valgrind, and memory."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MESSAGE = b"x" * 1000
CONNECTIONS = 10
# Of two runs the difference is taken: the start of the program is in both.
MESSAGES = (100, 600)
CHURNS = (100, 400)
# So many are there before the first look, when the server has all that it keeps.
IDLE = (500, 3000)


class Server:
    """A server of ``tests.gates.server``, in a process of its own.

    :param style: one of its styles.
    :param before: what the command begins with.
    """

    def __init__(self, style: str, *before: str) -> None:
        command = [*before, sys.executable, "-m", "tests.gates.server", style]
        pipe = subprocess.PIPE
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
        )
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def held_bytes(self) -> int:
        """The memory that it holds."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the server stand still."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def connect(self) -> socket.socket:
        """A client that has had an echo."""
        client = socket.create_connection(("127.0.0.1", self.port))
        exchange(client)
        return client


def exchange(client: socket.socket) -> None:
    """Send a message and receive it."""
    client.sendall(MESSAGE)
    receive(client)


def receive(client: socket.socket) -> None:
    """Receive an echo."""
    left = len(MESSAGE)
    while left:
        left -= len(client.recv(left))


@contextmanager
def serving(style: str, *before: str) -> Iterator[Server]:
    """A server, and its end."""
    server = Server(style, *before)
    try:
        yield server
    finally:
        server.close()


def has_valgrind() -> bool:
    """Whether instructions can be counted here."""
    return shutil.which("valgrind") is not None


def echo_instructions(style: str) -> float:
    """How many instructions a message takes, with ten connections."""

    def echo(server: Server, messages: int) -> None:
        clients = [
            socket.create_connection(("127.0.0.1", server.port)) for _ in range(CONNECTIONS)
        ]
        for _ in range(messages):
            # All ten are there when the loop looks, however busy the machine is: a turn of its own
            # for each of them takes more than the message.
            with server.stopped():
                for client in clients:
                    client.sendall(MESSAGE)
            for client in clients:
                receive(client)
        for client in clients:
            client.close()

    return _instructions(style, echo, MESSAGES) / CONNECTIONS


def churn_instructions(style: str) -> float:
    """How many instructions a connection with one message takes."""

    def churn(server: Server, connections: int) -> None:
        for _ in range(connections):
            client = server.connect()
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
            client.close()

    return _instructions(style, churn, CHURNS)


def _instructions(
    style: str, work: Callable[[Server, int], None], counts: tuple[int, int]
) -> float:
    few, many = (_counted(style, work, count) for count in counts)
    return (many - few) / (counts[1] - counts[0])


def _counted(style: str, work: Callable[[Server, int], None], count: int) -> int:
    """The instructions of a server's whole life."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "out")
        tool = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={report}")
        with serving(style, *tool) as server:
            work(server, count)
        found = re.search(r"^(?:summary|totals): (\d+)", report.read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])


def idle_bytes(style: str) -> float:
    """What an idle connection holds, of thousands that have had one message each."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    few, many = IDLE
    clients: list[socket.socket] = []
    with serving(style) as server:
        try:
            clients.extend(server.connect() for _ in range(few))
            before = server.held_bytes()
            clients.extend(server.connect() for _ in range(many - few))
            return (server.held_bytes() - before) / (many - few)
        finally:
            for client in clients:
                client.close()
