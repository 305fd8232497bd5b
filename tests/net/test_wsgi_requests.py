"""gnet.wsgi: which requests are served, and that all others are refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

import gnet
from tests.conftest import await_event
from tests.helpers.servers import LOOPBACK, place_at
from tests.helpers.web import Recorder, answer, answering, asking, ended, exchange, hello, statuses

LINE = b"GET / HTTP/1.1\r\n"
HOST = b"Host: here\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
# Whatever stands before it: if it is answered, a body was taken for a request.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n"

CONTROLS = [bytes([each]) for each in (*range(32), 127) if each not in b"\t"]
# What no field's name may have: all but the letters, digits and marks of a token.
NO_TOKEN = [bytes([each]) for each in range(256) if not chr(each).isalnum() or each > 126]
NO_TOKEN = [each for each in NO_TOKEN if each not in (*(bytes([x]) for x in b"!#$%&'*+-.^_`|~"),)]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def server(recorder: Recorder) -> Iterator[Any]:
    with answering(recorder, error_log=io.StringIO(), header_timeout=2) as server:
        yield server


def refused(server: gnet.Server, recorder: Recorder, request: bytes) -> str:
    """Nothing if a request is refused and ends the connection, else what became of it."""
    recorder.requests.clear()
    codes = exchange(server, request + SMUGGLED)
    served = [each for each in recorder.requests if each[1] != "/"]
    if served or len(codes) != 1 or not 400 <= codes[0] < 600:
        return f"{request!r}: {codes} {recorder.requests}"
    return ""


def not_refused(server: gnet.Server, recorder: Recorder, requests: list[bytes]) -> list[str]:
    outcomes = [refused(server, recorder, request) for request in requests]
    return [each for each in outcomes if each]


LENGTHS = [
    b"+5", b"-5", b"1_0", b"0x5", b"5 5", b"5,5", b"5, 5", b"5;", b"5.0", b"five", b"", b" ",
    b'"5"',    "٥".encode(), b"\x00" b"5", b"5\x00", b"9" * 20, b"1e1",
]  # fmt: skip


def test_a_length_is_digits_and_nothing_else(server: Any, recorder: Recorder) -> None:
    requests = [POST + b"Content-Length: " + each + b"\r\n\r\n" for each in LENGTHS]
    assert not_refused(server, recorder, requests) == []


@pytest.mark.parametrize("second", [b"5", b"6", b"0"], ids=bytes.decode)
def test_a_second_length_is_refused(server: Any, recorder: Recorder, second: bytes) -> None:
    names = [b"Content-Length", b"content-length", b"CONTENT-LENGTH"]
    requests = [
        POST + b"Content-Length: 5\r\n" + name + b": " + second + b"\r\n\r\nabcde"
        for name in names
    ]
    assert not_refused(server, recorder, requests) == []


def test_a_length_beside_a_coding_is_refused(server: Any, recorder: Recorder) -> None:
    fields = [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
    requests = [POST + b"".join(order) + b"\r\n0\r\n\r\n" for order in (fields, fields[::-1])]
    assert not_refused(server, recorder, requests) == []


# Around the word, within it, before the colon, behind it: whatever a lenient reader passes over.
CODINGS = [
    b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"chunked,",
    b",chunked", b"chunked;a=b", b'"chunked"', b"'chunked'", b"xchunked", b"chunkedx", b"chunk",
    b"chunked identity", b"\x0bchunked", b"\x0cchunked", b"chunked\x0b", b"\xa0chunked", b"",
    b"cow", "сhunked".encode(), b"chunked\x00", b"\x00chunked", b"ch\x00unked", b"ch-unked",
]  # fmt: skip


def test_no_coding_but_chunked_is_obeyed(server: Any, recorder: Recorder) -> None:
    requests = [POST + b"Transfer-Encoding: " + each + b"\r\n\r\n0\r\n\r\n" for each in CODINGS]
    requests += [
        POST + b"Transfer-Encoding: " + each + b"\r\nContent-Length: 5\r\n\r\nabcde"
        for each in CODINGS
    ]
    requests += [
        CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]  # fmt: skip
    assert not_refused(server, recorder, requests) == []


@pytest.mark.limit(30)
def test_a_name_of_a_field_is_a_token(server: Any, recorder: Recorder) -> None:
    requests = [LINE + HOST + b"X" + each + b"Y: z\r\n\r\n" for each in NO_TOKEN if each != b":"]
    requests += [LINE + HOST + each + b"X: z\r\n\r\n" for each in NO_TOKEN]
    requests += [LINE + HOST + b"X" + each + b": z\r\n\r\n" for each in NO_TOKEN if each != b":"]
    # An empty line, and what is behind it: the head was complete.
    requests = [each for each in requests if HOST + b"\r\n" not in each]
    assert not_refused(server, recorder, requests) == []


@pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding", b"Host", b"X"])
def test_there_is_no_space_before_a_colon(server: Any, recorder: Recorder, name: bytes) -> None:
    requests = [
        LINE + HOST + name + space + b": 5\r\n\r\n"
        for space in (b" ", b"\t", b"  ", b"\x0b", b"\r")
    ]
    assert not_refused(server, recorder, requests) == []


def test_a_value_has_no_control_characters(server: Any, recorder: Recorder) -> None:
    requests = [LINE + HOST + b"X: a" + each + b"b\r\n\r\n" for each in CONTROLS]
    requests += [LINE + b"Host: he" + each + b"re\r\n\r\n" for each in CONTROLS]
    assert not_refused(server, recorder, requests) == []


def test_a_line_ends_with_cr_and_lf(server: Any, recorder: Recorder) -> None:
    head = LINE + HOST + b"X: y\r\n\r\n"
    ends = [at for at in range(len(head)) if head.startswith(b"\r\n", at)]
    requests = [
        head[:at] + wrong + head[at + 2 :] for at in ends for wrong in (b"\n", b"\r", b"\r\r\n")
    ]
    assert not_refused(server, recorder, requests) == []


@pytest.mark.parametrize("space", [b" ", b"\t"], ids=["space", "tab"])
def test_a_field_is_not_continued(server: Any, recorder: Recorder, space: bytes) -> None:
    requests = [
        LINE + space + HOST + b"\r\n",
        LINE + HOST + space + b"X: y\r\n\r\n",
        LINE + HOST + b"X: y\r\n" + space + b"z\r\n\r\n",
        LINE + HOST + b"X: y\r\n" + space + b"\r\n\r\n",
    ]
    assert not_refused(server, recorder, requests) == []


HOSTS = [
    b"", b"Host:\r\n", b"Host: :80\r\n", b"Host: here\r\nHost: here\r\n",
    b"Host: here\r\nhost: there\r\n", b"Host: he re\r\n",
    b"Host: here/there\r\n", b"Host: user@here\r\n", b"Host: here:port\r\n", b"Host: here:-1\r\n",
    b"Host: [::1\r\n", b"Host: ::1\r\n", b"Host: [x]\r\n", b"Host: here:80:80\r\n",
    b"Host: he\\re\r\n",
    b"Host: here?\r\n", b"Host: here#\r\n", b"Host: \xff\r\n", b"Host: here:999999\r\n",
    b"Host: here, there\r\n",
]  # fmt: skip


def test_there_is_one_host(server: Any, recorder: Recorder) -> None:
    assert not_refused(server, recorder, [LINE + host + b"\r\n" for host in HOSTS]) == []


FIRST_LINES = [
    b"GET", b"GET /", b"GET / ", b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET / HTTP/1.1 ",
    b" GET / HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1", b"GET / http/1.1",
    b"GET / HTTP/1.1.1", b"GET / HTTP/11", b"GET / HTTP/0.9", b"GET / HTTP/1.2", b"GET / HTTP/2.0",
    b"GET / HTTP/9.9", b"GET / HTTP/01.1", b"GET / HTTP/1.01", b"GET / HTTP/+1.1",
    b"GET / HTTP/1,1",
    b"GET / HTTP /1.1", b"GET / XTTP/1.1", b"GET / HTTP/", b"/ HTTP/1.1", b"get / HTTP/1.1",
    b"G ET / HTTP/1.1", b"G\x00ET / HTTP/1.1", b"GE(T / HTTP/1.1", b"BREW / HTTP/1.1",
    b"GET /a b HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET /\xff HTTP/1.1",
    b"GET /a\rb HTTP/1.1", b"GET /a\x0bb HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET a HTTP/1.1",
    b"GET * HTTP/1.1", b"GET here:80 HTTP/1.1", b"GET ftp://here/ HTTP/1.1", b"GET // HTTP/1.1x",
    b"GET http:/// HTTP/1.1", b"GET http://us er/ HTTP/1.1", b"GET http://a@here/ HTTP/1.1",
    b"CONNECT here:80 HTTP/1.1", b"CONNECT / HTTP/1.1", b"OPTIONS rtsp://here RTSP/1.0",
    b"DESCRIBE rtsp://here RTSP/1.0", b"SOURCE / ICE/1.0", b"PRI * HTTP/2.0", b"\x16\x03\x01\x02",
]  # fmt: skip


def test_a_first_line_is_as_it_has_to_be(server: Any, recorder: Recorder) -> None:
    requests = [line + b"\r\n" + HOST + b"\r\n" for line in FIRST_LINES]
    assert not_refused(server, recorder, requests) == []


@pytest.mark.parametrize("end", [b"", b" / HTTP/1.1\r\n" + HOST + b"\r\n"], ids=["begun", "whole"])
def test_an_unknown_method_is_told_from_what_is_none(server: Any, end: bytes) -> None:
    codes = {
        each: exchange(server, b"X" + each + end) for each in NO_TOKEN if each not in b" \r\n"
    }
    assert {each: code for each, code in codes.items() if code != [400]} == {}
    assert exchange(server, b"X" + end) == [501]


CHUNKS = [
    b" 5\r\nabcde\r\n", b"5 \r\nabcde\r\n", b"+5\r\nabcde\r\n", b"-5\r\nabcde\r\n",
    b"0x5\r\nabcde\r\n",
    b"5_0\r\nabcde\r\n", b"5\nabcde\r\n", b"5\rabcde\r\n", b"5\r\nabcde\n", b"5\r\nabcde\r",
    b"5\r\nabcde",
    b"5\r\nabcdeX\r\n", b"5\r\nabcd\r\n", b"5\r\nabcdef\r\n", b"\r\n", b"g\r\n", b"5;\nabcde\r\n",
    b"5;a\nb\r\nabcde\r\n", b"5;a=b\rc\r\nabcde\r\n", b"5;a=\x00\r\nabcde\r\n",
    b'5;a="b\r\n"\r\nabcde\r\n',
    b"10000000000000005\r\nabcde\r\n", b"fffffffffffffffff\r\nabcde\r\n", b"5\x00\r\nabcde\r\n",
    b"5, 5\r\nabcde\r\n", b"\t5\r\nabcde\r\n", b"5\x0b\r\nabcde\r\n", "٥\r\nabcde\r\n".encode(),
    b"5;" + b"x" * 20_000 + b"\r\nabcde\r\n", b"0" * 20_000 + b"5\r\nabcde\r\n",
]  # fmt: skip


def test_a_chunk_is_as_it_has_to_be(server: Any, recorder: Recorder) -> None:
    requests = [CHUNKED + b"\r\n" + chunk + b"0\r\n\r\n" for chunk in CHUNKS]
    assert not_refused(server, recorder, requests) == []


TRAILERS = [
    b"X : y\r\n", b"X: y\n", b"X: y\r", b"X: \x00\r\n", b"X\r\n", b" X: y\r\n", b"X: y\r\n z\r\n",
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: there\r\n", b": y\r\n",
    b"X: y\r\n" * 101,
]  # fmt: skip


def test_the_fields_behind_chunks_are_as_they_have_to_be(server: Any, recorder: Recorder) -> None:
    requests = [CHUNKED + b"\r\n0\r\n" + each + b"\r\n" for each in TRAILERS]
    assert not_refused(server, recorder, requests) == []


def read_by(server: gnet.Server, count: int) -> None:
    """Block until the one connection of a server has read so many bytes."""
    while sum(each.bytes_read for each in server.connections) < count:
        await_event()


# -- what is served -------------------------------------------------------------------------------

SERVED = {
    "a host with a port": LINE + b"Host: here:80\r\n\r\n",
    "an address": LINE + b"Host: [::1]:80\r\n\r\n",
    "no space behind a colon": LINE + b"Host:here\r\n\r\n",
    "spaces around a value": LINE + b"Host: \t here \t \r\n\r\n",
    "no host in HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "an empty line ahead": b"\r\n" + LINE + HOST + b"\r\n",
    "bytes beyond ASCII in a value": LINE + HOST + b"X: \xe4\xff\r\n\r\n",
    "every mark of a token": LINE + HOST + b"!#$%&'*+-.^`|~: y\r\n\r\n",
    "an empty value": LINE + HOST + b"X:\r\n\r\n",
    "an absolute target": b"GET http://there/x?y HTTP/1.1\r\n" + HOST + b"\r\n",
    "the target *": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a length": POST + b"Content-Length: 5\r\n\r\nabcde",
    "zeros in a length": POST + b"Content-Length: 0005\r\n\r\nabcde",
    "chunks": CHUNKED + b"\r\n5\r\nabcde\r\n0\r\n\r\n",
    "chunked in other letters": POST + b"transfer-encoding: ChUnKeD\r\n\r\n0\r\n\r\n",
    "an extension of a chunk": CHUNKED + b'\r\n5;a=b;c="d;e"\r\nabcde\r\n0;f\r\n\r\n',
    "zeros in a chunk": CHUNKED + b"\r\n0005\r\nabcde\r\n0000\r\n\r\n",
    "fields behind chunks": CHUNKED + b"\r\n5\r\nabcde\r\n0\r\nX: y\r\n\r\n",
    "empty lines in chunks": CHUNKED + b"\r\n8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
    "another method": b"PROPFIND / HTTP/1.1\r\n" + HOST + b"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("request_", SERVED.values(), ids=SERVED)
def test_it_is_served_and_so_is_what_follows_at_whatever_place_it_is_split(
    server: Any, recorder: Recorder, request_: bytes
) -> None:
    follower = b"GET /next HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    if b"HTTP/1.0" in request_:
        request_ = request_.replace(b"1.0\r\n", b"1.0\r\nConnection: keep-alive\r\n")
    whole = request_ + follower
    for at in range(1, len(whole)):
        recorder.requests.clear()
        with asking(server) as sock:
            sock.sendall(whole[:at])
            read_by(server, at)
            sock.sendall(whole[at:])
            assert statuses(b"".join(sock)) == [200, 200]
        assert [each[1] for each in recorder.requests][1:] == ["/next"]
    body = recorder.requests[0][2]
    assert body in (b"", b"abcde", b"\r\n" * 4)


def test_an_absolute_target_is_taken_apart(server: Any, recorder: Recorder) -> None:
    exchange(server, b"GET HTTP://there:81/a%20b?c HTTP/1.1\r\nHost: here\r\n\r\n")
    exchange(server, b"GET http://there?c HTTP/1.1\r\nHost: here\r\n\r\n")
    found = [
        (each["PATH_INFO"], each["QUERY_STRING"], each["HTTP_HOST"]) for each in recorder.environs
    ]
    assert found == [("/a b", "c", "there:81"), ("/", "c", "there")]


def test_what_two_fields_could_mean_one_of_them_does_not(server: Any, recorder: Recorder) -> None:
    fields = b"X-User: a\r\nX_User: b\r\nProxy: evil\r\nX-User: c\r\nCookie: d\r\nCookie: e\r\n"
    exchange(server, LINE + HOST + fields + b"\r\n")
    (environ,) = recorder.environs
    found = {name: environ.get(name) for name in ("HTTP_X_USER", "HTTP_PROXY", "HTTP_COOKIE")}
    assert found == {"HTTP_X_USER": "a,c", "HTTP_PROXY": None, "HTTP_COOKIE": "d; e"}


def test_the_fields_behind_chunks_are_in_the_environ(server: Any, recorder: Recorder) -> None:
    exchange(server, CHUNKED + b"\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nY: z \r\n\r\n")
    (environ,) = recorder.environs
    assert environ["gnet.trailers"] == [("X-Sum", "1"), ("Y", "z")]


@pytest.mark.parametrize("name", [b"Content-Type", b"content-encoding", b"Content-Range"])
def test_what_a_body_is_nobody_is_told_behind_it(
    server: Any, recorder: Recorder, name: bytes
) -> None:
    fields = name + b": text/plain\r\nX-Sum: 1\r\n"
    request = CHUNKED + b"\r\n1\r\na\r\n0\r\n" + fields + b"\r\n"
    assert exchange(server, request + LINE + HOST + b"\r\n") == [200, 200]
    environ, _ = recorder.environs
    assert environ["gnet.trailers"] == [("X-Sum", "1")]
    assert environ.get("CONTENT_TYPE") is None


@pytest.mark.parametrize("value", [b"close", b"Close", b"TE, close", b"keep-alive,close"])
def test_close_is_found_among_the_options_of_a_connection(server: Any, value: bytes) -> None:
    with asking(server) as sock:
        response = answer(sock, LINE + HOST + b"Connection: " + value + b"\r\n\r\n")
        assert response.headers["Connection"] == "close"
        assert ended(sock)


def test_a_client_of_http_1_0_may_keep_its_connection(server: Any) -> None:
    with asking(server) as sock:
        for _ in range(2):
            response = answer(sock, b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert response.headers["Connection"] == "keep-alive"


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b"100-CONTINUE"])
def test_100_continue_is_told_in_any_letters(server: Any, value: bytes) -> None:
    with asking(server) as sock:
        sock.sendall(POST + b"Expect: " + value + b"\r\nContent-Length: 2\r\n\r\n")
        assert sock.recv() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert answer(sock, b"ab").status == 200


def test_another_expectation_is_refused(server: Any) -> None:
    assert exchange(server, LINE + HOST + b"Expect: miracles\r\n\r\n") == [417]


def test_an_answer_ahead_of_a_body_that_waits_for_100_ends_the_connection() -> None:
    with answering(hello) as server, asking(server) as sock:
        request = POST + b"Expect: 100-continue\r\nContent-Length: 39\r\n\r\n"
        response = answer(sock, request)
        assert (response.status, response.headers["Connection"]) == (200, "close")
        sock.sendall(SMUGGLED)
        assert ended(sock)


def test_connect_is_passed_on_where_it_is_allowed() -> None:
    def tunnel(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert environ["REQUEST_URI"] == "there:443"
        start_response("200 Connected", [])(b"")
        sock = environ["gnet.socket"]
        sock.sendall(environ["gnet.head"] + sock.recv())
        return []

    with answering(tunnel, allow_connect=True) as server, asking(server) as sock:
        sock.sendall(b"CONNECT there:443 HTTP/1.1\r\nHost: there:443\r\n\r\nearly ")
        with sock.makefile("rb") as file:
            assert file.readline() == b"HTTP/1.1 200 Connected\r\n"
            fields = b"".join(iter(file.readline, b"\r\n"))
            assert b"Content-Length" not in fields and b"Transfer-Encoding" not in fields
            sock.sendall(b"late")
            assert file.read() == b"early late"


def test_an_address_is_one_of_ipv4_also_on_a_socket_of_both(recorder: Recorder) -> None:
    with (
        answering(recorder, at=(0, "::ffff:127.0.0.1")) as server,
        gnet.connect(place_at(server)[0], LOOPBACK[1]) as sock,
    ):
        answer(sock, LINE + HOST + b"\r\n")
    (environ,) = recorder.environs
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"]) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.limit(60)
def test_a_mutated_coding_is_refused_unless_it_is_the_same_one(
    server: Any, recorder: Recorder
) -> None:
    marks = [
        bytes([each]) for each in (*range(33), *b"\",;:=()<>@[]{}/?\\'_-", 127, 128, 160, 255)
    ]
    word = b"chunked"
    mutated = [word[:at] + mark + word[at:] for at in range(len(word) + 1) for mark in marks]
    mutated += [word[:at] + word[at + 1 :] for at in range(len(word))]
    # Spaces around a value are none of its own.
    mutated = [each for each in mutated if each.strip(b" \t") != word]
    requests = [POST + b"Transfer-Encoding: " + each + b"\r\n\r\n0\r\n\r\n" for each in mutated]
    assert not_refused(server, recorder, requests) == []
