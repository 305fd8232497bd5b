"""Flask, Django and Pyramid on gnet.wsgi, asked by curl, by wrk, and over a WebSocket."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

import gnet
from gnet import wsgi
from tests.conftest import PATCHED
from tests.helpers.peers import run, running
from tests.helpers.servers import place_at

LARGE = b"x" * 3_000_000


def flask_application() -> Any:
    flask = pytest.importorskip("flask")
    app = flask.Flask("tests", root_path=str(Path(__file__).parent))

    @app.get("/hello/<name>")
    def hello(name: str) -> Any:
        return {"hello": name, "from": flask.request.remote_addr}

    @app.post("/upload")
    def upload() -> Any:
        return str(len(flask.request.get_data()))

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(f"{number}\n" for number in range(3))

    return app


def django_application() -> Any:
    django = pytest.importorskip("django")
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
    from django.http.response import HttpResponse, HttpResponseBase
    from django.urls import path

    def hello(request: HttpRequest, name: str) -> HttpResponseBase:
        return JsonResponse({"hello": name, "from": request.META["REMOTE_ADDR"]})

    def upload(request: HttpRequest) -> HttpResponseBase:
        return HttpResponse(str(len(request.body)))

    def stream(request: HttpRequest) -> HttpResponseBase:
        return StreamingHttpResponse(f"{number}\n" for number in range(3))

    class Urls:
        urlpatterns = (path("hello/<name>", hello), path("upload", upload), path("stream", stream))

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            DATA_UPLOAD_MAX_MEMORY_SIZE=2 * len(LARGE),
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
            ROOT_URLCONF=Urls,
            SECRET_KEY="tests",
            LOGGING_CONFIG=None,
        )
        django.setup()
    return get_wsgi_application()


def pyramid_application() -> Any:
    config = pytest.importorskip("pyramid.config")
    response = pytest.importorskip("pyramid.response")

    def hello(request: Any) -> Any:
        return response.Response(
            json={"hello": request.matchdict["name"], "from": request.remote_addr}
        )

    def upload(request: Any) -> Any:
        return response.Response(str(len(request.body_file.read())))

    def stream(request: Any) -> Any:
        return response.Response(app_iter=(f"{number}\n".encode() for number in range(3)))

    with config.Configurator() as made:
        for name, path, view in (
            ("hello", "/hello/{name}", hello),
            ("upload", "/upload", upload),
            ("stream", "/stream", stream),
        ):
            made.add_route(name, path)
            made.add_view(view, route_name=name)
        return made.make_wsgi_app()


APPLICATIONS = [flask_application, django_application, pyramid_application]


@pytest.fixture(params=APPLICATIONS, ids=["flask", "django", "pyramid"])
def application(request: pytest.FixtureRequest) -> Any:
    return request.param()


@contextmanager
def serving(application: Any, at: Any = (0, "127.0.0.1"), **options: Any) -> Iterator[Any]:
    with wsgi.WSGIServer(application, **options) as server:
        server.listen(*at)
        yield server


@pytest.fixture
def curl(application: Any) -> Iterator[Callable[..., str]]:
    """Asks the application for a path; gives what curl writes."""
    with serving(application) as server:
        base = f"http://127.0.0.1:{place_at(server)[0]}"

        def ask(path: str, *options: str, again: bool = False) -> str:
            urls = [base + path] * (2 if again else 1)
            outcome = run("curl", "-sS", "--max-time", "8", *options, *urls)
            assert outcome.status == 0, outcome.complaints.decode()
            return outcome.output.decode()

        yield ask


def test_curl_is_answered(curl: Callable[..., str]) -> None:
    answer = curl("/hello/you", "-i")
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert re.search(r'"hello": ?"you"', answer)
    assert "127.0.0.1" in answer


def test_curl_keeps_a_connection_alive(curl: Callable[..., str]) -> None:
    options = ("-w", "%{num_connects}\n", "-o", "/dev/null", "-o", "/dev/null")
    assert curl("/hello/you", *options, again=True).split() == ["1", "0"]


@pytest.mark.parametrize(
    "options",
    [(), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue"), ("--http1.0",)],
    ids=["length", "chunked", "expect", "http 1.0"],
)
def test_curl_uploads(
    curl: Callable[..., str], options: tuple[str, ...], tmp_path: Path, application: Any
) -> None:
    if "chunked" in str(options) and "django" in type(application).__module__:
        pytest.skip("Django reads no body without a Content-Length")
    (tmp_path / "file").write_bytes(LARGE)
    body = f"@{tmp_path / 'file'}"
    assert curl("/upload", "--data-binary", body, *options) == str(len(LARGE))


def test_curl_gets_a_stream(curl: Callable[..., str]) -> None:
    answer = curl("/stream", "-i")
    assert "transfer-encoding: chunked" in answer.lower()
    assert answer.endswith("0\n1\n2\n")


def test_curl_asks_over_a_unix_socket(application: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "web")
    with serving(application, (path,)):
        outcome = run("curl", "-sS", "--unix-socket", path, "http://localhost/hello/you")
        assert b'"you"' in outcome.output


@pytest.mark.limit(30)
def test_wrk_finds_no_error(application: Any) -> None:
    with serving(application) as server:
        url = f"http://127.0.0.1:{place_at(server)[0]}/hello/you"
        outcome = run("wrk", "-t1", "-c100", "-d2s", url, limit=25).output.decode()
    assert int(re.findall(r"(\d+) requests in", outcome)[0]) > 100
    assert "Socket errors" not in outcome
    assert "Non-2xx" not in outcome


@pytest.mark.limit(30)
def test_a_shutdown_under_load_answers_what_it_has_begun(application: Any) -> None:
    begun = 0
    enough = Event()

    def counting(environ: dict[str, Any], start_response: Any) -> Any:
        nonlocal begun
        begun += 1
        if begun == 200:
            enough.set()
        gevent.sleep(0)
        return application(environ, start_response)

    with serving(counting) as server:
        url = f"http://127.0.0.1:{place_at(server)[0]}/hello/you"
        with running("wrk", "-t1", "-c20", "-d1s", url, limit=25) as load:
            enough.wait()
            assert server.shutdown(5) == 0
            outcome = load.wait().output.decode()
    assert int(re.findall(r"(\d+) requests in", outcome)[0]) == begun


# -- what frameworks' own test clients say -------------------------------------------------------

ASKED = [
    ("GET", "/hello/you", b""),
    ("GET", "/hello/y%C3%A4u%20x?a=b&c=%20d", b""),
    ("HEAD", "/hello/you", b""),
    ("OPTIONS", "/hello/you", b""),
    ("GET", "/nowhere", b""),
    ("HEAD", "/nowhere", b""),
    ("POST", "/upload", b"x" * 100_000),
    ("POST", "/upload", b""),
    ("PUT", "/upload", b"x"),
    ("GET", "/stream", b""),
    ("HEAD", "/stream", b""),
]
# Those that a server adds, or sends in another way.
NOT_COMPARED = {"date", "connection", "transfer-encoding", "content-length"}

Answer = tuple[int, dict[str, str], bytes]


def by_test_client(application: Any, method: str, path: str, body: bytes) -> Answer:
    """What the framework's own test client gets."""
    module = type(application).__module__.partition(".")[0]
    if module == "django":
        from django.test import Client

        made = Client(headers={"Host": "127.0.0.1"}).generic(
            method, path, body, "text/plain", QUERY_STRING=path.partition("?")[2]
        )
        content = b"".join(made.streaming_content) if made.streaming else made.content
        return made.status_code, dict(made.headers), content
    if module == "flask":
        options = {"data": body, "content_type": "text/plain"}
        made = application.test_client().open(path, method=method, **options)
        return made.status_code, dict(made.headers), made.data
    from webob import Request

    request = Request.blank(path, method=method, body=body, content_type="text/plain")
    request.environ["REMOTE_ADDR"] = "127.0.0.1"
    made = request.get_response(application)
    return made.status_int, dict(made.headers), b"" if method == "HEAD" else made.body


