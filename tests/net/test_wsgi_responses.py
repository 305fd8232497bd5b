"""gnet.wsgi: what becomes of an application's answer."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import gevent
import pytest
from gevent.event import Event

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at
from tests.helpers.web import answer, answering, asking, body, echo, ended, hello

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
OLD = b"GET / HTTP/1.0\r\n\r\n"

Application = Callable[..., Any]


def giving(status: str, fields: list[tuple[str, str]], pieces: Any) -> Application:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response(status, fields)
        return pieces

    return application


def raw(sock: gnet.Socket, request: bytes) -> bytes:
    """All that comes for a request, to the end of the connection."""
    sock.sendall(request)
    return b"".join(sock)


# -- no body --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("204 No Content", []),
        ("204 No Content", [("Content-Length", "5")]),
        ("304 Not Modified", []),
        ("304 Not Modified", [("Content-Length", "5")]),
    ],
    ids=str,
)
@pytest.mark.parametrize("pieces", [[b"hello"], (b"hel", b"lo"), "iterator"], ids=str)
def test_some_responses_have_no_body(status: str, fields: Any, pieces: Any) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response(status, fields)
        return iter([b"hel", b"lo"]) if pieces == "iterator" else pieces

    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with answering(application) as server, asking(server) as sock:
        received = raw(sock, GET + last)
        # Nothing of a body is in front of the next one, nor behind the last.
        assert [each[:12] for each in received.split(b"\r\n\r\n")] == [
            b"HTTP/1.1 " + status[:3].encode(), b"HTTP/1.1 " + status[:3].encode(), b"",
        ]  # fmt: skip
        assert b"Transfer-Encoding" not in received
        assert status[:3] == "304" or b"Content-Length" not in received


@pytest.mark.parametrize("fields", [[], [("Content-Length", "5")]], ids=["no length", "a length"])
@pytest.mark.parametrize("pieces", [[b"hello"], [], "iterator"], ids=str)
def test_head_has_no_body(fields: Any, pieces: Any) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", fields)
        return iter([b"hel", b"lo"]) if pieces == "iterator" else pieces

    with answering(application) as server, asking(server) as sock:
        for _ in range(3):
            response = answer(sock, HEAD, method="HEAD")
            assert (response.status, body(response)) == (200, b"")
            known = fields or pieces == [b"hello"]
            assert response.headers.get("Content-Length") == ("5" if known else None)


# -- lengths --------------------------------------------------------------------------------------


def test_the_pieces_of_a_list_have_a_length() -> None:
    with answering(giving("200 OK", [], [b"hel", b"", b"lo"])) as server, asking(server) as sock:
        response = answer(sock, GET)
        assert (response.headers["Content-Length"], body(response)) == ("5", b"hello")


@pytest.mark.parametrize("pieces", [[b"abc"], iter([b"abc"]), []], ids=repr)
def test_a_body_shorter_than_announced_ends_the_connection(pieces: Any) -> None:
    log = io.StringIO()
    application = giving("200 OK", [("Content-Length", "5")], pieces)
    with answering(application, error_log=log) as server, asking(server) as sock:
        received = raw(sock, GET + GET)
        assert received.count(b"HTTP/1.1 ") == 1
    assert "5 were announced" in log.getvalue()


@pytest.mark.parametrize("pieces", [[b"abcdefgh"], iter([b"abc", b"defgh"])], ids=repr)
def test_a_body_longer_than_announced_is_cut_off(pieces: Any) -> None:
    log = io.StringIO()
    application = giving("200 OK", [("Content-Length", "5")], pieces)
    with answering(application, error_log=log) as server, asking(server) as sock:
        received = raw(sock, GET + GET)
        assert received.count(b"HTTP/1.1 ") == 1
        assert received.endswith(b"\r\n\r\nabcde")
    assert "more than the 5 bytes" in log.getvalue()


def test_a_client_of_http_1_0_that_gets_half_a_stream_gets_no_clean_end(
    hub_errors: list[BaseException],
) -> None:
    def application(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"half"
        raise ZeroDivisionError("a bug")

    with answering(application) as server, asking(server) as sock:
        with pytest.raises(ConnectionResetError):
            raw(sock, OLD)
        assert isinstance(hub_errors.pop(), ZeroDivisionError)


def test_half_a_stream_in_chunks_has_no_last_one(hub_errors: list[BaseException]) -> None:
    def application(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"half"
        raise ZeroDivisionError("a bug")

    with answering(application) as server, asking(server) as sock:
        assert raw(sock, GET).endswith(b"4\r\nhalf\r\n")
        assert isinstance(hub_errors.pop(), ZeroDivisionError)


def test_a_response_in_chunks_may_have_fields_behind_it() -> None:
    def application(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[bytes]:
        start_response("200 OK", [("Trailer", "X-Sum")])
        yield b"body"
        environ["gnet.response_trailers"].append(("X-Sum", "4"))

    wanting = GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\nConnection: te, close\r\n\r\n")
    with answering(application) as server:
        with asking(server) as sock:
            assert raw(sock, wanting).endswith(b"0\r\nX-Sum: 4\r\n\r\n")
        with asking(server) as sock:
            assert raw(sock, wanting.replace(b"te, ", b"")).endswith(b"4\r\nbody\r\n0\r\n\r\n")


# -- what an application may not do ---------------------------------------------------------------


def twice(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def never(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    return [b"hello"]


BROKEN: dict[str, Application] = {
    "a status of another type": giving(b"200 OK", [], []),  # type: ignore[arg-type]
    "no number": giving("OK", [], []),
    "a line end in a status": giving("200 OK\r\nX: y", [], []),
    "an interim status": giving("103 Early Hints", [], []),
    "an upgrade for nobody": giving("101 Switching Protocols", [], []),
    "a line end in a value": giving("200 OK", [("X", "y\r\nEvil: z")], []),
    "a lone CR in a value": giving("200 OK", [("X", "y\rz")], []),
    "a lone LF in a value": giving("200 OK", [("X", "y\nz")], []),
    "NUL in a value": giving("200 OK", [("X", "y\0z")], []),
    "a space in a name": giving("200 OK", [("X Y", "z")], []),
    "a colon in a name": giving("200 OK", [("X:", "z")], []),
    "an empty name": giving("200 OK", [("", "z")], []),
    "letters beyond latin-1": giving("200 OK", [("X", "\u0441")], []),
    "a value of another type": giving("200 OK", [("X", 1)], []),  # type: ignore[list-item]
    "a length that is none": giving("200 OK", [("Content-Length", "+5")], [b"hello"]),
    "two lengths": giving("200 OK", [("Content-Length", "5"), ("Content-Length", "6")], [b""]),
    "a body of str": giving("200 OK", [], ["hello"]),
    "an iterator of str": giving("200 OK", [], iter(["hello"])),
    "two responses": twice,
    "none": never,
}


@pytest.mark.parametrize("application", BROKEN.values(), ids=BROKEN)
def test_what_breaks_a_response_is_500_and_nothing_of_it_is_sent(
    application: Application, hub_errors: list[BaseException]
) -> None:
    log = io.StringIO()
    with answering(application, error_log=log) as server, asking(server) as sock:
        received = raw(sock, GET)
    assert received.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert received.endswith(b"\r\n\r\n500 Internal Server Error\n")
    assert b"Evil" not in received
    assert log.getvalue() or hub_errors
    hub_errors.clear()


def test_an_error_page_says_nothing_of_the_inside(hub_errors: list[BaseException]) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise ValueError("a secret")

    with answering(application) as server, asking(server) as sock:
        received = raw(sock, GET.replace(b"/", b"/<script>", 1))
        assert not {b"secret", b"ValueError", b"script", b"Python", b"gnet"} & set(
            received.replace(b"<", b" ").split()
        )
    assert isinstance(hub_errors.pop(), ValueError)


def test_an_error_replaces_a_response_that_has_not_begun() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("X", "y")])
        try:
            raise ValueError
        except ValueError as exc:
            start_response("503 Later", [], (type(exc), exc, exc.__traceback__))
        return [b"later"]

    with answering(application) as server, asking(server) as sock:
        response = answer(sock, GET)
        assert (response.status, response.headers["X"], body(response)) == (503, None, b"later")


def test_hop_by_hop_fields_are_the_servers() -> None:
    fields = [("Keep-Alive", "x"), ("Transfer-Encoding", "chunked"), ("X", "y")]
    with answering(giving("200 OK", fields, [b"hello"])) as server, asking(server) as sock:
        for _ in range(2):
            response = answer(sock, GET)
            assert (body(response), response.headers["X"]) == (b"hello", "y")
            assert {"Keep-Alive", "Transfer-Encoding"}.isdisjoint(response.headers)


def test_an_application_may_close_the_connection() -> None:
    application = giving("200 OK", [("Connection", "close")], [b"hello"])
    with answering(application) as server, asking(server) as sock:
        response = answer(sock, GET)
        assert response.headers["Connection"] == "close"
        assert ended(sock)


def test_the_iterator_is_closed_however_it_ends(must_call: Calls) -> None:
    class Pieces:
        def __init__(self) -> None:
            self.close = must_call()

        def __iter__(self) -> Iterator[bytes]:
            yield b"hello"

    for fields in [], [("Content-Length", "2")]:
        application = giving("200 OK", fields, Pieces())
        with answering(application, error_log=io.StringIO()) as server, asking(server) as sock:
            answer(sock, GET)


@pytest.mark.parametrize("application", [hello, echo])
@pytest.mark.parametrize(
    "request_",
    [
        GET,
        HEAD,
        b"OPTIONS * HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET http://there/x?y HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ],
    ids=lambda request: request.split()[0].decode() + str(len(request)),
)
def test_a_validator_finds_nothing_in_an_environ(
    application: Application, request_: bytes
) -> None:
    def typed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["wsgi.input"].read(0)

        def start(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [("Content-Type", "text/plain")], exc_info)

        return application(environ, start) if application is hello else hello(environ, start)

    with answering(validator(typed)) as server, asking(server) as sock:
        method = request_.split()[0].decode()
        assert answer(sock, request_, method=method).status == 200


# -- files ----------------------------------------------------------------------------------------

# More than the kernel takes at once for a connection.
LARGE = bytes(range(256)) * 40_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    return path


def sending(
    opening: Callable[[], Any], position: int = 0, fields: Any = (), status: str = "200 OK"
) -> Application:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        file = opening()
        file.seek(position)
        start_response(status, list(fields))
        return environ["wsgi.file_wrapper"](file)

    return application


def temporary(path: Path) -> Any:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115
    file.write(path.read_bytes())
    return file


OPENINGS: dict[str, Callable[[Path], Any]] = {
    "buffered": lambda path: path.open("rb"),
    "raw": lambda path: path.open("rb", 0),
    "in memory": lambda path: io.BytesIO(path.read_bytes()),
    "temporary": temporary,
}


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
@pytest.mark.parametrize("position", [0, 1000])
def test_a_file_is_sent_from_its_position(
    path: Path, opening: Callable[[Path], Any], position: int
) -> None:
    application = sending(lambda: opening(path), position)
    with answering(application) as server, asking(server) as sock:
        for _ in range(2):
            assert body(answer(sock, GET)) == LARGE[position:]


def test_a_file_that_is_read_through_another_is_not_sent_as_it_is(path: Path) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(LARGE, 1))
    with answering(sending(lambda: gzip.open(packed))) as server, asking(server) as sock:
        assert body(answer(sock, GET)) == LARGE


def test_no_more_of_a_file_is_sent_than_announced(path: Path) -> None:
    application = sending(lambda: path.open("rb"), 5, [("Content-Length", "10")])
    with answering(application) as server, asking(server) as sock:
        for _ in range(2):
            assert body(answer(sock, GET)) == LARGE[5:15]


def test_a_pipe_is_sent_in_chunks() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        reader, writer = os.pipe()
        with os.fdopen(writer, "wb") as file:
            file.write(b"hello")
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.FileIO(reader))

    with answering(application) as server, asking(server) as sock:
        response = answer(sock, GET)
        assert (body(response), response.headers["Transfer-Encoding"]) == (b"hello", "chunked")


def test_head_of_a_file_tells_its_length(path: Path) -> None:
    with answering(sending(lambda: path.open("rb"))) as server, asking(server) as sock:
        response = answer(sock, HEAD, method="HEAD")
        assert response.headers["Content-Length"] == str(len(LARGE))
        assert answer(sock, HEAD, method="HEAD").status == 200


def test_a_client_that_stops_taking_a_file_leaves_nothing_behind(
    path: Path, must_call: Calls
) -> None:
    path.write_bytes(LARGE * 4)
    with (
        answering(sending(lambda: path.open("rb")), idle_timeout=0.1) as server,
        asking(server) as sock,
    ):
        server.on("connection", lambda served: served.on("close", must_call()))
        sock.sendall(GET)
        must_call.wait()


# -- clients that leave ---------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["close", "destroy", "reset_and_destroy"])
def test_an_application_is_interrupted_when_its_client_leaves(leave: str) -> None:
    begun, over = Event(), Event()
    errors: list[BaseException] = []

    def application(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"data: 1\n\n"
        begun.set()
        try:
            Event().wait()
        except gnet.errors.PeerEndError as exc:
            errors.append(exc)
            raise
        finally:
            over.set()

    with answering(application, interrupt_on_disconnect=True) as server:
        sock = gnet.connect(*place_at(server))
        sock.sendall(GET)
        begun.wait()
        getattr(sock, leave)()
        over.wait()
        server.shutdown()
    assert len(errors) == 1


@pytest.mark.parametrize("leave", ["close", "destroy", "reset_and_destroy"])
def test_an_application_learns_of_its_clients_leaving_by_its_socket(leave: str) -> None:
    begun, left = Event(), Event()

    def application(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[bytes]:
        environ["gnet.socket"].on("peer_end", left.set)
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"data: 1\n\n"
        begun.set()
        # It is not interrupted, and ends when it likes.
        left.wait()

    with answering(application) as server:
        sock = gnet.connect(*place_at(server))
        sock.sendall(GET)
        begun.wait()
        getattr(sock, leave)()
        left.wait()
        assert server.shutdown() == 0


def test_an_application_that_is_quick_enough_notices_no_leaving() -> None:
    with answering(interrupt_on_disconnect=True) as server, asking(server) as sock:
        for _ in range(2):
            assert body(answer(sock, GET)) == b"hello"


def test_without_the_option_a_client_may_end_its_side_and_is_answered() -> None:
    asked = Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        asked.set()
        gevent.sleep(0.01)
        return hello(environ, start_response)

    with answering(slow) as server, asking(server) as sock:
        sock.sendall(GET)
        sock.end()
        assert body(answer(sock)) == b"hello"
