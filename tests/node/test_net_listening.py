"""Server.listening, in each state of a server."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls


def test_listening_is_true_between_listen_and_close(must_call: Calls) -> None:
    states: list[bool] = []

    def note(*_: object) -> None:
        states.append(server.listening)

    server = gnet.create_server()
    note()
    started, stopped = must_call(note), must_call(note)
    server.listen(0, "127.0.0.1", started)
    note()
    started.wait()
    server.close(stopped)
    note()
    stopped.wait()
    assert states == [False, True, True, False, False]
