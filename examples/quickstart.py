"""Two styles, two kinds of address: eight conversations side by side.

An event-style and a blocking-style server listen on a free TCP port and on a Unix socket each.
A client of either style talks to every one of them, all at the same time; each line that goes
over a connection is printed. Run it from the root of the project:

    python examples/quickstart.py
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import gevent

import gnet


def event_server() -> gnet.Server:
    """Events: what was received is answered by a listener."""
    server = gnet.create_server()

    @server.on("connection")
    def connected(sock: gnet.Socket) -> None:
        sock.set_encoding("utf-8")

        @sock.on("data")
        def received(text: str) -> None:
            sock.write(text.upper())

    return server


def blocking_server() -> gnet.Server:
    """Blocking calls: every connection has a greenlet, which owns it until it returns."""

    def talk(sock: gnet.Socket) -> None:
        for line in sock.makefile("rb"):
            sock.sendall(line.upper())

    return gnet.create_server(talk, end_on_return=True)


def event_client(address: Any, say: Any) -> None:
    sock = gnet.connect(address).set_encoding("utf-8")

    @sock.on("connect")
    def connected() -> None:
        sock.write("hello from an event listener\n")
        say("sends     hello from an event listener")

    @sock.on("data")
    def received(text: str) -> None:
        say("receives  " + text.rstrip())
        sock.end()

    sock.wait("close")


def blocking_client(address: Any, say: Any) -> None:
    with gnet.connect(address) as sock:
        sock.sendall(b"hello from a blocking call\n")
        say("sends     hello from a blocking call")
        with sock.makefile("r") as replies:
            say("receives  " + replies.readline().rstrip())


def main() -> None:
    servers = {}
    clients = []
    with tempfile.TemporaryDirectory() as directory:
        for style, make in ("event", event_server), ("blocking", blocking_server):
            path = os.path.join(directory, style)
            servers[f"{style} server, TCP"] = make().listen(0, "localhost")
            servers[f"{style} server, Unix"] = make().listen(path)
        for name, server in servers.items():
            print(f"{name:21} listens on {server}")
        for name, server in servers.items():
            for client in event_client, blocking_client:
                say = printer(f"{client.__name__.replace('_', ' ')} > {name}")
                clients.append(gevent.spawn(client, dialable(server), say))
        gevent.joinall(clients, raise_error=True)
        for server in servers.values():
            server.close()
        gnet.run()  # returns when the last connection has closed
    print(f"{len(clients)} conversations, all closed")


def dialable(server: gnet.Server) -> Any:
    """Where to connect to: ``(host, port)``, or the path."""
    address: Any = server.address()
    return address if isinstance(address, str) else (address.address, address.port)


def printer(name: str) -> Any:
    return lambda text: print(f"{name:39} {text}", flush=True)


if __name__ == "__main__":
    main()
