"""Answers that come a little later, with both sockets open meanwhile."""

from __future__ import annotations

import gevent

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving

ROUNDS = 50
DELAY = 0.001


def test_both_ends_are_open_until_the_client_ends(must_call: Calls, must_not_call: Call) -> None:
    def accepted(sock: gnet.Socket) -> None:
        states: list[str] = []

        def answer(data: bytes) -> None:
            assert data == b"ping"
            assert sock.ready_state == "open"
            # In the listener: it holds up this connection only.
            gevent.sleep(DELAY)
            assert sock.ready_state == "open"
            sock.write(b"pong")

        def ended() -> None:
            states.append(sock.ready_state)
            sock.end()

        def closed(had_error: bool) -> None:
            assert not had_error
            states.append(sock.ready_state)
            assert states == ["write_only", "closed"]

        sock.on("data", must_call(answer, ROUNDS))
        sock.on("timeout", must_not_call("'timeout' of the server's"))
        sock.on("end", must_call(ended))
        sock.on("close", must_call(closed))

    def ask_later(_: object = None) -> None:
        nonlocal rounds
        assert client.ready_state == "open"
        gevent.sleep(DELAY)
        assert client.ready_state == "open"
        if rounds < ROUNDS:
            rounds += 1
            client.write(b"ping")
        else:
            client.end()

    rounds = 0
    with serving(accepted, allow_half_open=True) as server:
        client = gnet.connect(*place_at(server))
        client.on("timeout", must_not_call("'timeout' of the client's"))
        client.on("connect", must_call(ask_later))
        client.on("data", must_call(ask_later, ROUNDS))
        client.wait("close")
        must_call.wait()
