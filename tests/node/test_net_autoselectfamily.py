"""Family selection: who is tried, in which order, and what is said when nobody answers."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.blackhole import blackhole, refusing
from tests.helpers.calls import Call
from tests.helpers.lookups import answering
from tests.helpers.servers import echoing, has_ipv6, on_one_port, serving

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine's loopback")


@needs_ipv6
def test_ipv4_is_reached_where_ipv6_is_refused() -> None:
    with echoing() as server:
        port = server.address().port
        with gnet.connect(
            port, "example.org", lookup=answering("::1", "127.0.0.1"), auto_select_family=True
        ) as client:
            assert client.auto_select_family_attempted_addresses == [
                f"::1:{port}",
                f"127.0.0.1:{port}",
            ]
            client.sendall(b"request")
            assert client.recv() == b"request"


@needs_ipv6
def test_the_families_take_turns_in_the_order_of_the_lookup() -> None:
    with echoing() as server:
        port = server.address().port
        # On loopback each of these but the last is refused, or has no route, at once.
        lookup = answering("::1", "::ffff:127.0.0.9", "127.0.0.2", "127.0.0.3", "127.0.0.1")
        with gnet.connect(port, "example.org", lookup=lookup, auto_select_family=True) as client:
            assert client.auto_select_family_attempted_addresses == [
                f"::1:{port}",
                f"127.0.0.2:{port}",
                f"::ffff:127.0.0.9:{port}",
                f"127.0.0.3:{port}",
                f"127.0.0.1:{port}",
            ]


@needs_ipv6
def test_ipv6_is_used_where_it_answers(must_not_call: Call) -> None:
    with on_one_port(
        lambda port: echoing(at=(port, "::1")),
        lambda port: serving(must_not_call("an IPv4 connection"), at=(port, "127.0.0.1")),
    ) as (ipv6, _):
        port = ipv6.address().port
        with gnet.connect(
            port,
            "example.org",
            lookup=answering("::1", "127.0.0.1"),
            auto_select_family=True,
            auto_select_family_attempt_timeout=5,
        ) as client:
            assert client.auto_select_family_attempted_addresses == [f"::1:{port}"]


@needs_ipv6
def test_all_the_failures_are_told_in_one_error() -> None:
    with refusing() as (port, _):
        client = gnet.connect(
            port, "example.org", lookup=answering("::1", "127.0.0.1"), auto_select_family=True
        )
        with pytest.raises(gnet.AggregateError) as caught:
            client.wait("ready")
        client.wait("close")

    error = caught.value
    assert client.auto_select_family_attempted_addresses == [f"::1:{port}", f"127.0.0.1:{port}"]
    assert error.code == "ECONNREFUSED"
    assert [each.strerror for each in error.errors] == [
        f"connect ECONNREFUSED ::1:{port}",
        f"connect ECONNREFUSED 127.0.0.1:{port}",
    ]


@needs_ipv6
def test_without_selection_there_is_one_attempt_and_a_plain_error() -> None:
    with serving() as server:
        port = server.address().port
        client = gnet.connect(
            port, "example.org", lookup=answering("::1", "127.0.0.1"), auto_select_family=False
        )
        with pytest.raises(ConnectionRefusedError, match=f"connect ECONNREFUSED ::1:{port}"):
            client.wait("ready")
        client.wait("close")
        assert client.auto_select_family_attempted_addresses is None


def test_an_address_that_does_not_answer_does_not_hold_up_the_next() -> None:
    with (
        on_one_port(
            lambda port: echoing(at=(port, "127.0.0.2")),
            lambda port: blackhole("127.0.0.1", port),
        ) as (server, _),
        gnet.connect(
            server.address().port,
            "example.org",
            lookup=answering("127.0.0.1", "127.0.0.2"),
            auto_select_family=True,
            auto_select_family_attempt_timeout=0.01,
        ) as client,
    ):
        assert client.remote_address == "127.0.0.2"
