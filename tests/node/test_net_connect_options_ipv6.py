"""connect()'s family is what the lookup is asked for."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import has_ipv6, serving


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine's loopback")
@pytest.mark.parametrize("family", [6, "IPv6"])
def test_the_family_goes_to_the_lookup_and_decides(family: Any, must_call: Calls) -> None:
    def lookup(hostname: str, *, family: int, **options: Any) -> tuple[str, int]:
        assert hostname == "dummy"
        assert family == 6
        return "::1", 6

    with (
        serving(must_call(), at=(0, "::1"), allow_half_open=True) as server,
        gnet.connect(
            server.address().port, "dummy", family=family, lookup=must_call(lookup)
        ) as client,
    ):
        assert client.remote_family == "IPv6"
        must_call.wait()


@pytest.mark.parametrize("family", [5, -4, "ipv5", "6", True, 4.0])
def test_an_impossible_family_is_refused(family: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="family"):
        gnet.connect(80, family=family)
