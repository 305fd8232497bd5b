"""gevent's ``create_connection``: ``python gevent_probe.py connect | race PORT SECONDS``."""

from __future__ import annotations

import sys

import gevent
from gevent import socket
from rate import rate, report


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


if sys.argv[1] == "race":
    gevent.get_hub().resolver = Resolver()
host = {"connect": "127.0.0.1", "race": "two.test"}[sys.argv[1]]
report(rate(lambda: connect_to(host)))
