"""gnet, blocking: ``gnet_blocking.py echo | timeout | line | sink | fanout | proxy PORT``.

Or ``gnet_blocking.py tls CERT KEY``.
"""

from __future__ import annotations

import socket
import sys

import gevent

import gnet

CHUNK = 65536

members: set[gnet.Socket] = set()


def echo(sock: gnet.Socket) -> None:
    while data := sock.recv(CHUNK):
        sock.sendall(data)


def timeout(sock: gnet.Socket) -> None:
    """Echo, and give up whoever is silent for a minute."""
    sock.settimeout(60)
    echo(sock)


def line(sock: gnet.Socket) -> None:
    for each in sock.makefile("rb"):
        sock.sendall(each.upper())


def sink(sock: gnet.Socket) -> None:
    buffer = bytearray(CHUNK)
    while sock.recv_into(buffer):
        pass


def fanout(sock: gnet.Socket) -> None:
    members.add(sock)
    try:
        sock.sendall(b"+")
        while message := sock.recv(CHUNK):
            for member in list(members):
                member.sendall(message)
    finally:
        members.discard(sock)


def copy(source: gnet.Socket, destination: gnet.Socket) -> None:
    try:
        while data := source.recv(CHUNK):
            destination.sendall(data)
        destination.shutdown(socket.SHUT_WR)
    except OSError:
        source.destroy()
        destination.destroy()


def proxy(near: gnet.Socket) -> None:
    with gnet.connect(int(sys.argv[2]), "127.0.0.1", no_delay=True) as far:
        back = gevent.spawn(copy, far, near)
        copy(near, far)
        back.join()


behaviours = {each.__name__: each for each in (echo, timeout, line, sink, fanout, proxy)}
behaviours["tls"] = echo
tls = tuple(sys.argv[2:4]) if sys.argv[1] == "tls" else None
server = gnet.create_server(behaviours[sys.argv[1]], no_delay=True, end_on_return=True, tls=tls)
server.listen(0, "127.0.0.1")
print("listening", server.address().port, flush=True)
server.serve_forever()
