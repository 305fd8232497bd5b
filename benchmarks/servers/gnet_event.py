"""gnet, event style: ``gnet_event.py echo | timeout | line | sink | fanout | tls CERT KEY``."""

from __future__ import annotations

import sys

import gnet

members: set[gnet.Socket] = set()


def ignore(error: OSError) -> None:
    """The load generator leaves without a word: a reset is no news."""


def echo(sock: gnet.Socket) -> None:
    sock.on("error", ignore)
    sock.on("data", sock.write)


def timeout(sock: gnet.Socket) -> None:
    """Echo, and destroy whoever is silent for a minute."""
    sock.set_timeout(60, sock.destroy)
    echo(sock)


def line(sock: gnet.Socket) -> None:
    rest = b""

    @sock.on("data")
    def split(chunk: bytes) -> None:
        nonlocal rest
        *lines, rest = (rest + chunk).split(b"\n")
        for each in lines:
            sock.write(each.upper() + b"\n")

    sock.on("error", ignore)


def sink(sock: gnet.Socket) -> None:
    sock.on("error", ignore)
    sock.resume()


def fanout(sock: gnet.Socket) -> None:
    @sock.on("data")
    def publish(message: bytes) -> None:
        for member in members:
            member.write(message)

    members.add(sock)
    sock.on("close", lambda had_error: members.discard(sock))
    sock.on("error", ignore)
    sock.write(b"+")


behaviours = {each.__name__: each for each in (echo, timeout, line, sink, fanout)}
behaviours["tls"] = echo
tls = tuple(sys.argv[2:4]) if sys.argv[1] == "tls" else None
server = gnet.create_server(behaviours[sys.argv[1]], no_delay=True, tls=tls)
server.listen(0, "127.0.0.1")
print("listening", server.address().port, flush=True)
gnet.run()
