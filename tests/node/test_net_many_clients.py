"""Many clients at once, each of them several times."""

from __future__ import annotations

from functools import partial

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving

CLIENTS = 50
TIMES = 3
TEXT = "0123456789" * 4096


def test_each_connection_gets_everything(must_call: Calls) -> None:
    lengths: dict[gnet.Socket, int] = {}

    def connected(client: gnet.Socket) -> None:
        lengths[client] = 0

    def got(client: gnet.Socket, text: str) -> None:
        lengths[client] += len(text)

    def closed(client: gnet.Socket, left: list[int], had_error: bool) -> None:
        assert not had_error
        assert lengths[client] == len(TEXT)
        assert client.fileno() == -1
        if left.pop() > 1:
            client.connect(*place_at(server))

    accepted = must_call(lambda sock: sock.end(TEXT), CLIENTS * TIMES)
    with serving(accepted) as server:
        for _ in range(CLIENTS):
            client = gnet.connect(*place_at(server))
            client.set_encoding("utf-8")
            client.on("connect", partial(connected, client))
            client.on("data", partial(got, client))
            left = list(range(1, TIMES + 1))
            client.on("close", must_call(partial(closed, client, left), TIMES))
        must_call.wait()
        assert len(lengths) == CLIENTS
