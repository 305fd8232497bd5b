"""A socket that is only read has 'end' and then 'close'."""

from __future__ import annotations

from gevent import socket

import gnet


def test_the_end_of_what_is_only_read_is_the_end_of_all() -> None:
    here, there = socket.socketpair()
    sock = gnet.Socket(handle=here, writable=False)
    happened: list[str] = []
    for event in ("end", "close"):
        sock.on(event, lambda *args, event=event: happened.append(event))
    assert not sock.writable
    assert sock.resume() is sock

    there.close()
    sock.wait("close")

    assert happened == ["end", "close"]
