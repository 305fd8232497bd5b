"""close() with something that cannot be called: Node ignores it, gnet refuses it."""

from __future__ import annotations

import pytest

from tests.helpers.calls import Calls
from tests.helpers.servers import serving


def test_a_callback_that_is_none_is_refused_and_the_server_goes_on(must_call: Calls) -> None:
    closed = must_call()
    with serving() as server:
        server.once("close", closed)
        with pytest.raises(TypeError) as caught:
            server.close("no function")
        assert caught.value.code == "ERR_INVALID_ARG_TYPE"
        assert server.listening
        server.close()
        closed.wait()
