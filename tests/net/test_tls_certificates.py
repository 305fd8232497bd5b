"""Certificates by name: layouts, wildcards, and what happens when files change."""

from __future__ import annotations

import contextlib
import datetime
import gc
import logging
import os
import shutil
import ssl
import weakref
from pathlib import Path
from typing import Any

import gevent
import pytest
import zope.event
from gevent.event import Event

import gnet
from gnet import events
from gnet.tls import Certificates, certificates
from tests.helpers.authority import certificate, client_context, expired, issue, write_pair


def subject(context: ssl.SSLContext, name: str | None = None) -> tuple[str, ...]:
    """The names of the certificate that a client is shown."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client_context()
    client_side.check_hostname = False
    client = client_side.wrap_bio(incoming, outgoing, server_hostname=name)
    server = context.wrap_bio(outgoing, incoming, server_side=True)
    for _ in range(3):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    shown: Any = client.getpeercert()
    return tuple(value for kind, value in shown["subjectAltName"] if kind == "DNS")


def shown(names: Certificates, name: str | None) -> tuple[str, ...]:
    return subject(names.context_for(name), name)


def lay(folder: Path, layout: str, *names: str) -> tuple[Path, Path]:
    """A pair in one of the layouts, in a folder of its own or a file."""
    leaf = certificate(*names)
    if layout == "certbot":
        return write_pair(
            leaf, folder / names[0] / "fullchain.pem", folder / names[0] / "privkey.pem"
        )
    if layout == "kubernetes":
        return write_pair(leaf, folder / names[0] / "tls.crt", folder / names[0] / "tls.key")
    return write_pair(leaf, folder / f"{names[0]}.pem")


LAYOUTS = pytest.mark.parametrize("layout", ["certbot", "kubernetes", "one file"])


# -- layouts and names -----------------------------------------------------------------------


@LAYOUTS
def test_each_name_gets_its_certificate(tmp_path: Path, layout: str) -> None:
    lay(tmp_path, layout, "a.example", "www.a.example")
    lay(tmp_path, layout, "b.example")
    found = Certificates(tmp_path, watch=False)
    assert found.names == ("a.example", "b.example", "www.a.example")
    assert shown(found, "b.example") == ("b.example",)
    assert shown(found, "www.a.example") == ("a.example", "www.a.example")


@LAYOUTS
def test_who_asks_for_nobody_gets_the_first_pair_by_name(tmp_path: Path, layout: str) -> None:
    lay(tmp_path, layout, "c.example")
    lay(tmp_path, layout, "b.example")
    found = Certificates(str(tmp_path), watch=False)
    assert shown(found, None) == ("b.example",)
    assert shown(found, "unknown.example") == ("b.example",)


def test_layouts_may_stand_beside_each_other(tmp_path: Path) -> None:
    lay(tmp_path, "certbot", "a.example")
    lay(tmp_path, "kubernetes", "b.example")
    lay(tmp_path, "one file", "c.example")
    (tmp_path / "README").write_text("as certbot has it")
    (tmp_path / "empty").mkdir()
    assert Certificates(tmp_path, watch=False).names == ("a.example", "b.example", "c.example")


@pytest.mark.parametrize("files", [("fullchain.pem", "privkey.pem"), ("tls.crt", "tls.key")])
def test_the_folder_itself_may_be_a_pairs(tmp_path: Path, files: tuple[str, str]) -> None:
    write_pair(certificate("a.example"), tmp_path / files[0], tmp_path / files[1])
    # certbot has these beside.
    for part in ("cert.pem", "chain.pem"):
        (tmp_path / part).write_bytes(b"a part of it")
    assert Certificates(tmp_path, watch=False).names == ("a.example",)


def test_pairs_may_be_given_by_their_files(tmp_path: Path) -> None:
    b = lay(tmp_path, "certbot", "b.example")
    a = lay(tmp_path, "kubernetes", "a.example")
    c, _ = lay(tmp_path, "one file", "c.example")
    found = Certificates([b, a, (str(c), None)], watch=False)
    assert found.names == ("a.example", "b.example", "c.example")
    assert shown(found, None) == ("a.example",)


def test_a_wildcard_is_for_one_label(tmp_path: Path) -> None:
    lay(tmp_path, "one file", "a.example")
    write_pair(certificate("*.w.example"), tmp_path / "w.pem")
    write_pair(certificate("own.w.example"), tmp_path / "x.pem")
    found = Certificates(tmp_path, watch=False)
    assert shown(found, "any.w.example") == ("*.w.example",)
    assert shown(found, "own.w.example") == ("own.w.example",)
    for name in ("w.example", "a.b.w.example", ".w.example", "*"):
        assert found.context_for(name) is found.context_for(None)


def test_of_two_for_one_name_the_one_that_ends_later_is_taken(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    for name, days in (("a", 10), ("b", 30), ("c", 20)):
        leaf = issue("same.example", f"{name}.example", not_after=now + datetime.timedelta(days))
        write_pair(leaf, tmp_path / f"{name}.pem")
    found = Certificates(tmp_path, watch=False)
    assert shown(found, "same.example") == ("same.example", "b.example")
    assert shown(found, "a.example") == ("same.example", "a.example")


def test_a_certificate_without_a_list_of_names_has_its_common_name(tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Old.Example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    old = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1).not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    (tmp_path / "old.pem").write_bytes(
        old.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    assert Certificates(tmp_path, watch=False).names == ("old.example",)


# -- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [5, None, b"folder", object(), ["a.pem"], [("a", "b", "c")]])
def test_what_is_neither_folder_nor_pairs_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match='"directory_or_pairs"'):
        Certificates(given)


def test_watch_is_a_flag(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match='"watch"'):
        Certificates(tmp_path, watch="yes")  # type: ignore[arg-type]


def test_a_folder_without_a_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must have a certificate with its key"):
        Certificates(tmp_path)
    with pytest.raises(ValueError, match="must have a certificate with its key"):
        Certificates([])


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as failure:
        Certificates(tmp_path / "missing")
    assert getattr(failure.value, "code", None) == "ENOENT"


def test_a_given_pair_that_is_broken_is_an_error(tmp_path: Path) -> None:
    certfile, _ = lay(tmp_path, "certbot", "a.example")
    _, keyfile = lay(tmp_path, "certbot", "b.example")
    with pytest.raises(ValueError, match="another certificate's"):
        Certificates([(certfile, keyfile)])
    with pytest.raises(FileNotFoundError):
        Certificates([(certfile, tmp_path / "missing")])


def test_without_cryptography_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, "one file", "a.example")
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(ImportError, match=r"gevent-net\[tls\]"):
        Certificates(tmp_path)


# -- changes ---------------------------------------------------------------------------------


def test_a_new_certificate_is_for_new_handshakes(tmp_path: Path) -> None:
    lay(tmp_path, "certbot", "a.example")
    found = Certificates(tmp_path, watch=False)
    before = found.context_for("a.example")
    assert found.reload() is False
    assert found.context_for("a.example") is before
    folder = tmp_path / "a.example"
    write_pair(issue("a.example", "new.example"), folder / "fullchain.pem", folder / "privkey.pem")
    assert found.reload() is True
    assert shown(found, "a.example") == ("a.example", "new.example")
    assert subject(before) == ("a.example",)


def test_pairs_come_and_go(tmp_path: Path) -> None:
    lay(tmp_path, "one file", "a.example")
    path, _ = lay(tmp_path, "one file", "b.example")
    found = Certificates(tmp_path, watch=False)
    lay(tmp_path, "certbot", "c.example")
    path.unlink()
    assert found.reload() is True
    assert found.names == ("a.example", "c.example")
    shutil.rmtree(tmp_path)
    assert found.reload() is False
    assert found.names == ("a.example", "c.example")


def test_kubernetes_changes_all_files_at_once_by_a_link(tmp_path: Path) -> None:
    for number, name in enumerate(("a.example", "b.example")):
        folder = tmp_path / f"..{number}"
        write_pair(certificate(name), folder / "tls.crt", folder / "tls.key")
    os.symlink("..0", tmp_path / "..data")
    for name in ("tls.crt", "tls.key"):
        os.symlink(f"..data/{name}", tmp_path / name)
    found = Certificates(tmp_path, watch=False)
    assert found.names == ("a.example",)
    os.symlink("..1", tmp_path / "..new")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert found.reload() is True
    assert found.names == ("b.example",)


def test_a_broken_pair_keeps_the_old_one_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lay(tmp_path, "certbot", "a.example")
    lay(tmp_path, "certbot", "b.example")
    found = Certificates(tmp_path, watch=False)
    told: list[Any] = []
    zope.event.subscribers.append(told.append)
    _, other = write_pair(issue("a.example"), tmp_path / "other", tmp_path / "other.key")
    other.replace(tmp_path / "a.example" / "privkey.pem")
    folder = tmp_path / "b.example"
    write_pair(issue("b.example", "new.example"), folder / "fullchain.pem", folder / "privkey.pem")
    with caplog.at_level(logging.ERROR, "gnet"):
        # The good one of the same look is taken.
        assert found.reload() is True
        assert found.reload() is False
        gevent.sleep(0)
    assert found.names == ("a.example", "b.example", "new.example")
    assert shown(found, "a.example") == ("a.example",)
    [record] = caplog.records
    path = os.path.join("a.example", "fullchain.pem")
    assert path in record.getMessage()
    [event] = told
    assert isinstance(event, events.CertificateFailed)
    assert event.certificates is found
    assert event.path.endswith(path)
    assert "another certificate's" in str(event.error)


def test_a_broken_pair_that_is_mended_is_used(tmp_path: Path) -> None:
    lay(tmp_path, "certbot", "a.example")
    folder = tmp_path / "b.example"
    _, keyfile = write_pair(issue("b.example"), folder / "fullchain.pem", folder / "privkey.pem")
    keyfile.unlink()
    found = Certificates(tmp_path, watch=False)
    assert found.names == ("a.example",)
    assert found.reload() is False
    lay(tmp_path, "certbot", "b.example")
    assert found.reload() is True
    assert found.names == ("a.example", "b.example")


def test_a_folder_whose_pairs_are_all_broken_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="must have a certificate") as failure:
        Certificates(tmp_path)
    assert "not in PEM" in str(failure.value.__cause__)


def test_an_expired_certificate_is_used_all_the_same(tmp_path: Path) -> None:
    write_pair(expired("a.example"), tmp_path / "a.pem")
    assert Certificates(tmp_path, watch=False).names == ("a.example",)


def test_files_that_change_while_they_are_read_are_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, "one file", "a.example")
    found = Certificates(tmp_path, watch=False)
    write_pair(issue("a.example", "second.example"), tmp_path / "a.example.pem")
    load = certificates._load
    loads = []

    def changing(pair: Any) -> Any:
        loaded = load(pair)
        loads.append(pair)
        if len(loads) == 1:
            write_pair(issue("a.example", "third.example"), tmp_path / "a.example.pem")
        return loaded

    monkeypatch.setattr(certificates, "_load", changing)
    assert found.reload() is True
    assert found.names == ("a.example", "third.example")


def test_it_is_looked_at_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert certificates.LOOK_SECONDS >= 10
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0.01)
    lay(tmp_path, "one file", "a.example")
    found = Certificates(tmp_path)
    changed = Event()
    use = found._use

    def use_and_tell(loaded: Any) -> None:
        use(loaded)
        changed.set()

    monkeypatch.setattr(Certificates, "_use", lambda self, loaded: use_and_tell(loaded))
    write_pair(issue("a.example", "new.example"), tmp_path / "a.example.pem")
    assert changed.wait(5)
    assert found.names == ("a.example", "new.example")
    found.close()
    found.close()


def test_it_keeps_no_program_running_and_goes_with_its_last_reference(tmp_path: Path) -> None:
    lay(tmp_path, "one file", "a.example")
    found = Certificates(tmp_path)
    assert gnet.run(timeout=0) is True
    gone = weakref.ref(found)
    del found
    gc.collect()
    assert gone() is None
