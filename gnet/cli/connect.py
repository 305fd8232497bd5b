"""The verb ``connect``."""

from __future__ import annotations

import argparse

import gnet

from .arguments import add_target
from .session import Session

__all__ = ["CONNECT", "add_connect"]

CONNECT = """Connect, and copy standard input to the connection and the connection to standard
output, until both have ended; at a terminal, until the peer has."""


def connect(session: Session, options: argparse.Namespace) -> None:
    """``gnet connect``"""
    sock = gnet.connect(**options.target.options, allow_half_open=True)
    sock.on("error", session.ignore)
    try:
        sock.wait("connect")
        if sock.remote_address is not None:
            sock.set_no_delay()
    except BaseException:
        sock.destroy()
        raise
    session.talk(sock)


def add_connect(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    parser.set_defaults(run=connect)
