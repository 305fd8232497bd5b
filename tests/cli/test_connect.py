"""``gnet connect``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.helpers.commands import gnet_command, run_gnet, target_of
from tests.helpers.peers import Peer, run, running
from tests.helpers.servers import (
    echoing,
    place_at,
    place_of_raw,
    raw_listener,
    receive,
    receive_all,
    send_end,
    send_reset,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def connected() -> Iterator[tuple[Peer, Any]]:
    """The command, connected, and the plain socket at the other end."""
    with raw_listener() as listener:
        target = target_of(place_of_raw(listener))
        with running(*gnet_command("connect", target)) as process:
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
    with echoing() as server:
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
