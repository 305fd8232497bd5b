"""set_default_auto_select_family() decides for connections that do not say."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.defaults import keeping_defaults
from tests.helpers.lookups import answering
from tests.helpers.servers import echoing, has_ipv6

LOOKUP = answering("::1", "127.0.0.1")


def test_with_the_default_on_the_second_address_is_reached() -> None:
    with keeping_defaults(), echoing() as server:
        gnet.set_default_auto_select_family(True)
        with gnet.connect(server.address().port, "example.org", lookup=LOOKUP) as client:
            client.sendall(b"request")
            assert client.recv() == b"request"


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine's loopback")
def test_with_the_default_off_the_first_address_is_the_only_one() -> None:
    with keeping_defaults(), echoing() as server:
        gnet.set_default_auto_select_family(False)
        port = server.address().port
        with (
            pytest.raises(ConnectionRefusedError, match=f"connect ECONNREFUSED ::1:{port}"),
            gnet.connect(port, "example.org", lookup=LOOKUP),
        ):
            pass


@pytest.mark.parametrize("value", ["yes", None, 2, 1.0])
def test_the_default_is_a_bool(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        gnet.set_default_auto_select_family(value)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
