"""gnet.events and gnet.logging: what the servers and sockets of a process tell."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import zope.event
from gevent import socket
from gevent.queue import Queue

import gnet
from gnet import events
from gnet.logging import subscriber
from tests.helpers.calls import Calls
from tests.helpers.peers import python, run
from tests.helpers.servers import closing, echoing, place_at, serving


class Heard:
    """A subscriber that has what it heard waited for."""

    def __init__(self) -> None:
        self._queue: Queue[Any] = Queue()
        self._passed: list[Any] = []
        zope.event.subscribers.append(self._queue.put)

    def next(self, kind: type = object) -> Any:
        """The next event of a kind; the others are kept."""
        for event in self._passed:
            if isinstance(event, kind):
                self._passed.remove(event)
                return event
        while not isinstance(event := self._queue.get(), kind):
            self._passed.append(event)
        return event


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_a_server_tells_from_listening_to_closed(heard: Heard) -> None:
    with serving() as server:
        address = server.address()
        assert heard.next() == events.ServerListening(server, address)
    assert heard.next() == events.ServerClosed(server)


def test_both_ends_of_a_connection_tell_of_it(heard: Heard) -> None:
    with echoing() as server, gnet.connect(*place_at(server)) as client:
        assert heard.next(events.ConnectionOpened).socket is client
        accepted = heard.next(events.ConnectionAccepted)
        assert accepted.server is server
        client.destroy()
        closed = {heard.next(events.ConnectionClosed).socket for _ in range(2)}
        assert closed == {client, accepted.socket}


def test_a_connection_tells_what_has_ended_it(heard: Heard) -> None:
    with echoing() as server, gnet.connect(*place_at(server)) as client:
        served = heard.next(events.ConnectionAccepted).socket
        served.on("error", lambda error: None)
        client.reset_and_destroy()
        ends = [heard.next(events.ConnectionClosed) for _ in range(2)]
    assert {each.socket: type(each.error) for each in ends} == {
        client: type(None),
        served: ConnectionResetError,
    }


def test_a_connection_that_is_dropped_is_told_with_the_reason(heard: Heard) -> None:
    with serving() as server:
        server.max_connections = 0
        port = place_at(server)[0]
        client = gnet.connect(*place_at(server))
        with closing(client):
            dropped = heard.next(events.ConnectionDropped)
    assert (dropped.server, dropped.reason) == (server, "max_connections")
    assert (dropped.info.local_port, dropped.info.reason) == (port, "max_connections")


def test_a_lookup_and_a_failure_are_told(heard: Heard) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        return [("127.0.0.1", 4)]

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        client = gnet.connect(bound.getsockname()[1], "some.name", lookup=lookup)
        client.on("error", lambda error: None)
        looked_up = heard.next()
        assert looked_up.hostname == "some.name"
        assert looked_up.addresses == (("127.0.0.1", 4),)
        assert looked_up.error is None
        assert looked_up.seconds >= 0
        failed = heard.next()
        assert failed.socket is client
        assert isinstance(failed.error, ConnectionRefusedError)


def test_a_subscriber_that_raises_harms_no_connection(
    hub_errors: list[BaseException], must_call: Calls
) -> None:
    def broken(event: object) -> None:
        raise ZeroDivisionError(type(event).__name__)

    zope.event.subscribers.append(broken)
    with echoing() as server, gnet.connect(*place_at(server)) as client:
        for _ in range(3):
            client.sendall(b"echo")
            assert client.recv() == b"echo"
        server.on("close", must_call())
        client.end()
        client.wait("close")
    must_call.wait()
    told = {str(each) for each in hub_errors if isinstance(each, ZeroDivisionError)}
    assert {"ServerListening", "ConnectionAccepted", "ConnectionOpened"} <= told
    hub_errors.clear()


def test_a_program_without_subscribers_makes_no_events() -> None:
    program = (
        "import gnet, sys\n"
        "with gnet.create_server(lambda sock: sock.pipe(sock)).listen(0) as server:\n"
        "    with gnet.connect(server.address().port) as sock:\n"
        "        sock.sendall(b'x')\n"
        "        assert sock.recv() == b'x'\n"
        "assert 'gnet.events' not in sys.modules\n"
    )
    outcome = run(*python(program))
    assert (outcome.status, outcome.complaints) == (0, b"")


# -- logging --------------------------------------------------------------------------------------


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, heard: Heard) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG, "gnet")
    # Ahead of those who wait for the event: it is written when they hear of it.
    zope.event.subscribers.insert(0, subscriber)
    yield caplog
    zope.event.subscribers.remove(subscriber)


def lines(logged: pytest.LogCaptureFixture) -> dict[str, str]:
    """The messages, by the first word of each and with its level."""
    return {
        record.getMessage(): record.levelname for record in logged.records if record.name == "gnet"
    }


def test_logging_writes_what_happens(logged: pytest.LogCaptureFixture, heard: Heard) -> None:
    with echoing() as server:
        port = place_at(server)[0]
        with gnet.connect(port, "127.0.0.1") as client:
            heard.next(events.ConnectionAccepted)
            client.destroy()
            for _ in range(2):
                heard.next(events.ConnectionClosed)
        server.max_connections = 0
        dropped = gnet.connect(port, "127.0.0.1")
        with closing(dropped):
            heard.next(events.ConnectionDropped)
    heard.next(events.ServerClosed)
    written = lines(logged)
    assert written[f"listening on 127.0.0.1:{port}"] == "INFO"
    assert [name for name in written if name.endswith(" closed> has closed")]
    levels = {message.split()[0]: level for message, level in written.items()}
    assert levels["accepted"] == levels["connected"] == levels["<gnet.Socket"] == "DEBUG"
    assert levels["dropped"] == "WARNING"
    assert any(
        message.startswith("dropped for max_connections: 127.0.0.1:") for message in written
    )


def test_logging_warns_of_failures(logged: pytest.LogCaptureFixture, heard: Heard) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        if hostname == "no.name":
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [("127.0.0.1", 4)]

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for name in "some.name", "no.name":
            client = gnet.connect(bound.getsockname()[1], name, lookup=lookup)
            client.on("error", lambda error: None)
            heard.next(events.ConnectionFailed)
    written = lines(logged)
    levels = {
        message.split(" in ")[0].split(" took ")[0]: each for message, each in written.items()
    }
    assert levels["lookup of some.name"] == "DEBUG"
    assert levels["lookup of no.name failed"] == "WARNING"
    refused = [message for message in written if "ECONNREFUSED" in message]
    assert written[refused[0]] == "WARNING"


def test_logging_passes_over_the_events_of_others(logged: pytest.LogCaptureFixture) -> None:
    zope.event.notify(object())
    assert lines(logged) == {}


def test_logging_is_a_subscriber_and_no_more() -> None:
    program = "import zope.event, gnet.logging; assert not zope.event.subscribers"
    assert run(sys.executable, "-c", program).status == 0
