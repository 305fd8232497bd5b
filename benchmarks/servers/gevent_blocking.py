"""gevent's server: ``gevent_blocking.py echo | timeout | line | sink | fanout | proxy PORT``.

Or ``gevent_blocking.py tls CERT KEY``.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import gevent
from gevent import socket, ssl
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


options = {}
if sys.argv[1] == "tls":
    # With the files instead, each connection would have a context of its own.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    options["ssl_context"] = context
server = StreamServer(("127.0.0.1", 0), handle, backlog=511, **options)
server.start()
print("listening", server.server_port, flush=True)
server.serve_forever()
