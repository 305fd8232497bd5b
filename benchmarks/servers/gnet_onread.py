"""gnet, one buffer for the reads of all connections: ``python gnet_onread.py echo | sink``."""

from __future__ import annotations

import sys

from gevent import socket

import gnet

# A listener is done with its bytes when it returns, so one buffer will do, and may be large: with
# 64 KiB a read takes too little of what a fast sender has sent, and with 1 MiB nearly all of it.
BUFFER = bytearray(1024 * 1024)

open_sockets: set[gnet.Socket] = set()


def ignore(error: OSError) -> None:
    """The load generator leaves without a word: a reset is no news."""


def adopt(handle: socket.socket) -> None:
    """Read a connection into the buffer, and answer from there."""

    def echo(count: int, buffer: bytearray) -> None:
        sock.write(memoryview(buffer)[:count])

    def sink(count: int, buffer: bytearray) -> None:
        pass

    callback = {"echo": echo, "sink": sink}[sys.argv[1]]
    sock = gnet.Socket(handle=handle, onread=gnet.OnRead(BUFFER, callback))
    open_sockets.add(sock)
    sock.on("error", ignore)
    sock.on("close", lambda had_error: open_sockets.discard(sock))
    sock.set_no_delay(True)
    sock.resume()


with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen(511)
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        adopt(listener.accept()[0])
