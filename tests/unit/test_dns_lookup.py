"""The lookup of connect(), what a hook may answer, and the parts that resolve names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from hypothesis import given
from hypothesis import strategies as st

from gnet import dns as gdns
from gnet._values.addresses import is_ip
from gnet.dns import check_answer, destinations, lookup
from gnet.dns.destinations import _has_route
from gnet.dns.hosts import HostsFile
from gnet.dns.names import ascii_name


class Scripted:
    """The resolver of a hub: gives or raises what a test wants, and keeps what it was asked."""

    def __init__(self, *outcome: Any) -> None:
        self.outcome = outcome
        self.asked: list[Any] = []

    def getaddrinfo(self, *args: Any) -> Any:
        self.asked.append(args)
        for each in self.outcome:
            if isinstance(each, BaseException):
                raise each
        return [
            (socket.AF_INET6 if is_ip(each) == 6 else socket.AF_INET, 1, 6, "", (each, 0))
            for each in self.outcome
        ]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Any:
    def answering(*outcome: Any) -> Scripted:
        resolver = Scripted(*outcome)
        monkeypatch.setattr(gevent.get_hub(), "resolver", resolver)
        return resolver

    return answering


# -- lookup ---------------------------------------------------------------------------------------


def test_a_lookup_gives_the_first_address_and_its_family(answering: Any) -> None:
    answering("192.0.2.1", "2001:db8::1")
    assert lookup("name.test") == ("192.0.2.1", 4)
    answering("fe80::1%eth0", "192.0.2.1")
    assert lookup("name.test") == ("fe80::1%eth0", 6)


def test_a_lookup_for_all_keeps_the_order_and_repeats_nothing(answering: Any) -> None:
    answering("192.0.2.2", "2001:db8::1", "192.0.2.2", "192.0.2.1")
    found = [("192.0.2.2", 4), ("2001:db8::1", 6), ("192.0.2.1", 4)]
    assert lookup("name.test", all=True) == found


def test_localhost_is_known_without_a_script() -> None:
    assert lookup("localhost")[0] in ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("family", "asked"),
    [
        (0, socket.AF_UNSPEC),
        (4, socket.AF_INET),
        (6, socket.AF_INET6),
        ("IPv4", socket.AF_INET),
        ("IPv6", socket.AF_INET6),
    ],
)
def test_the_family_and_the_hints_are_asked_for(answering: Any, family: Any, asked: int) -> None:
    resolver = answering("192.0.2.1")
    hints = gdns.ADDRCONFIG | gdns.V4MAPPED
    lookup("name.test", family=family, hints=hints)
    [(host, _, family_asked, kind, _, flags)] = resolver.asked
    assert (host, family_asked, flags) == ("name.test", asked, hints)
    assert kind == socket.SOCK_STREAM


@pytest.mark.parametrize("literal", ["127.0.0.1", "::1", "fe80::1%eth0", "::ffff:192.0.2.1"])
def test_an_address_answers_itself_whatever_the_family(answering: Any, literal: str) -> None:
    resolver = answering("192.0.2.1")
    for family in (0, 4, 6):
        assert lookup(literal, family=family) == (literal, is_ip(literal))
        assert lookup(literal, family=family, all=True) == [(literal, is_ip(literal))]
    assert resolver.asked == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".name.test",
        "name..test",
        "name.test..",
        "x" * 64 + ".test",
        ".".join(["x" * 50] * 6),
        "x" * 100_000,
        "ü" * 100_000,
        "na\0me.test",
        "\ud800.test",
        "。",
        "ü..test",
        "\u00ad.test",
        # What IDNA 2008 does not allow, though IDNA 2003 did: a symbol, a hyphen at the end, a
        # joiner without a reason, what is written in two directions, an underscore beside an ü.
        "☃.test",
        "bü-.test",
        "\u200dü.test",
        "aא.test",
        "_ü.test",
        "ü" * 60 + ".test",
    ],
)
def test_a_name_that_cannot_be_one_is_not_found_before_anything_is_asked(
    answering: Any, name: str
) -> None:
    resolver = answering("192.0.2.1")
    with pytest.raises(socket.gaierror) as caught:
        lookup(name)
    error: Any = caught.value
    assert (error.code, error.syscall, error.hostname) == ("ENOTFOUND", "getaddrinfo", name)
    assert resolver.asked == []


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("Bücher.test", "xn--bcher-kva.test"),
        # Another domain than fass.example, which IDNA 2003 makes of it.
        ("faß.example", "xn--fa-hia.example"),
        ("FUSSBALL。ΒΌΛΟΣ.", "fussball.xn--nxasmq6b."),
        ("βόλος.com", "xn--nxasmm1c.com"),
        ("日本語.jp", "xn--wgv71a119e.jp"),
        ("a\u00adb.test", "ab.test"),
        # ASCII is nobody's to change, and DNS takes more of it than host names do.
        ("_dmarc.Bücher.test", "_dmarc.xn--bcher-kva.test"),
        ("-_-.Example.test", "-_-.Example.test"),
        ("xn--.test", "xn--.test"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
    ],
)
def test_a_name_beyond_ascii_is_asked_for_in_the_form_of_idna_2008(
    answering: Any, name: str, asked: str
) -> None:
    resolver = answering("192.0.2.1")
    lookup(name)
    assert resolver.asked[0][0] == asked


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("EAI_NONAME", "ENOTFOUND"),
        ("EAI_NODATA", "ENOTFOUND"),
        ("EAI_AGAIN", "EAI_AGAIN"),
        ("EAI_FAIL", "EAI_FAIL"),
        ("EAI_MEMORY", "EAI_MEMORY"),
    ],
)
def test_the_resolvers_error_has_nodes_fields(answering: Any, number: str, code: str) -> None:
    if not hasattr(socket, number):
        pytest.skip(f"this system has no {number}")
    raised = socket.gaierror(getattr(socket, number), "as the system says it")
    answering(raised)
    with pytest.raises(socket.gaierror) as caught:
        lookup("name.test")
    assert caught.value is raised
    error: Any = raised
    assert (error.code, error.syscall, error.hostname) == (code, "getaddrinfo", "name.test")
    assert str(error).endswith(f"getaddrinfo {code} name.test")


def test_an_error_of_the_system_keeps_its_class_and_number(answering: Any) -> None:
    answering(PermissionError(13, "not for you"))
    with pytest.raises(PermissionError) as caught:
        lookup("name.test")
    error: Any = caught.value
    assert (error.code, error.errno, error.hostname) == ("EACCES", 13, "name.test")


def test_an_answer_without_addresses_is_not_found(answering: Any) -> None:
    answering()
    with pytest.raises(socket.gaierror, match="ENOTFOUND"):
        lookup("name.test")


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"hostname": None}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"hostname": b"name.test"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"family": 5}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"family": "ipv5"}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"family": True}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"hints": 1 << 30}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"hints": -1}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"hints": True}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"hints": None}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"all": "yes"}, TypeError, "ERR_INVALID_ARG_TYPE"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    answering: Any, options: dict[str, Any], error: type[Exception], code: str
) -> None:
    resolver = answering("192.0.2.1")
    [name] = options
    with pytest.raises(error, match=f'"{name}"') as caught:
        lookup(**{"hostname": "name.test", **options})
    raised: Any = caught.value
    assert raised.code == code
    assert resolver.asked == []


# -- what a hook answers --------------------------------------------------------------------------

FOUR, SIX = ("192.0.2.1", 4), ("2001:db8::1", 6)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (FOUR, [FOUR]),
        (("2001:db8::1", "IPv6"), [SIX]),
        ("192.0.2.1", [FOUR]),
        ([FOUR, SIX, FOUR], [FOUR, SIX]),
        (["2001:db8::1", "192.0.2.1"], [SIX, FOUR]),
        (["2001:db8::1", FOUR], [SIX, FOUR]),
        (("fe80::1%eth0", 6), [("fe80::1%eth0", 6)]),
    ],
)
def test_a_hook_may_answer_with_addresses_in_several_forms(
    answer: Any, found: list[tuple[str, int]]
) -> None:
    assert check_answer(answer, "name.test", 80) == found


def test_what_is_no_address_in_a_list_is_passed_over_while_one_is() -> None:
    answer = [("nonsense", 4), ("192.0.2.9", 6), ("192.0.2.8", 5), FOUR]
    assert check_answer(answer, "name.test", 80) == [FOUR]


def test_addresses_of_another_family_are_passed_over_while_there_are_any_of_the_asked() -> None:
    assert check_answer([FOUR, SIX], "name.test", 80, family=6) == [SIX]
    assert check_answer([FOUR, SIX], "name.test", 80, family=4) == [FOUR]
    assert check_answer([FOUR], "name.test", 80, family=6) == [FOUR]


@pytest.mark.parametrize("answer", [[], None])
def test_an_empty_answer_is_not_found(answer: Any) -> None:
    with pytest.raises(socket.gaierror) as caught:
        check_answer(answer, "name.test", 80)
    error: Any = caught.value
    assert (error.code, error.hostname) == ("ENOTFOUND", "name.test")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("nonsense", "ERR_INVALID_IP_ADDRESS"),
        ("", "ERR_INVALID_IP_ADDRESS"),
        (("nonsense", 4), "ERR_INVALID_IP_ADDRESS"),
        ((None, 4), "ERR_INVALID_IP_ADDRESS"),
        ((b"192.0.2.1", 4), "ERR_INVALID_IP_ADDRESS"),
        ([("nonsense", 4), ("192.0.2.1", 5)], "ERR_INVALID_IP_ADDRESS"),
        (("192.0.2.1", 100), "ERR_INVALID_ADDRESS_FAMILY"),
        (("192.0.2.1", 0), "ERR_INVALID_ADDRESS_FAMILY"),
        (("192.0.2.1", None), "ERR_INVALID_ADDRESS_FAMILY"),
        (("192.0.2.1", [4]), "ERR_INVALID_ADDRESS_FAMILY"),
        (("192.0.2.1", True), "ERR_INVALID_ADDRESS_FAMILY"),
        (("192.0.2.1", 6), "ERR_INVALID_ADDRESS_FAMILY"),
        (("2001:db8::1", 4), "ERR_INVALID_ADDRESS_FAMILY"),
        ([("192.0.2.1", 5), ("nonsense", 4)], "ERR_INVALID_ADDRESS_FAMILY"),
    ],
)
def test_an_answer_without_any_address_says_what_is_wrong(answer: Any, code: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid (IP address|address family)") as caught:
        check_answer(answer, "name.test", 80)
    error: Any = caught.value
    assert (error.code, error.host, error.port) == (code, "name.test", 80)


@pytest.mark.parametrize(
    "answer", [80, b"192.0.2.1", {"address": "192.0.2.1"}, (), ("192.0.2.1",), [80], [[]], [None]]
)
def test_an_answer_of_no_known_kind_says_what_is_right(answer: Any) -> None:
    with pytest.raises(TypeError, match=r"must return \(address, family\)") as caught:
        check_answer(answer, "name.test", 80)
    error: Any = caught.value
    assert error.code == "ERR_INVALID_ARG_TYPE"


# -- names ----------------------------------------------------------------------------------------


def asked_name(text: str) -> str | None:
    try:
        return ascii_name(text)
    except socket.gaierror:
        return None


@given(st.text())
def test_any_text_makes_a_name_that_dns_can_carry_or_none(text: str) -> None:
    name = asked_name(text)
    if name is not None:
        labels = name.removesuffix(".").encode("ascii").split(b".")
        assert len(name) <= 254
        assert all(0 < len(each) < 64 for each in labels)


@given(st.from_regex(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,2}\.?", fullmatch=True))
def test_an_ascii_name_is_asked_for_as_it_is(name: str) -> None:
    assert ascii_name(name) == name


# -- the module -----------------------------------------------------------------------------------


def test_dnspython_is_imported_with_the_resolver_and_not_before() -> None:
    program = (
        "import sys, gnet.dns\n"
        "assert 'Resolver' in dir(gnet.dns)\n"
        "assert 'dns' not in sys.modules\n"
        "gnet.dns.Resolver\n"
        "assert 'dns' in sys.modules\n"
        # Whoever patches afterwards would be warned, or broken, by an ssl that came first.
        "assert 'ssl' not in sys.modules\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=root)


def test_what_the_module_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        gdns.nonsense  # noqa: B018


# -- routes and families --------------------------------------------------------------------------


def test_the_system_has_a_route_to_itself_and_none_to_where_nobody_is() -> None:
    assert _has_route(("127.0.0.1", 4))
    # A link-local address is nowhere without its zone.
    assert not _has_route(("fe80::1", 6))


@pytest.mark.parametrize(
    ("family", "hints", "configured", "wanted"),
    [
        (0, 0, {4}, [6, 4]),
        (4, gdns.V4MAPPED, {4}, [4]),
        (6, 0, {4}, [6]),
        (6, gdns.V4MAPPED, {4}, [6, 4]),
        (0, gdns.ADDRCONFIG, {4}, [4]),
        (0, gdns.ADDRCONFIG, {6}, [6]),
        (0, gdns.ADDRCONFIG, {4, 6}, [6, 4]),
        (0, gdns.ADDRCONFIG, set(), [6, 4]),
        (6, gdns.ADDRCONFIG, {4}, []),
        (4, gdns.ADDRCONFIG, set(), [4]),
    ],
)
def test_the_hints_choose_the_families(
    monkeypatch: pytest.MonkeyPatch, family: int, hints: int, configured: set[int], wanted: Any
) -> None:
    monkeypatch.setattr(destinations, "_configured", lambda family: family in configured)
    assert destinations.families(family, hints) == wanted


# -- the system's files ---------------------------------------------------------------------------


def test_a_hosts_file_is_read_as_the_system_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(
        b"127.0.0.1\tlocalhost\n"
        b"  ::1 localhost ip6-localhost # and so on\n"
        b"#10.0.0.1 commented\n"
        b"10.0.0.2\n"
        b"not-an-address name.test\n"
        b"010.0.0.3 octal.test\n"
        b"FE80:0::1%lo0 linked.test\n"
        b"2001:DB8:0::A upper.test\n"
        b"2001:db8::0:a upper.test\n"
        b"::ffff:c000:201 mapped.test\n"
        b"10.0.0.4 caf\xe9.test Name.Test.\r\n"
        b"10.0.0.5 name.test"
    )
    hosts = HostsFile(str(path))
    assert hosts.addresses("LocalHost") == [("127.0.0.1", 4), ("::1", 6)]
    assert hosts.addresses("linked.test") == [("fe80::1%lo0", 6)]
    assert hosts.addresses("name.test.") == [("10.0.0.4", 4), ("10.0.0.5", 4)]
    assert hosts.addresses("upper.test") == [("2001:db8::a", 6)]
    assert hosts.addresses("mapped.test") == [("::ffff:192.0.2.1", 6)]
    assert hosts.names("0:0::1") == ["localhost", "ip6-localhost"]
    assert hosts.names("10.0.0.4")[1:] == ["Name.Test"]
    for absent in ("commented", "and", "octal.test", "not-an-address", ""):
        assert hosts.addresses(absent) == []
    for absent in ("10.0.0.1", "10.0.0.2", "name.test"):
        assert hosts.names(absent) == []


@pytest.mark.parametrize("path", [None, "/nonexistent/hosts", "/"])
def test_a_hosts_file_that_is_not_there_is_empty(path: str | None) -> None:
    assert HostsFile(path).addresses("localhost") == []
