"""A server that finds its port taken listens to another one."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import serving


def test_another_port_after_the_error(must_call: Calls) -> None:
    with serving() as first:
        second = gnet.Server()
        failures: list[str] = []

        def elsewhere(error: OSError) -> None:
            failures.append(error.code)
            second.listen(0, "127.0.0.1")

        second.on("error", elsewhere)
        listening = must_call()
        second.on("listening", listening)
        second.listen(first.address().port, "127.0.0.1")
        listening.wait()
        assert failures == ["EADDRINUSE"]
        assert second.address().port != first.address().port
        second.shutdown(0)
