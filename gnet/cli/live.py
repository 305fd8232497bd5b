"""The verb ``live``."""

from __future__ import annotations

import argparse

from .._values.addresses import AddressInfo, place_text
from ..live.page import Page
from .arguments import add_serving, check_family, wrong
from .output import print_lines
from .place import FORMS, Place
from .program import PROGRAM, chosen
from .session import GRACE, CommandError, Session

__all__ = ["LIVE", "add_live"]

# Where one that listens at every address is opened from here.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
LIVE = """Show a program's servers and connections in a browser: serve a page of it, and print
where, with a token that every request needs. It listens on the loopback, unless an address is
named. It needs httptools: pip install "gevent-net[live]"."""


def live(session: Session, options: argparse.Namespace) -> None:
    """``gnet live``"""
    try:
        from ..wsgi import WSGIServer
    except ImportError as exc:
        raise CommandError(str(exc)) from exc
    program = chosen(session, options)
    page = Page(control=options.control, path=program.path, hosts=options.host)
    server = WSGIServer(page)
    server.on("listening", lambda: print_lines([page.url(_base(server.address()))]))
    session.serve(server, options)


def _base(address: AddressInfo | str | None) -> str:
    """What to open in a browser, but for the token."""
    if not isinstance(address, AddressInfo):
        return "http://localhost"
    host = LOOPBACK.get(address.address, address.address)
    return f"http://{place_text(host, address.port)}"


def _check(options: argparse.Namespace) -> None:
    if options.behind is not None:
        options.program, options.target = options.target, options.behind
    try:
        options.target = Place.parse(options.target)
    except ValueError as exc:
        raise wrong("TARGET", str(exc)) from None
    check_family(options, options.target)


def add_live(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", metavar="PROGRAM", nargs="?", help=PROGRAM)
    parser.add_argument("target", metavar="TARGET", help=f"where to serve it: one of {FORMS}")
    add_serving(parser, GRACE)
    parser.add_argument(
        "--control", action="store_true",
        help="also let who opens it close connections and drain servers",
    )  # fmt: skip
    parser.add_argument(
        "--host", action="append", metavar="NAME",
        help="a name under which it may be opened, a proxy's in front for example; repeatable",
    )  # fmt: skip
    parser.set_defaults(run=live, check=_check, late="behind", behind=None)
