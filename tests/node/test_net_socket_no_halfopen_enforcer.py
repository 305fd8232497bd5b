"""Ending the other side is the socket's own work, and no listener's."""

from __future__ import annotations

import gnet


def test_a_new_socket_has_no_listeners() -> None:
    assert gnet.Socket().event_names() == []
    assert gnet.Socket(allow_half_open=True).listener_count("end") == 0
