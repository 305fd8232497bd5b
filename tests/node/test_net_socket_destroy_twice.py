"""destroy() inside 'error' closes no second time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gevent import socket

import gnet
from tests.helpers.calls import Calls


@contextmanager
def refused() -> Iterator[int]:
    """A port that is bound and that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_one_close(must_call: Calls) -> None:
    with refused() as port:
        client = gnet.connect(port, "127.0.0.1")
        client.on("error", must_call(lambda error: client.destroy()))
        client.on("close", must_call())
        must_call.wait()
