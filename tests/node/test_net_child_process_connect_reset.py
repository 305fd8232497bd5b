"""A peer process that is killed ends the connection of a client that reads into a buffer."""

from __future__ import annotations

import sys

import gnet
from tests.helpers.calls import Calls
from tests.helpers.peers import python, running

LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    accepted, _ = listener.accept()
    print("accepted", flush=True)
    sys.stdin.read()
"""


def test_the_death_of_the_peer_closes_the_connection(must_call: Calls) -> None:
    with running(*python(LISTEN)) as peer:
        client = gnet.connect(
            int(peer.line()),
            "127.0.0.1",
            onread=gnet.OnRead(bytearray(65536), lambda size, buffer: None),
        )
        client.on("connect", must_call())
        client.on("close", must_call())
        if sys.platform == "win32":
            client.on("error", lambda error: None)
        assert peer.line() == b"accepted"
        client.wait("connect")
        peer.close()
        client.wait("close")
    assert client.destroyed
