"""gevent's ``create_connection``: ``gevent_probe.py client | connect | race PORT SECONDS``."""

from __future__ import annotations

import sys

import gevent
from gevent import socket
from rate import MESSAGE, rate, report


class Resolver:
    """Two addresses for one name; on the first nobody listens."""

    def getaddrinfo(self, host: str, port: int, *options: int) -> list[tuple]:
        stream = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [
            (socket.AF_INET6, *stream, ("::1", port, 0, 0)),
            (socket.AF_INET, *stream, ("127.0.0.1", port)),
        ]


def connect_to(host: str) -> None:
    socket.create_connection((host, int(sys.argv[2]))).close()


def client(host: str) -> None:
    with socket.create_connection((host, int(sys.argv[2]))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(MESSAGE)
        left = len(MESSAGE)
        while left:
            left -= len(sock.recv(left))


if sys.argv[1] == "race":
    gevent.get_hub().resolver = Resolver()
host = "two.test" if sys.argv[1] == "race" else "127.0.0.1"
step = client if sys.argv[1] == "client" else connect_to
report(rate(lambda: step(host)))
