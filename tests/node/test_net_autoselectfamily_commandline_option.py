"""With family selection off for the program, the first address is the only one."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.defaults import keeping_defaults
from tests.helpers.lookups import answering
from tests.helpers.servers import has_ipv6, serving


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine's loopback")
def test_without_selection_the_first_address_decides(
    must_call: Calls, must_not_call: Call
) -> None:
    with keeping_defaults(), serving() as server:
        gnet.set_default_auto_select_family(False)
        port = server.address().port
        client = gnet.connect(port, "example.org", lookup=answering("::1", "127.0.0.1"))
        client.on("ready", must_not_call())
        failed = must_call()
        client.on("error", failed)

        (error,) = failed.wait()

        assert client.auto_select_family_attempted_addresses is None
        assert isinstance(error, ConnectionRefusedError)
        assert error.code == "ECONNREFUSED"
        assert error.strerror == f"connect ECONNREFUSED ::1:{port}"
