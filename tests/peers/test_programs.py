"""Netcat, Node's net, and Python's socket and socketserver against gnet in both styles."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

# Netcat can copy, and nothing else.
without_netcat = pytest.mark.parametrize("program", ["node", "python"], indirect=True)
only_tcp = pytest.mark.parametrize("at", ["ipv4"], indirect=True)

LARGE = b"".join(hashlib.sha512(n.to_bytes(4, "big")).digest() for n in range(65536))


def test_what_a_program_sends_comes_back(meet: Any, ours: Any) -> None:
    with meet("copy", ours.echo) as (peer, result):
        assert peer.finish(b"one\ntwo\n").output == b"one\ntwo\n"
        assert result.get() == 8


def test_each_message_comes_back_before_the_next(meet: Any, ours: Any) -> None:
    with meet("copy", ours.echo) as (peer, _):
        for message in b"one", b"two", b"three":
            peer.send(message + b"\n")
            assert peer.line() == message
        peer.finish()


def test_a_large_transfer_comes_back_whole(meet: Any, ours: Any) -> None:
    with meet("copy", ours.echo) as (peer, result):
        assert peer.finish(LARGE).output == LARGE
        assert result.get() == len(LARGE)


@without_netcat
def test_a_large_transfer_of_ours_comes_back_whole(meet: Any, ours: Any) -> None:
    with meet("echo", ours.copy(LARGE)) as (peer, result):
        assert result.get() == LARGE
        assert peer.wait().status == 0


# Netcat would exit at our end, whatever it had still to send.
@without_netcat
def test_large_transfers_in_both_directions_do_not_hold_each_other_up(
    meet: Any, ours: Any
) -> None:
    with meet("copy", ours.copy(LARGE)) as (peer, result):
        assert peer.finish(LARGE[::-1]).output == LARGE
        assert result.get() == LARGE[::-1]


def test_a_program_that_has_ended_gets_its_answer(meet: Any, ours: Any) -> None:
    with meet("copy", ours.count) as (peer, result):
        assert peer.finish(b"x" * 100_000).output == b"100000"
        assert result.get() == 100_000


@without_netcat
def test_a_program_answers_after_our_end(meet: Any, ours: Any) -> None:
    with meet("count", ours.copy(b"x" * 100_000)) as (peer, result):
        assert result.get() == b"100000"
        assert peer.wait().status == 0


@without_netcat
@only_tcp
def test_the_reset_of_a_program_is_an_error_here(meet: Any, ours: Any) -> None:
    with meet("reset", ours.fail) as (_, result):
        error = result.get()
    assert isinstance(error, ConnectionResetError)
    assert error.code == "ECONNRESET"  # type: ignore[attr-defined]


@without_netcat
@only_tcp
def test_our_reset_is_an_error_of_the_program(meet: Any, ours: Any) -> None:
    with meet("copy", ours.reset) as (peer, result):
        peer.send(b"reset, please")
        outcome = peer.wait()
        assert outcome.complaints.split() == [b"ECONNRESET"]
        assert outcome.status == 1
        assert result.get() is False
