"""gnet.wsgi: applications of PEP 3333 on a gnet server."""

from __future__ import annotations

import _socket
import io
import logging
import signal
import socket as std_socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import gevent
import pytest
import zope.event
from gevent.event import Event

import gnet
from gnet import events, wsgi
from tests.helpers.calls import Calls
from tests.helpers.peers import python, running
from tests.helpers.servers import LOOPBACK, path_at, place_at, send_reset, serving
from tests.helpers.web import answer, answering, asking, body, echo, ended, hello

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
# More than the kernel takes for a connection whose peer does not read.
MUCH = 32 * 1024 * 1024


# -- requests and responses -----------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["ipv4", "unix"])
def test_an_application_answers(transport: str, tmp_path: Path) -> None:
    at = LOOPBACK if transport == "ipv4" else path_at(tmp_path)
    with answering(at=at) as server, asking(server) as sock:
        response = answer(sock, GET)
        assert (response.status, body(response)) == (200, b"hello")
        assert response.headers["Content-Type"] == "text/plain"


def test_a_connection_is_kept_alive(must_call: Calls) -> None:
    with answering() as server, asking(server) as sock:
        server.on("connection", must_call(times=1))
        for _ in range(3):
            assert body(answer(sock, GET)) == b"hello"


def test_pipelined_requests_are_answered_in_their_order() -> None:
    def path(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with answering(path) as server, asking(server) as sock:
        paths = [b"/one", b"/two", b"/three"]
        requests = [GET.replace(b"/ ", path + b" ") for path in paths]
        requests[-1] = requests[-1].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        sock.sendall(b"".join(requests))
        answers = b"".join(sock)
        bodies = answers.split(b"\r\n\r\n")[1:]
        assert [each[: len(path)] for each, path in zip(bodies, paths)] == paths


@pytest.mark.parametrize(
    "end", [b"Connection: close", b"connection: Close"], ids=["as usual", "other letters"]
)
def test_a_connection_ends_when_the_client_says_so(end: bytes) -> None:
    with answering() as server, asking(server) as sock:
        response = answer(sock, GET.replace(b"here", b"here\r\n" + end))
        assert response.headers["Connection"] == "close"
        assert ended(sock)


def test_a_client_of_http_1_0_gets_an_end() -> None:
    with answering() as server, asking(server) as sock:
        assert body(answer(sock, b"GET / HTTP/1.0\r\n\r\n")) == b"hello"
        assert ended(sock)


def test_a_body_may_come_in_chunks() -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    with answering(echo) as server, asking(server) as sock:
        for _ in range(2):
            assert body(answer(sock, request)) == b"abcde"


def test_a_response_without_a_length_goes_in_chunks() -> None:
    def stream(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one "
        yield b"two"

    with answering(stream) as server, asking(server) as sock:
        for _ in range(2):
            response = answer(sock, GET)
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert body(response) == b"one two"


def test_100_continue_is_sent_when_the_application_reads() -> None:
    asked = Event()

    def patient(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        asked.wait()
        return echo(environ, start_response)

    with answering(patient) as server, asking(server) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        )
        asked.set()
        assert sock.recv() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert body(answer(sock, b"body")) == b"body"


def test_large_bodies_go_both_ways() -> None:
    data = bytes(range(256)) * 4096
    with answering(echo) as server, asking(server) as sock:
        request = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % len(data)
        assert body(answer(sock, request + data)) == data


def test_what_the_application_did_not_read_is_passed_over() -> None:
    with answering() as server, asking(server) as sock:
        for _ in range(2):
            request = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n" + bytes(
                100_000
            )
            assert body(answer(sock, request)) == b"hello"


def test_the_environ_says_who_and_where() -> None:
    seen: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        seen.append(environ)
        return hello(environ, start_response)

    with (
        answering(application, environ={"app.name": "it", "SERVER_NAME": "me"}) as server,
        asking(server) as sock,
    ):
        answer(sock, b"GET /a%20b?c=d HTTP/1.1\r\nHost: here\r\nX-Y: z\r\n\r\n")
        (environ,) = seen
        assert type(environ) is dict
        expected = {
            "REQUEST_METHOD": "GET", "PATH_INFO": "/a b", "QUERY_STRING": "c=d", "HTTP_X_Y": "z",
            "SERVER_NAME": "me", "SERVER_PORT": str(sock.remote_port), "SCRIPT_NAME": "",
            "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": str(sock.local_port),
            "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "app.name": "it",
        }  # fmt: skip
        assert expected.items() <= environ.items()
        assert "gnet" in environ["SERVER_SOFTWARE"]
        assert isinstance(environ["gnet.socket"], gnet.Socket)
        assert "gnet.head" not in environ


@pytest.mark.parametrize("transport", ["ipv4", "unix"])
def test_a_validator_finds_nothing(transport: str, tmp_path: Path) -> None:
    at = LOOPBACK if transport == "ipv4" else path_at(tmp_path)
    with answering(validator(hello), at=at) as server, asking(server) as sock:
        assert body(answer(sock, GET)) == b"hello"


def test_a_request_that_is_none_gets_400() -> None:
    log = io.StringIO()
    with answering(error_log=log) as server, asking(server) as sock:
        assert answer(sock, b"what is this\r\n\r\n").status == 400
        assert ended(sock)
    assert "what is this" in log.getvalue()


def test_requests_are_logged_where_it_is_said() -> None:
    text = io.StringIO()
    records: list[logging.LogRecord] = []
    logger = logging.Logger("requests")
    logger.addHandler(handler := logging.Handler())
    handler.emit = records.append  # type: ignore[method-assign]
    for log in text, logger:
        with answering(log=log) as server, asking(server) as sock:
            answer(sock, GET)
    assert '"GET / HTTP/1.1" 200' in text.getvalue()
    assert '"GET / HTTP/1.1" 200' in records[0].getMessage()


# -- errors ---------------------------------------------------------------------------------------


def test_an_exception_is_500_and_is_reported_and_the_server_goes_on(
    hub_errors: list[BaseException],
) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/bug":
            raise ZeroDivisionError("a bug")
        return hello(environ, start_response)

    with answering(application) as server:
        with asking(server) as sock:
            assert answer(sock, GET.replace(b"/ ", b"/bug ")).status == 500
        assert isinstance(hub_errors.pop(), ZeroDivisionError)
        with asking(server) as sock:
            assert body(answer(sock, GET)) == b"hello"


def test_a_program_without_standard_error_serves_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.errors"].write("nobody reads this")
        return hello(environ, start_response)

    monkeypatch.setattr(sys, "stderr", None)
    with answering(application) as server, asking(server) as sock:
        assert body(answer(sock, GET)) == b"hello"


def test_a_client_that_resets_is_no_bug() -> None:
    begun, closed = Event(), Event()

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                begun.set()
                yield bytes(65536)

        def close(self) -> None:
            closed.set()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Stream:
        start_response("200 OK", [])
        return Stream()

    with answering(application) as server:
        sock = std_socket.create_connection(("127.0.0.1", place_at(server)[0]))
        sock.sendall(GET)
        begun.wait()
        send_reset(sock)
        closed.wait()
        server.shutdown()


# -- the server is gnet's -------------------------------------------------------------------------


def test_connections_above_the_limit_are_dropped(must_call: Calls) -> None:
    with answering() as server:
        server.max_connections = 1
        dropped = must_call()
        server.on("drop", dropped)
        with asking(server) as first, asking(server) as second:
            answer(first, GET)
            dropped.wait()
            second.wait("close")
            assert body(answer(first, GET)) == b"hello"


def test_a_block_list_keeps_clients_out(must_call: Calls) -> None:
    blocked = gnet.BlockList()
    blocked.add_subnet("127.0.0.0", 8)
    with answering(block_list=blocked) as server:
        server.on("drop", must_call())
        with asking(server) as sock, pytest.raises(ConnectionError):
            answer(sock, GET)
        must_call.wait()


def test_a_connection_listener_sets_a_connection_up_first() -> None:
    order: list[str] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        order.append("request")
        return hello(environ, start_response)

    with answering(application) as server:
        server.on("connection", lambda sock: order.append(f"connection {sock.timeout}"))
        with asking(server) as sock:
            answer(sock, GET)
    assert order == [f"connection {wsgi.IDLE_SECONDS}", "request"]


def test_it_serves_beside_a_raw_server() -> None:
    with (
        answering() as server,
        serving(lambda sock: sock.pipe(sock)) as raw,
        asking(server) as sock,
        asking(raw) as other,
    ):
        other.sendall(b"raw")
        assert body(answer(sock, GET)) == b"hello"
        assert other.recv() == b"raw"


def test_serve_blocks_until_the_server_has_closed() -> None:
    listening: list[Any] = []
    heard = Event()

    def subscriber(event: Any) -> None:
        if isinstance(event, events.ServerListening):
            listening.append(event.server)
            heard.set()

    zope.event.subscribers.append(subscriber)
    serving = gevent.spawn(wsgi.serve, hello, 0, "127.0.0.1", backlog=5)
    heard.wait()
    (server,) = listening
    with asking(server) as sock:
        assert body(answer(sock, GET)) == b"hello"
        assert not serving.ready()
        server.shutdown()
    serving.get()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"application": 1}, TypeError),
        ({"log": 1}, TypeError),
        ({"error_log": object()}, TypeError),
        ({"idle_timeout": -1}, ValueError),
        ({"header_timeout": "1"}, TypeError),
        ({"unknown": 1}, TypeError),
        ({"end_on_return": False}, TypeError),
    ],
    ids=str,
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        wsgi.WSGIServer(**{"application": hello, **options})


