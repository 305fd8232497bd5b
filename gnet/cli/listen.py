"""The verb ``listen``."""

from __future__ import annotations

import argparse
import functools

import gnet

from .arguments import add_serving, add_target
from .child import Children
from .place import Place
from .session import Session

__all__ = ["LISTEN", "add_listen"]

LISTEN = """Wait for a connection, and copy it to standard output and standard input to it, as nc
does; or serve any number of connections, with --echo or --exec."""


def listen(session: Session, options: argparse.Namespace) -> None:
    """``gnet listen``"""
    if options.echo:
        session.serve(gnet.create_server(functools.partial(_echo, session)), options)
    elif options.exec is not None:
        children = Children(options.exec)

        def served(sock: gnet.Socket) -> None:
            sock.on("error", session.complain_unless_peers)
            children.serve(sock)

        server = gnet.create_server(served, end_on_return=True)
        try:
            session.serve(server, options)
        finally:
            children.stop()
    else:
        session.talk(_one_connection(session, options.target))


def _echo(session: Session, sock: gnet.Socket) -> None:
    sock.on("error", session.ignore)
    sock.pipe(sock)


def _one_connection(session: Session, place: Place) -> gnet.Socket:
    server = gnet.create_server(allow_half_open=True, no_delay=True)
    server.max_connections = 1
    try:
        session.listen(server, place)
        sock: gnet.Socket = server.wait("connection")[0]
        # Raised by the call that meets it.
        sock.on("error", session.ignore)
        return sock
    finally:
        server.close()


def add_listen(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--echo", action="store_true", help="send back what is received")
    how.add_argument(
        "--exec", metavar="CMD", help="run a command of the shell for every connection"
    )
    add_serving(parser)
    parser.set_defaults(run=listen)
