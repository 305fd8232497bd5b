"""Where certificates lie: the layouts of certbot and Kubernetes, and single files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

__all__ = ["Pair", "Signature", "pairs_in", "signature"]

# The names of the two files, by who writes them: certbot, and Kubernetes.
_LAYOUTS = (("fullchain.pem", "privkey.pem"), ("tls.crt", "tls.key"))
# What certbot has beside those two.
_PARTS = frozenset(("fullchain.pem", "privkey.pem", "cert.pem", "chain.pem"))

#: What tells that a file is another one: where it is, its size, and when it was changed.
Signature = tuple[tuple[int, ...], ...]


class Pair(NamedTuple):
    """The files of a certificate.

    :ivar name: what they are called.
    :ivar certfile: the certificate, and those between it and the authority.
    :ivar keyfile: its key; the same file, where both are in one.
    """

    name: str
    certfile: str
    keyfile: str


def pairs_in(directory: str) -> list[Pair]:
    """The pairs in a folder, by name: one in each folder of it, or in one ``NAME.pem`` each.

    The folder itself may be a pair's, as a secret is that Kubernetes mounts.

    :raises OSError: it cannot be read.
    """
    found = list(_pairs_of(directory, os.path.basename(os.path.abspath(directory))))
    for name in sorted(os.listdir(directory)):
        # Kubernetes changes all files at once, by a link of such a name.
        if name.startswith("."):
            continue
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            found += _pairs_of(path, name)
        elif name.endswith(".pem") and name not in _PARTS:
            found.append(Pair(name.removesuffix(".pem"), path, path))
    return sorted(found)


def _pairs_of(folder: str, name: str) -> Iterator[Pair]:
    for certfile, keyfile in _LAYOUTS:
        pair = Pair(name, os.path.join(folder, certfile), os.path.join(folder, keyfile))
        # One of the two without the other is a pair that is broken, and is told of.
        if os.path.lexists(pair.certfile) or os.path.lexists(pair.keyfile):
            yield pair


def signature(pair: Pair) -> Signature:
    """What the files of a pair are now; that of a missing one is empty."""
    return tuple(_of_file(path) for path in (pair.certfile, pair.keyfile))


def _of_file(path: str) -> tuple[int, ...]:
    with suppress(OSError):
        status = os.stat(path)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    return ()
