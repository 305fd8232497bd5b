"""The verb ``wsgi``."""

from __future__ import annotations

import argparse

from .arguments import add_serving, add_target, check_family, count, wrong
from .encryption import add_pair, add_self_signed, check_pair
from .session import CommandError, Session

__all__ = ["WSGI", "add_wsgi"]

#: Seconds that requests have to be answered when the command is stopped.
WSGI_GRACE = 30.0
WSGI = "Serve a WSGI application."


def wsgi(session: Session, options: argparse.Namespace) -> None:
    """``gnet wsgi``"""
    # What it needs, httptools for one, the other commands can do without.
    from . import web

    try:
        web.run(session, options)
    except web.ApplicationError as exc:
        raise CommandError(str(exc)) from exc


def add_wsgi(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "application", metavar="MODULE:APP", type=_application,
        help="where it is, MODULE:FACTORY() for what makes it",
    )  # fmt: skip
    add_target(parser)
    add_serving(parser, WSGI_GRACE)
    parser.add_argument(
        "--patch", action="store_true",
        help="have the standard library wait through gevent, before the application is imported",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=_positive_count, metavar="N",
        help="call the application in N threads: for what cannot be patched",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=_positive_count, metavar="N", help="serve in N processes"
    )
    parser.add_argument(
        "--reload", action="store_true",
        help="start again when a file of the application changes: for development",
    )  # fmt: skip
    parser.add_argument(
        "--access-log", action="store_true", help="print a line per request on standard output"
    )
    add_pair(parser, "serve HTTPS: the server's")
    add_self_signed(parser)
    parser.set_defaults(run=wsgi, check=_check)


def _check(options: argparse.Namespace) -> None:
    check_family(options, options.target)
    check_pair(options, None, True)
    if options.self_signed and options.workers is not None:
        raise wrong("--self-signed", "with --workers each would have another certificate")


def _positive_count(text: str) -> int:
    number = count(text)
    if not 1 <= number <= 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 65536")
    return number


def _application(text: str) -> str:
    """The name of an application, which is MODULE:APP or MODULE:FACTORY()."""
    module, _, name = text.removesuffix("()").partition(":")
    names = (*module.split("."), *name.split("."))
    if not all(each.isidentifier() for each in names):
        raise argparse.ArgumentTypeError(f"{text!r} is not MODULE:APP")
    return text
