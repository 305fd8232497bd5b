"""A client for protocols of lines, in blocking style.

    python examples/line_client.py PORT-or-PATH [HOST]

One greenlet sends the standard input, another prints the lines that come, each as if it were
alone. The end of the input is passed on; the client ends when the server does.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import gevent
from gevent.os import tp_read

import gnet


def send_input(sock: gnet.Socket) -> None:
    # What fails here fails in main(), too, which reads.
    with suppress(OSError):
        # A read from a terminal blocks its whole thread: gevent's pool has others.
        while chunk := tp_read(sys.stdin.fileno(), 65536):
            sock.sendall(chunk)
        sock.end()


def main(target: str, host: str | None = None) -> None:
    with gnet.connect(target, host) as sock:
        sender = gevent.spawn(send_input, sock)
        with sock.makefile("r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                print(line, end="", flush=True)
        sender.kill()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(str(error))
