"""``gnet proxy``, between peers that are not gnet."""

from __future__ import annotations

import signal

import pytest

from tests.helpers.commands import gnet_server, run_gnet, target_of
from tests.helpers.servers import (
    echoing,
    place_at,
    place_of_raw,
    raw_client,
    raw_listener,
    receive,
    receive_all,
    send_end,
    send_reset,
)


def test_it_passes_everything_on_in_both_directions(large: bytes) -> None:
    with echoing() as server, gnet_server("proxy", "0", target_of(place_at(server))) as (_, place):
        for _ in range(2):
            assert run_gnet("connect", target_of(place), data=large) == (large, b"", 0)


def test_it_goes_from_a_path_to_a_port_and_back(path: str, large: bytes) -> None:
    with echoing(at=(path,)), gnet_server("proxy", "127.0.0.1:0", f"unix:{path}") as (_, place):
        assert run_gnet("connect", target_of(place), data=large) == (large, b"", 0)
    with echoing() as server:
        command = gnet_server("proxy", f"unix:{path}", target_of(place_at(server)), "-v")
        with command as (_, place):
            assert run_gnet("connect", target_of(place), data=large) == (large, b"", 0)


def test_it_passes_an_end_on_while_the_other_direction_goes_on() -> None:
    with raw_listener() as upstream:
        command = gnet_server("proxy", "0", target_of(place_of_raw(upstream)))
        with command as (_, place), raw_client(place) as client:
            served, _ = upstream.accept()
            with served:
                client.sendall(b"question")
                send_end(client)
                assert receive_all(served) == b"question"
                served.sendall(b"answer")
                send_end(served)
                assert receive_all(client) == b"answer"


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_it_passes_a_reset_on(side: str) -> None:
    with raw_listener() as upstream:
        command = gnet_server("proxy", "0", target_of(place_of_raw(upstream)))
        with command as (process, place), raw_client(place) as client:
            served, _ = upstream.accept()
            with served:
                client.sendall(b"hello")
                assert receive(served, 5) == b"hello"
                one, other = (client, served) if side == "client" else (served, client)
                send_reset(one)
                with pytest.raises(ConnectionResetError):
                    receive_all(other)
            process.signal(signal.SIGTERM)
            assert process.wait() == (b"", b"", 0)


def test_it_says_that_the_other_side_cannot_be_reached_and_goes_on(path: str) -> None:
    with gnet_server("proxy", "0", f"unix:{path}") as (process, place):
        # The reset may come before connect() has returned.
        with pytest.raises(ConnectionResetError), raw_client(place) as client:
            receive_all(client)
        assert process.complaint().decode() == f"gnet: connect ENOENT {path}"
        with echoing(at=(path,)), raw_client(place) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"


@pytest.mark.parametrize("block", ["127.0.0.0/8", "127.0.0.1", "::ffff:7f00:1/128"])
def test_it_drops_what_comes_from_a_blocked_network(block: str) -> None:
    with raw_listener() as upstream:
        target = target_of(place_of_raw(upstream))
        options = ("--block", "192.0.2.0/24", "--block", block, "--verbose")
        with gnet_server("proxy", "0", target, *options) as (process, place):
            with raw_client(place) as client:
                assert receive_all(client) == b""
            assert process.complaint().decode().endswith(": block_list")


def test_it_lets_others_through() -> None:
    with echoing() as server:
        target = target_of(place_at(server))
        command = gnet_server("proxy", "0", target, "--block", "192.0.2.0/24")
        with command as (_, place), raw_client(place) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"


def test_it_drops_more_than_max_connections() -> None:
    with echoing() as server:
        target = target_of(place_at(server))
        command = gnet_server("proxy", "0", target, "--max-connections", "1")
        with command as (_, place), raw_client(place) as first, raw_client(place) as second:
            first.sendall(b"hello")
            assert receive(first, 5) == b"hello"
            assert receive_all(second) == b""


def test_a_signal_ends_its_connections() -> None:
    with echoing() as server:
        command = gnet_server("proxy", "0", target_of(place_at(server)))
        with command as (process, place), raw_client(place) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"
            process.signal(signal.SIGINT)
            assert receive_all(client) == b""
            client.close()
            assert process.wait() == (b"", b"", 0)


@pytest.mark.parametrize("block", ["10.0.0.0/33", "localhost", "", "10.0.0.0/8/8"])
def test_what_is_no_network_is_an_error_of_one_line(block: str) -> None:
    outcome = run_gnet("proxy", "0", "80", "--block", block)
    assert outcome.complaints.startswith(b"gnet proxy: argument --block: ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)
