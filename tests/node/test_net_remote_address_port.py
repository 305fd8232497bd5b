"""The remote end of both sides, up to 'close'."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, place_of, serving

Remote = tuple[str | None, str | None, int | None]


def remote(sock: gnet.Socket) -> Remote:
    return (sock.remote_address, sock.remote_family, sock.remote_port)


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_each_side_knows_the_other_and_remembers_it(
    family: str, tmp_path: Path, must_call: Calls
) -> None:
    served: list[Remote] = []
    closed = must_call(lambda had_error: served.append(remote(ours)))

    def accepted(sock: gnet.Socket) -> None:
        nonlocal ours
        ours = sock
        served.append(remote(sock))
        sock.on("close", closed)
        sock.resume()

    ours = gnet.Socket()
    with serving(must_call(accepted), place_of(family.lower(), tmp_path)) as server:
        port, host = place_at(server)
        client = gnet.connect(port, host)
        assert remote(client) == (None, None, None)
        seen: list[Remote] = []
        mine: list[int | None] = []

        def connected() -> None:
            seen.append(remote(client))
            mine.append(client.local_port)
            client.end()

        client.on("connect", must_call(connected))
        client.on("close", must_call(lambda had_error: seen.append(remote(client))))
        client.resume()
        client.wait("close")
        closed.wait()
    assert seen == [(host, family, port)] * 2
    assert served == [(host, family, mine[0])] * 2
    assert mine[0] != port
