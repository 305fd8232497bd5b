"""trio: ``python trio_streams.py echo | line``."""

from __future__ import annotations

import sys
from contextlib import suppress

import trio

CHUNK = 65536


async def echo(stream: trio.SocketStream) -> None:
    while data := await stream.receive_some(CHUNK):
        await stream.send_all(data)


async def line(stream: trio.SocketStream) -> None:
    rest = b""
    while data := await stream.receive_some(CHUNK):
        *lines, rest = (rest + data).split(b"\n")
        for each in lines:
            await stream.send_all(each.upper() + b"\n")


behaviours = {each.__name__: each for each in (echo, line)}


async def handle(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):  # the load generator leaves without a word
        await behaviours[sys.argv[1]](stream)


async def serve() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=511)
    print("listening", listeners[0].socket.getsockname()[1], flush=True)
    await trio.serve_listeners(handle, listeners)


trio.run(serve)
