"""Clusters whose primary is the test, and programs for their workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from gevent import socket
from gevent.queue import Queue

from gnet import cluster

ROOT = Path(__file__).resolve().parents[2]

PRELUDE = """
import os, signal, sys

if os.environ.get("GNET_TEST_PATCHED") == "1":
    from gevent import monkey

    monkey.patch_all()

import gevent
import gnet
from gnet import cluster

PID = str(os.getpid())
"""

# Each connection is told the worker's process, and ended.
SAY_PID = """
def main():
    gnet.create_server(lambda sock: sock.end(PID)).listen(0, "127.0.0.1")
"""

# Each connection is told the worker's process, and stays open until the client ends it.
HOLD = """
def main():
    server = gnet.create_server(lambda sock: sock.write(PID), allow_half_open=False)
    server.on("connection", lambda sock: sock.resume())
    cluster.worker.on("disconnect", lambda: cluster.worker.send("told to stop"))
    server.listen(0, "127.0.0.1")
"""

# The same in blocking style.
SERVE = """
def hold(sock):
    sock.sendall(PID.encode())
    for _ in sock:
        pass

def main():
    gnet.serve(hold, 0, "127.0.0.1")
"""


def program(code: str) -> list[str]:
    """The command of a process that runs ``code``, which defines ``main``, as a worker does."""
    return [sys.executable, "-c", f"{PRELUDE}\n{dedent(code)}\ncluster.run(main)\n"]


def environment() -> dict[str, str]:
    """The environment for :func:`program`."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Group:
    """A cluster, and what it has said.

    :ivar cluster: the cluster.
    :ivar address: where it was last said to listen.
    """

    def __init__(self, code: str, n: int, **options: Any) -> None:
        self.cluster = cluster.Cluster(
            argv=program(code), env={"PYTHONPATH": str(ROOT)}, **options
        )
        self.address: Any = None
        self._said: dict[str, Queue[Any]] = {}
        for event in ("fork", "online", "listening", "message", "disconnect", "exit"):
            said = self._said[event] = Queue()
            self.cluster.on(event, lambda *args, said=said: said.put(args))
        self.cluster.fork(n)

    def next(self, event: str) -> tuple[Any, ...]:
        """Wait for an event; gives what it was emitted with."""
        args: tuple[Any, ...] = self._said[event].get()
        if event == "listening":
            self.address = args[1]
        return args

    def all(self, event: str, count: int) -> list[tuple[Any, ...]]:
        """Wait for as many of an event."""
        return [self.next(event) for _ in range(count)]

    def none(self, event: str) -> bool:
        """Whether nothing was said that has not been waited for."""
        return self._said[event].empty()

    def connect(self) -> socket.socket:
        """A client of one of the workers."""
        if isinstance(self.address, str):
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.address)
            return client
        return socket.create_connection((self.address.address, self.address.port))

    def ask(self) -> str:
        """What a worker that sends and ends says: the number of its process."""
        with self.connect() as client:
            return client.makefile().read()

    @property
    def pids(self) -> set[str]:
        """The numbers of the workers' processes."""
        return {str(worker.pid) for worker in self.cluster.workers.values()}


@contextmanager
def cluster_of(n: int, code: str, **options: Any) -> Iterator[Group]:
    """A cluster that has begun to start its workers; in the end they have exited."""
    group = Group(code, n, **options)
    try:
        yield group
    finally:
        group.cluster.shutdown(0)
