"""bytes_read counts what was received, and stays when the socket has closed."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving

SIZE = 1024 * 1024


def test_the_count_grows_with_the_data_and_stays(must_call: Calls) -> None:
    counts: list[int] = []
    lengths: list[int] = []

    def received(chunk: bytes) -> None:
        lengths.append(len(chunk))
        counts.append(client.bytes_read)

    with serving(must_call(lambda sock: sock.end(bytes(SIZE)))) as server:
        client = gnet.connect(*place_at(server))
        client.on("data", received)
        client.on("end", must_call(lambda: counts.append(client.bytes_read)))
        client.on("close", must_call(lambda had_error: counts.append(client.bytes_read)))
        client.end()
        must_call.wait()

    assert counts[:-2] == [sum(lengths[: n + 1]) for n in range(len(lengths))]
    assert counts[-3:] == [SIZE, SIZE, SIZE]
