"""A thousand small messages to and fro, and what the sockets say of themselves meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import TRANSPORTS, place_at, place_of, serving

ROUNDS = 1000


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_each_question_is_answered_and_the_last_after_the_clients_end(
    transport: str, tmp_path: Path, must_call: Calls, must_not_call: Call
) -> None:
    sent = must_call(times=ROUNDS)

    def accepted(sock: gnet.Socket) -> None:
        assert sock.server is server
        assert server.get_connections() == 1
        if transport != "unix":
            sock.set_no_delay()
        sock.set_encoding("utf-8")
        sock.on("data", must_call(lambda text: answer(sock, text), ROUNDS))
        sock.on("end", must_call(lambda: client_has_ended(sock)))
        sock.on("error", must_not_call("'error'"))
        sock.on("close", must_call())

    def answer(sock: gnet.Socket, text: str) -> None:
        assert text == "ping"
        assert sock.readable
        assert sock.writable
        # Nothing is queued: there is no more than one message at a time.
        assert sock.writable_length == 0
        sock.write("pong", callback=sent)

    def client_has_ended(sock: gnet.Socket) -> None:
        assert sock.allow_half_open
        assert sock.ready_state == "write_only"
        assert sock.writable
        assert not sock.readable
        sock.end()

    def ask() -> None:
        client.write("ping")

    def answered(text: str) -> None:
        nonlocal rounds
        assert text == "pong"
        assert client.readable
        assert client.writable is (rounds + 1 < ROUNDS)
        rounds += 1
        if rounds < ROUNDS:
            ask()
        if rounds == ROUNDS - 1:
            client.end()

    rounds = 0
    with serving(accepted, place_of(transport, tmp_path), allow_half_open=True) as server:
        client = gnet.connect(*place_at(server))
        client.set_encoding("ascii")
        client.on("connect", must_call(ask))
        client.on("data", must_call(answered, ROUNDS))
        client.on("error", must_not_call("'error'"))
        client.wait("close")
        must_call.wait()
    assert rounds == ROUNDS
    assert client.bytes_written == client.bytes_read == 4 * ROUNDS
