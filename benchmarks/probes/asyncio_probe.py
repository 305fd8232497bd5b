"""asyncio's ``create_connection``, on its own loop or on uvloop's.

``asyncio_probe.py asyncio  client | connect | race PORT SECONDS``; ``uvloop`` has no ``race``
"""

from __future__ import annotations

import asyncio
import socket
import sys

from rate import MESSAGE, async_rate, report

PORT = int(sys.argv[3])
RACING = {"happy_eyeballs_delay": 0.25} if sys.argv[2] == "race" else {}
HOST = "two.test" if sys.argv[2] == "race" else "127.0.0.1"


async def two_addresses(host: str, port: int, **options: object) -> list[tuple]:
    """On the first nobody listens."""
    stream = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    return [
        (socket.AF_INET6, *stream, ("::1", port, 0, 0)),
        (socket.AF_INET, *stream, ("127.0.0.1", port)),
    ]


class Client(asyncio.Protocol):
    """Sends a message, and closes when it has come back."""

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done
        self.left = len(MESSAGE)

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.write(MESSAGE)

    def data_received(self, data: bytes) -> None:
        self.left -= len(data)
        if not self.left:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set_result(None)


async def main() -> None:
    loop = asyncio.get_running_loop()
    if RACING:
        loop.getaddrinfo = two_addresses

    async def connect() -> None:
        transport, _ = await loop.create_connection(asyncio.Protocol, HOST, PORT, **RACING)
        transport.close()

    async def client() -> None:
        done = loop.create_future()
        await loop.create_connection(lambda: Client(done), HOST, PORT)
        await done

    report(await async_rate(client if sys.argv[2] == "client" else connect))


if sys.argv[1] == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main())