# -- the end --------------------------------------------------------------------------------------


class Held:
    """An application that answers when it is let go."""

    def __init__(self) -> None:
        self.begun = Event()
        self.let_go = Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        self.begun.set()
        self.let_go.wait()
        return echo(environ, start_response)


def test_a_shutdown_finishes_what_is_in_flight() -> None:
    held = Held()
    with answering(held) as server, asking(server) as busy:
        busy.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\nabc")
        held.begun.wait()
        shutdown = gevent.spawn(server.shutdown, 5)
        gevent.sleep(0)
        # Its body is still coming.
        held.let_go.set()
        busy.sendall(b"def")
        response = answer(busy)
        assert (body(response), response.headers["Connection"]) == (b"abcdef", "close")
        assert ended(busy)
        assert shutdown.get() == 0


def test_a_shutdown_with_a_grace_answers_on_the_connections_that_are_there() -> None:
    with answering() as server, asking(server) as fresh, asking(server) as idle:
        server.wait("connection")
        answer(idle, GET)
        shutdown = gevent.spawn(server.shutdown, 5)
        gevent.sleep(0)
        assert not server.listening
        for sock in fresh, idle:
            response = answer(sock, GET)
            assert (body(response), response.headers["Connection"]) == (b"hello", "close")
            assert ended(sock)
        assert shutdown.get() == 0


