"""When listen() may be called again."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.servers import serving


def test_twice_without_a_close_is_refused() -> None:
    with serving() as server:
        with pytest.raises(gnet.errors.AlreadyListeningError) as caught:
            server.listen(0)
        assert caught.value.code == "ERR_SERVER_ALREADY_LISTEN"
        assert server.listening


def test_after_a_failure_it_may() -> None:
    with serving() as taken:
        server = gnet.Server()
        failed: list[OSError] = []
        server.on("error", failed.append)
        server.listen(taken.address().port, "127.0.0.1")
        server.wait("error")
        assert failed[0].code == "EADDRINUSE"
        server.listen(0, "127.0.0.1")
        server.wait("listening")
        server.shutdown(0)


def test_after_a_close_it_may() -> None:
    with serving() as server:
        server.close()
        server.listen(0, "127.0.0.1")
        assert server.listening
