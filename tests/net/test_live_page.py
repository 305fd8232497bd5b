"""The page of the live view: who may open it, what it sends, and what it lets be done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote

import gevent
import pytest

import gnet
import gnet.live
from tests.helpers.servers import closing, echoing, pair, place_at
from tests.helpers.web import answer, answering, asking, body

pytest.importorskip("httptools", reason="gnet.wsgi reads requests with it")

HOSTILE = "<img src=x onerror=alert(1)>\x1b[2J"


@contextmanager
def page(**options: Any) -> Iterator[Page]:
    application = gnet.live.make_wsgi_app(**options)
    with answering(application) as server:
        yield Page(application, server)


class Page:
    """The page, and what asks it.

    :ivar port: where it is served.
    :ivar token: what opens it.
    """

    def __init__(self, application: Any, server: gnet.Server) -> None:
        self._server = server
        self.token: str = application.token
        self.port = server.port

    def request(
        self, path: str, method: str = "GET", token: str | None = None, **fields: str
    ) -> bytes:
        """A request; a field that is ``""`` is left out."""
        mark = "&" if "?" in path else "?"
        token = self.token if token is None else token
        lines = [f"{method} {path}{mark}token={quote(token)} HTTP/1.1"]
        fields = {"Host": f"127.0.0.1:{self.port}", **fields}
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def get(self, path: str, method: str = "GET", **fields: Any) -> HTTPResponse:
        with asking(self._server) as sock:
            return answer(sock, self.request(path, method, **fields), method)

    def post(self, path: str, **fields: str) -> HTTPResponse:
        origin = {"Origin": f"http://127.0.0.1:{self.port}", "Content_Length": "0"}
        return self.get(path, "POST", **{**origin, **fields})

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[tuple[str, Any]]]:
        """The events that are sent, each with its name."""
        with asking(self._server) as sock:
            sock.sendall(self.request(path))
            response = HTTPResponse(sock)  # type: ignore[arg-type]
            response.begin()
            assert response.getheader("Content-Type") == "text/event-stream"
            yield _events(response)
            response.close()


def _events(response: HTTPResponse) -> Iterator[tuple[str, Any]]:
    name = ""
    while line := response.readline():
        field, _, value = line.decode("ascii").rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


FILES = ("/", "/page.css", "/page.js", "/icon.svg")


@pytest.mark.parametrize("path", FILES)
def test_its_files_are_sent_with_headers_that_let_nothing_else_in(path: str) -> None:
    with page() as opened:
        response = opened.get(path)
        assert (response.status, body(response) != b"") == (200, True)
        check_headers(response)


def check_headers(response: HTTPResponse) -> None:
    policy = response.getheader("Content-Security-Policy") or ""
    assert {each.strip() for each in policy.split(";")} >= {
        "default-src 'self'", "frame-ancestors 'none'"
    }  # fmt: skip
    assert "unsafe" not in policy
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("Referrer-Policy") == "no-referrer"
    assert response.getheader("Cache-Control") == "no-store"
    assert response.getheader("Access-Control-Allow-Origin") is None


def test_it_needs_nothing_from_elsewhere_and_has_no_script_in_its_markup() -> None:
    with page() as opened:
        markup = body(opened.get("/")).decode()
        for text in (markup, *(body(opened.get(each)).decode() for each in FILES[1:3])):
            assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "<script>" not in markup
        assert "style=" not in markup
        assert "onclick" not in markup
        assert f"page.js?token={opened.token}" in markup


@pytest.mark.parametrize("path", [*FILES, "/events", "/connection", "/nowhere"])
@pytest.mark.parametrize("token", ["", "x" * 43, "ümlaut"])
def test_every_request_needs_the_token(path: str, token: str) -> None:
    with page() as opened:
        response = opened.get(path, token=token)
        assert response.status == 403
        check_headers(response)


def test_each_page_has_a_token_of_its_own_unless_it_is_given_one() -> None:
    first, second = gnet.live.make_wsgi_app(), gnet.live.make_wsgi_app()
    assert first.token != second.token
    assert len(first.token) >= 32
    given = gnet.live.make_wsgi_app(token="sixteen letters!")
    assert given.url("http://[::1]:80/") == "http://[::1]:80/?token=sixteen%20letters%21"


# A name that leads to the loopback (DNS rebinding), another port, no name at all.
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:{}"])
def test_it_is_not_served_under_another_name(host: str) -> None:
    with page() as opened:
        response = opened.get("/", Host=host.format(opened.port))
        assert response.status == 403
        check_headers(response)
        assert opened.get("/", Host=f"LOCALHOST:{opened.port}").status == 200


def test_it_is_served_under_the_names_that_it_was_given() -> None:
    with page(hosts=["ops.example"]) as opened:
        assert opened.get("/", Host="ops.example").status == 200
        assert opened.get("/", Host=f"ops.example:{opened.port}").status == 200
        assert opened.get("/", Host=f"127.0.0.1:{opened.port}").status == 403


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_another_page_is_refused(fields: dict[str, str]) -> None:
    with page(control=True) as opened:
        sent = {name: value.format(opened.port) for name, value in fields.items()}
        assert opened.get("/events", **sent).status == 403
        assert opened.post("/close?id=1-1", **sent).status == 403


def test_what_is_done_needs_an_origin() -> None:
    with page(control=True) as opened:
        assert opened.post("/close?id=1-1", Origin="").status == 403
        assert opened.post("/close?id=1-1").status == 409


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nowhere", "GET", 404),
        ("/events?sort=secret", "GET", 400),
        ("/?" + "&".join(f"{each}=1" for each in range(30)), "GET", 400),
        ("/", "DELETE", 405),
        ("/", "OPTIONS", 405),
        ("/list", "POST", 404),
    ],
)
def test_what_it_does_not_have_is_refused(path: str, method: str, status: int) -> None:
    with page(control=True) as opened:
        sent = opened.post(path) if method == "POST" else opened.get(path, method)
        assert sent.status == status
        check_headers(sent)


def test_it_is_told_what_there_is_again_and_again() -> None:
    with page() as opened, echoing() as server, gnet.connect(*place_at(server)) as client:
        client.wait("connect")
        address = f"127.0.0.1:{server.port}"
        with opened.events(f"/events?sort=peer&descending=1&server={address}") as events:
            name, told = next(events)
            assert name == "list"
            [(row, _)] = [(each["cells"], each["id"]) for each in told["connections"]]
            assert row[1] == f"{client.local_address}:{client.local_port}"
            assert told["view"]["sort"] == "peer"
            assert address in [each["address"] for each in told["processes"][0]["servers"]]
            client.destroy()
            while told["connections"]:
                _, told = next(events)
            assert told["matching"] == 0


def test_it_is_searched() -> None:
    with page() as opened, echoing() as server, gnet.connect(*place_at(server)) as client:
        client.wait("connect")
        with opened.events(f"/events?search={client.local_port}") as events:
            _, told = next(events)
            assert (told["matching"], told["total"] > 2) == (2, True)


def test_a_connection_is_followed_until_it_has_closed() -> None:
    with page() as opened, pair() as (client, served):
        number = id_of(opened, served)
        with opened.events(f"/connection?id={number}") as events:
            name, told = next(events)
            assert (name, told["id"]) == ("details", number)
            assert next(events)[1]["name"] == "open"
            served.resume()
            client.write(b"hello")
            assert next(events)[1]["bytes"] == 5
            served.destroy()
            assert "over" in [name for name, _ in events]


def id_of(opened: Page, sock: gnet.Socket) -> str:
    local = f"{sock.local_address}:{sock.local_port}"
    with opened.events(f"/events?search={local}&sort=local") as events:
        _, told = next(events)
    [number] = [each["id"] for each in told["connections"] if each["cells"][3] == local]
    return number


@pytest.mark.parametrize("path", ["close", "reset"])
def test_a_connection_is_ended_with_control_alone(path: str) -> None:
    with page() as looking, page(control=True) as opened, pair() as (_, served):
        number = id_of(opened, served)
        refused = looking.post(f"/{path}?id={number}")
        assert (refused.status, served.destroyed) == (403, False)
        assert opened.get(f"/{path}?id={number}").status == 404
        done = opened.post(f"/{path}?id={number}")
        assert (done.status, body(done)) == (200, b"done\n")
        check_headers(done)
        served.wait("close")


def test_what_strangers_have_chosen_is_sent_as_json_alone() -> None:
    with page() as opened:
        lookup: Callable[..., Any] = lambda *args, **options: gevent.sleep(9)  # noqa: E731
        with closing(gnet.connect(80, HOSTILE, lookup=lookup)):
            with opened.events("/events") as events:
                _, told = next(events)
            assert told["connections"]
            text = json.dumps(told)
            assert "\x1b" not in text
            assert "<img" in text


@pytest.mark.parametrize(
    "options",
    [{"token": 1}, {"hosts": "localhost"}, {"path": 1}, {"colour": "red"}],
)
def test_an_option_of_the_wrong_kind_is_refused(options: Any) -> None:
    with pytest.raises(TypeError):
        gnet.live.make_wsgi_app(**options)


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="16 characters"):
        gnet.live.make_wsgi_app(token="short")
