"""Latin-1 carries every byte, in both directions."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving

ALL_BYTES = "".join(map(chr, range(255, -1, -1)))


def echo_text(sock: gnet.Socket) -> None:
    sock.set_encoding("latin1")
    sock.on("data", lambda text: sock.write(text, "latin1"))


def test_every_byte_comes_back_as_the_same_character(must_call: Calls) -> None:
    received: list[str] = []
    singles = map(chr, range(256))

    def answered(text: str) -> None:
        received.append(text)
        for single in singles:
            client.write(single, "binary")
        if sum(map(len, received)) == 512:
            client.end()

    with serving(echo_text) as server:
        client = gnet.connect(*place_at(server))
        client.set_encoding("latin1")
        client.on("connect", must_call(lambda: client.write(ALL_BYTES, "binary")))
        client.on("data", answered)
        client.wait("close")

    text = "".join(received)
    assert text[:256] == ALL_BYTES
    assert text[256:] == ALL_BYTES[::-1]
