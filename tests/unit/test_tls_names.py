"""Whom a TLS client means, and what ``tls=`` may be."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from gnet.tls.contexts import client_tls, default_client_context, load_pair, server_tls
from gnet.tls.server_names import server_hostname
from gnet.tls.sessions import Session, resumable
from tests.helpers.authority import (
    certificate,
    client_context,
    issue,
    server_context,
    unverified_context,
    write_pair,
)

# -- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, normal",
    [
        ("www.example.com", "www.example.com"),
        ("WWW.Example.COM", "www.example.com"),
        ("www.example.com.", "www.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("www。example。com", "www.example.com"),
        ("with_underscore.example", "with_underscore.example"),
        ("1and1.example", "1and1.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::1%lo", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::A", "2001:db8::a"),
        ("", ""),
    ],
)
def test_a_name_has_one_form(given: str, normal: str) -> None:
    assert server_hostname(given) == normal


@pytest.mark.parametrize(
    "given",
    [
        "www.example.com\0.evil.example", "\0", ".", "..", ".example.com", "a..b", "a b", "a\n",
        "x" * 64 + ".example", "[::1]", "[::1]:443", "host:443", "user@host", "https://host",
        "127.0.0.1%lo:1", "256.0.0.1", "1.2.3.4.5", "0x.1", "::g", "::1%", "１２７.0.0.1.5",
        "999999999999", "127.0.0.1 evil.example",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="server_hostname") as failure:
        server_hostname(given)
    assert getattr(failure.value, "code", None) == "ERR_INVALID_ARG_VALUE"


def test_an_address_in_digits_of_another_script_is_that_address() -> None:
    assert server_hostname("１２７.０.０.１") == "127.0.0.1"


@pytest.mark.parametrize("given", [b"localhost", 5, None, True])
def test_a_name_is_a_str(given: Any) -> None:
    with pytest.raises(TypeError, match="server_hostname"):
        server_hostname(given)


# -- clients ---------------------------------------------------------------------------------


def test_true_is_one_context_a_process() -> None:
    context, name = client_tls(True, "example.com")
    assert (context, name) == (default_client_context(), "example.com")
    assert client_tls(True, "example.org")[0] is context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_the_name_is_the_hosts_unless_another_is_given() -> None:
    context = client_context()
    assert client_tls(context, "Example.COM") == (context, "example.com")
    assert client_tls(context, "127.1") == (context, "127.0.0.1")
    assert client_tls(context, "192.0.2.1", "example.com") == (context, "example.com")
    assert client_tls(context, None, "example.com") == (context, "example.com")


@pytest.mark.parametrize("tls", [False, None, 1, "yes", object(), ("a", "b"), ssl.SSLContext])
def test_a_client_takes_true_or_a_context(tls: Any) -> None:
    with pytest.raises(TypeError, match='"tls" argument must be True or an ssl.SSLContext'):
        client_tls(tls, "example.com")


def test_a_servers_context_is_none_of_a_clients() -> None:
    with pytest.raises(ValueError, match="context for clients"):
        client_tls(server_context(), "localhost")


@pytest.mark.parametrize("host, name", [("example.com", ""), (None, None), (None, "")])
def test_a_context_that_verifies_a_name_needs_one(host: str | None, name: str | None) -> None:
    with pytest.raises(ValueError, match='"server_hostname" argument must say whom'):
        client_tls(client_context(), host, name)
    context = unverified_context()
    assert client_tls(context, host, name) == (context, "")


def test_a_bad_host_is_the_hosts_error() -> None:
    with pytest.raises(ValueError, match='"host"'):
        client_tls(client_context(), "a\0b")


# -- servers ---------------------------------------------------------------------------------


def test_a_server_takes_a_context() -> None:
    context = server_context()
    assert server_tls(context)("any.example") is context
    assert server_tls(context)(None) is context


def test_a_server_takes_a_pair_of_files(tmp_path: Path) -> None:
    both = write_pair(certificate(), tmp_path / "cert.pem", tmp_path / "key.pem")
    assert isinstance(server_tls(both)(None), ssl.SSLContext)
    assert isinstance(server_tls([str(each) for each in both])(None), ssl.SSLContext)
    one, _ = write_pair(certificate(), tmp_path / "both.pem")
    assert isinstance(server_tls((one, None))(None), ssl.SSLContext)


@pytest.mark.parametrize("tls", [True, False, None, "cert.pem", ("a",), ("a", "b", "c"), object()])
def test_a_server_takes_nothing_else(tls: Any) -> None:
    with pytest.raises(TypeError, match='"tls" argument must be an ssl.SSLContext, a gnet.tls'):
        server_tls(tls)


def test_a_pair_is_of_paths() -> None:
    with pytest.raises(TypeError, match='"certfile"'):
        server_tls((b"cert.pem", "key.pem"))
    with pytest.raises(TypeError, match='"keyfile"'):
        server_tls(("cert.pem", 5))


def test_a_clients_context_is_none_of_a_servers() -> None:
    with pytest.raises(ValueError, match="context for servers"):
        server_tls(client_context())


def test_a_context_without_a_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="certificate and its key"):
        server_tls(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))


def test_a_context_that_chooses_by_itself_needs_no_certificate() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    asked = []
    context.sni_callback = lambda *args: asked.append(args)  # type: ignore[assignment]
    assert server_tls(context)(None) is context
    assert not asked


@pytest.mark.parametrize("clients", [True, False])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_whatever_else_a_context_demands_it_has_a_certificate(
    clients: bool, version: ssl.TLSVersion
) -> None:
    context = server_context(clients=clients)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    assert server_tls(context)(None) is context


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    certfile, keyfile = write_pair(certificate(), tmp_path / "cert.pem", tmp_path / "key.pem")
    for missing in (certfile, keyfile):
        data = missing.read_bytes()
        missing.unlink()
        with pytest.raises(FileNotFoundError) as failure:
            load_pair(certfile, keyfile)
        assert str(missing) in str(failure.value)
        assert getattr(failure.value, "code", None) == "ENOENT"
        missing.write_bytes(data)


def test_a_key_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    certfile, _ = write_pair(certificate(), tmp_path / "cert.pem", tmp_path / "key.pem")
    _, keyfile = write_pair(issue("localhost"), tmp_path / "other.pem", tmp_path / "other.key")
    with pytest.raises(ValueError, match="the key is another certificate's") as failure:
        load_pair(certfile, keyfile)
    assert getattr(failure.value, "code", None) == "ERR_SSL_KEY_VALUES_MISMATCH"


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    certfile, _ = write_pair(certificate(), tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises(ValueError, match="a certificate or its key is missing"):
        load_pair(certfile)


def test_what_is_no_pem_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="not in PEM"):
        load_pair(path)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    leaf = certificate()
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    certfile, keyfile = write_pair(leaf, tmp_path / "cert.pem", tmp_path / "key.pem")
    keyfile.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TypeError, match="without a password"):
        load_pair(certfile, keyfile)


# -- sessions --------------------------------------------------------------------------------


class Raw:
    """What OpenSSL has of a session."""

    ticket_lifetime_hint = 7200
    has_ticket = True


def test_a_session_knows_with_whom_it_was_made() -> None:
    context = client_context()
    raw = Raw()
    session = Session(raw, context, "example.com", 443)
    assert (session.lifetime, session.ticket) == (7200, True)
    assert resumable(session, context, "example.com", 443) is raw
    assert resumable(None, context, "example.com", 443) is None


@pytest.mark.parametrize("host, port", [("example.org", 443), ("example.com", 444), ("", None)])
def test_a_session_is_not_resumed_with_anybody_else(host: str, port: int | None) -> None:
    context = client_context()
    session = Session(Raw(), context, "example.com", 443)
    with pytest.raises(ValueError, match="example.com:443"):
        resumable(session, context, host, port)


def test_a_session_is_not_resumed_by_another_context() -> None:
    session = Session(Raw(), client_context(), "example.com", 443)
    with pytest.raises(ValueError, match="another context"):
        resumable(session, client_context(), "example.com", 443)


def test_what_is_no_session_is_refused() -> None:
    with pytest.raises(TypeError, match='"session"'):
        resumable(Raw(), client_context(), "example.com", 443)