def test_a_shutdown_answers_those_that_wait_to_be_accepted() -> None:
    with answering() as server:
        place = place_at(server)[::-1]
        # The loop has had no turn yet to accept them.
        clients = [_socket.socket() for _ in range(3)]
        for client in clients:
            client.connect(place)
        shutdown = gevent.spawn(server.shutdown, 5)
        shutdown.join(0)
        for client in clients:
            with gnet.Socket(handle=client) as sock:
                assert body(answer(sock, GET)) == b"hello"
        assert shutdown.get() == 0


def test_a_shutdown_without_a_grace_ends_the_idle_at_once() -> None:
    with answering() as server, asking(server) as idle:
        answer(idle, GET)
        assert server.shutdown() == 0
        assert ended(idle)


def test_the_idle_that_ask_for_nothing_are_none_that_a_shutdown_has_destroyed() -> None:
    with answering() as server, asking(server) as idle:
        answer(idle, GET)
        assert server.shutdown(0.02) == 0
        assert ended(idle)


def test_a_shutdown_destroys_what_does_not_end_in_its_time() -> None:
    held = Held()
    with answering(held) as server, asking(server) as busy:
        busy.sendall(GET)
        held.begun.wait()
        assert server.shutdown(0.01) == 1
        held.let_go.set()
        with pytest.raises(ConnectionResetError):
            if not busy.recv():
                raise ConnectionResetError


def test_a_close_ends_the_idle_connections_and_then_the_server(must_call: Calls) -> None:
    with answering() as server, asking(server) as sock:
        answer(sock, GET)
        server.close(must_call())
        assert ended(sock)
        server.wait("close")


def test_a_with_statement_ends_in_spite_of_an_idle_client() -> None:
    with wsgi.WSGIServer(hello) as server:
        server.listen(*LOOPBACK)
        sock = gnet.connect(*place_at(server))
        answer(sock, GET)
    sock.destroy()


SERVE = """
import gevent, zope.event
from gnet import events, wsgi

def application(environ, start_response):
    print("begun", flush=True)
    gevent.sleep(0.1)
    start_response("200 OK", [])
    return [b"done"]

def tell(event):
    if isinstance(event, events.ServerListening):
        print(event.address.port, flush=True)

zope.event.subscribers.append(tell)
print("destroyed:", wsgi.serve(application, 0, "127.0.0.1", grace=5), flush=True)
"""


def test_serve_finishes_the_requests_in_flight_when_it_is_told_to_end() -> None:
    with running(*python(SERVE)) as program:
        with gnet.connect(int(program.line()), "127.0.0.1") as sock:
            sock.sendall(GET)
            assert program.line() == b"begun"
            program.signal(signal.SIGTERM)
            assert body(answer(sock)) == b"done"
            assert ended(sock)
        assert program.line() == b"destroyed: 0"


# -- slow clients ---------------------------------------------------------------------------------


def test_an_idle_connection_is_closed_in_time() -> None:
    with answering(idle_timeout=0.02) as server, asking(server) as sock:
        answer(sock, GET)
        assert ended(sock)


def test_a_client_that_is_slow_with_the_head_gets_408() -> None:
    with answering(header_timeout=0.02) as server, asking(server) as sock:
        assert answer(sock, b"GET / HTTP/1.1\r\nHos").status == 408
        assert ended(sock)


