"""set_keep_alive() of a connection that is open."""

from __future__ import annotations

from tests.helpers.options import keep_alive, keep_alive_delay
from tests.helpers.servers import LOOPBACK, pair


def test_keep_alive_is_switched_on_and_the_connection_goes_on() -> None:
    with pair(LOOPBACK) as (client, served):
        client.set_timeout(0)
        served.set_timeout(0)
        assert not keep_alive(served)

        assert served.set_keep_alive(True, 1.5) is served

        assert keep_alive(served)
        assert keep_alive_delay(served) == 1
        assert client.ready_state == served.ready_state == "open"
        served.sendall(b"still here")
        assert client.recv() == b"still here"


def test_keep_alive_is_switched_off_again() -> None:
    with pair(LOOPBACK) as (_, served):
        served.set_keep_alive(True)
        served.set_keep_alive(False)
        assert not keep_alive(served)
