"""The verb ``top``."""

from __future__ import annotations

import argparse
import sys

from .arguments import positive_seconds
from .program import add_program, chosen
from .session import CommandError, Session

__all__ = ["TOP", "add_top"]

#: How often the table is made anew, in seconds.
REFRESH_SECONDS = 1.0
TOP = """Watch the connections of a program in a table that fills the terminal: sort and search it,
look at one connection with what happens to it and where its greenlet is, close or reset it, drain
a server. It needs textual: pip install "gevent-net[live]"."""


def top(session: Session, options: argparse.Namespace) -> None:
    """``gnet top``"""
    try:
        # What it needs, textual, the other commands can do without.
        from .asker import await_threads
        from .screen import Screen
    except ModuleNotFoundError as exc:
        raise CommandError(f'{exc}: pip install "gevent-net[live]"') from exc
    program = chosen(session, options)
    if not (sys.stdin is not None and sys.stdin.isatty() and session.console.is_terminal):
        raise CommandError("top needs a terminal; gnet ps prints the same once")
    status = Screen(program, options.interval).run()
    await_threads()
    if status:
        raise SystemExit(status)


def add_top(parser: argparse.ArgumentParser) -> None:
    add_program(parser)
    parser.add_argument(
        "-n", "--interval", type=positive_seconds, metavar="SECONDS", default=REFRESH_SECONDS,
        help="how often it is made anew; default %(default)g",
    )  # fmt: skip
    parser.set_defaults(run=top, late="program")