def over_the_wire(connection: HTTPConnection, method: str, path: str, body: bytes) -> Answer:
    connection.request(method, path, body, {"Content-Type": "text/plain"})
    response = connection.getresponse()
    return response.status, dict(response.headers), response.read()


class Connection(HTTPConnection):
    """One that is made with gnet, and blocks its greenlet only."""

    def connect(self) -> None:
        self.sock = gnet.connect(self.port, self.host, timeout=10)  # type: ignore[assignment]


def test_what_comes_over_the_wire_is_what_the_frameworks_own_client_gets(application: Any) -> None:
    with serving(application) as server:
        # One for all of them: none leaves anything behind for the next.
        connection = Connection("127.0.0.1", place_at(server)[0])
        try:
            for method, path, sent in ASKED:
                status, fields, content = over_the_wire(connection, method, path, sent)
                expected = by_test_client(application, method, path, sent)
                assert (status, content) == (expected[0], expected[2]), (method, path)
                ours, theirs = (
                    {name.lower(): each for name, each in found.items()}
                    for found in (fields, expected[1])
                )
                for name in set(ours) ^ set(theirs) | set(ours) - NOT_COMPARED:
                    assert name in NOT_COMPARED or ours.get(name) == theirs.get(name)
        finally:
            connection.close()


@pytest.mark.limit(30)
def test_h2load_finds_no_error(application: Any) -> None:
    with serving(application) as server:
        url = f"http://127.0.0.1:{place_at(server)[0]}/hello/you"
        outcome = run("h2load", "--h1", "-n500", "-c20", "-m4", url, limit=25).output.decode()
    assert "500 succeeded, 0 failed, 0 errored, 0 timeout" in outcome
    assert "500 2xx" in outcome


# -- WebSockets -----------------------------------------------------------------------------------


@pytest.mark.skipif(not PATCHED, reason="flask-sock reads in a thread, which has to be a greenlet")
def test_flask_sock_has_its_websocket() -> None:
    flask_sock = pytest.importorskip("flask_sock")
    wsproto = pytest.importorskip("wsproto")
    app = flask_application()
    sock = flask_sock.Sock(app)

    @sock.route("/shout")  # type: ignore[untyped-decorator]
    def shout(ws: Any) -> None:
        while True:
            ws.send(ws.receive().upper())

    with serving(app) as server, gnet.connect(*place_at(server)) as client:
        protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        client.sendall(protocol.send(wsproto.events.Request(host="here", target="/shout")))
        assert isinstance(next_event(protocol, client), wsproto.events.AcceptConnection)
        for text in "hello", "x" * 100_000:
            client.sendall(protocol.send(wsproto.events.TextMessage(text)))
            received = ""
            while len(received) < len(text):
                received += next_event(protocol, client).data
            assert received == text.upper()
        client.sendall(protocol.send(wsproto.events.CloseConnection(1000)))
        assert isinstance(next_event(protocol, client), wsproto.events.CloseConnection)


def next_event(protocol: Any, client: gnet.Socket) -> Any:
    while True:
        for event in protocol.events():
            return event
        protocol.receive_data(client.recv())
