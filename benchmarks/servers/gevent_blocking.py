"""gevent's server: ``gevent_blocking.py echo | timeout | line | sink | fanout | proxy PORT``.

Or ``gevent_blocking.py tls CERT KEY``.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import gevent
from gevent import socket
from gevent.server import StreamServer

CHUNK = 65536

members: set[socket.socket] = set()


def echo(sock: socket.socket) -> None:
    while data := sock.recv(CHUNK):
        sock.sendall(data)


def timeout(sock: socket.socket) -> None:
    """Echo, and give up whoever is silent for a minute."""
    sock.settimeout(60)
    echo(sock)


def line(sock: socket.socket) -> None:
    for each in sock.makefile("rb"):
        sock.sendall(each.upper())


def sink(sock: socket.socket) -> None:
    buffer = bytearray(CHUNK)
    while sock.recv_into(buffer):
        pass


def fanout(sock: socket.socket) -> None:
    members.add(sock)
    try:
        sock.sendall(b"+")
        while message := sock.recv(CHUNK):
            for member in list(members):
                member.sendall(message)
    finally:
        members.discard(sock)


def copy(source: socket.socket, destination: socket.socket) -> None:
    try:
        while data := source.recv(CHUNK):
            destination.sendall(data)
        destination.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        destination.close()


def proxy(near: socket.socket) -> None:
    with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as far:
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = gevent.spawn(copy, far, near)
        copy(near, far)
        back.join()


behaviours = {each.__name__: each for each in (echo, timeout, line, sink, fanout, proxy)}
behaviours["tls"] = echo


def handle(sock: socket.socket, address: object) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):  # the load generator leaves without a word
        behaviours[sys.argv[1]](sock)


files = {"certfile": sys.argv[2], "keyfile": sys.argv[3]} if sys.argv[1] == "tls" else {}
server = StreamServer(("127.0.0.1", 0), handle, backlog=511, **files)
server.start()
print("listening", server.server_port, flush=True)
server.serve_forever()
