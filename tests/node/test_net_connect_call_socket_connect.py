"""gnet.connect() connects by Socket.connect(), so whoever instruments that sees every one."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.servers import place_at, serving


def test_connect_goes_through_the_method_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[gnet.Socket] = []
    original = gnet.Socket.connect

    def connect(self: gnet.Socket, *args: object, **options: object) -> gnet.Socket:
        seen.append(self)
        return original(self, *args, **options)

    monkeypatch.setattr(gnet.Socket, "connect", connect)
    with serving() as server, gnet.connect(*place_at(server)) as client:
        assert seen == [client]
