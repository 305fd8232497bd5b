"""asyncio's streams, on its own loop or on uvloop's.

``python asyncio_streams.py asyncio | uvloop  echo | line | proxy PORT | tls CERT KEY``
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from asyncio import StreamReader, StreamWriter
from contextlib import closing, suppress

CHUNK = 65536


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def line(reader: StreamReader, writer: StreamWriter) -> None:
    while data := await reader.readline():
        writer.write(data.upper())
        await writer.drain()


async def proxy(reader: StreamReader, writer: StreamWriter) -> None:
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[3]))
    with closing(far_writer):
        await asyncio.gather(echo(reader, far_writer), echo(far_reader, writer))


behaviours = {each.__name__: each for each in (echo, line, proxy)}
behaviours["tls"] = echo


async def handle(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError), closing(writer):  # the load generator leaves without a word
        await behaviours[sys.argv[2]](reader, writer)


def encryption() -> ssl.SSLContext | None:
    if sys.argv[2] != "tls":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    return context


async def serve() -> None:
    server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=511, ssl=encryption())
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if sys.argv[1] == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(serve())
