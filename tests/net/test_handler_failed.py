"""A handler's bug: the event for error trackers, and the log in the place of standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import zope.event
from gevent.queue import Queue

import gnet
from gnet import events
from gnet.logging import access_log
from tests.helpers.peers import python, run
from tests.net.conftest import Net


@pytest.fixture
def failures() -> Queue[Any]:
    found: Queue[Any] = Queue()

    def subscriber(event: object) -> None:
        if isinstance(event, events.HandlerFailed):
            found.put(event)

    zope.event.subscribers.append(subscriber)
    return found


def broken(*args: Any) -> None:
    raise ValueError("a bug")


def of_data(sock: gnet.Socket) -> None:
    sock.on("data", broken)


@pytest.mark.parametrize("listener", [broken, of_data])
def test_what_leaves_a_connections_listener_is_published(
    net: Net,
    failures: Queue[Any],
    hub_errors: list[BaseException],
    listener: Callable[..., Any],
) -> None:
    server = net.server(listener)
    peer = net.peer(server)
    peer.sendall(b"x")
    event = failures.get()
    assert event.socket.server is server
    assert str(event.error) == "a bug"
    assert event.error.__traceback__ is not None
    event.socket.wait("close")
    hub_errors.clear()


def test_an_error_that_its_listener_hears_of_is_published_once(
    net: Net, failures: Queue[Any]
) -> None:
    heard: Queue[Any] = Queue()

    def listener(sock: gnet.Socket) -> None:
        sock.on("error", heard.put)
        broken()

    net.peer(net.server(listener))
    assert heard.get() is failures.get().error
    net.turns()
    assert failures.empty()


def test_what_leaves_another_callback_concerns_no_socket(
    net: Net, failures: Queue[Any], hub_errors: list[BaseException]
) -> None:
    server = net.server()
    server.close(broken)
    event = failures.get()
    assert (event.socket, str(event.error)) == (None, "a bug")
    hub_errors.clear()


def test_the_connections_own_error_is_no_failure(tcp: Net, failures: Queue[Any]) -> None:
    server = tcp.server(lambda sock: sock.recv(), end_on_return=True)
    peer = tcp.peer(server)
    while not server.connections:
        tcp.turns(1)
    (sock,) = server.connections
    tcp.reset(sock, peer)
    tcp.turns()
    assert failures.empty()


def test_a_subscriber_that_fails_is_not_published(
    net: Net, failures: Queue[Any], hub_errors: list[BaseException]
) -> None:
    zope.event.subscribers.append(broken)
    net.server()
    net.turns()
    zope.event.subscribers.remove(broken)
    assert failures.empty()
    hub_errors.clear()


BUG = """
import logging, sys
import gevent, gnet

if "configured" in sys.argv:
    logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")

def handler(sock):
    raise ValueError("a bug")

server = gnet.create_server(handler).listen(0, "127.0.0.1")
with gnet.connect(server.port, "127.0.0.1") as client:
    client.recv()
server.close()
gnet.run()
"""


def test_a_bug_is_logged_where_anybody_has_configured_that() -> None:
    done = run(*python(BUG, "configured"))
    assert done.output.startswith(b"gnet ERROR ValueError in <gnet.Socket 127.0.0.1:")
    assert done.output.rstrip().endswith(b"ValueError: a bug")
    assert b"Traceback (most recent call last):" in done.output
    assert (done.status, done.complaints) == (0, b"")


def test_a_bug_goes_to_standard_error_otherwise() -> None:
    done = run(*python(BUG))
    assert (done.status, done.output) == (0, b"")
    assert b"ValueError: a bug" in done.complaints


TRACKED = """
import sentry_sdk, zope.event
from sentry_sdk.transport import Transport

sent = []

class InMemory(Transport):
    def capture_envelope(self, envelope):
        sent.append(envelope.get_event())

sentry_sdk.init("http://key@localhost/1", transport=InMemory, default_integrations=False)

import gnet
from gnet.events import HandlerFailed

def track(event):
    if isinstance(event, HandlerFailed):
        sentry_sdk.capture_exception(event.error)

zope.event.subscribers.append(track)

def handler(sock):
    raise ValueError("a bug")

server = gnet.create_server(handler).listen(0, "127.0.0.1")
with gnet.connect(server.port, "127.0.0.1") as client:
    client.recv()
server.close()
gnet.run()
(event,) = sent
(value,) = event["exception"]["values"]
print(value["type"], value["value"], value["stacktrace"]["frames"][-1]["function"])
"""


def test_an_error_tracker_gets_it_once_with_its_traceback() -> None:
    if find_spec("sentry_sdk") is None:
        pytest.skip("no sentry-sdk")
    done = run(*python(TRACKED))
    assert (done.status, done.output.rstrip()) == (0, b"ValueError a bug handler"), done.complaints


# -- the access log -------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["text", "json"])
def test_the_access_log_has_a_line_for_each_connection(
    tcp: Net, caplog: pytest.LogCaptureFixture, format: str
) -> None:
    zope.event.subscribers.append(access_log(format))
    caplog.set_level(logging.INFO, "gnet.access")
    server = tcp.server(lambda sock: sock.pipe(sock))
    peer = tcp.peer(server)
    port = peer.getsockname()[1]
    peer.sendall(b"abc")
    assert peer.recv(3) == b"abc"
    peer.close()
    while not caplog.messages:
        tcp.turns(1)
    (line,) = caplog.messages
    if format == "json":
        fields = json.loads(line)
        names = ["time", "server", "peer", "proxy", "seconds", "bytes_in", "bytes_out", "ended"]
        assert list(fields) == names
        values = [str(each) if each is not None else "-" for each in fields.values()]
    else:
        values = line.split(" ")
    assert values[1:4] == [f"127.0.0.1:{server.port}", f"127.0.0.1:{port}", "-"]
    assert 0 <= float(values[4]) < 10
    assert values[5:] == ["3", "3", "end"]


def test_the_access_log_tells_a_reset_and_a_bug(
    tcp: Net, caplog: pytest.LogCaptureFixture, hub_errors: list[BaseException]
) -> None:
    zope.event.subscribers.append(access_log(logger="elsewhere"))
    caplog.set_level(logging.INFO, "elsewhere")
    tcp.peer(tcp.server(broken))
    while not caplog.messages:
        tcp.turns(1)
    assert caplog.messages[0].endswith(" 0 0 ValueError")
    hub_errors.clear()


def test_the_access_log_refuses_other_formats() -> None:
    with pytest.raises(ValueError, match="'text' or 'json'"):
        access_log("xml")
    with pytest.raises(TypeError, match="logger"):
        access_log(logger=3)  # type: ignore[arg-type]


def test_a_path_with_control_characters_stays_one_line(
    unix: Net, directory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = unix.keep(gnet.create_server()).listen(str(directory / "a\x1b[2Jb\n"))
    assert "\x1b" not in repr(server) and "\n" not in repr(server)
    sock = unix.keep(gnet.connect(str(directory / "a\x1b[2Jb\n")))
    sock.wait("connect")
    assert "\x1b" not in repr(sock) and "\n" not in repr(sock)
