"""A client that pauses gets nothing until it resumes, and then all of it."""

from __future__ import annotations

import gevent

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import pair

ROUNDS = 5


def test_what_comes_during_a_pause_is_kept_for_later(must_call: Calls) -> None:
    received: list[str] = []

    def wait_for(text: str) -> None:
        while not "".join(received).endswith(text):
            client.wait("data")

    with pair() as (client, served):
        client.set_encoding("ascii")
        client.on("data", received.append)
        client.on("end", must_call())
        for number in range(ROUNDS):
            served.sendall(f"before {number};".encode())
            wait_for(f"before {number};")
            client.pause()
            served.sendall(f"during {number};".encode())
            look_for_events(client, served)
            assert received[-1].endswith(f"before {number};")
            client.resume()
            wait_for(f"during {number};")
        served.end()
        client.wait("close")
    assert "".join(received) == "".join(
        f"before {number};during {number};" for number in range(ROUNDS)
    )


def look_for_events(client: gnet.Socket, served: gnet.Socket) -> None:
    """Have the loop look for events, with something there for the client."""
    client.write(b"?")
    assert served.recv() == b"?"
    gevent.sleep(0)
