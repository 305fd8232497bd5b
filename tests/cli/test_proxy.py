"""``gnet proxy``, between peers that are not gnet."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import socket, subprocess

from gnet._values.proxy_header import read_header
from tests.helpers.commands import gnet_command, gnet_server, run_gnet, target_of
from tests.helpers.peers import program, running
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


# -- who the client is ----------------------------------------------------------------------------

CONFIGURATION = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend front
    bind fd@{fd} accept-proxy
    default_backend back
backend back
    server back 127.0.0.1:{port} send-proxy-v2
"""


@contextmanager
def haproxy(directory: Path, port: int) -> Iterator[str]:
    """HAProxy, which believes headers and sends them on to a port; gives where it listens."""
    # It inherits the listening socket: no port is reserved, released and hoped for.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        file = directory / "haproxy.cfg"
        file.write_text(CONFIGURATION.format(fd=listener.fileno(), port=port), encoding="utf-8")
        process = subprocess.Popen(
            [program("haproxy"), "-db", "-q", "-f", str(file)],
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            yield target_of(place_of_raw(listener))
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("option", "kind"),
    [("--send-proxy", b"PROXY TCP4 "), ("--send-proxy-v2", b"\r\n\r\n\0\r\n")],
)
def test_it_tells_who_the_client_is(option: str, kind: bytes) -> None:
    with raw_listener() as upstream:
        target = target_of(place_of_raw(upstream))
        command = gnet_server("proxy", "127.0.0.1:0", target, option)
        with command as (_, place), raw_client(place) as client:
            # Now: a connection that the proxy has closed has no peer any more.
            ends = client.getsockname(), client.getpeername()
            client.sendall(b"hello")
            send_end(client)
            served, _ = upstream.accept()
            with served:
                data = receive_all(served)
            assert data.startswith(kind)
            header = read_header(data)
            assert header is not None
            assert (header.source, header.destination) == ends
            assert data[header.size :] == b"hello"


def test_of_a_client_of_a_unix_socket_there_is_nothing_to_tell(path: str) -> None:
    with raw_listener() as upstream:
        target = target_of(place_of_raw(upstream))
        command = gnet_command("proxy", f"unix:{path}", target, "--send-proxy", "-v")
        with running(*command) as process:
            assert process.complaint().startswith(b"listening")
            with raw_client((path,)) as client:
                client.sendall(b"hello")
                send_end(client)
                served, _ = upstream.accept()
                with served:
                    assert receive_all(served) == b"PROXY UNKNOWN\r\nhello"


@pytest.mark.parametrize("option", ["--send-proxy", "--send-proxy-v2"])
def test_the_client_is_known_behind_haproxy_and_another_gnet_proxy(
    option: str, tmp_path: Path, large: bytes
) -> None:
    with raw_listener() as upstream, ExitStack() as chain:
        last = gnet_server(
            "proxy", "0", target_of(place_of_raw(upstream)), "--accept-proxy", "--send-proxy"
        )
        _, behind = chain.enter_context(last)
        middle = chain.enter_context(haproxy(tmp_path, behind[0]))
        _, place = chain.enter_context(gnet_server("proxy", "0", middle, option))
        client = chain.enter_context(raw_client(place))
        sender = gevent.spawn(client.sendall, large)
        served = chain.enter_context(upstream.accept()[0])
        header = b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (client.getsockname()[1], place[0])
        assert receive(served, len(header) + len(large)) == header + large
        sender.get()


@pytest.mark.parametrize("trust", [(), ("--trust", "192.0.2.0/24", "--trust", "127.0.0.1")])
def test_headers_are_believed_that_come_from_the_loopback_or_as_told(trust: tuple[str]) -> None:
    with raw_listener() as upstream:
        target = target_of(place_of_raw(upstream))
        options = ("--accept-proxy", "--send-proxy", *trust)
        with (
            gnet_server("proxy", "0", target, *options) as (_, place),
            raw_client(place) as client,
        ):
            client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\nhello")
            send_end(client)
            served, _ = upstream.accept()
            with served:
                sent_on = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\nhello"
                assert receive_all(served) == sent_on


@pytest.mark.parametrize(
    ("trust", "data"),
    [((), b"no header at all\r\n"), (("--trust", "192.0.2.0/24"), b"PROXY UNKNOWN\r\n")],
)
def test_without_a_header_of_somebody_who_is_trusted_nobody_gets_in(
    trust: tuple[str, ...], data: bytes
) -> None:
    options = ("--accept-proxy", "-v", *trust)
    with (
        raw_listener() as upstream,
        gnet_server("proxy", "0", target_of(place_of_raw(upstream)), *options) as (process, place),
        raw_client(place) as client,
    ):
        with suppress(ConnectionError):
            client.sendall(data)
            assert receive_all(client) == b""
        assert process.complaint().endswith(b": proxy_protocol")


# -- how much, how fast, how long -----------------------------------------------------------------


def test_rate_holds_both_ways_back(large: bytes) -> None:
    with echoing() as server:
        command = gnet_server("proxy", "0", target_of(place_at(server)), "--rate", "100k")
        with command as (_, place):
            begun = monotonic()
            outcome = run_gnet("connect", target_of(place), data=large[:60_000])
            assert outcome == (large[:60_000], b"", 0)
            assert monotonic() - begun > 0.5


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_a_reset_is_passed_on_at_a_rate_as_well(side: str) -> None:
    with raw_listener() as upstream:
        command = gnet_server("proxy", "0", target_of(place_of_raw(upstream)), "--rate", "1M")
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


def test_an_idle_connection_is_ended() -> None:
    with raw_listener() as upstream:
        command = gnet_server("proxy", "0", target_of(place_of_raw(upstream)), "-w", "0.3")
        with command as (_, place), raw_client(place) as client:
            served, _ = upstream.accept()
            with served:
                assert receive_all(client) == b""
                assert receive_all(served) == b""


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("0", "*:80"), "TO"),
        (("0", "80", "--trust", "10.0.0.0/8"), "--trust"),
        (("0", "80", "--accept-proxy", "--trust", "x"), "--trust"),
        (("0", "80", "--send-proxy", "--send-proxy-v2"), "--send-proxy-v2"),
        (("0", "80", "--mode", "660"), "--mode"),
        (("0", "80", "--rate", "-1"), "--rate"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str, ...], option: str) -> None:
    outcome = run_gnet("proxy", *arguments)
    assert outcome.complaints.decode().startswith(f"gnet proxy: argument {option}: ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)
