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
import ipaddress
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NoReturn

import gevent
import zope.event

import gnet

from . import _notify
from ._cli import report, streams
from ._cli.child import Children
from ._cli.console import Console
from ._cli.copying import OutputClosed, exchange, relay
from ._cli.place import FORMS, Place
from ._cli.traffic import Progress, Traffic
from ._cli.version import ShowVersion

__all__ = ["main"]

#: Seconds that connections have to end when the command is stopped.
GRACE = 2.0
#: And requests of an application.
WSGI_GRACE = 30.0
#: The signals that stop the command.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class CommandError(Exception):
    """What the user has to be told in one line."""


class Interrupted(BaseException):
    """A signal has stopped what was going on.

    :ivar number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


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


class Session:
    """One run of the command: whom it talks to, and how it is stopped."""

    def __init__(self, console: Console, options: argparse.Namespace) -> None:
        self.console = console
        self.verbose: bool = getattr(options, "verbose", False)
        self._stop: Callable[[int], object] = functools.partial(_interrupt, gevent.getcurrent())

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Stop in good order at the first signal; the second one ends the process as ever."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        watchers = [gevent.signal_handler(number, self._signalled, number) for number in SIGNALS]
        try:
            yield
        finally:
            for watcher in watchers:
                watcher.cancel()
            for number, handler in before.items():
                # None: one that was not installed from Python, and cannot be put back.
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _signalled(self, number: int) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._stop(number)

    @contextmanager
    def events(self) -> Iterator[None]:
        """Print the events as they happen, if that is wanted."""
        if not self.verbose:
            yield
            return
        zope.event.subscribers.append(self._print)
        try:
            yield
        finally:
            # The last ones come when what is closing has closed.
            gnet.run(timeout=GRACE)
            zope.event.subscribers.remove(self._print)

    def _print(self, event: object) -> None:
        line = report.describe(event)
        if line is not None:
            self.console.say(line)

    def complain(self, error: BaseException) -> None:
        """Tell of an error that ends one connection and not the command."""
        if not self.verbose:
            self.console.say(f"gnet: {report.message(error)}")

    def ignore(self, error: BaseException) -> None:
        """A listener for the errors that peers make, which only ``--verbose`` tells."""

    def complain_unless_peers(self, error: BaseException) -> None:
        """A listener that ignores the errors that peers make, and complains of others."""
        if getattr(error, "syscall", None) not in ("read", "write"):
            self.complain(error)

    def listen(self, server: gnet.Server, place: Place) -> None:
        """Listen, and say where, unless that is known and nobody watches."""
        # Windows' pipes go with their processes, and none is stale.
        server.listen(**place.options, replace_stale=sys.platform != "win32")
        if not self.verbose:
            self.say_where(place, server.address())

    def say_where(self, place: Place, address: Any) -> None:
        """Say where somebody listens, unless that is known and nobody watches."""
        if self.console.is_terminal or place.port == 0:
            self.console.say(f"listening on {report.place_of(address)}")

    def serve(self, server: gnet.Server, options: argparse.Namespace) -> None:
        """Listen, and block until a signal has stopped the server."""
        if options.max_connections is not None:
            server.max_connections = options.max_connections
        traffic = Traffic()
        if self.console.is_terminal:
            server.prepend_listener("connection", traffic.add)
        self.listen(server, options.target)
        server.on("error", self.complain)
        self._stop = functools.partial(_shut_down, server, options.grace)
        with Progress(self.console, traffic, several=True), _notify.as_service():
            server.serve_forever()

    def talk(self, sock: gnet.Socket) -> None:
        """Connect a connection with standard input and output, until both have ended."""
        interactive = streams.is_terminal(sys.stdin)
        visible = streams.is_terminal(sys.stdout)
        traffic = Traffic()
        traffic.add(sock)
        source, sink = streams.standard_input(), streams.standard_output()
        try:
            with Progress(self.console, traffic, live=not visible):
                # Nobody wants to end the input by hand when there is nobody to type for.
                last = exchange(sock, source, sink, until_peer_ends=interactive)
                if visible and last and not last.endswith(b"\n"):
                    self.console.say("")
        finally:
            sock.close()
            source.destroy()
            sink.destroy()


def _shut_down(server: gnet.Server, grace: float, number: int) -> None:
    _notify.stopping()
    server.shutdown(grace)


def _interrupt(greenlet: Any, number: int) -> None:
    gevent.kill(greenlet, Interrupted(number))


# -- the commands ---------------------------------------------------------------------------------


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


def proxy(session: Session, options: argparse.Namespace) -> None:
    """``gnet proxy``"""
    block_list = gnet.BlockList()
    for network in options.block:
        family = f"ipv{network.version}"
        block_list.add_subnet(str(network.network_address), network.prefixlen, family)

    def relayed(client: gnet.Socket) -> None:
        upstream = gnet.connect(**options.upstream.options, allow_half_open=True, no_delay=True)
        client.on("error", session.ignore)

        upstream.on("error", session.complain_unless_peers)
        relay(client, upstream)

    server = gnet.create_server(
        relayed, allow_half_open=True, no_delay=True, block_list=block_list
    )
    session.serve(server, options)


def lookup(session: Session, options: argparse.Namespace) -> None:
    """``gnet lookup``"""
    resolver = gnet.dns.Resolver(options.server, timeout=options.timeout)
    name, rdtype = options.name, options.type
    records: list[Any]
    if rdtype is None:
        records = [address for address, _ in resolver.lookup(name, all=True)]
    elif rdtype.upper() == "PTR" and gnet.is_ip(name):
        records = resolver.reverse(name)
    else:
        records = resolver.resolve(name, rdtype)
    _print_lines([_record_text(record) for record in records])


def _record_text(record: Any) -> str:
    if isinstance(record, str):
        text = record
    elif isinstance(record, list):
        # The pieces of a TXT record belong together.
        text = "".join(record)
    else:
        # The numbers come first in a zone file, and here, whatever their order in Node.
        fields = _ZONE_ORDER.get(type(record).__name__, record._fields)
        text = " ".join(str(getattr(record, each)) for each in fields)
    # It is a stranger's text, and this may be a terminal.
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


_ZONE_ORDER = {
    "MX": ("priority", "exchange"),
    "SRV": ("priority", "weight", "port", "name"),
    "NAPTR": ("order", "preference", "flags", "service", "regexp", "replacement"),
}


def _print_lines(lines: list[str]) -> None:
    if sys.stdout is None:
        return
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def wsgi(session: Session, options: argparse.Namespace) -> None:
    """``gnet wsgi``"""
    # What it needs, httptools for one, the other commands can do without.
    from ._cli import web

    try:
        web.run(session, options)
    except web.ApplicationError as exc:
        raise CommandError(str(exc)) from exc


# -- the command line -----------------------------------------------------------------------------


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
    _add_listen(add("listen", help="wait for connections", description=_LISTEN))
    _add_connect(add("connect", help="connect standard input and output", description=_CONNECT))
    _add_proxy(add("proxy", help="pass connections on", description=_PROXY))
    _add_lookup(add("lookup", help="ask name servers", description=_LOOKUP))
    _add_wsgi(add("wsgi", help="serve a WSGI application", description=_WSGI))
    return parser


_LISTEN = """Wait for a connection, and copy it to standard output and standard input to it, as nc
does; or serve any number of connections, with --echo or --exec."""
_CONNECT = """Connect, and copy standard input to the connection and the connection to standard
output, until both have ended; at a terminal, until the peer has."""
_PROXY = "Pass every connection that comes at FROM on to TO."
_LOOKUP = """Look up the addresses of a name as programs do, in the hosts file and in DNS; or ask
for the records of a type."""
_WSGI = "Serve a WSGI application."


def _add_target(parser: argparse.ArgumentParser, name: str = "TARGET", to: str = "target") -> None:
    parser.add_argument(to, metavar=name, type=_place, help=f"one of {FORMS}")


def _add_serving(parser: argparse.ArgumentParser, grace: float = GRACE) -> None:
    parser.add_argument(
        "--max-connections", type=_count, metavar="N",
        help="drop the connections that are more than so many at once",
    )  # fmt: skip
    parser.add_argument(
        "--grace", type=_seconds, metavar="SECONDS", default=grace,
        help="how long connections have to end when the server is stopped; default %(default)g",
    )  # fmt: skip


def _add_listen(parser: argparse.ArgumentParser) -> None:
    _add_target(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--echo", action="store_true", help="send back what is received")
    how.add_argument(
        "--exec", metavar="CMD", help="run a command of the shell for every connection"
    )
    _add_serving(parser)
    parser.set_defaults(run=listen)


def _add_connect(parser: argparse.ArgumentParser) -> None:
    _add_target(parser)
    parser.set_defaults(run=connect)


def _add_proxy(parser: argparse.ArgumentParser) -> None:
    _add_target(parser, "FROM")
    _add_target(parser, "TO", "upstream")
    parser.add_argument(
        "--block", action="append", type=_network, metavar="CIDR", default=[],
        help="drop the connections that come from there; may be repeated",
    )  # fmt: skip
    _add_serving(parser)
    parser.set_defaults(run=proxy)


def _add_lookup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "type", metavar="TYPE", nargs="?", type=_record_type, help="A, AAAA, MX, TXT, SRV, PTR …"
    )
    parser.add_argument(
        "--server", action="append", metavar="ADDRESS", type=_name_server,
        help="the name server to ask, with a port or without; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=_positive_seconds, metavar="SECONDS", default=5.0,
        help="for everything; default %(default)g",
    )  # fmt: skip
    parser.set_defaults(run=lookup)


def _add_wsgi(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "application", metavar="MODULE:APP", type=_application,
        help="where it is, MODULE:FACTORY() for what makes it",
    )  # fmt: skip
    _add_target(parser)
    _add_serving(parser, WSGI_GRACE)
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
    parser.set_defaults(run=wsgi)


def _is_cluster(options: argparse.Namespace) -> bool:
    """Whether this process is one of several."""
    return getattr(options, "workers", None) is not None or getattr(options, "reload", False)


# Of what a type raises argparse shows the text only for its own error.


def _place(text: str) -> Place:
    with _argument():
        return Place.parse(text)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    with _argument():
        return ipaddress.ip_network(text, strict=False)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _positive_count(text: str) -> int:
    count = _count(text)
    if not 1 <= count <= 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 65536")
    return count


def _seconds(text: str) -> float:
    with suppress(ValueError):
        seconds = float(text)
        if 0 <= seconds <= 2**31:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")


def _positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError("no time at all is too short")
    return seconds


def _record_type(text: str) -> str:
    from ._dns.resolver import record_type

    try:
        record_type(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no type of DNS records") from None
    return text


def _name_server(text: str) -> str:
    if gnet.SocketAddress.parse(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address, with a port or without")
    return text


def _application(text: str) -> str:
    """The name of an application, which is MODULE:APP or MODULE:FACTORY()."""
    module, _, name = text.removesuffix("()").partition(":")
    names = (*module.split("."), *name.split("."))
    if not all(each.isidentifier() for each in names):
        raise argparse.ArgumentTypeError(f"{text!r} is not MODULE:APP")
    return text


@contextmanager
def _argument() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
