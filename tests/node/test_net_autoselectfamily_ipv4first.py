"""The family of the first address goes first."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Call
from tests.helpers.lookups import answering
from tests.helpers.servers import echoing, has_ipv6, on_one_port, serving


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine's loopback")
def test_ipv4_is_used_where_the_lookup_gives_it_first(must_not_call: Call) -> None:
    with (
        on_one_port(
            lambda port: echoing(at=(port, "127.0.0.1")),
            lambda port: serving(must_not_call("an IPv6 connection"), at=(port, "::1")),
        ) as (ipv4, _),
        gnet.connect(
            ipv4.address().port,
            "example.org",
            lookup=answering("127.0.0.1", "::1"),
            auto_select_family=True,
        ) as client,
    ):
        client.sendall(b"request")
        assert client.recv() == b"request"
        assert client.remote_address == "127.0.0.1"
