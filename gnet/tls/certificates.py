"""Certificates by the name that a client asks for, read again when their files change."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from datetime import datetime, timezone
from ssl import SSLContext
from typing import Any, NamedTuple
from weakref import ref

import gevent

from .._values import arguments
from .._values.publish import publish
from ..errors import annotate, coded, printable, value_error
from .contexts import load_pair
from .folder import Pair, Signature, pairs_in, signature

__all__ = ["Certificates"]

#: How often the files are looked at, in seconds.
LOOK_SECONDS = 10.0
# Whoever writes two files writes one first: files that change meanwhile are read anew, so often.
MAX_TRIES = 3

_log = logging.getLogger("gnet")


class _Loaded(NamedTuple):
    """What the files of a pair have given.

    :ivar pair: the files.
    :ivar context: a server's, with the certificate.
    :ivar names: the names that it is for, in lower case, ``*.`` ahead of some.
    :ivar ends: when it is valid no more.
    """

    pair: Pair
    context: SSLContext
    names: tuple[str, ...]
    ends: datetime


class Certificates:
    """Certificates for ``tls=`` of a server: each client gets that of the name it asks for.

    The names are read from the certificates. ``*.example.com`` is for ``www.example.com``, and not
    for ``example.com``, nor for what has one more dot; a name that is given in full goes first. Of
    two certificates for one name the one that ends later is taken. A client that asks for no name,
    or for one that is unknown, gets the first pair by name.

    A pair that is broken, as its key is another certificate's for example, is told of by the log
    ``gnet`` and by :class:`gnet.events.CertificateFailed`, once; what was loaded of the same files
    before stays in use. Connections that there are keep the certificate that they have begun with.

    Nothing here waits, and no program is kept running by it. What the names are read with is the
    package ``cryptography``: ``pip install "gevent-net[tls]"``.

    :param directory_or_pairs: a folder, with ``fullchain.pem`` and ``privkey.pem``, or ``tls.crt``
        and ``tls.key``, in a folder for each pair, as certbot and Kubernetes lay them, or with one
        file ``NAME.pem`` for each, which has certificate and key; or pairs of files
        ``(certfile, keyfile)``.
    :param watch: whether the files are looked at every ten seconds, and read again when they have
        changed. :meth:`reload` does so at once.
    :raises ImportError: ``cryptography`` is not installed.
    :raises TypeError: an argument of the wrong kind.
    :raises ValueError: a pair that was given is broken, or there is none that is not.
    :raises OSError: the folder, or a file that was given, cannot be read.
    """

    __slots__ = (
        "__weakref__", "_by_name", "_default", "_directory", "_given", "_loaded",
        "_seen", "_timer",
    )  # fmt: skip

    def __init__(self, directory_or_pairs: Any, watch: bool = True) -> None:
        arguments.flag("watch", watch)
        _import_x509()
        self._timer: Any = None
        self._directory: str | None = None
        self._given: tuple[Pair, ...] = ()
        self._loaded: dict[Pair, _Loaded] = {}
        self._seen: dict[Pair, Signature] = {}
        self._by_name: dict[str, SSLContext] = {}
        self._default: SSLContext | None = None
        if isinstance(directory_or_pairs, (str, os.PathLike)):
            self._directory = arguments.path("directory_or_pairs", directory_or_pairs)
        else:
            self._given = tuple(_checked_pairs(directory_or_pairs))
        self._load_first()
        if watch:
            self._watch()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that there are certificates for, sorted."""
        return tuple(sorted(self._by_name))

    def context_for(self, server_name: str | None) -> SSLContext:
        """The context for a client.

        :param server_name: whom it asks for, in lower case and in the form of IDNA; ``None`` for
            nobody.
        """
        by_name = self._by_name
        if server_name is not None:
            context = by_name.get(server_name)
            if context is None:
                label, _, parent = server_name.partition(".")
                context = by_name.get(f"*.{parent}") if label else None
            if context is not None:
                return context
        assert self._default is not None
        return self._default

    def reload(self) -> bool:
        """Look at the files now, and read those again that have changed.

        A pair that is gone is used no more; but the last ones stay, when none is left.

        :returns: whether anything has changed.
        """
        try:
            pairs = self._pairs()
        except OSError as exc:
            self._report(self._directory or "", exc)
            return False
        fresh = False
        loaded: dict[Pair, _Loaded] = {}
        for pair in pairs:
            before = self._loaded.get(pair)
            if self._seen.get(pair) != signature(pair):
                now = self._try(pair)
                fresh = fresh or now is not None
                before = now or before
            if before is not None:
                loaded[pair] = before
        self._seen = {pair: self._seen[pair] for pair in pairs}
        changed = bool(loaded) and (fresh or set(loaded) != set(self._loaded))
        if changed:
            self._use(loaded)
        return changed

    def close(self) -> None:
        """Look at the files no more. What is loaded stays in use."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.close()

    def __del__(self) -> None:
        timer = getattr(self, "_timer", None)
        if timer is not None:
            timer.close()

    def __repr__(self) -> str:
        place = self._directory if self._directory is not None else f"{len(self._given)} pairs"
        return f"<Certificates of {place}>"

    # -- loading ------------------------------------------------------------------------------

    def _pairs(self) -> list[Pair]:
        if self._directory is None:
            return list(self._given)
        try:
            return pairs_in(self._directory)
        except OSError as exc:
            raise annotate(exc, "scandir", self._directory) from None

    def _load_first(self) -> None:
        failures: list[BaseException] = []
        loaded = {}
        for pair in self._pairs():
            self._seen[pair] = signature(pair)
            try:
                loaded[pair] = _load(pair)
            except (OSError, ValueError, TypeError) as exc:
                if self._given:
                    raise
                failures.append(exc)
                self._report(pair.certfile, exc)
        if not loaded:
            raise value_error(
                f'The "directory_or_pairs" argument must have a certificate with its key. '
                f"Received {self._directory if self._given == () else self._given!r}"
            ) from (failures[0] if failures else None)
        self._use(loaded)

    def _try(self, pair: Pair) -> _Loaded | None:
        """Load a pair that has changed; ``None`` if it is broken."""
        for tries_left in reversed(range(MAX_TRIES)):
            self._seen[pair] = before = signature(pair)
            try:
                loaded = _load(pair)
            except (OSError, ValueError, TypeError) as exc:
                if before == signature(pair) or not tries_left:
                    self._report(pair.certfile, exc)
                    return None
            else:
                if before == signature(pair):
                    return loaded
        # It changes faster than it is read: the next look finds it again.
        self._seen[pair] = ()
        return None

    def _use(self, loaded: dict[Pair, _Loaded]) -> None:
        """Have new handshakes use these, all at once."""
        by_name: dict[str, _Loaded] = {}
        for each in loaded.values():
            for name in each.names:
                other = by_name.get(name)
                if other is None or other.ends < each.ends:
                    by_name[name] = each
        self._loaded = loaded
        self._by_name = {name: each.context for name, each in by_name.items()}
        self._default = loaded[min(loaded)].context

    def _report(self, path: str, exc: BaseException) -> None:
        _log.error("The certificate of %s cannot be used: %s", printable(path), exc)
        publish(gevent.spawn, "CertificateFailed", self, path, exc)

    # -- looking ------------------------------------------------------------------------------

    def _watch(self) -> None:
        loop = gevent.get_hub().loop
        # Without a reference: it keeps no program running.
        self._timer = loop.timer(LOOK_SECONDS, LOOK_SECONDS, ref=False)
        self._timer.start(_Look(self))


class _Look:
    """The callback of the timer, which does not keep its certificates."""

    __slots__ = ("_certificates",)

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = ref(certificates)

    def __call__(self) -> None:
        certificates = self._certificates()
        if certificates is not None:
            # Not in the hub: subscribers and the handlers of the log may block.
            gevent.spawn(certificates.reload)


def _checked_pairs(pairs: Any) -> list[Pair]:
    """The pairs of files that were given, by name."""
    if isinstance(pairs, (bytes, bytearray)) or not isinstance(pairs, Iterable):
        raise arguments.wrong_kind(
            "directory_or_pairs", pairs, "the path of a folder, or pairs (certfile, keyfile)"
        )
    found = []
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise arguments.wrong_kind("directory_or_pairs", pair, "a pair (certfile, keyfile)")
        certfile = arguments.path("certfile", pair[0])
        keyfile = certfile if pair[1] is None else arguments.path("keyfile", pair[1])
        found.append(Pair(certfile, certfile, keyfile))
    return sorted(found)


def _load(pair: Pair) -> _Loaded:
    """Read a pair.

    :raises ValueError: it is broken.
    :raises OSError: a file cannot be read.
    """
    context = load_pair(pair.certfile, pair.keyfile)
    with open(pair.certfile, "rb") as file:
        names, ends = _names_and_end(file.read())
    return _Loaded(pair, context, names, ends)


def _import_x509() -> Any:
    try:
        from cryptography import x509
    except ImportError as exc:
        raise coded(
            ImportError(
                "gnet.tls.Certificates needs the package cryptography, which reads the names. "
                'Install it with: pip install "gevent-net[tls]"'
            ),
            "MODULE_NOT_FOUND",
        ) from exc
    return x509


def _names_and_end(pem: bytes) -> tuple[tuple[str, ...], datetime]:
    """The names that a certificate is for, and when it ends; of several the first one's."""
    x509 = _import_x509()
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        # As certificates were before there was such a list.
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [each.value for each in common]
    if hasattr(certificate, "not_valid_after_utc"):
        ends = certificate.not_valid_after_utc
    else:
        # cryptography before 42.
        ends = certificate.not_valid_after.replace(tzinfo=timezone.utc)
    return tuple(name.lower().removesuffix(".") for name in names), ends
