"""asyncio's protocols, on its own loop or on uvloop's.

``python asyncio_protocol.py asyncio | uvloop  echo | line | sink | fanout | proxy PORT``, or
``tls CERT KEY``
"""

from __future__ import annotations

import asyncio
import ssl
import sys

CHUNK = 65536

members: set[asyncio.Transport] = set()


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Line(Echo):
    rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for each in lines:
            self.transport.write(each.upper() + b"\n")


class Sink(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self.buffer = bytearray(CHUNK)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        pass


class Fanout(Echo):
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        members.add(transport)
        transport.write(b"+")

    def data_received(self, data: bytes) -> None:
        for member in members:
            member.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        members.discard(self.transport)


class End(asyncio.Protocol):
    """One of a proxy's two; who may not write stops the other's reading."""

    def __init__(self, other: asyncio.Transport) -> None:
        self.other = other

    def data_received(self, data: bytes) -> None:
        self.other.write(data)

    def pause_writing(self) -> None:
        self.other.pause_reading()

    def resume_writing(self) -> None:
        self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.other.close()


class Proxy(asyncio.Protocol):
    """The end towards the client, until the target is reached."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.early: list[bytes] = []
        self.connecting = asyncio.ensure_future(self.connect(transport))

    def data_received(self, data: bytes) -> None:
        self.early.append(data)

    async def connect(self, near: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        port = int(sys.argv[3])
        far, _ = await loop.create_connection(lambda: End(near), "127.0.0.1", port)
        near.set_protocol(End(far))
        far.writelines(self.early)


def encryption() -> ssl.SSLContext | None:
    if sys.argv[2] != "tls":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    return context


async def serve() -> None:
    protocol = {"echo": Echo, "line": Line, "sink": Sink, "fanout": Fanout, "proxy": Proxy}
    made = protocol.get(sys.argv[2], Echo)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(made, "127.0.0.1", 0, backlog=511, ssl=encryption())
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if sys.argv[1] == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(serve())
