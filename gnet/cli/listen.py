"""The verb ``listen``."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from gevent.queue import Empty, Queue

import gnet

from .arguments import (
    add_place,
    add_rate,
    add_serving,
    add_showing,
    add_timeout,
    check_family,
    read_target,
    wrong,
)
from .child import Children
from .copying import pipe_paced
from .encryption import add_pair, add_self_signed, check_pair, server_options
from .pace import Pace
from .session import CommandError, Interrupted, Session
from .talk import Talk

__all__ = ["LISTEN", "add_listen"]

LISTEN = """Wait for a connection, and copy it to standard output and standard input to it, until
both have ended, as nc does; or serve any number of connections, with --echo or --exec. A port
alone is one of the loopback; *:PORT is one of every address."""


def listen(session: Session, options: argparse.Namespace) -> None:
    """``gnet listen``"""
    encrypted = server_options(options, options.tls)
    if options.echo:
        echo = functools.partial(_echo, session, options.rate)
        server = gnet.create_server(echo, allow_half_open=options.rate is not None, **encrypted)
        session.serve(server, options)
    elif options.exec is not None:
        children = Children(options.exec, options.rate)

        def served(sock: gnet.Socket) -> None:
            sock.on("error", session.complain_unless_peers)
            children.serve(sock)

        server = gnet.create_server(served, end_on_return=True, **encrypted)
        try:
            session.serve(server, options)
        finally:
            children.stop()
    else:
        with Talk.begun(session, options) as talk:
            if options.keep_listening:
                _talk_to_each(session, options, talk, encrypted)
            else:
                talk.have(_one_connection(session, options, encrypted))


def _echo(session: Session, rate: float | None, sock: gnet.Socket) -> None:
    sock.on("error", session.ignore)
    if rate is None:
        sock.pipe(sock)
    else:
        pipe_paced(sock, sock, Pace(rate))


def _one_connection(
    session: Session, options: argparse.Namespace, encrypted: dict[str, Any]
) -> gnet.Socket:
    server = gnet.create_server(allow_half_open=True, no_delay=True, **encrypted)
    server.max_connections = 1
    try:
        return _next(_arrivals(session, server, options), options.timeout)
    finally:
        server.close()


def _talk_to_each(
    session: Session, options: argparse.Namespace, talk: Talk, encrypted: dict[str, Any]
) -> None:
    """One after the other: who comes meanwhile waits in the kernel."""
    server = gnet.create_server(
        allow_half_open=True, no_delay=True, max_connections=1, when_full="wait", **encrypted
    )
    try:
        arrivals = _arrivals(session, server, options)
        while True:
            try:
                sock = _next(arrivals)
            except Interrupted:
                # No transfer is cut off.
                return
            try:
                talk.have(sock, last=False)
            except (CommandError, OSError) as exc:
                session.complain(exc)
    finally:
        server.close()


def _arrivals(
    session: Session, server: gnet.Server, options: argparse.Namespace
) -> Queue[gnet.Socket]:
    arrivals: Queue[gnet.Socket] = Queue()

    @server.on("connection")
    def arrived(sock: gnet.Socket) -> None:
        # Raised by the call that meets it.
        sock.on("error", session.ignore)
        arrivals.put(sock)

    session.listen(server, options)
    return arrivals


def _next(arrivals: Queue[gnet.Socket], timeout: float | None = None) -> gnet.Socket:
    try:
        return arrivals.get(timeout=timeout)
    except Empty:
        raise CommandError(f"nobody has connected for {timeout:g} seconds") from None


def _check(options: argparse.Namespace) -> None:
    read_target(options)
    check_family(options, options.target)
    check_pair(options, "--tls", options.tls)
    way = "--echo" if options.echo else "--exec" if options.exec is not None else None
    talking = {"-C/--crlf": options.crlf, "--hex": options.hex, "--raw": options.raw}
    for option, given in talking.items():
        if given and way is not None:
            raise wrong(option, f"there is nothing for it to do with {way}")
    if options.max_connections is not None and way is None:
        raise wrong("--max-connections", "it goes with --echo or --exec")


def add_listen(parser: argparse.ArgumentParser) -> None:
    add_place(parser, "the port, as nc has it")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--echo", action="store_true", help="send back what is received")
    how.add_argument(
        "--exec", metavar="CMD", help="run a command of the shell for every connection"
    )
    parser.add_argument(
        "-k", "--keep-listening", action="store_true",
        help="wait for another connection when one has ended; --echo and --exec do anyway",
    )  # fmt: skip
    add_timeout(
        parser,
        "end a connection when nothing has come or gone for so long; without -k, --echo or "
        "--exec also give up when nobody has connected by then",
    )
    parser.add_argument("--tls", action="store_true", help="encrypt the connections by TLS")
    add_pair(parser, "the server's")
    add_self_signed(parser)
    add_showing(parser)
    add_rate(parser)
    add_serving(parser)
    parser.set_defaults(run=listen, check=_check)
