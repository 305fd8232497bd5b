"""An authority of the tests' own, the certificates that it gives, and contexts with them."""

from __future__ import annotations

import datetime
import ssl
from functools import cache
from pathlib import Path
from typing import Any

import trustme


@cache
def authority() -> trustme.CA:
    """Whom the clients of the tests trust."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@cache
def certificate(*names: str, common_name: str | None = None) -> trustme.LeafCert:
    """A certificate for these names, ``"localhost"`` if there are none."""
    return issue(*(names or ("localhost", "127.0.0.1", "::1")), common_name=common_name)


def issue(*names: str, **options: Any) -> trustme.LeafCert:
    """Another certificate for these names."""
    return authority().issue_cert(*names, key_type=trustme.KeyType.ECDSA, **options)


def expired(*names: str) -> trustme.LeafCert:
    """A certificate that was valid until yesterday."""
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    return issue(*names, not_after=yesterday)


def server_context(
    leaf: trustme.LeafCert | None = None, *, clients: bool = False
) -> ssl.SSLContext:
    """A server's context.

    :param leaf: its certificate; by default one for ``localhost``.
    :param clients: whether the client has to have a certificate of the authority's.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    (leaf or certificate()).configure_cert(context)
    if clients:
        authority().configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(leaf: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client's context, which trusts the authority.

    :param leaf: the client's own certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if leaf is not None:
        leaf.configure_cert(context)
    return context


def unverified_context() -> ssl.SSLContext:
    """A client's context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def write_pair(
    leaf: trustme.LeafCert, certfile: Path, keyfile: Path | None = None
) -> tuple[Path, Path]:
    """Write a certificate and its key, each file whole at once.

    :param keyfile: ``None``: into the same one.
    """
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    key = leaf.private_key_pem.bytes()
    certfile.parent.mkdir(parents=True, exist_ok=True)
    if keyfile is None:
        replace(certfile, key + chain)
        return certfile, certfile
    replace(keyfile, key)
    replace(certfile, chain)
    return certfile, keyfile


def replace(path: Path, data: bytes) -> None:
    """Have the file be another one, whole at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    other = path.with_name(f".{path.name}.new")
    other.write_bytes(data)
    other.replace(path)
