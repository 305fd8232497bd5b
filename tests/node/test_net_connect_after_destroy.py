"""destroy() while the name is still being looked up."""

from __future__ import annotations

from typing import Any

from gevent.event import Event

import gnet
from tests.helpers.calls import Call, Calls


def test_a_late_answer_of_the_lookup_is_dropped(must_call: Calls, must_not_call: Call) -> None:
    asked, answer = Event(), Event()

    def lookup(hostname: str, **options: Any) -> list[tuple[str, int]]:
        asked.set()
        answer.wait()
        return [("127.0.0.1", 4)]

    client = gnet.connect(80, "example.org", lookup=must_call(lookup))
    for event in ("connect", "error", "lookup", "connection_attempt"):
        client.on(event, must_not_call(event))
    asked.wait()
    client.destroy()
    client.wait("close")
    answer.set()
    assert gnet.run(5)


def test_a_socket_destroyed_at_once_looks_nothing_up(must_not_call: Call) -> None:
    client = gnet.connect(80, "example.org", lookup=must_not_call("a lookup"))
    client.destroy()
    client.wait("close")
