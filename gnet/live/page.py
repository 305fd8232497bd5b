"""The page of the live view, a WSGI application: its rules, and what it sends.

Every request needs the token, a ``Host`` that is the page's own, so that no name of a stranger's
that leads here is one (DNS rebinding), and no foreign ``Origin``. What came from the network is
JSON until the script of the page makes text nodes of it: nothing of it is ever read as HTML.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from importlib import resources
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, quote

from gevent.event import Event

from .._values import arguments
from .._values.addresses import is_ip, place_text
from ..errors import printable
from .client import Here, LiveError, There
from .control import turn
from .table import COLUMNS, NAMES, Listing, Rates, View, cells

__all__ = ["Page"]

#: How often the page is told what there is, in seconds; of very many connections less often.
REFRESH_SECONDS = 1.0
# Making the list may take this part of the time.
_LIST_SHARE = 0.05
_MAX_ROWS = 500
_MAX_SEARCH = 200

_HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
]
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_ACTIONS = ("close", "reset", "drain")

StartResponse = Callable[..., Any]


class _Refusal(Exception):
    """A request that is refused."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Gone:
    """Whether the connection of a request is over, as far as the server tells: gnet's own does."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._over = Event()
        sock = environ.get("gnet.socket")
        if sock is not None:
            sock.once("close", lambda had_error: self._over.set())

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is over; tells whether it is."""
        return bool(self._over.wait(seconds))


