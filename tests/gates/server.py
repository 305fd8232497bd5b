"""The echo server that is measured: ``python -m tests.gates.server STYLE``.

It prints its port. A line on its input has it print the bytes of memory that it holds; at the end
of its input it ends.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
from typing import Any

import gevent
from gevent.fileobject import FileObject
from gevent.server import StreamServer

import gnet

STYLES = ("event", "blocking", "gevent")


def held_bytes() -> int:
    """The memory that this process holds, without what it shares."""
    gc.collect()
    with open("/proc/self/smaps_rollup", encoding="ascii") as lines:
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def _event(sock: Any) -> None:
    sock.on("data", sock.write)


def _blocking(sock: Any, address: Any = None) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def _serve(style: str) -> int:
    """Begin to serve; gives the port."""
    if style == "gevent":
        server = StreamServer(("127.0.0.1", 0), _blocking)
        server.start()
        return int(server.server_port)
    if style == "event":
        gnet_server = gnet.create_server(_event, no_delay=True)
    else:
        gnet_server = gnet.create_server(_blocking, end_on_return=True, no_delay=True)
    gnet_server.listen(0, "127.0.0.1")
    address = gnet_server.address()
    assert isinstance(address, gnet.AddressInfo)
    return address.port


def _main() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(_serve(sys.argv[1]), flush=True)
    for _ in FileObject(sys.stdin.fileno(), "rb", bufsize=0, close=False):
        gevent.sleep(0.1)
        print(held_bytes(), flush=True)
    # The interpreter's end is not measured.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    _main()
