"""trio's ``open_tcp_stream``: ``python trio_probe.py connect | race PORT SECONDS``."""

from __future__ import annotations

import socket
import sys

import trio
from rate import async_rate, report


class Resolver(trio.abc.HostnameResolver):
    """Two addresses for one name; on the first nobody listens."""

    async def getaddrinfo(self, host: bytes | None, port: object, *options: int) -> list[tuple]:
        stream = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [
            (socket.AF_INET6, *stream, ("::1", port, 0, 0)),
            (socket.AF_INET, *stream, ("127.0.0.1", port)),
        ]

    async def getnameinfo(self, sockaddr: tuple, flags: int) -> tuple[str, str]:
        raise OSError("nobody asks")


async def main() -> None:
    host = {"connect": "127.0.0.1", "race": "two.test"}[sys.argv[1]]
    trio.socket.set_custom_hostname_resolver(Resolver())

    async def connect() -> None:
        await (await trio.open_tcp_stream(host, int(sys.argv[2]))).aclose()

    report(await async_rate(connect))


trio.run(main)
