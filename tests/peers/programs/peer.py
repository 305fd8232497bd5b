"""One end of a connection, by Python's socket and socketserver.

    peer.py (connect|listen) MODE (PORT HOST | PATH)

What it listens at is the first line of its output. The code of an error goes to the standard
error, and makes the status 1.
"""

from __future__ import annotations

import errno
import os
import socket
import socketserver
import struct
import sys
import threading
from typing import Any

SIZE = 65536


def copy(sock: socket.socket) -> None:
    """The input goes out, what comes goes to the output; either end is passed on."""
    sender = threading.Thread(target=send_input, args=(sock,), daemon=True)
    sender.start()
    while chunk := sock.recv(SIZE):
        os.write(1, chunk)
    sender.join()


def send_input(sock: socket.socket) -> None:
    while chunk := os.read(0, SIZE):
        sock.sendall(chunk)
    sock.shutdown(socket.SHUT_WR)


def echo(sock: socket.socket) -> None:
    while chunk := sock.recv(SIZE):
        sock.sendall(chunk)


def count(sock: socket.socket) -> None:
    """Read to the end, and answer with the number of bytes."""
    total = 0
    while chunk := sock.recv(SIZE):
        total += len(chunk)
    sock.sendall(str(total).encode())


def reset(sock: socket.socket) -> None:
    """Reset the connection when something has come."""
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


MODES = {"copy": copy, "echo": echo, "count": count, "reset": reset}


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        behave(self.request)


def behave(sock: socket.socket) -> None:
    try:
        MODES[sys.argv[2]](sock)
    except OSError as exc:
        print(errno.errorcode[exc.errno or 0], file=sys.stderr, flush=True)
        os._exit(1)


def connect(place: str, host: str | None = None) -> None:
    if host is not None:
        sock = socket.create_connection((host, int(place)))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(place)
    with sock:
        behave(sock)


def listen(place: str, host: str | None = None) -> None:
    server: Any
    if host is not None:
        server = socketserver.TCPServer((host, int(place)), Handler)
        print(server.server_address[1], flush=True)
    else:
        server = socketserver.UnixStreamServer(place, Handler)
        print(place, flush=True)
    with server:
        server.handle_request()


if __name__ == "__main__":
    {"connect": connect, "listen": listen}[sys.argv[1]](*sys.argv[3:])
