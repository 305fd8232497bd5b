"""The callback of end(), in each of its places."""

from __future__ import annotations

import pytest

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


@pytest.mark.parametrize("arguments", [(), (b"foo",), ("foo", "utf-8")])
def test_it_is_called_when_the_end_is_sent(
    arguments: tuple[object, ...], must_call: Calls
) -> None:
    with pair() as (client, served):
        callback = must_call()
        assert client.end(*arguments, callback) is client
        assert callback.wait() == (None,)
        assert client.writable_finished
        assert b"".join(served) == (b"foo" if arguments else b"")
