"""buffer_size, deprecated, is what is queued."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def buffer_size(sock: gnet.Socket) -> int:
    with pytest.warns(DeprecationWarning, match="writable_length"):
        return sock.buffer_size


def test_each_byte_counts_that_is_queued_and_none_does_at_the_finish(must_call: Calls) -> None:
    with serving(lambda sock: sock.resume()) as server:
        client = gnet.connect(*place_at(server))
        client.on("finish", must_call(lambda: sizes.append(buffer_size(client))))
        sizes = []
        # Nothing can be sent before the connection is there.
        for _ in range(9):
            client.write("a")
            sizes.append(buffer_size(client))
        client.end()
        client.wait("close")
    assert sizes == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
