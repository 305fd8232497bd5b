"""gnet.wsgi: how much a client may cost, and what slow and blocking ones do to the others."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.monkey import get_original

import gnet
from gnet import wsgi
from tests.helpers.web import (
    Recorder,
    answer,
    answering,
    asking,
    body,
    echo,
    ended,
    exchange,
    hello,
)

LINE = b"GET / HTTP/1.1\r\n"
HOST = b"Host: here\r\n"
GET = LINE + HOST + b"\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n"

# The system's own, also in a program that is patched.
allocate_lock = get_original("_thread", "allocate_lock")
get_ident = get_original("_thread", "get_ident")
sleep = get_original("time", "sleep")

# -- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"x" * 8000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /" + b"x" * 8200 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /" + b"x" * 70_000, 414),
        (b"GET" * 30_000, 501),
        (LINE + HOST + b"X: " + b"y" * 60_000 + b"\r\n\r\n", 200),
        (LINE + HOST + b"X: " + b"y" * 66_000 + b"\r\n\r\n", 431),
        (LINE + HOST + b"X: " + b"y" * 70_000, 431),
        (LINE + HOST + b"X: y\r\n" * 99 + b"\r\n", 200),
        (LINE + HOST + b"X: y\r\n" * 100 + b"\r\n", 431),
        (LINE + HOST + b"X: y\r\n" * 20_000, 431),
        (b"\r\n" * 40_000, 431),
    ],
    ids=lambda value: f"{len(value)}" if isinstance(value, bytes) else str(value),
)
@pytest.mark.parametrize("piece", [10**6, 5000], ids=["whole", "in pieces"])
def test_a_head_has_its_limits(head: bytes, status: int, piece: int) -> None:
    with answering(error_log=io.StringIO()) as server:
        pieces = [head[at : at + piece] for at in range(0, len(head), piece)]
        assert exchange(server, *pieces)[0] in (status, 414 if head.startswith(b"\r") else status)


def test_the_limits_of_a_head_can_be_set() -> None:
    with answering(error_log=io.StringIO(), max_header_bytes=200, max_headers=2) as server:
        assert exchange(server, LINE + HOST + b"X: y\r\n\r\n") == [200]
        assert exchange(server, LINE + HOST + b"X: y\r\n" * 2 + b"\r\n") == [431]
        assert exchange(server, LINE + HOST + b"X: " + b"y" * 200 + b"\r\n\r\n") == [431]
        assert exchange(server, b"GET /" + b"x" * 200 + b" HTTP/1.1\r\n" + HOST + b"\r\n") == [431]


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Content-Length: 11\r\n\r\n" + b"x" * 11,
        POST + b"Content-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        CHUNKED + b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n",
        CHUNKED + b"1\r\nx\r\n" * 11 + b"0\r\n\r\n",
    ],
    ids=["a length", "a length that waits", "a chunk", "chunks"],
)
def test_a_body_too_large_is_413(request_: bytes) -> None:
    recorder = Recorder()
    with answering(recorder, error_log=io.StringIO(), max_body=10) as server:
        with asking(server) as sock:
            assert answer(sock, request_ + SMUGGLED).status == 413
            assert ended(sock)
        assert recorder.requests == []
        assert exchange(server, request_.replace(b"11", b"10").replace(b"b\r\n", b"a\r\n", 1)[:-1])


def test_a_body_of_the_largest_size_is_taken() -> None:
    with answering(echo, max_body=10) as server, asking(server) as sock:
        for _ in range(2):
            assert (
                body(answer(sock, POST + b"Content-Length: 10\r\n\r\n" + b"x" * 10)) == b"x" * 10
            )
            assert (
                body(answer(sock, CHUNKED + b"a\r\n" + b"x" * 10 + b"\r\n0\r\n\r\n")) == b"x" * 10
            )


def test_what_is_left_of_a_large_body_ends_the_connection() -> None:
    with answering(hello) as server, asking(server) as sock:
        request = POST + b"Content-Length: 50000000\r\n\r\n"
        response = answer(sock, request)
        assert (body(response), response.headers["Connection"]) == (b"hello", "close")
        assert ended(sock)


# -- times ----------------------------------------------------------------------------------------


def test_a_slow_body_whose_timeout_was_caught_is_no_request() -> None:
    def patient(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with pytest.raises(TimeoutError):
            environ["wsgi.input"].read()
        with pytest.raises(OSError):
            environ["wsgi.input"].read()
        return hello(environ, start_response)

    with answering(patient, idle_timeout=0.05) as server, asking(server) as sock:
        response = answer(sock, POST + b"Content-Length: 50\r\n\r\nabc")
        assert (body(response), response.headers["Connection"]) == (b"hello", "close")
        sock.sendall(SMUGGLED)
        assert ended(sock)


def test_a_body_that_was_interrupted_is_no_request() -> None:
    def hasty(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with gevent.Timeout(0.02, False):
            environ["wsgi.input"].read()
        return hello(environ, start_response)

    with answering(hasty) as server, asking(server) as sock:
        response = answer(sock, POST + b"Content-Length: 50\r\n\r\nabc")
        assert (body(response), response.headers["Connection"]) == (b"hello", "close")
        sock.sendall(SMUGGLED)
        assert ended(sock)


def test_a_body_slower_than_the_least_rate_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnet.wsgi.body.RATE_GRACE_SECONDS", 0.05)
    with (
        answering(echo, error_log=io.StringIO(), min_body_rate=1000) as server,
        asking(server) as sock,
    ):
        sock.sendall(POST + b"Content-Length: 1000\r\n\r\n")

        def trickle() -> None:
            for _ in range(1000):
                sock.write(b"x")
                gevent.sleep(0.005)

        trickling = gevent.spawn(trickle)
        assert answer(sock).status == 408
        trickling.kill()


def test_a_body_that_is_fast_enough_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnet.wsgi.body.RATE_GRACE_SECONDS", 0.5)
    with answering(echo, min_body_rate=1000) as server, asking(server) as sock:
        sock.sendall(POST + b"Content-Length: 3000\r\n\r\n")
        for _ in range(3):
            sock.sendall(b"x" * 1000)
            gevent.sleep(0.01)
        assert body(answer(sock)) == b"x" * 3000


def test_a_head_that_is_there_when_its_time_is_over_is_served() -> None:
    with answering(header_timeout=0.05) as server, asking(server) as sock:
        sock.sendall(GET[:10])
        while not any(each.bytes_read for each in server.connections):
            gevent.sleep(0)
        sock.sendall(GET[10:])
        # The loop stands still for longer than that.
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            pass
        assert answer(sock).status == 200


# -- threads --------------------------------------------------------------------------------------


class Meeting:
    """An application that answers when two requests are at it, in threads that block."""

    def __init__(self) -> None:
        self.locks = [allocate_lock(), allocate_lock()]
        for lock in self.locks:
            lock.acquire()
        self.names: set[int] = set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        self.names.add(get_ident())
        mine, others = self.locks if environ["PATH_INFO"] == "/" else self.locks[::-1]
        others.release()
        assert mine.acquire(timeout=5)
        return hello(environ, start_response)


def test_threads_block_beside_each_other() -> None:
    meeting = Meeting()
    with (
        answering(meeting, threads=2) as server,
        asking(server) as first,
        asking(server) as second,
    ):
        first.sendall(GET.replace(b"/ ", b"/other "))
        assert body(answer(second, GET)) == b"hello"
        assert body(answer(first)) == b"hello"
    assert len(meeting.names) == 2
    assert get_ident() not in meeting.names


def in_a_thread(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    assert environ["wsgi.multithread"]
    write = start_response("200 OK", [])
    write(environ["wsgi.input"].readline())
    yield from environ["wsgi.input"]
    yield b"end"


def test_a_thread_reads_and_writes() -> None:
    with answering(in_a_thread, threads=1) as server, asking(server) as sock:
        for _ in range(2):
            response = answer(sock, POST + b"Content-Length: 6\r\n\r\na\nb\ncd")
            assert body(response) == b"a\nb\ncdend"
            assert body(answer(sock, CHUNKED + b"2\r\na\n\r\n0\r\n\r\n")) == b"a\nend"


def test_a_bug_in_a_thread_is_500(hub_errors: list[BaseException]) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise ZeroDivisionError("a bug")

    with answering(application, threads=1) as server, asking(server) as sock:
        assert answer(sock, GET).status == 500
    (error,) = hub_errors
    assert isinstance(error, ZeroDivisionError)
    hub_errors.clear()


def test_a_thread_hears_of_a_body_that_is_none() -> None:
    with answering(echo, threads=1, error_log=io.StringIO()) as server:
        assert exchange(server, CHUNKED + b"x\r\n") == [400]


def test_a_shutdown_waits_for_threads() -> None:
    begun = Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        loop.run_callback_threadsafe(begun.set)
        sleep(0.05)
        return hello(environ, start_response)

    loop = gevent.get_hub().loop
    with answering(slow, threads=1) as server, asking(server) as sock:
        sock.sendall(GET)
        begun.wait()
        shutdown = gevent.spawn(server.shutdown, 5)
        assert body(answer(sock)) == b"hello"
        sock.close()
        assert shutdown.get() == 0


# -- a loop that is blocked -----------------------------------------------------------------------


def test_an_application_that_blocks_the_loop_is_told_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnet.wsgi.stall.STALL_SECONDS", 0.05)

    def blocking_application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        sleep(0.2)
        return hello(environ, start_response)

    with (
        caplog.at_level(logging.WARNING, "gnet"),
        answering(blocking_application) as server,
        asking(server) as sock,
    ):
        for _ in range(2):
            assert body(answer(sock, GET)) == b"hello"
    (record,) = caplog.records
    assert "blocking_application" in record.getMessage()


def test_an_application_that_waits_through_gevent_is_not_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnet.wsgi.stall.STALL_SECONDS", 0.05)

    def waiting(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        gevent.sleep(0.2)
        return hello(environ, start_response)

    with (
        caplog.at_level(logging.WARNING, "gnet"),
        answering(waiting) as server,
        asking(server) as sock,
    ):
        assert body(answer(sock, GET)) == b"hello"
    assert caplog.records == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"min_body_rate": 0}, ValueError),
        ({"min_body_rate": "1"}, TypeError),
        ({"max_body": -1}, ValueError),
        ({"max_body": 1.5}, TypeError),
        ({"max_header_bytes": 0}, ValueError),
        ({"max_headers": True}, TypeError),
        ({"interrupt_on_disconnect": 2}, TypeError),
        ({"threads": 0}, ValueError),
        ({"threads": "2"}, TypeError),
        ({"allow_connect": "yes"}, TypeError),
    ],
    ids=str,
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        wsgi.WSGIServer(hello, **options)


def test_a_slow_client_costs_the_others_nothing() -> None:
    with answering(echo) as server:
        slow = [gnet.connect(server.address().port, "127.0.0.1") for _ in range(50)]
        for sock in slow:
            sock.sendall(POST + b"Content-Length: 10\r\n\r\n" + b"x" * 3)
        with asking(server) as sock:
            for _ in range(20):
                assert body(answer(sock, POST + b"Content-Length: 2\r\n\r\nab")) == b"ab"
        for sock in slow:
            sock.destroy()


@pytest.mark.parametrize(
    "beginning", [GET[:20], POST + b"Content-Length: 5\r\n\r\nab", CHUNKED + b"5\r\nab"], ids=repr
)
def test_a_client_that_leaves_within_a_request_is_no_news(beginning: bytes) -> None:
    log = io.StringIO()
    with answering(echo, error_log=log) as server:
        assert exchange(server, beginning) == [400]
    assert log.getvalue() == ""
