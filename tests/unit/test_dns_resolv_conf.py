"""``resolv.conf(5)``, as the system reads it."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnet.dns.resolv_conf import ResolvConf, parse


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One without a domain, and with nothing in its environment."""
    monkeypatch.setattr(socket, "gethostname", lambda: "host")
    monkeypatch.delenv("LOCALDOMAIN", raising=False)
    monkeypatch.delenv("RES_OPTIONS", raising=False)


def test_it_is_read_as_the_system_reads_it() -> None:
    text = """\
# a comment
; another
nameserver 192.0.2.53
nameserver fe80::1%eth0   # behind it
nameserver not-an-address
nameserver
domain old.test
search corp.test. test
options ndots:3 ndots:x rotate
sortlist 130.155.160.0
 nameserver 192.0.2.54
"""
    servers = ["192.0.2.53", "fe80::1%eth0", "192.0.2.54"]
    found = ResolvConf(servers, ["corp.test.", "test"], 3, rotate=True)
    assert parse(text.splitlines()) == found


def test_it_has_the_systems_defaults() -> None:
    assert parse([]) == ResolvConf(["127.0.0.1"], [], 1)
    assert parse(["options", "options ndots:99"]).ndots == 15


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [
        ("timeout:2", "timeout", 2),
        ("timeout:0", "timeout", 1),
        ("timeout:" + "9" * 5000, "timeout", 30),
        ("timeout:-1", "timeout", None),
        ("timeout", "timeout", None),
        ("attempts:4", "attempts", 4),
        ("attempts:0", "attempts", 1),
        ("attempts:99", "attempts", 5),
        ("ndots:0", "ndots", 0),
        ("rotate", "rotate", True),
        ("rotate:1", "rotate", False),
        ("edns0", "edns0", True),
        ("use-vc", "use_vc", True),
        ("no-aaaa", "no_aaaa", True),
        ("single-request", "single_request", True),
        ("single-request-reopen", "single_request", True),
        ("trust-ad", "trust_ad", True),
    ],
)
def test_options_are_read_from_the_file_and_the_environment(
    monkeypatch: pytest.MonkeyPatch, word: str, field: str, value: object
) -> None:
    assert getattr(parse([f"options debug {word}"]), field) == value
    monkeypatch.setenv("RES_OPTIONS", f"debug {word}")
    assert getattr(parse([]), field) == value


def test_the_environments_options_come_behind_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RES_OPTIONS", "ndots:4 edns0")
    found = parse(["options ndots:2 attempts:5"])
    assert (found.ndots, found.attempts, found.edns0) == (4, 5, True)


@pytest.mark.parametrize(
    ("lines", "searched"),
    [
        ([], ["example.com"]),
        (["nameserver 192.0.2.1"], ["example.com"]),
        (["search"], ["example.com"]),
        (["domain"], ["example.com"]),
        (["search one.test two.test"], ["one.test", "two.test"]),
        (["search one.test", "search"], ["one.test"]),
        (["search one.test", "domain two.test three.test"], ["two.test"]),
        (["domain one.test", "search two.test three.test"], ["two.test", "three.test"]),
        # systemd-resolved's way to say that there is none.
        (["search ."], []),
    ],
)
def test_the_hosts_own_domain_is_searched_where_no_other_is_named(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], searched: list[str]
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host.example.com")
    assert parse(lines).search == searched


@pytest.mark.parametrize(
    ("value", "searched"), [("a.test b.test", ["a.test", "b.test"]), ("", []), (".", [])]
)
def test_localdomain_takes_the_place_of_all_search_domains(
    monkeypatch: pytest.MonkeyPatch, value: str, searched: list[str]
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host.example.com")
    monkeypatch.setenv("LOCALDOMAIN", value)
    assert parse(["search one.test", "domain two.test"]).search == searched
    assert parse([]).search == searched


@given(st.lists(st.text() | st.from_regex(r"(options|search|domain|nameserver) .*")))
def test_any_text_can_be_read(lines: list[str]) -> None:
    assert parse(lines).nameservers
