"""pause() and resume() before the connection: the last one counts."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import closing, place_at, serving

TEXT = b"it is a far, far better thing"


@pytest.mark.parametrize(
    "calls", [["resume"], ["pause", "resume"], ["resume", "pause", "resume"]], ids=" ".join
)
def test_a_socket_that_was_resumed_last_flows(calls: list[str]) -> None:
    with serving(lambda sock: sock.end(TEXT)) as server:
        client = gnet.connect(*place_at(server))
        for call in calls:
            getattr(client, call)()
        received: list[bytes] = []
        client.on("data", received.append)
        client.wait("close")
    assert b"".join(received) == TEXT


@pytest.mark.parametrize("calls", [["pause"], ["resume", "resume", "pause"]], ids=" ".join)
def test_a_socket_that_was_paused_last_waits_for_resume(
    calls: list[str], must_call: Calls, must_not_call: Call
) -> None:
    sent: list[Any] = []

    def accepted(sock: gnet.Socket) -> None:
        sock.sendall(TEXT)
        sent.append(sock)
        sock.end()

    with serving(accepted) as server:
        client = gnet.connect(*place_at(server))
        with closing(client):
            for call in calls:
                getattr(client, call)()
            early = must_not_call("'data' of a paused socket")
            client.on("data", early)
            client.wait("connect")
            while not sent:
                gevent.sleep(0)
            assert client.is_paused()
            assert client.bytes_read == 0
            client.off("data", early)
            received: list[bytes] = []
            client.on("data", received.append)
            client.resume()
            client.wait("close")
    assert b"".join(received) == TEXT
