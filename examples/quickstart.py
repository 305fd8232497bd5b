"""Two styles, two kinds of address: eight conversations side by side.

An event-style and a blocking-style server listen on a free TCP port and on a Unix socket each.
A client of either style talks to every one of them, all at the same time. What each conversation
said is printed in one piece, and at the end what to try next. Run it from the root of the project:

    python examples/quickstart.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import gevent

import gnet

NEXT = """
Next, try:
  {python} -m gnet listen 8124 --echo     an echo server, and in another terminal
  {python} -m gnet connect 8124           a client: what you type comes back
  {python} examples/chat.py 8124          a chat room, for any number of such clients
Then read docs/tutorial.rst: from a server in a few lines to one for the internet."""


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
    with tempfile.TemporaryDirectory() as directory:
        for style, make in ("event", event_server), ("blocking", blocking_server):
            path = os.path.join(directory, style)
            servers[f"{style} server, TCP"] = make().listen(0, "localhost")
            servers[f"{style} server, Unix"] = make().listen(path)
        for name, server in servers.items():
            print(f"{name:21} listens on {server}")
        conversations = [
            Conversation(client, name, server)
            for name, server in servers.items()
            for client in (event_client, blocking_client)
        ]
        for each in conversations:
            each.show()
        for server in servers.values():
            server.close()
        gnet.run()  # returns when the last connection has closed
    print(f"{len(conversations)} conversations, all closed")
    print(NEXT.format(python=os.path.relpath(sys.executable)))


class Conversation:
    """A client that talks to a server in a greenlet of its own; what is said is kept."""

    def __init__(self, client: Any, name: str, server: gnet.Server) -> None:
        self.name = f"{client.__name__.replace('_', ' ')} > {name}"
        self.said: list[str] = []
        self.greenlet = gevent.spawn(client, dialable(server), self.said.append)

    def show(self) -> None:
        """Print all of it when it is over; raise what has gone wrong in it."""
        self.greenlet.get()
        for text in self.said:
            print(f"{self.name:39} {text}")


def dialable(server: gnet.Server) -> Any:
    """Where to connect to: ``(host, port)``, or the path."""
    address: Any = server.address()
    return address if isinstance(address, str) else (address.address, address.port)


if __name__ == "__main__":
    main()
