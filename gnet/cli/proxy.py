"""The verb ``proxy``."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Iterable
from typing import Any

import gnet

from .._values.proxy_header import write_header
from .arguments import (
    add_rate,
    add_serving,
    add_target,
    add_timeout,
    argument,
    check_family,
    wrong,
)
from .copying import relay
from .encryption import (
    add_believing,
    add_pair,
    add_self_signed,
    check_pair,
    client_context,
    server_options,
)
from .place import ALL
from .session import Session

__all__ = ["PROXY", "add_proxy"]

PROXY = "Pass every connection that comes at FROM on to TO."
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Whose headers of the PROXY protocol are believed, unless told.
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))


def proxy(session: Session, options: argparse.Namespace) -> None:
    """``gnet proxy``"""
    context = client_context(options) if options.tls_out else None
    # A header goes ahead of TLS.
    encrypted: dict[str, Any] = {"tls": context} if options.send_proxy is None else {}

    def relayed(client: gnet.Socket) -> None:
        upstream = gnet.connect(
            **options.upstream.options,
            family=0 if options.upstream.path is not None else options.family,
            allow_half_open=True,
            no_delay=True,
            **encrypted,
        )
        client.on("error", session.ignore)
        upstream.on("error", session.complain_unless_peers)
        if options.send_proxy is not None:
            upstream.write(_header(client, options.send_proxy))
            if context is not None:
                try:
                    upstream.start_tls(context)
                except OSError:
                    # It is told as any error of a connection.
                    client.destroy()
                    return
        relay(client, upstream, options.rate)

    gate: dict[str, Any] = {}
    if options.accept_proxy:
        trusted = _block_list(options.trust or LOOPBACK)
        gate = {"proxy_protocol": "require", "trusted_proxies": trusted}
    server = gnet.create_server(
        relayed,
        allow_half_open=True,
        no_delay=True,
        block_list=_block_list(options.block),
        **gate,
        **server_options(options, options.tls_in),
    )
    session.serve(server, options)


def _block_list(networks: Iterable[Network]) -> gnet.BlockList:
    listed = gnet.BlockList()
    for network in networks:
        family = f"ipv{network.version}"
        listed.add_subnet(str(network.network_address), network.prefixlen, family)
    return listed


def _header(client: gnet.Socket, version: int) -> bytes:
    """The header that tells the upstream who the client is."""
    return write_header(
        _end(client.remote_address, client.remote_port),
        _end(client.local_address, client.local_port),
        version,
    )


def _end(address: str | None, port: int | None) -> tuple[str, int] | None:
    """One end of a connection; ``None`` where it is a Unix socket's."""
    return None if address is None or port is None else (address, port)


def _check(options: argparse.Namespace) -> None:
    check_family(options, options.target)
    if options.upstream.host == ALL:
        raise wrong("TO", f"{ALL} is an address for listening")
    if options.trust and not options.accept_proxy:
        raise wrong("--trust", "it goes with --accept-proxy")
    check_pair(options, "--tls-in", options.tls_in)
    for option, value in ("--ca", options.ca), ("--insecure", options.insecure):
        if value and not options.tls_out:
            raise wrong(option, "it goes with --tls-out")
    if options.tls_out and options.upstream.path is not None and not options.insecure:
        raise wrong("--tls-out", f"{options.upstream} has no name to verify, but with --insecure")


def add_proxy(parser: argparse.ArgumentParser) -> None:
    add_target(parser, "FROM")
    add_target(parser, "TO", "upstream")
    parser.add_argument(
        "--block", action="append", type=_network, metavar="CIDR", default=[],
        help="drop the connections that come from there; may be repeated",
    )  # fmt: skip
    header = parser.add_mutually_exclusive_group()
    for option, version in ("--send-proxy", 1), ("--send-proxy-v2", 2):
        header.add_argument(
            option, dest="send_proxy", action="store_const", const=version,
            help=f"tell TO who the client is: PROXY protocol, version {version}",
        )  # fmt: skip
    parser.add_argument(
        "--accept-proxy", action="store_true",
        help="learn who the client is from a header of the PROXY protocol, either version",
    )  # fmt: skip
    parser.add_argument(
        "--trust", action="append", type=_network, metavar="CIDR", default=[],
        help="believe the headers that come from there, and nobody else's; may be repeated; "
        "default: the loopback",
    )  # fmt: skip
    parser.add_argument("--tls-in", action="store_true", help="the connections to FROM are TLS's")
    add_pair(parser, "FROM's")
    add_self_signed(parser)
    parser.add_argument("--tls-out", action="store_true", help="encrypt the connections to TO")
    add_believing(parser)
    add_timeout(parser, "end a connection when nothing has come or gone for so long")
    add_rate(parser)
    add_serving(parser)
    parser.set_defaults(run=proxy, check=_check)


def _network(text: str) -> Network:
    with argument():
        return ipaddress.ip_network(text, strict=False)
