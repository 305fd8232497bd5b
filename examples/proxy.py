"""A TCP proxy: two pipes.

    python examples/proxy.py UPSTREAM-HOST UPSTREAM-PORT [PORT]

Everything goes through as it comes, no faster than the slower side takes it. An end of one
direction is passed on while the other goes on. An error on either side resets the other one, so
that nobody takes what was cut off for the whole. Ctrl-C closes all connections.
"""

from __future__ import annotations

import signal
import sys

import gevent

import gnet


def relay(client: gnet.Socket, host: str, port: str) -> None:
    upstream = gnet.connect(port, host, allow_half_open=True)
    client.pipe(upstream)
    upstream.pipe(client)
    couple(client, upstream)
    couple(upstream, client)


def couple(one: gnet.Socket, other: gnet.Socket) -> None:
    one.on("error", lambda error: print(error, file=sys.stderr, flush=True))

    @one.on("close")
    def closed(had_error: bool) -> None:
        if had_error:
            other.reset_and_destroy()
        else:
            other.destroy_soon()


def main(host: str, port: str, target: str = "0") -> None:
    server = gnet.create_server(lambda client: relay(client, host, port), allow_half_open=True)
    server.listen(target)
    address = server.address()
    print("listening on", getattr(address, "port", address), flush=True)
    for number in signal.SIGINT, signal.SIGTERM:
        gevent.signal_handler(number, server.shutdown, 0)
    gnet.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
