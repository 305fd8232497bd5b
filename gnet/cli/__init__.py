"""The command ``gnet``, for the quick job and for trying things.

.. code-block:: sh

    gnet listen 8124 --echo
    gnet connect localhost:8124 < request > answer
    gnet proxy 8080 unix:/run/app.sock --max-connections 100
    gnet lookup example.com MX --server 192.0.2.53
    gnet wsgi shop.web:application [::1]:8080

Its exit status is 0; 1 after an error, which is one line on standard error; 2 when it was called
wrongly; and 128 and the number of the signal when a transfer was stopped by one. A server that is
stopped by SIGINT (Ctrl-C) or SIGTERM ends its connections, and that is no failure.
"""

from __future__ import annotations

import argparse
import functools
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NoReturn

import gnet

from . import report
from .connect import CONNECT, add_connect
from .console import Console
from .copying import OutputClosed
from .listen import LISTEN, add_listen
from .lookup import LOOKUP, add_lookup
from .proxy import PROXY, add_proxy
from .session import GRACE, CommandError, Interrupted, Session
from .version import ShowVersion
from .wsgi import WSGI, add_wsgi

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: default: those of the process.
    :returns: the exit status.
    """
    options = _parser().parse_args(arguments)
    console = Console()
    session = Session(console, options)
    try:
        # A cluster minds the signals itself, for all of its processes.
        with nullcontext() if _is_cluster(options) else session.signals(), session.events():
            options.run(session, options)
            return 0
    except Interrupted as exc:
        return 128 + exc.number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OutputClosed:
        return 0
    except (CommandError, OSError, ValueError) as exc:
        console.say(f"gnet: {report.message(exc)}")
        return 1
    finally:
        # What was written is sent, and what is closing gets the time that it has.
        gnet.run(timeout=GRACE)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    # Given before the command or behind it; a default would undo the one before.
    common.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS,
        help="print the events as they happen",
    )  # fmt: skip
    parser = _Parser(prog="gnet", parents=[common], description="Connections for the quick job.")
    parser.add_argument(
        "--version",
        action=ShowVersion,
        nargs=0,
        help="say which gnet and gevent these are",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = functools.partial(commands.add_parser, parents=[common])
    add_listen(add("listen", help="wait for connections", description=LISTEN))
    add_connect(add("connect", help="connect standard input and output", description=CONNECT))
    add_proxy(add("proxy", help="pass connections on", description=PROXY))
    add_lookup(add("lookup", help="ask name servers", description=LOOKUP))
    add_wsgi(add("wsgi", help="serve a WSGI application", description=WSGI))
    return parser


def _is_cluster(options: argparse.Namespace) -> bool:
    """Whether this process is one of several."""
    return getattr(options, "workers", None) is not None or getattr(options, "reload", False)