def test_a_head_that_trickles_in_has_no_more_time_than_another() -> None:
    with answering(header_timeout=0.05, idle_timeout=60) as server, asking(server) as sock:

        def trickle() -> None:
            for each in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 90:
                sock.sendall(bytes([each]))
                gevent.sleep(0.001)

        trickling = gevent.spawn(trickle)
        assert answer(sock).status == 408
        trickling.kill()


def test_a_client_that_is_slow_with_the_body_is_let_go() -> None:
    with answering(echo, idle_timeout=0.02) as server, asking(server) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nabc")
        assert ended(sock)


def test_a_client_that_does_not_take_the_answer_is_let_go(must_call: Calls) -> None:
    def much(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [bytes(MUCH)]

    with answering(much, idle_timeout=0.05) as server, asking(server) as sock:
        server.on("connection", lambda served: served.on("close", must_call()))
        sock.sendall(GET)
        must_call.wait()


def test_an_application_has_all_the_time_it_wants() -> None:
    held = Held()
    with answering(held, idle_timeout=0.02, header_timeout=0.02) as server, asking(server) as sock:
        sock.sendall(GET)
        held.begun.wait()
        gevent.sleep(0.06)
        held.let_go.set()
        assert answer(sock).status == 200


# -- upgrades -------------------------------------------------------------------------------------

UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: here\r\n"
    b"Connection: keep-alive, Upgrade\r\nUpgrade: shouting\r\n\r\n"
)
SWITCHING = ("101 Switching Protocols", [("Connection", "Upgrade"), ("Upgrade", "shouting")])


def shouting(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """In blocking style."""
    start_response(*SWITCHING)(b"")
    sock = environ["gnet.socket"]
    assert isinstance(sock, gnet.Socket)
    if environ["gnet.head"]:
        sock.sendall(environ["gnet.head"].upper())
    for chunk in sock:
        sock.sendall(chunk.upper())
    return []


def shouting_by_events(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    sock = environ["gnet.socket"]
    start_response(*SWITCHING)(b"")
    sock.write(environ["gnet.head"].upper())
    sock.on("data", lambda chunk: sock.write(chunk.upper()))
    return []


def shouting_by_itself(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    sock = environ["gnet.socket"]
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + environ["gnet.head"].upper())
    sock.sendall(sock.recv().upper())
    sock.recv()
    return []


@pytest.mark.parametrize("application", [shouting, shouting_by_events, shouting_by_itself])
def test_an_application_gets_the_socket_of_an_upgrade(application: Callable[..., Any]) -> None:
    with answering(application, idle_timeout=0.5) as server, asking(server) as sock:
        sock.sendall(UPGRADE + b"early ")
        with sock.makefile("rb") as file:
            assert file.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
            while (line := file.readline()) != b"\r\n":
                assert not line.lower().startswith((b"content-length", b"transfer-encoding"))
            assert file.read(6) == b"EARLY "
            sock.sendall(b"late")
            assert file.read(4) == b"LATE"
            (served,) = server.connections
            assert served.timeout is None
            sock.end()
            assert file.read() == b""
        served.wait("close")


@pytest.mark.parametrize("application", [shouting, shouting_by_events])
def test_a_shutdown_ends_upgraded_connections(application: Callable[..., Any]) -> None:
    with answering(application) as server, asking(server) as sock:
        sock.sendall(UPGRADE + b"x")
        while not sock.recv().endswith(b"X"):
            pass
        shutdown = gevent.spawn(server.shutdown, 5)
        assert ended(sock)
        sock.end()
        assert shutdown.get() == 0


def test_an_upgrade_that_is_not_wanted_is_a_request_as_any_other() -> None:
    with answering(idle_timeout=20) as server, asking(server) as sock:
        for _ in range(2):
            assert body(answer(sock, UPGRADE)) == b"hello"
        (served,) = server.connections
        assert served.timeout == 20


def test_a_request_with_a_body_is_no_upgrade() -> None:
    request = UPGRADE.replace(b"GET", b"POST").replace(
        b"Host: here", b"Host: here\r\nContent-Length: 2"
    )
    with answering(echo) as server, asking(server) as sock:
        for _ in range(2):
            assert body(answer(sock, request + b"ab")) == b"ab"


def test_a_reset_of_an_upgraded_connection_is_no_bug(must_call: Calls) -> None:
    with answering(shouting_by_events) as server, asking(server) as sock:
        sock.sendall(UPGRADE + b"x")
        while not sock.recv().endswith(b"X"):
            pass
        (served,) = server.connections
        closed = must_call()
        served.on("close", closed)
        sock.reset_and_destroy()
        closed.wait()
