"""TLS on the command line."""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import os
import socket as std_socket
import tempfile
from typing import TYPE_CHECKING, Any

from .._values.addresses import is_ip
from .arguments import wrong
from .place import ALL, Place
from .session import CommandError

if TYPE_CHECKING:
    import ssl

__all__ = [
    "add_believing",
    "add_pair",
    "add_self_signed",
    "check_pair",
    "client_context",
    "server_options",
    "with_own_certificate",
]

#: How long a certificate is valid that the command makes.
SELF_SIGNED_DAYS = 30


def add_believing(parser: argparse.ArgumentParser) -> None:
    """Whom a client believes."""
    parser.add_argument(
        "--ca", metavar="FILE",
        help="believe the authorities in this file, in PEM, and no others",
    )  # fmt: skip
    parser.add_argument(
        "--insecure", action="store_true",
        help="believe anybody: whoever is on the way can read and change everything",
    )  # fmt: skip


def add_pair(parser: argparse.ArgumentParser, whose: str) -> None:
    """A certificate and its key.

    :param whose: for the help.
    """
    parser.add_argument("--cert", metavar="FILE", help=f"{whose} certificate, in PEM")
    parser.add_argument(
        "--key", metavar="FILE", help="its key, where that is not in the same file"
    )


def add_self_signed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--self-signed", action="store_true",
        help="make a certificate that nobody believes unless told; needs the package cryptography",
    )  # fmt: skip


def client_context(options: argparse.Namespace) -> ssl.SSLContext:
    """The context of a client.

    :param options: ``ca`` and ``insecure``; perhaps ``cert``, ``key`` and ``alpn``.
    :raises OSError: a file cannot be read, or used.
    """
    # Only where it is needed, and behind gevent's patching.
    import ssl

    context = ssl.create_default_context(cafile=options.ca)
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    alpn = getattr(options, "alpn", None)
    if alpn is not None:
        context.set_alpn_protocols(alpn.split(","))
    return context


def with_own_certificate(context: ssl.SSLContext, options: argparse.Namespace) -> ssl.SSLContext:
    """The context, with the certificate by which the client proves who it is, if it has one."""
    if options.cert is not None:
        context.load_cert_chain(options.cert, options.key)
    return context


def server_options(options: argparse.Namespace, wanted: bool) -> dict[str, Any]:
    """The options of a server that is to speak TLS; none where it is not.

    :param options: ``cert``, ``key``, ``self_signed`` and ``target``.
    :raises CommandError: a certificate cannot be made.
    """
    if not wanted:
        return {}
    if options.self_signed:
        return {"tls": _self_signed(options.target)}
    return {"tls": (options.cert, options.key or options.cert)}


def check_pair(options: argparse.Namespace, option: str | None, wanted: bool) -> None:
    """Whether a server has what it needs for TLS, and nothing else.

    :param option: what asks for TLS; ``None`` where the pair does.
    :param wanted: whether that was given.
    """
    given = {"--key": options.key, "--cert": options.cert, "--self-signed": options.self_signed}
    if options.self_signed and options.cert is not None:
        raise wrong("--self-signed", "it does not go with --cert")
    if options.key is not None and options.cert is None:
        raise wrong("--key", "it goes with --cert")
    if option is None:
        return
    if wanted and options.cert is None and not options.self_signed:
        raise wrong(option, "it needs --cert, or --self-signed")
    for name, value in given.items():
        if value and not wanted:
            raise wrong(name, f"it goes with {option}")


def _self_signed(place: Place) -> ssl.SSLContext:
    """The context of a server with a certificate of its own making."""
    import ssl

    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise CommandError(
            '--self-signed needs the package cryptography: pip install "gevent-net[tls]"'
        ) from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gnet")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [
        x509.IPAddress(ipaddress.ip_address(each.partition("%")[0]))
        if is_ip(each)
        else x509.DNSName(each)
        for each in _names(place)
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # OpenSSL reads it from a file only; this one is the user's alone.
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        file = os.path.join(directory, "pair.pem")
        with open(file, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as opened:
            opened.write(pem)
        context.load_cert_chain(file)
    return context


def _names(place: Place) -> list[str]:
    """Whom the clients of a place may ask for."""
    names = ["localhost", "127.0.0.1", "::1", std_socket.gethostname()]
    if place.host not in (None, ALL):
        names.append(str(place.host))
    return [each for each in dict.fromkeys(names) if each.isascii() and each]
