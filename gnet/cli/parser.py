"""The command line: its verbs, and what is wrong with it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from .completion import COMPLETION, add_completion
from .connect import CONNECT, add_connect
from .listen import LISTEN, add_listen
from .live import LIVE, add_live
from .lookup import LOOKUP, add_lookup
from .proxy import PROXY, add_proxy
from .ps import PS, add_ps
from .scan import SCAN, add_scan
from .top import TOP, add_top
from .version import ShowVersion
from .wsgi import WSGI, add_wsgi

__all__ = ["DESCRIPTION", "make_parser", "parse"]

DESCRIPTION = "Connections for the quick job."


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read a command line; where it is wrong, say so and exit with status 2.

    :param arguments: default: those of the process.
    """
    options, rest = make_parser().parse_known_args(arguments)
    if rest and not any(each.startswith("-") for each in rest):
        rest = _late(options, rest)
    if rest:
        options.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        options.check(options)
    except argparse.ArgumentError as exc:
        options.parser.error(str(exc))
    return options


def _late(options: argparse.Namespace, rest: list[str]) -> list[str]:
    """Take what stands behind an option that argparse has taken for the last of the arguments."""
    name = options.late
    if name is None:
        return rest
    value = getattr(options, name)
    if isinstance(value, list):
        value.extend(rest)
        return []
    if value is None:
        setattr(options, name, rest[0])
        return rest[1:]
    return rest


def make_parser() -> argparse.ArgumentParser:
    """The parser, with all verbs."""
    common = _Parser(add_help=False)
    # Given before the command or behind it; a default would undo the one before.
    common.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS,
        help="print the events as they happen",
    )  # fmt: skip
    parser = _Parser(prog="gnet", parents=[common], description=DESCRIPTION)
    parser.add_argument(
        "--version",
        action=ShowVersion,
        nargs=0,
        help="say which gnet and gevent these are",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, **texts: Any) -> argparse.ArgumentParser:
        verb = commands.add_parser(name, parents=[common], **texts)
        # ``check`` looks at the arguments together; ``late`` names the one that may come last.
        verb.set_defaults(parser=verb, check=lambda options: None, late=None)
        return verb

    add_listen(add("listen", help="wait for connections", description=LISTEN))
    add_connect(add("connect", help="connect standard input and output", description=CONNECT))
    add_proxy(add("proxy", help="pass connections on", description=PROXY))
    add_scan(add("scan", help="see which ports accept connections", description=SCAN))
    add_lookup(add("lookup", help="ask name servers", description=LOOKUP))
    add_wsgi(add("wsgi", help="serve a WSGI application", description=WSGI))
    add_ps(add("ps", help="print a program's connections", description=PS))
    add_top(add("top", help="watch a program's connections in the terminal", description=TOP))
    add_live(add("live", help="watch a program in a browser", description=LIVE))
    add_completion(
        add("completion", help="have a shell complete the command", description=COMPLETION), parser
    )
    return parser