class Page:
    """The application; :func:`gnet.live.make_wsgi_app` has its parameters."""

    def __init__(
        self,
        *,
        control: bool = False,
        token: str | None = None,
        hosts: Iterable[str] | None = None,
        path: str | None = None,
    ) -> None:
        self.control: bool = arguments.flag("control", control)
        if token is not None and len(arguments.string("token", token)) < 16:
            raise arguments.wrong_value("token", token, "at least 16 characters")
        #: What every URL must have.
        self.token: str = secrets.token_urlsafe(32) if token is None else token
        if isinstance(hosts, str):
            raise arguments.wrong_kind("hosts", hosts, "a list of names")
        self._hosts = None if hosts is None else {each.lower() for each in hosts}
        self._source: Here | There = Here() if path is None else There(path)
        self._files = {where: (_file(name), kind) for where, (name, kind) in _FILES.items()}

    def url(self, base: str) -> str:
        """Where to open it, with the token.

        :param base: what it is served at: ``"http://127.0.0.1:8125"``.
        """
        return f"{base.rstrip('/')}/?token={quote(self.token, safe='')}"

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            query = parse_qs(environ.get("QUERY_STRING", ""), max_num_fields=20)
            self._check(environ, query)
            return self._answer(environ, query, start_response)
        except _Refusal as exc:
            status, text = exc.status, str(exc)
        except ValueError:
            status, text = "400 Bad Request", "that is no query"
        return _send(start_response, status, "text/plain; charset=utf-8", f"{text}\n".encode())

    # -- who may ----------------------------------------------------------------------------------

    def _check(self, environ: dict[str, Any], query: dict[str, list[str]]) -> None:
        host = environ.get("HTTP_HOST", "").lower()
        if host not in self._own_hosts(environ):
            raise _Refusal("403 Forbidden", "the page is not served under that name")
        origin = environ.get("HTTP_ORIGIN")
        scheme = environ.get("wsgi.url_scheme", "http")
        writes = environ["REQUEST_METHOD"] == "POST"
        if (origin is not None or writes) and origin != f"{scheme}://{host}":
            raise _Refusal("403 Forbidden", "that comes from another page")
        if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none"):
            raise _Refusal("403 Forbidden", "that comes from another page")
        token = query.get("token", [""])
        if len(token) != 1 or not hmac.compare_digest(token[0].encode(), self.token.encode()):
            raise _Refusal("403 Forbidden", "the token is missing, or is another one's")

    def _own_hosts(self, environ: dict[str, Any]) -> set[str]:
        """What the ``Host`` of a request may be."""
        port = environ["SERVER_PORT"]
        if self._hosts is not None:
            return self._hosts | {f"{each}:{port}" for each in self._hosts}
        # Where the connection has come to, and never what the request says of that.
        address = environ["SERVER_NAME"].lower()
        own = {place_text(address, port)}
        if address.startswith("127.") or address in ("::1", "localhost"):
            own.add(f"localhost:{port}")
        if port == {"http": "80", "https": "443"}[environ.get("wsgi.url_scheme", "http")]:
            own |= {each.removesuffix(f":{port}") for each in own}
        return own if is_ip(address) or address == "localhost" else set()

    # -- what is sent -----------------------------------------------------------------------------

    def _answer(
        self, environ: dict[str, Any], query: dict[str, list[str]], start_response: StartResponse
    ) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/"
        if method == "POST":
            return self._act(path, query, start_response)
        if method not in ("GET", "HEAD"):
            raise _Refusal("405 Method Not Allowed", "GET and POST alone")
        if path in self._files:
            data, kind = self._files[path]
            if path == "/":
                data = data.replace(b"{token}", quote(self.token, safe="").encode())
                data = data.replace(b"{control}", b"yes" if self.control else b"no")
            return _send(start_response, "200 OK", kind, data)
        if path == "/events":
            events = self._events(_view(query), _Gone(environ))
        elif path == "/connection":
            events = self._connection(_id(query))
        else:
            raise _Refusal("404 Not Found", "there is no such page")
        start_response("200 OK", [("Content-Type", "text/event-stream"), *_HEADERS])
        return events

    def _act(
        self, path: str, query: dict[str, list[str]], start_response: StartResponse
    ) -> Iterable[bytes]:
        verb = path.removeprefix("/")
        if verb not in _ACTIONS:
            raise _Refusal("404 Not Found", "there is no such action")
        if not self.control:
            raise _Refusal("403 Forbidden", "the page is for looking: start it with --control")
        try:
            for _ in self._source.ask(verb, id=_id(query)):
                pass
        except LiveError as exc:
            raise _Refusal("409 Conflict", str(exc)) from exc
        return _send(start_response, "200 OK", "text/plain; charset=utf-8", b"done\n")

    def _events(self, view: View, gone: _Gone) -> Iterator[bytes]:
        """What there is, again and again."""
        rates = Rates()
        over = False
        while not over:
            began = monotonic()
            try:
                listing = Listing(view, rates)
                for line in self._source.ask("list"):
                    listing.take(line)
                    turn()
                yield _event("list", self._told(listing))
            except LiveError as exc:
                yield _event("trouble", {"text": str(exc)})
            took = monotonic() - began
            over = gone.wait(max(REFRESH_SECONDS, took / _LIST_SHARE))

    def _told(self, listing: Listing) -> dict[str, Any]:
        return {
            "processes": listing.processes,
            "total": listing.total,
            "matching": listing.matching,
            "columns": [
                {"name": each.name, "title": each.title, "number": each.is_number}
                for each in COLUMNS
            ],
            "connections": [{"id": row["id"], "cells": cells(row)} for row in listing.shown()],
            "view": asdict(listing.view),
        }

    def _connection(self, number: str) -> Iterator[bytes]:
        """One connection, and what happens to it until it closes."""
        try:
            for line in self._source.ask("details", id=number):
                yield _event("details", line["connection"])
            for line in self._source.ask("events", id=number, patience=None):
                yield _event("happened", line["event"]) if "event" in line else b": alive\n\n"
        except LiveError as exc:
            yield _event("trouble", {"text": str(exc)})
        yield _event("over", {})


def _file(name: str) -> bytes:
    return resources.files(__package__).joinpath("static", name).read_bytes()


def _send(start_response: StartResponse, status: str, kind: str, data: bytes) -> list[bytes]:
    length = ("Content-Length", str(len(data)))
    start_response(status, [("Content-Type", kind), length, *_HEADERS])
    return [data]


def _event(name: str, value: dict[str, Any]) -> bytes:
    """An event as ``text/event-stream`` has it: one line of JSON, which has no line ends."""
    return f"event: {name}\ndata: {json.dumps(value, default=_plain)}\n\n".encode("ascii")


def _plain(value: object) -> str:
    return printable(str(value))


def _one(query: dict[str, list[str]], name: str, default: str = "") -> str:
    return query.get(name, [default])[-1]


def _id(query: dict[str, list[str]]) -> str:
    return _one(query, "id")


def _view(query: dict[str, list[str]]) -> View:
    sort = _one(query, "sort", "age")
    if sort not in NAMES:
        raise _Refusal("400 Bad Request", f"it is sorted by one of {', '.join(NAMES)}")
    return View(
        sort=sort,
        descending=_one(query, "descending") == "1",
        search=_one(query, "search")[:_MAX_SEARCH],
        server=_one(query, "server")[:_MAX_SEARCH],
        limit=_MAX_ROWS,
    )
