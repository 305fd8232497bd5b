"""Much text of more than one byte a character, in many chunks."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving

TEXT = "𝄞ßαé→" * 20_000


def test_no_character_is_torn(must_call: Calls) -> None:
    chunks: list[str] = []

    def accepted(sock: gnet.Socket) -> None:
        sock.set_encoding("utf-8")
        sock.on("data", chunks.append)
        sock.on("end", ended)

    ended = must_call()
    with serving(must_call(accepted)) as server:
        client = gnet.connect(*place_at(server))
        client.write(TEXT, "utf-8")
        client.end()
        ended.wait()
        client.resume()
        client.wait("close")
    assert all(isinstance(chunk, str) for chunk in chunks)
    assert "".join(chunks) == TEXT
