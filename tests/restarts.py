"""Restarts of a WSGI server under load, and a count of the requests that were lost.

Run by hand, from the root: ``python -m tests.restarts --restarts 100 --requests 1000000``; CI does
less. Clients ask without a pause, some on connections that they keep and some on a fresh one for
each request. A request that was sent and has no whole answer is lost, and so is one that finds
no server. It prints its figures, and exits with 1 if anything was lost.

``--how`` says how the server is restarted: ``cluster`` by ``Cluster.restart()``, ``hand-over`` by
``Server.hand_over()``, ``sigterm`` by a successor on the same listening descriptor, as a service
manager has it, and SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from gevent import socket, subprocess

from gnet import cluster

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
ANSWER = b"x" * 100
#: Seconds for an answer, and for a server to begin.
LIMIT = 30.0
GRACE = 20.0

APPLICATION = f"""
import os, sys
import gnet
from gnet import cluster, wsgi

def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "{len(ANSWER)}")])
    return [b"x" * {len(ANSWER)}]
"""
IN_CLUSTER = f"""{APPLICATION}
cluster.run(lambda: wsgi.WSGIServer(application).listen(int(sys.argv[1]), "127.0.0.1"))
"""
HANDING_OVER = f"""{APPLICATION}
port, path = sys.argv[1:]
server = wsgi.WSGIServer(application)
try:
    server.listen(gnet.take_over(path))
except OSError:
    server.listen(int(port), "127.0.0.1")
server.hand_over(path)
print("listening", flush=True)
server.serve_forever()
"""
ON_A_DESCRIPTOR = f"""{APPLICATION}
import zope.event
zope.event.subscribers.append(
    lambda event: type(event).__name__ == "ServerListening" and print("listening", flush=True)
)
wsgi.serve(application, fd=int(sys.argv[1]), grace={GRACE})
"""


class Outcome(NamedTuple):
    """What a run has come to.

    :ivar answered: how many requests were answered.
    :ivar lost: how many were not, and in which way.
    :ivar restarts: how often the server was restarted.
    :ivar seconds: how long it took.
    """

    answered: int
    lost: Counter[str]
    restarts: int
    seconds: float


class Load:
    """Clients that ask without a pause.

    :ivar answered: how many requests were answered.
    :ivar lost: how many were not, and in which way.
    """

    def __init__(self, port: int, kept: int, fresh: int) -> None:
        self.answered = 0
        self.lost: Counter[str] = Counter()
        self._place = ("127.0.0.1", port)
        self._goes_on = True
        clients = [self._keep] * kept + [self._renew] * fresh
        self._clients = [gevent.spawn(client) for client in clients]

    def stop(self) -> None:
        """Let the requests that are on their way be answered, and ask no more."""
        self._goes_on = False
        gevent.joinall(self._clients, raise_error=True)

    def _keep(self) -> None:
        sock = None
        while self._goes_on:
            if sock is None:
                sock = self._connected()
            if sock is not None and not self._ask(sock):
                sock.close()
                sock = None
        if sock is not None:
            sock.close()

    def _renew(self) -> None:
        while self._goes_on:
            sock = self._connected()
            if sock is not None:
                self._ask(sock)
                sock.close()

    def _connected(self) -> Any:
        sock = socket.socket()
        sock.settimeout(LIMIT)
        try:
            sock.connect(self._place)
        except OSError as exc:
            self.lost[f"connect: {exc}"] += 1
            sock.close()
            return None
        return sock

    def _ask(self, sock: Any) -> bool:
        """Ask once; tells whether the connection goes on."""
        received = b""
        try:
            sock.sendall(REQUEST)
            while not received.endswith(b"\r\n\r\n" + ANSWER):
                more = sock.recv(65536)
                if not more:
                    raise ConnectionError("an end")
                received += more
        except OSError as exc:
            self.lost[f"{exc or 'a timeout'} behind {len(received)} bytes"] += 1
            return False
        self.answered += 1
        return b"\r\nConnection: close\r\n" not in received


def free_port() -> int:
    """A port that is free, and stays so for a server that comes at once."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def by_cluster(workers: int) -> Iterator[tuple[int, Callable[[], object]]]:
    """A cluster; gives its port, and what restarts it."""
    port = free_port()
    group = cluster.Cluster(argv=[sys.executable, "-c", IN_CLUSTER, str(port)], grace=GRACE)
    try:
        group.fork(workers)
        for _ in range(workers):
            group.wait("listening", LIMIT)
        yield port, group.restart
    finally:
        group.shutdown(0)


class _Successors:
    """Processes one after another, each of which says when it listens."""

    def __init__(self, program: str, *arguments: str, **options: Any) -> None:
        self._start = lambda: subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, **options
        )
        self._all: list[Any] = []

    def next(self) -> Any:
        """Start the next one; gives the one before it."""
        former = self._all[-1] if self._all else None
        process = self._start()
        self._all.append(process)
        with gevent.Timeout(LIMIT):
            assert process.stdout.readline() == b"listening\n"
        return former

    def kill(self) -> None:
        for process in self._all:
            process.kill()
            process.wait()
            process.stdout.close()


@contextmanager
def by_hand_over(workers: int) -> Iterator[tuple[int, Callable[[], object]]]:
    """A server that hands its descriptor over; gives its port, and what restarts it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        processes = _Successors(HANDING_OVER, str(port), str(Path(directory) / "handover"))

        def restart() -> None:
            former = processes.next()
            assert former.wait(LIMIT) == 0

        try:
            processes.next()
            yield port, restart
        finally:
            processes.kill()


@contextmanager
def by_sigterm(workers: int) -> Iterator[tuple[int, Callable[[], object]]]:
    """A server on a descriptor that others have as well; gives its port, and what restarts it."""
    with socket.create_server(("127.0.0.1", 0), backlog=511) as listener:
        fd = listener.fileno()
        processes = _Successors(ON_A_DESCRIPTOR, str(fd), pass_fds=[fd])

        def restart() -> None:
            former = processes.next()
            former.send_signal(signal.SIGTERM)
            assert former.wait(LIMIT) == 0

        try:
            processes.next()
            yield int(listener.getsockname()[1]), restart
        finally:
            processes.kill()


WAYS = {"cluster": by_cluster, "hand-over": by_hand_over, "sigterm": by_sigterm}


def run(how: str, restarts: int, requests: int = 0, workers: int = 2, kept: int = 8,
        fresh: int = 4) -> Outcome:  # fmt: skip
    """Restart a server under load.

    :param how: one of :data:`WAYS`.
    :param requests: go on until so many are answered, also when all restarts are done.
    """
    began = time.monotonic()
    with WAYS[how](workers) as (port, restart):
        load = Load(port, kept, fresh)
        try:
            for _ in range(restarts):
                restart()
            while load.answered < requests and load.lost.total() < 100:
                gevent.sleep(0.1)
        finally:
            load.stop()
    return Outcome(load.answered, load.lost, restarts, time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--how", choices=list(WAYS), default="cluster")
    parser.add_argument("--restarts", type=int, default=100)
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    done = run(options.how, options.restarts, options.requests, options.workers)
    print(
        f"{done.answered:,} requests answered over {done.restarts} restarts ({options.how}) in "
        f"{done.seconds:.0f} s; lost: {done.lost.total()}"
    )
    for how, count in done.lost.most_common():
        print(f"  {count} {how}")
    sys.exit(1 if done.lost else 0)


if __name__ == "__main__":
    main()
