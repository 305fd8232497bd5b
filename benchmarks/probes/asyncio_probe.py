"""asyncio's ``create_connection``, on its own loop or on uvloop's.

``python asyncio_probe.py asyncio  connect | race PORT SECONDS``, or ``uvloop`` and ``connect``
"""

from __future__ import annotations

import asyncio
import socket
import sys

from rate import async_rate, report

PORT = int(sys.argv[3])
RACING = {"happy_eyeballs_delay": 0.25} if sys.argv[2] == "race" else {}
HOST = {"connect": "127.0.0.1", "race": "two.test"}[sys.argv[2]]


async def two_addresses(host: str, port: int, **options: object) -> list[tuple]:
    """On the first nobody listens."""
    stream = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    return [
        (socket.AF_INET6, *stream, ("::1", port, 0, 0)),
        (socket.AF_INET, *stream, ("127.0.0.1", port)),
    ]


async def main() -> None:
    loop = asyncio.get_running_loop()
    if RACING:
        loop.getaddrinfo = two_addresses

    async def connect() -> None:
        transport, _ = await loop.create_connection(asyncio.Protocol, HOST, PORT, **RACING)
        transport.close()

    report(await async_rate(connect))


if sys.argv[1] == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main())
