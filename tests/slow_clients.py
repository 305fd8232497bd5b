"""Slow clients of a WSGI server, and what they cost the others.

Run by hand, from the root: ``python -m tests.slow_clients``; CI does less. A load is served alone,
and then beside clients that send a head, or a body, or read a large answer, at a byte a second. It
prints the requests that were served a second, the server's processor time for each of them with
what the slow ones cost, the longest that one has taken, and the server's memory before and after.
The rate depends on what else the machine does; the processor time hardly does.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import gevent
from gevent import socket, subprocess

#: Seconds for an answer.
LIMIT = 30.0
#: Seconds in which a slow client sends or takes a byte.
PERIOD = 1.0
#: The answer that is read slowly, in bytes: more than the kernel keeps for a connection.
LARGE = 5_000_000

SERVER = f"""
import os
import gnet
from gnet import wsgi

large = b"x" * {LARGE}

def application(environ, start_response):
    path = environ["PATH_INFO"]
    body = b"hello"
    if path == "/large":
        body = large
    elif path == "/costs":
        spent = os.times()
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        body = b"%f %d" % (spent.user + spent.system, pages * os.sysconf("SC_PAGESIZE"))
    else:
        environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

server = wsgi.WSGIServer(application, header_timeout=None).listen(0, "127.0.0.1")
print(server.address().port, flush=True)
server.serve_forever()
"""

_HOST = b" HTTP/1.1\r\nHost: here\r\n"
#: What a slow client sends at once, and what it sends then, byte after byte.
BEGINNINGS = {
    "head": (b"GET /" + _HOST + b"X: ", b"y"),
    "body": (b"POST /" + _HOST + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "reading": (b"GET /large" + _HOST + b"\r\n", b""),
}


class Costs(NamedTuple):
    """What a load has come to.

    :ivar rate: requests a second.
    :ivar processor: the server's processor time for a request, in seconds.
    :ivar longest: how long one request has taken at the most, in seconds.
    :ivar memory: what the server had of it at the end, in bytes.
    """

    rate: float
    processor: float
    longest: float
    memory: int


class Client:
    """A client with one connection, which it keeps."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), LIMIT)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self._sock.close()

    def ask(self, path: str) -> bytes:
        """Ask once; gives the body of the answer."""
        self._sock.sendall(b"GET " + path.encode() + _HOST + b"\r\n")
        received = b""
        while True:
            more = self._sock.recv(65536)
            assert more, "the server has ended the connection"
            received += more
            head, end, body = received.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split()[0]) if end else 0
            if end and len(body) == length:
                return body

    def costs(self) -> tuple[float, int]:
        """The server's processor time, in seconds, and its memory, in bytes."""
        spent, memory = self.ask("/costs").split()
        return float(spent), int(memory)


def load(port: int, seconds: float) -> Costs:
    """Ask without a pause."""
    with Client(port) as client:
        before, _ = client.costs()
        longest, count = 0.0, 0
        begun = now = time.monotonic()
        while now - begun < seconds:
            client.ask("/")
            count += 1
            asked, now = now, time.monotonic()
            longest = max(longest, now - asked)
        spent, memory = client.costs()
    return Costs(count / (now - begun), (spent - before) / count, longest, memory)


class SlowClients:
    """Clients that are at something for ever.

    :ivar lost: how many were let go.
    """

    def __init__(self, port: int, what: str, count: int) -> None:
        self.lost = 0
        beginning, self._byte = BEGINNINGS[what]
        self._socks = []
        for _ in range(count):
            sock = socket.socket()
            # Else the kernel takes in a part of the answer that is not read.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", port))
            sock.sendall(beginning)
            self._socks.append(sock)
        self._greenlets = [gevent.spawn(self._go_on, each) for each in enumerate(self._socks)]

    def _go_on(self, numbered: tuple[int, socket.socket]) -> None:
        number, sock = numbered
        gevent.sleep(PERIOD * number / len(self._socks))
        while True:
            try:
                there = sock.send(self._byte) if self._byte else sock.recv(1)
            except OSError:
                there = 0
            if not there:
                self.lost += 1
                return
            gevent.sleep(PERIOD)

    def close(self) -> None:
        gevent.killall(self._greenlets)
        for sock in self._socks:
            sock.close()


@contextmanager
def serving() -> Iterator[int]:
    """A server in a process of its own; gives its port."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    try:
        with gevent.Timeout(LIMIT):
            yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def run(what: str, count: int, seconds: float) -> tuple[Costs, Costs, Costs, int]:
    """A load alone, and two beside slow clients; and how many of those were let go.

    :param what: one of :data:`BEGINNINGS`: what they are slow in.
    :param seconds: how long each load lasts.
    """
    with serving() as port:
        alone = load(port, seconds)
        slow = SlowClients(port, what, count)
        try:
            first, second = load(port, seconds), load(port, seconds)
        finally:
            slow.close()
    return alone, first, second, slow.lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    for what in BEGINNINGS:
        alone, *beside, lost = run(what, options.clients, options.seconds)
        print(f"{options.clients} clients, slow in: {what}; let go: {lost}")
        for name, costs in zip(("alone", "beside", "later"), (alone, *beside), strict=True):
            print(
                f"  {name:6} {costs.rate:7,.0f} requests/s, {costs.processor * 1e6:4.0f} µs each, "
                f"the longest {costs.longest * 1e3:4.0f} ms; {costs.memory / 1e6:.1f} MB"
            )


if __name__ == "__main__":
    main()
