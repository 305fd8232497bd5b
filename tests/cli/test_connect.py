"""``gnet connect``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

import gnet
from tests.helpers.blackhole import blackhole
from tests.helpers.commands import gnet_command, run_gnet, target_of
from tests.helpers.peers import Peer, run, running
from tests.helpers.servers import (
    echoing,
    has_ipv6,
    place_at,
    place_of_raw,
    raw_bound,
    raw_listener,
    receive,
    receive_all,
    send_end,
    send_reset,
    serving,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def connected(*options: str) -> Iterator[tuple[Peer, Any]]:
    """The command, connected, and the plain socket at the other end."""
    with raw_listener() as listener:
        target = target_of(place_of_raw(listener))
        with running(*gnet_command("connect", target, *options)) as process:
            peer, _ = listener.accept()
            with peer:
                yield process, peer


def test_it_sends_its_input_and_prints_what_comes_back(large: bytes) -> None:
    with echoing() as server:
        outcome = run_gnet("connect", target_of(place_at(server)), data=large)
    assert outcome == (large, b"", 0)


def test_it_takes_a_path(path: str) -> None:
    with echoing(at=(path,)):
        assert run_gnet("connect", f"unix:{path}", data=b"hello") == (b"hello", b"", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_it_takes_an_abstract_name() -> None:
    name = f"gnet-{uuid4()}"
    with echoing(at=(f"\0{name}",)):
        assert run_gnet("connect", f"unix:@{name}", data=b"hello") == (b"hello", b"", 0)


def test_it_copies_from_and_to_regular_files(tmp_path: Path, large: bytes) -> None:
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(large)
    with echoing() as server:
        command = gnet_command("connect", target_of(place_at(server)))
        outcome = run("sh", "-c", f'"$@" < {source} > {sink}', "sh", *command)
    assert outcome == (b"", b"", 0)
    assert sink.read_bytes() == large


def test_it_works_with_standard_streams_that_are_closed() -> None:
    with echoing() as server:
        command = gnet_command("connect", target_of(place_at(server)))
        outcome = run("sh", "-c", '"$@" <&- >&-', "sh", *command)
    assert outcome == (b"", b"", 0)


def test_it_leaves_its_pipes_blocking_for_whoever_has_them_next() -> None:
    with echoing() as server:
        command = gnet_command("connect", target_of(place_at(server)))
        look = f"{sys.executable} -c 'import os; print(os.get_blocking(0), os.get_blocking(1))'"
        outcome = run("sh", "-c", f'"$@"; {look}', "sh", *command, data=b"hello\n")
    assert outcome == (b"hello\nTrue True\n", b"", 0)


def test_it_passes_the_end_of_its_input_on_and_still_receives() -> None:
    with connected() as (process, peer):
        process.send(b"question")
        process.end()
        assert receive_all(peer) == b"question"
        peer.sendall(b"answer\n")
        assert process.line() == b"answer"
        send_end(peer)
        assert process.wait() == (b"", b"", 0)


def test_it_passes_the_end_of_the_peer_on_and_still_sends() -> None:
    with connected() as (process, peer):
        send_end(peer)
        assert process.line() == b""
        process.send(b"more")
        assert receive(peer, 4) == b"more"
        process.end()
        assert process.wait() == (b"", b"", 0)


def test_it_is_quiet_when_nobody_reads_its_output(large: bytes) -> None:
    def echo(sock: gnet.Socket) -> None:
        # It is reset with what it still wants to send.
        sock.on("error", lambda error: None)
        sock.pipe(sock)

    with serving(echo) as server:
        command = gnet_command("connect", target_of(place_at(server)))
        script = '{ "$@"; echo "status $?" >&2; } | head -c 3'
        outcome = run("sh", "-c", script, "sh", *command, data=large)
    assert outcome == (large[:3], b"status 0\n", 0)


def test_a_failed_connection_is_an_error_of_one_line() -> None:
    with raw_listener() as listener:
        target = target_of(place_of_raw(listener))
    message = f"gnet: connect ECONNREFUSED {target}\n"
    assert run_gnet("connect", target) == (b"", message.encode(), 1)


def test_an_unknown_host_is_an_error_of_one_line() -> None:
    outcome = run_gnet("connect", "nobody.invalid:80")
    assert outcome.complaints.startswith(b"gnet: getaddrinfo ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 1)


def test_a_reset_is_an_error_of_one_line() -> None:
    with connected() as (process, peer):
        peer.sendall(b"half\n")
        assert process.line() == b"half"
        send_reset(peer)
        assert process.wait() == (b"", b"gnet: read ECONNRESET\n", 1)


def test_input_that_cannot_be_read_is_an_error_of_one_line(tmp_path: Path) -> None:
    with echoing() as server:
        command = gnet_command("connect", target_of(place_at(server)))
        outcome = run("sh", "-c", f'"$@" 0> {tmp_path}/file', "sh", *command)
    assert outcome == (b"", b"gnet: Bad file descriptor\n", 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_an_error_of_one_line() -> None:
    with echoing() as server:
        command = gnet_command("connect", target_of(place_at(server)))
        outcome = run("sh", "-c", '"$@" > /dev/full', "sh", *command, data=b"hello")
    assert outcome == (b"", b"gnet: No space left on device\n", 1)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_connection(number: int) -> None:
    with connected() as (process, peer):
        process.send(b"hello")
        assert receive(peer, 5) == b"hello"
        process.signal(number)
        assert receive_all(peer) == b""
        send_end(peer)
        assert process.wait() == (b"", b"", 128 + number)


def test_what_is_on_its_way_when_the_signal_comes_is_sent(large: bytes) -> None:
    with connected() as (process, peer):
        process.send(large[:65536])
        start = receive(peer, 1)
        process.signal(signal.SIGTERM)
        rest = receive_all(peer)
        send_end(peer)
        assert (start + rest, process.wait().status) == (
            large[: 1 + len(rest)],
            128 + signal.SIGTERM,
        )


def test_the_second_signal_ends_the_process() -> None:
    with connected() as (process, peer):
        process.send(b"hello")
        assert receive(peer, 5) == b"hello"
        process.signal(signal.SIGTERM)
        # The peer does not end its side, and so has two seconds.
        assert receive_all(peer) == b""
        process.signal(signal.SIGINT)
        assert process.wait().status == -signal.SIGINT


def test_verbose_prints_the_events_as_they_happen() -> None:
    with echoing() as server:
        target = target_of(place_at(server))
        outcome = run_gnet("connect", target, "--verbose", data=b"hello")
    assert outcome.output == b"hello"
    assert outcome.complaints.decode().splitlines() == [
        f"connected to {target}",
        f"closed {target}, 5 B received, 5 B sent",
    ]


def test_verbose_tells_of_lookups_and_failures() -> None:
    with raw_listener() as listener:
        port = place_of_raw(listener)[0]
    outcome = run_gnet("-v", "connect", f"localhost:{port}")
    lines = outcome.complaints.decode().splitlines()
    assert lines[0].startswith("looked up localhost in ")
    assert lines[1].startswith("connection failed: connect ECONNREFUSED ")
    assert (len(lines), outcome.status) == (3, 1)


# -- as nc has it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["{0} {1}", "-w 9 {0} {1}", "{0} -w 9 {1}", "{0} {1} -w 9"])
def test_it_takes_a_host_and_a_port_as_nc_does(order: str) -> None:
    with echoing() as server:
        port, host = place_at(server)
        arguments = order.format(host, port).split()
        assert run_gnet("connect", *arguments, data=b"hello") == (b"hello", b"", 0)


def test_an_ipv6_address_needs_no_brackets_before_a_port() -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 on this machine's loopback")
    with echoing(at=(0, "::1")) as server:
        port = place_at(server)[0]
        assert run_gnet("connect", "::1", port, data=b"hello") == (b"hello", b"", 0)


def test_it_connects_from_an_address_and_a_port() -> None:
    with raw_bound((0, "127.0.0.2")) as bound:
        port = bound.getsockname()[1]
    with raw_listener() as listener:
        target = target_of(place_of_raw(listener))
        with running(*gnet_command("connect", target, "-s", "127.0.0.2", "-p", port)):
            peer, address = listener.accept()
            with peer:
                assert address == ("127.0.0.2", port)


def test_a_family_alone_is_connected_to() -> None:
    with echoing() as server:
        target = f"localhost:{place_at(server)[0]}"
        assert run_gnet("connect", "-4", target, data=b"x") == (b"x", b"", 0)
        other = run_gnet("connect", "-6", target, data=b"x")
    # There may be no such address of the name, or nobody at it.
    assert (other.output, other.complaints.count(b"\n"), other.status) == (b"", 1, 1)


def test_a_connection_that_takes_too_long_is_given_up() -> None:
    with blackhole() as hole:
        outcome = run_gnet("connect", "127.0.0.1", hole.port, "-w", "0.3")
    assert outcome == (b"", b"gnet: connect_timeout of 0.3 seconds is over\n", 1)


def test_a_connection_on_which_nothing_comes_or_goes_is_given_up() -> None:
    with raw_listener() as listener:
        target = target_of(place_of_raw(listener))
        with running(*gnet_command("connect", target, "-w", "0.3")) as process:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"hello")
                assert receive_all(peer) == b""
            complaint = b"gnet: nothing has come or gone for 0.3 seconds\n"
            assert process.wait() == (b"hello", complaint, 1)


def test_crlf_sends_the_line_ends_of_the_network() -> None:
    text = b"one\ntwo\r\nthree\n\n" + b"x\n" * 200_000
    with echoing() as server:
        outcome = run_gnet("connect", target_of(place_at(server)), "--crlf", data=text)
    assert outcome.output == text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def test_crlf_knows_a_line_end_that_comes_in_two_parts() -> None:
    with connected("--crlf") as (process, peer):
        process.send(b"one\r")
        assert receive(peer, 4) == b"one\r"
        process.send(b"\ntwo\n")
        assert receive(peer, 6) == b"\ntwo\r\n"


def test_hex_shows_what_comes_and_what_goes() -> None:
    with connected("--hex") as (process, peer):
        process.send(b"GET /\r\n")
        line = f"> 00000000  {'47 45 54 20 2f 0d 0a':48}  |GET /..|"
        assert process.line().decode() == line
        assert receive(peer, 7) == b"GET /\r\n"
        peer.sendall(bytes(range(20)))
        first = "00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f"
        assert process.line().decode() == f"< 00000000  {first}  |{'.' * 16}|"
        assert process.line().decode() == f"< 00000010  {'10 11 12 13':48}  |....|"
        send_end(peer)
        # The peer may end first, and is still sent something.
        assert process.finish(b"x").output.decode() == f"> 00000007  {'78':48}  |x|\n"


def test_rate_is_how_many_bytes_a_second_go_and_come() -> None:
    with echoing() as server:
        begun = monotonic()
        target = target_of(place_at(server))
        outcome = run_gnet("connect", target, "--rate", "100k", data=bytes(60_000))
    assert outcome == (bytes(60_000), b"", 0)
    assert monotonic() - begun > 0.5


def test_it_ends_at_once_when_nobody_reads_its_output() -> None:
    # The peer neither sends anything nor ends.
    with raw_listener() as listener:
        command = gnet_command("connect", target_of(place_of_raw(listener)))
        script = '{ "$@"; echo "status $?" >&2; } | head -n 1'
        with running("sh", "-c", script, "sh", *command) as process:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"hello\n")
                assert process.line() == b"hello"
                assert process.complaint() == b"status 0"


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("localhost", "http"), "TARGET"),
        (("localhost", "70000"), "TARGET"),
        (("a b", "80"), "TARGET"),
        (("*:80",), "TARGET"),
        (("unix:/run/x", "-4"), "-4/--ipv4"),
        (("127.0.0.1:80", "-6"), "-6/--ipv6"),
        (("127.0.0.1:80", "-s", "localhost"), "-s/--source"),
        (("127.0.0.1:80", "-s", "::1"), "-s/--source"),
        (("localhost:80", "-4", "-s", "::1"), "-s/--source"),
        (("unix:/run/x", "-s", "127.0.0.1"), "-s/--source"),
        (("unix:/run/x", "-p", "80"), "-p/--source-port"),
        (("80", "-p", "http"), "-p/--source-port"),
        (("80", "-w", "0"), "-w/--timeout"),
        (("80", "-w", "soon"), "-w/--timeout"),
        (("80", "--rate", "0"), "--rate"),
        (("80", "--rate", "1T"), "--rate"),
        (("80", "--rate", "nan"), "--rate"),
        (("80", "--hex", "--raw"), "--raw"),
        (("unix:/run/x", "--proxy", "socks5://localhost"), "--proxy"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str, ...], option: str) -> None:
    outcome = run_gnet("connect", *arguments)
    assert outcome.complaints.decode().startswith(f"gnet connect: argument {option}: ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)
