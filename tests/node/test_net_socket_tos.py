"""The type of service, before and after the connection."""

from __future__ import annotations

import socket

import pytest

import gnet
from tests.helpers.servers import place_at, serving


def test_it_is_remembered_and_read_back() -> None:
    with serving() as server:
        client = gnet.Socket().set_type_of_service(0x10)
        assert client.get_type_of_service() == 0x10
        client.connect(*place_at(server))
        client.wait("connect")
        assert client.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x10
        client.set_type_of_service(0x08)
        assert client.get_type_of_service() == 0x08
        client.destroy()


@pytest.mark.parametrize(
    ("tos", "kind"), [(-1, ValueError), (256, ValueError), ("16", TypeError), (True, TypeError)]
)
def test_bad_values(tos: object, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="tos"):
        gnet.Socket().set_type_of_service(tos)
