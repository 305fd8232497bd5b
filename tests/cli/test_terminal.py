"""The command on a terminal: what is typed, what is shown, and how it is stopped."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gevent import socket

from tests.helpers.commands import (
    Terminal,
    gnet_command,
    on_terminal,
    place_said,
    shell,
    target_of,
)
from tests.helpers.servers import (
    echoing,
    place_at,
    place_of_raw,
    raw_client,
    raw_listener,
    receive,
    receive_all,
    send_end,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")


def test_what_is_typed_is_sent_and_the_answer_shown() -> None:
    with echoing() as server, on_terminal("connect", target_of(place_at(server))) as terminal:
        terminal.type("hello\n")
        terminal.wait_for("hello\r\nhello\r\n")
        terminal.type("\x04")
        assert terminal.wait() == 0


def test_the_peers_end_is_the_end_although_the_user_could_go_on_typing() -> None:
    with raw_listener() as listener:
        with on_terminal("connect", target_of(place_of_raw(listener))) as terminal:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"bye")
                send_end(peer)
                assert terminal.wait() == 0
        assert b"bye\r\n3 B received, 0 B sent in " in terminal.shown


def test_ctrl_c_ends_the_connection_in_good_order() -> None:
    with raw_listener() as listener:
        command = on_terminal("connect", target_of(place_of_raw(listener)))
        with command as terminal:
            peer, _ = listener.accept()
            with peer:
                terminal.type("hello\n")
                assert receive(peer, 6) == b"hello\n"
                terminal.type("\x03")
                assert receive_all(peer) == b""
            assert terminal.wait() == 128 + signal.SIGINT
    assert b"Traceback" not in terminal.shown


def test_ctrl_c_stops_a_server_without_failure() -> None:
    with on_terminal("listen", "127.0.0.1:0", "--echo") as terminal:
        terminal.wait_for("\n")
        with raw_client(place_said(terminal.shown.decode().strip())) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"
            terminal.type("\x03")
            assert receive_all(client) == b""
        assert terminal.wait() == 0
    assert b"1 connection, 5 B received, 5 B sent in " in terminal.shown


def test_a_transfer_shows_its_progress_on_a_terminal(tmp_path: Path, large: bytes) -> None:
    with raw_listener() as listener, open(tmp_path / "sink", "wb") as sink:
        command = on_terminal("connect", target_of(place_of_raw(listener)), stdout=sink)
        with command as terminal:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(large)
                terminal.wait_for("\r\x1b[K4.2 MB received, 0 B sent, ")
                terminal.wait_for("B/s")
                send_end(peer)
                assert terminal.wait() == 0
    assert b"\r\x1b[K4.2 MB received, 0 B sent in " in terminal.shown
    assert (tmp_path / "sink").read_bytes() == large


def test_a_server_shows_the_traffic_of_all_its_connections() -> None:
    with on_terminal("listen", "127.0.0.1:0", "--echo") as terminal:
        terminal.wait_for("\n")
        place = place_said(terminal.shown.decode().strip())
        with raw_client(place) as first:
            first.sendall(b"hello")
            assert receive(first, 5) == b"hello"
            send_end(first)
            assert receive_all(first) == b""
        with raw_client(place) as second:
            second.sendall(b"hello")
            assert receive(second, 5) == b"hello"
            terminal.wait_for("1 open, 10 B received, 10 B sent, ")


def test_nothing_is_shown_where_standard_error_is_no_terminal(tmp_path: Path) -> None:
    with echoing() as server, open(tmp_path / "errors", "wb") as errors:
        command = on_terminal("connect", target_of(place_at(server)), stderr=errors)
        with command as terminal:
            terminal.type("hello\n\x04")
            assert terminal.wait() == 0
    assert terminal.shown == b"hello\r\nhello\r\n"
    assert (tmp_path / "errors").read_bytes() == b""


def test_the_terminal_is_left_as_it_was() -> None:
    with echoing() as server, on_terminal("connect", target_of(place_at(server))) as terminal:
        terminal.type("hello\n")
        terminal.wait_for("hello\r\nhello\r\n")
        # The flag is of what was opened, and this is what the shell has open as well.
        assert os.get_blocking(terminal.slave)
        terminal.type("\x04")
        assert terminal.wait() == 0


# -- what comes from the network ------------------------------------------------------------------


def shown(data: bytes, *options: str) -> bytes:
    """What is on the terminal when a peer sends this and ends."""
    with connected(*options) as (terminal, peer):
        # In pieces, as the network may cut it anywhere.
        for byte in data:
            peer.sendall(bytes((byte,)))
        send_end(peer)
        assert terminal.wait() == 0
    return terminal.shown


@contextmanager
def connected(*options: str) -> Iterator[tuple[Terminal, socket.socket]]:
    """The command on a terminal, connected, and the plain socket at the other end."""
    with raw_listener() as listener:
        target = target_of(place_of_raw(listener))
        with on_terminal("connect", target, *options) as terminal:
            peer, _ = listener.accept()
            with peer:
                yield terminal, peer


def test_control_characters_from_the_network_are_made_visible() -> None:
    text = "\x1b]0;title\x07 \x1b[2Jgrün\t€ \u202ek \x9b1m a\rb\r\nend\n".encode() + b"\xff\x80\n"
    # The line ends are the terminal's.
    lines = ["\\x1b]0;title\\x07 \\x1b[2Jgrün\t€ \\u202ek \\x9b1m a\\rb", "end", "\\xff\\x80", ""]
    assert "\r\n".join(lines) in shown(text).decode()


def test_raw_has_them_take_effect() -> None:
    assert b"\x1b[2J\x07\r\n" in shown(b"\x1b[2J\x07\n", "--raw")


def test_hex_is_lines_on_a_terminal() -> None:
    # It may arrive in parts, each a line of its own.
    output = shown(b"\x1b[2J", "--hex")
    assert b"< 00000000  1b" in output
    assert b"\x1b" not in output


def test_what_is_no_terminal_gets_the_bytes_as_they_are(tmp_path: Path) -> None:
    data = bytes(range(256))
    with raw_listener() as listener, open(tmp_path / "sink", "wb") as sink:
        target = target_of(place_of_raw(listener))
        with on_terminal("connect", target, stdout=sink) as terminal:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(data)
                send_end(peer)
                assert terminal.wait() == 0
    assert (tmp_path / "sink").read_bytes() == data


# -- in the background, and at the end ------------------------------------------------------------


def test_in_the_background_nothing_is_written_over_the_prompt(large: bytes) -> None:
    with raw_listener() as listener:
        command = shlex.join(gnet_command("connect", target_of(place_of_raw(listener))))
        with shell() as terminal:
            terminal.type(f"{command} < /dev/null > /dev/null &\n")
            peer, _ = listener.accept()
            with peer:
                peer.sendall(large)
                # It has got this, and had the time to show it.
                send_end(peer)
                assert receive_all(peer) == b""
            terminal.type("wait; echo status $?; exit\n")
            terminal.wait_for("status 0\r\n")
            terminal.wait()
    assert b"received" not in terminal.shown
    assert b"\x1b[K" not in terminal.shown


def test_in_the_foreground_of_a_shell_it_is_shown(large: bytes) -> None:
    with raw_listener() as listener:
        command = shlex.join(gnet_command("connect", target_of(place_of_raw(listener))))
        with shell() as terminal:
            terminal.type(f"{command} < /dev/null > /dev/null\n")
            peer, _ = listener.accept()
            with peer:
                peer.sendall(large)
                terminal.wait_for("\r\x1b[K4.2 MB received, ")


def test_a_server_in_the_background_says_where_it_listens_only_if_nobody_knows() -> None:
    with shell() as terminal:
        terminal.type(f"{shlex.join(gnet_command('listen', '0', '--echo'))} &\n")
        terminal.wait_for("listening on 127.0.0.1:")


def test_it_says_what_it_waits_for_when_it_is_stopped() -> None:
    with on_terminal("listen", "127.0.0.1:0", "--echo", "--grace", "30") as terminal:
        terminal.wait_for("\n")
        with raw_client(place_said(terminal.shown.decode().strip())) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"
            terminal.type("\x03")
            terminal.wait_for("waiting up to 30 s for 1 connection to end; Ctrl-C ends it now\r\n")
            assert receive_all(client) == b""
            terminal.type("\x03")
            assert terminal.wait() != 0


def test_a_transfer_says_what_it_waits_for_when_it_is_stopped() -> None:
    with connected() as (terminal, peer):
        peer.sendall(b"hello\n")
        terminal.wait_for("hello")
        terminal.type("\x03")
        terminal.wait_for("waiting up to 2 s for 1 connection to end; ")
        peer.close()
        assert terminal.wait() == 128 + signal.SIGINT


def test_a_server_without_connections_waits_for_nothing() -> None:
    with on_terminal("listen", "127.0.0.1:0", "--echo") as terminal:
        terminal.wait_for("\n")
        terminal.type("\x03")
        assert terminal.wait() == 0
    assert b"waiting" not in terminal.shown
