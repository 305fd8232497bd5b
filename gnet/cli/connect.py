"""The verb ``connect``."""

from __future__ import annotations

import argparse

import gnet

from .arguments import (
    add_dialing,
    add_place,
    add_rate,
    add_showing,
    add_timeout,
    check_dialing,
    dialed,
    read_target,
    wrong,
)
from .encryption import add_believing, add_pair, client_context, with_own_certificate
from .scan import read_scan, scan
from .session import Session
from .starttls import PROTOCOLS, ask_for_tls
from .talk import Talk

__all__ = ["CONNECT", "add_connect"]

# How long a handshake may take, unless -w says otherwise.
HANDSHAKE_SECONDS = 10.0
CONNECT = """Connect, and copy standard input to the connection and the connection to standard
output, until both have ended; at a terminal, until the peer has. On a terminal control characters
from the network are shown as escapes."""


def connect(session: Session, options: argparse.Namespace) -> None:
    """``gnet connect``"""
    if options.zero:
        scan(session, options)
        return
    sock = dialed(options, options.target)
    if options.tls:
        _encrypt(sock, options)
    with Talk.begun(session, options) as talk:
        talk.have(sock)


def _encrypt(sock: gnet.Socket, options: argparse.Namespace) -> None:
    """Shake hands; block until that is done.

    :raises CommandError: the server does not begin TLS.
    :raises OSError: it fails.
    """
    host = options.target.host
    if options.target.path is None:
        host = host or "localhost"
    try:
        context = with_own_certificate(client_context(options), options)
        sock.set_timeout(options.timeout)
        if options.starttls is not None:
            ask_for_tls(sock, options.starttls)
        limit = HANDSHAKE_SECONDS if options.timeout is None else options.timeout
        sock.start_tls(context, server_hostname=host or "", handshake_timeout=limit)
        sock.do_handshake()
        sock.set_timeout(0)
    except BaseException:
        sock.destroy()
        raise


def _check_tls(options: argparse.Namespace) -> None:
    options.tls = options.tls or options.starttls is not None
    given = {
        "--ca": options.ca, "--insecure": options.insecure, "--alpn": options.alpn,
        "--cert": options.cert, "--key": options.key,
    }  # fmt: skip
    for name, value in given.items():
        if value and not options.tls:
            raise wrong(name, "it goes with --tls")
    if options.key is not None and options.cert is None:
        raise wrong("--key", "it goes with --cert")
    if options.tls and options.zero:
        raise wrong("--tls", "it does not go with -z/--zero")


def _check(options: argparse.Namespace) -> None:
    _check_tls(options)
    if options.zero:
        options.ports = [] if options.port is None else [options.port]
        read_scan(options)
    else:
        read_target(options)
        check_dialing(options, options.target)
        if options.tls and options.target.path is not None and not options.insecure:
            raise wrong("--tls", f"{options.target} has no name to verify, but with --insecure")


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
    parser.add_argument("--tls", action="store_true", help="encrypt the connection by TLS")
    parser.add_argument(
        "--starttls", choices=PROTOCOLS, metavar="PROTOCOL",
        help=f"begin TLS as this protocol does: {', '.join(PROTOCOLS)}; implies --tls",
    )  # fmt: skip
    add_believing(parser)
    add_pair(parser, "the client's")
    parser.add_argument(
        "--alpn", metavar="NAMES", help="offer these protocols by ALPN: h2,http/1.1"
    )
    add_showing(parser)
    add_rate(parser)
    parser.set_defaults(run=connect, check=_check)
