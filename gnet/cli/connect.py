"""The verb ``connect``."""

from __future__ import annotations

import argparse

from .arguments import (
    add_dialing,
    add_place,
    add_rate,
    add_showing,
    add_timeout,
    check_dialing,
    dialed,
    read_target,
)
from .scan import read_scan, scan
from .session import Session
from .talk import Talk

__all__ = ["CONNECT", "add_connect"]

CONNECT = """Connect, and copy standard input to the connection and the connection to standard
output, until both have ended; at a terminal, until the peer has. On a terminal control characters
from the network are shown as escapes."""


def connect(session: Session, options: argparse.Namespace) -> None:
    """``gnet connect``"""
    if options.zero:
        scan(session, options)
        return
    sock = dialed(options, options.target)
    with Talk.begun(session, options) as talk:
        talk.have(sock)


def _check(options: argparse.Namespace) -> None:
    if options.zero:
        options.ports = [] if options.port is None else [options.port]
        read_scan(options)
    else:
        read_target(options)
        check_dialing(options, options.target)


def add_connect(parser: argparse.ArgumentParser) -> None:
    add_place(parser, "the port, as nc has it; with -z also several, as for scan")
    add_dialing(parser)
    add_timeout(
        parser,
        "give up when the connection takes longer, or when nothing has come or gone for so long",
    )
    parser.add_argument(
        "-z", "--zero", action="store_true",
        help="only see which ports accept a connection, as scan does",
    )  # fmt: skip
    add_showing(parser)
    add_rate(parser)
    parser.set_defaults(run=connect, check=_check)
