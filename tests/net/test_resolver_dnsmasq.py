"""The resolver, against a real name server: dnsmasq, as a child process on loopback."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket, subprocess

from gnet.dns import Resolver

DNSMASQ = shutil.which("dnsmasq") or shutil.which("dnsmasq", path="/usr/sbin:/usr/local/sbin")

pytestmark = [
    pytest.mark.skipif(DNSMASQ is None, reason="dnsmasq is not installed (dnsmasq-base)"),
    pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8 on loopback"),
]

PORT = 10053
TEXTS = [f"text number {number} " + "x" * 150 for number in range(20)]
RECORDS = [
    "--host-record=host.test,127.0.0.9,::1",
    "--host-record=four.test,127.0.0.9",
    "--host-record=six.test,::1",
    "--cname=www.test,web.test",
    "--cname=web.test,host.test",
    "--mx-host=test,mail.test,10",
    "--mx-host=test,backup.test,20",
    "--srv-host=_echo._tcp.test,host.test,8124,1,2",
    "--txt-record=short.test,one,two",
    *[f"--txt-record=long.test,{text}" for text in TEXTS],
    "--ptr-record=9.2.0.192.in-addr.arpa,nine.test",
    "--naptr-record=test,100,10,u,E2U+sip,!^.*$!sip:a@b!",
    "--caa-record=test,0,issue,ca.test",
    "--local-ttl=60",
    "--local=/test/",
]


@pytest.fixture(scope="module")
def nameserver() -> Iterator[str]:
    """The address of a running dnsmasq. It has no port 0, so it gets an address of its own."""
    assert DNSMASQ is not None
    while True:
        address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        process = subprocess.Popen(
            [
                DNSMASQ,
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file=",
                "--log-facility=-",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                f"--listen-address={address}",
                f"--port={PORT}",
                *RECORDS,
            ],
            stderr=subprocess.PIPE,
        )
        log = process.stderr
        assert log is not None
        try:
            with gevent.Timeout(30):
                said = log.readline()
            if b"in use" in said:
                continue
            assert b"started" in said, said
            yield address
            return
        finally:
            process.kill()
            process.wait()
            log.close()


@pytest.fixture
def resolver(nameserver: str) -> Resolver:
    return Resolver([nameserver], PORT, search=[], hosts=None)


def code(call: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(socket.gaierror) as caught:
        call(*args, **options)
    error: Any = caught.value
    return str(error.code)


@pytest.mark.parametrize("name", ["host.test", "web.test", "www.test"])
def test_addresses_are_found_behind_aliases_too(resolver: Resolver, name: str) -> None:
    assert sorted(resolver.lookup(name, all=True)) == [("127.0.0.9", 4), ("::1", 6)]
    assert resolver.lookup(name, family=4) == ("127.0.0.9", 4)
    assert resolver.resolve6(name) == ["::1"]


def test_a_host_of_one_family_is_found(resolver: Resolver) -> None:
    assert resolver.lookup("four.test", all=True) == [("127.0.0.9", 4)]
    assert resolver.lookup("six.test") == ("::1", 6)


def test_a_short_name_is_found_in_a_search_domain(nameserver: str) -> None:
    resolver = Resolver([nameserver], PORT, search=["none.test", "test"], hosts=None)
    assert resolver.lookup("four") == ("127.0.0.9", 4)


def test_all_kinds_of_records_are_read(resolver: Resolver) -> None:
    assert sorted(resolver.resolve_mx("test")) == [("backup.test", 20), ("mail.test", 10)]
    assert resolver.resolve_srv("_echo._tcp.test") == [("host.test", 8124, 1, 2)]
    assert resolver.resolve_txt("short.test") == [["one", "two"]]
    assert resolver.resolve_cname("www.test") == ["web.test"]
    assert resolver.resolve_naptr("test")[0].service == "E2U+sip"
    assert resolver.resolve_caa("test") == [(0, "issue", "ca.test")]
    assert resolver.reverse("192.0.2.9") == ["nine.test"]


def test_an_answer_that_does_not_fit_a_datagram_comes_whole(resolver: Resolver) -> None:
    assert sorted(resolver.resolve_txt("long.test")) == sorted([text] for text in TEXTS)


def test_errors_have_nodes_codes(resolver: Resolver) -> None:
    assert code(resolver.lookup, "nothing.test") == "ENOTFOUND"
    assert code(resolver.lookup, "four.test", family=6) == "ENODATA"
    assert code(resolver.resolve_mx, "four.test") == "ENODATA"
    # Of what is not its own it knows nobody to ask.
    assert code(resolver.lookup, "name.example") == "EREFUSED"
