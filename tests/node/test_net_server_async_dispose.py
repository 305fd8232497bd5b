"""A server in a with statement is closed at its end."""

from __future__ import annotations

import gnet


def test_the_end_of_the_block_waits_until_the_server_has_closed() -> None:
    with gnet.create_server().listen(0, "127.0.0.1") as server:
        assert server.listening
    assert not server.listening
    assert server.wait("close") == ()


def test_a_server_that_is_closed_already_is_no_matter() -> None:
    with gnet.create_server().listen(0, "127.0.0.1") as server:
        server.close()
    with server:
        pass
    assert not server.listening
