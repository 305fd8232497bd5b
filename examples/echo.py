"""An echo server in either style.

    python examples/echo.py [event|blocking] [PORT or PATH]

``nc localhost PORT`` or ``nc -U PATH`` talks to it. Without a port it takes a free one and says
which. Ctrl-C ends it: connections have a second to finish.
"""

from __future__ import annotations

import signal
import sys

import gevent

import gnet


def event_style() -> gnet.Server:
    """No greenlet is needed per connection; ``pipe`` reads no faster than the peer takes it."""
    server = gnet.create_server()

    @server.on("connection")
    def connected(sock: gnet.Socket) -> None:
        sock.on("error", lambda error: print(error, file=sys.stderr))
        sock.pipe(sock)

    return server


def blocking_style() -> gnet.Server:
    """A greenlet per connection; ``sendall`` holds it back when the peer is slow."""

    def echo(sock: gnet.Socket) -> None:
        for chunk in sock:
            sock.sendall(chunk)

    return gnet.create_server(echo, end_on_return=True)


def main(style: str = "event", target: str = "0") -> None:
    server = {"event": event_style, "blocking": blocking_style}[style]()
    server.listen(target)
    address = server.address()
    print("listening on", getattr(address, "port", address), flush=True)
    for number in signal.SIGINT, signal.SIGTERM:
        gevent.signal_handler(number, server.shutdown, 1.0)
    gnet.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
