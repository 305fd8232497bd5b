"""What the option ``tls=`` may be, for clients and for servers."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, NoReturn
from weakref import WeakSet

from .._values import arguments
from .._values.tls_errors import annotate_tls
from ..errors import annotate, coded, type_error, value_error
from .server_names import server_hostname as normal_hostname

__all__ = [
    "ChooseContext",
    "check_server_context",
    "check_side",
    "client_tls",
    "default_client_context",
    "load_pair",
    "server_tls",
]

#: Gives the context for the name that a client asks for, ``None`` for a client that names none.
ChooseContext = Callable[[str | None], ssl.SSLContext]

_SERVER_RIGHT = "an ssl.SSLContext, a gnet.tls.Certificates or a pair (certfile, keyfile)"
_CLIENT_RIGHT = "True or an ssl.SSLContext"
# What OpenSSL finds at a client's first message when it has no certificate to answer with.
_WITHOUT_CERTIFICATE = frozenset(("NO_SHARED_CIPHER", "NO_SUITABLE_SIGNATURE_ALGORITHM"))

# Contexts that have a certificate: no call takes it from them, and to find out costs a handshake.
_able: WeakSet[ssl.SSLContext] = WeakSet()


@cache
def default_client_context() -> ssl.SSLContext:
    """The context of ``tls=True``: one a process, since it takes 40 ms, and sessions belong to it.

    It is :func:`ssl.create_default_context`'s: the system's authorities, and names are verified.
    """
    return ssl.create_default_context()


@cache
def _probing_context() -> ssl.SSLContext:
    """A client that takes whatever a server has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def client_tls(
    tls: Any, host: str | None, server_hostname: Any = None
) -> tuple[ssl.SSLContext, str]:
    """The context of a client, and whom the server has to be.

    :param tls: the option: ``True``, or a context.
    :param host: the host that is connected to; ``None`` for a path.
    :param server_hostname: the option: whom the server has to be, if not the host.
    :returns: the context; and the name in its normal form, ``""`` for none.
    :raises TypeError: an option of the wrong kind.
    :raises ValueError: a server's context; a name that is none, or none where one is verified.
    """
    if tls is True:
        context = default_client_context()
    elif isinstance(tls, ssl.SSLContext):
        context = tls
    else:
        raise arguments.wrong_kind("tls", tls, _CLIENT_RIGHT)
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise value_error(
            'The "tls" argument of a client must be a context for clients '
            f"(ssl.PROTOCOL_TLS_CLIENT, ssl.create_default_context()). Received {tls!r}"
        )
    if server_hostname is None:
        name = "" if host is None else normal_hostname(host, "host")
    else:
        name = normal_hostname(server_hostname)
    if not name and context.check_hostname:
        raise value_error(
            'The "server_hostname" argument must say whom the server has to be, as the context '
            "verifies it; to verify nobody, give a context with check_hostname=False. "
            f"Received {server_hostname!r}"
        )
    return context, name


def server_tls(tls: Any) -> ChooseContext:
    """How a server chooses its context.

    :param tls: the option: a context, a :class:`Certificates`, or a pair of files.
    :returns: a function of the name that a client asks for.
    :raises TypeError: the option is of the wrong kind.
    :raises ValueError: a client's context, one without certificate, a key that does not fit.
    :raises OSError: a file cannot be read.
    """
    if isinstance(tls, ssl.SSLContext):
        check_server_context("tls", tls)
        return _Always(tls)
    choose = getattr(tls, "context_for", None)
    if callable(choose):
        # A Certificates.
        by_name: ChooseContext = choose
        return by_name
    if isinstance(tls, (tuple, list)) and len(tls) == 2:
        return _Always(load_pair(tls[0], tls[1]))
    raise arguments.wrong_kind("tls", tls, _SERVER_RIGHT)


class _Always:
    """One context, whoever is asked for."""

    __slots__ = ("_context",)

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def __call__(self, name: str | None) -> ssl.SSLContext:
        return self._context


def check_side(name: str, context: Any) -> ssl.SSLContext:
    """A context that is one for servers.

    :param name: of which argument.
    :raises TypeError: it is no context.
    :raises ValueError: a client's.
    """
    if not isinstance(context, ssl.SSLContext):
        raise arguments.wrong_kind(name, context, "an ssl.SSLContext")
    if context.protocol == ssl.PROTOCOL_TLS_CLIENT:
        raise value_error(
            f'The "{name}" argument of a server must be a context for servers '
            f"(ssl.PROTOCOL_TLS_SERVER, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)). "
            f"Received {context!r}"
        )
    return context


def check_server_context(name: str, context: Any) -> ssl.SSLContext:
    """A context that a server can use.

    :param name: of which argument.
    :raises TypeError: it is no context.
    :raises ValueError: a client's, or one that has no certificate.
    """
    checked = check_side(name, context)
    if checked in _able:
        return checked
    if not _has_certificate(checked):
        raise value_error(
            f'The "{name}" argument must be a context with a certificate and its key '
            f"(load_cert_chain()). Received {context!r}"
        )
    _able.add(checked)
    return checked


def _has_certificate(context: ssl.SSLContext) -> bool:
    """Whether a context can answer a client at all; it does not say so by itself."""
    if context.sni_callback is not None:
        # That may choose another one, and is not to be asked in vain.
        return True
    hello, answer = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _probing_context().wrap_bio(answer, hello)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    server = context.wrap_bio(hello, answer, server_side=True)
    try:
        server.do_handshake()
    except ssl.SSLWantReadError:
        return True
    except ssl.SSLError as exc:
        # Anything else is a matter between it and the clients that it is for.
        return exc.reason not in _WITHOUT_CERTIFICATE
    return True


def load_pair(certfile: Any, keyfile: Any = None) -> ssl.SSLContext:
    """A server's context with a certificate and its key.

    :param certfile: the file with the certificate, and those between it and the authority, in PEM.
    :param keyfile: the file with the key; ``None``: it is in the same one.
    :raises TypeError: a path of the wrong kind.
    :raises ValueError: a file is none of these, or the key is another certificate's.
    :raises OSError: a file cannot be read.
    """
    certificate = arguments.path("certfile", certfile)
    key = None if keyfile is None else arguments.path("keyfile", keyfile)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except ssl.SSLError as exc:
        raise _unusable(exc, certificate, key) from exc
    except OSError as exc:
        raise annotate(exc, "open", _missing(certificate, key)) from None
    return context


def _no_password() -> NoReturn:
    # OpenSSL would ask for one at the terminal.
    raise type_error(
        'The "keyfile" argument must be a key without a password; for one with a password, give '
        "a context: load_cert_chain() takes it"
    )


def _unusable(exc: ssl.SSLError, certificate: str, key: str | None) -> ValueError:
    """The error for files that are there, and of no use."""
    code = annotate_tls(exc).code  # type: ignore[attr-defined]
    files = f"{certificate!r}" if key is None else f"{certificate!r} and {key!r}"
    if exc.reason == "KEY_VALUES_MISMATCH":
        wrong = "the key is another certificate's"
    elif exc.reason in (None, "NO_START_LINE", "PEM_LIB"):
        wrong = "a certificate or its key is missing, or not in PEM"
    else:
        wrong = exc.reason.replace("_", " ").lower()
    return coded(ValueError(f"Cannot use {files} for TLS: {wrong}"), code)


def _missing(certificate: str, key: str | None) -> str:
    """Which of the two cannot be read."""
    return certificate if key is None or not os.access(certificate, os.R_OK) else key
