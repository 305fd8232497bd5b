"""``gnet listen``: one connection with standard input and output, an echo, a command for each."""

from __future__ import annotations

import os
import signal
import socket as std_socket
import stat
import sys
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import socket

from tests.helpers.commands import gnet_command, gnet_server, place_said, run_gnet, target_of
from tests.helpers.peers import netcat, run, running
from tests.helpers.servers import (
    has_ipv6,
    raw_client,
    raw_listener,
    receive,
    receive_all,
    send_end,
    send_reset,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def test_it_copies_one_connection_in_both_directions() -> None:
    with gnet_server("listen", "0") as (process, place), raw_client(place) as client:
        client.sendall(b"hello\n")
        assert process.line() == b"hello"
        process.send(b"and you\n")
        assert receive(client, 8) == b"and you\n"
        send_end(client)
        assert process.line() == b""
        assert process.finish(b"bye") == (b"", b"", 0)
        assert receive_all(client) == b"bye"


def test_it_stops_listening_when_somebody_has_come() -> None:
    with gnet_server("listen", "0") as (process, place), raw_client(place) as client:
        client.sendall(b"hello\n")
        assert process.line() == b"hello"
        with pytest.raises(ConnectionRefusedError), raw_client(place):
            pass


def test_it_gives_netcat_what_it_has(large: bytes) -> None:
    with gnet_server("listen", "127.0.0.1:0") as (process, place):
        client = gevent.spawn(run, *netcat("-d", place[1], str(place[0])))
        assert process.finish(large) == (b"", b"", 0)
        assert client.get().output == large


def test_it_receives_what_connect_sends(tmp_path: Path, large: bytes) -> None:
    received = tmp_path / "received"
    script = f'"$@" < /dev/null > {received}'
    with running("sh", "-c", script, "sh", *gnet_command("listen", "127.0.0.1:0")) as listener:
        target = listener.complaint().decode().removeprefix("listening on ")
        assert run_gnet("connect", target, data=large) == (b"", b"", 0)
        assert listener.wait() == (b"", b"", 0)
    assert received.read_bytes() == large


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_wait_for_a_connection(number: int, path: str) -> None:
    with running(*gnet_command("listen", f"unix:{path}", "--verbose")) as process:
        assert process.complaint().startswith(b"listening")
        process.signal(number)
        assert process.wait() == (b"", b"server closed\n", 128 + number)
    assert not os.path.exists(path)


def test_a_place_that_is_taken_is_an_error_of_one_line() -> None:
    with raw_listener() as listener:
        port = listener.getsockname()[1]
        message = f"gnet: listen EADDRINUSE: address already in use 127.0.0.1:{port}\n"
        assert run_gnet("listen", f"127.0.0.1:{port}") == (b"", message.encode(), 1)


def test_a_file_that_a_dead_process_has_left_is_replaced(path: str) -> None:
    with std_socket.socket(std_socket.AF_UNIX) as dead:
        dead.bind(path)
    with running(*gnet_command("listen", f"unix:{path}", "--echo", "-v")) as process:
        assert process.complaint().decode() == f"listening on unix:{path}"


# -- --echo ---------------------------------------------------------------------------------------


def test_echo_sends_back_what_it_gets(large: bytes) -> None:
    with gnet_server("listen", "0", "--echo") as (_, place):
        for _ in range(2):
            assert run_gnet("connect", target_of(place), data=large) == (large, b"", 0)


def test_echo_survives_a_client_that_resets() -> None:
    with gnet_server("listen", "0", "--echo") as (process, place):
        with raw_client(place) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"
            send_reset(client)
        with raw_client(place) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"
            send_end(client)
            assert receive_all(client) == b""
        process.signal(signal.SIGTERM)
        assert process.wait() == (b"", b"", 0)


@pytest.mark.parametrize("number", SIGNALS)
def test_echo_that_is_stopped_ends_its_connections(number: int) -> None:
    with gnet_server("listen", "0", "--echo") as (process, place), raw_client(place) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"
        process.signal(number)
        assert receive_all(client) == b""
        client.close()
        assert process.wait() == (b"", b"", 0)


def test_echo_that_is_stopped_gives_a_client_no_more_than_the_grace() -> None:
    server = gnet_server("listen", "0", "--echo", "--grace", "0")
    with server as (process, place), raw_client(place) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"
        process.signal(signal.SIGTERM)
        assert process.wait() == (b"", b"", 0)


def test_echo_drops_more_than_max_connections() -> None:
    server = gnet_server("listen", "0", "--echo", "--max-connections", "1", "-v")
    with server as (process, place), raw_client(place) as first, raw_client(place) as second:
        first.sendall(b"hello")
        assert receive(first, 5) == b"hello"
        assert receive_all(second) == b""
        assert process.complaint().startswith(b"accepted ")
        dropped = process.complaint().decode()
        assert dropped.startswith("dropped ")
        assert dropped.endswith(": max_connections")


# -- --exec ---------------------------------------------------------------------------------------


def test_exec_runs_a_command_for_every_connection(large: bytes) -> None:
    with gnet_server("listen", "0", "--exec", "cat; echo bye") as (_, place):
        for _ in range(2):
            expected = (large + b"bye\n", b"", 0)
            assert run_gnet("connect", target_of(place), data=large) == expected


def test_exec_serves_connections_side_by_side() -> None:
    server = gnet_server("listen", "0", "--exec", "cat")
    with server as (_, place), raw_client(place) as first, raw_client(place) as second:
        second.sendall(b"second")
        assert receive(second, 6) == b"second"
        first.sendall(b"first")
        assert receive(first, 5) == b"first"


def test_a_command_that_ends_ends_the_connection() -> None:
    server = gnet_server("listen", "0", "--exec", "echo bye")
    with server as (_, place), raw_client(place) as client:
        assert receive_all(client) == b"bye\n"


def test_a_command_that_reads_no_more_may_still_write(large: bytes) -> None:
    server = gnet_server("listen", "0", "--exec", "head -c 3; echo bye")
    with server as (_, place), raw_client(place) as client:
        client.sendall(large[:100_000])
        assert receive_all(client) == large[:3] + b"bye\n"


def test_a_command_whose_client_has_gone_reads_the_end(path: str) -> None:
    script = f"cat > /dev/null; echo ended > {path}"
    os.mkfifo(path)
    with gnet_server("listen", "0", "--exec", script) as (_, place):
        with raw_client(place) as client:
            client.sendall(b"hello")
            send_reset(client)
        assert run("cat", path).output == b"ended\n"


def test_exec_that_is_stopped_lets_its_commands_end() -> None:
    server = gnet_server("listen", "0", "--exec", "cat; echo bye")
    with server as (process, place), raw_client(place) as client:
        client.sendall(b"hello\n")
        assert receive(client, 6) == b"hello\n"
        process.signal(signal.SIGTERM)
        assert receive_all(client) == b"bye\n"
        client.close()
        assert process.wait() == (b"", b"", 0)


def test_exec_that_is_stopped_ends_commands_that_do_not(path: str) -> None:
    os.mkfifo(path)
    # What reads the FIFO gets its end when the last process of the command has gone.
    script = f"exec 3> {path}; echo started; sleep 1000; true"
    server = gnet_server("listen", "0", "--grace", "0", "--exec", script)
    with running("cat", path) as reader, server as (process, place), raw_client(place) as client:
        assert receive(client, 8) == b"started\n"
        process.signal(signal.SIGTERM)
        assert process.wait() == (b"", b"", 0)
        assert reader.wait() == (b"", b"", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="no ulimit there")
def test_exec_says_that_a_command_cannot_be_started_and_goes_on() -> None:
    command = ("sh", "-c", 'ulimit -n 24; exec "$@"', "sh", *gnet_command("listen", "0", "--exec"))
    with running(*command, "cat") as process, ExitStack() as clients:
        place = place_said(process.complaint().decode())
        served = []
        while (client := clients.enter_context(raw_client(place))) and echoes(client):
            served.append(client)
        # Whatever is missing when, nothing of it stays open.
        for _ in range(20):
            with raw_client(place) as another:
                assert not echoes(another)
        for client in served:
            send_end(client)
            assert receive_all(client) == b""
        with raw_client(place) as another:
            assert echoes(another)
        process.signal(signal.SIGTERM)
        complaints = process.wait().complaints
        assert complaints == b"gnet: Too many open files\n" * 21


def echoes(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
        return receive(client, 1) == b"x"
    except OSError:
        return False


def test_echo_and_exec_exclude_each_other() -> None:
    outcome = run_gnet("listen", "0", "--echo", "--exec", "cat")
    assert outcome.complaints.count(b"\n") == 1
    assert outcome.status == 2


# -- where it listens -----------------------------------------------------------------------------


def said(*arguments: object) -> str:
    """Where it says that it listens."""
    with running(*gnet_command("listen", *arguments)) as process:
        return process.complaint().decode().removeprefix("listening on ").rpartition(":")[0]


def test_a_port_alone_is_one_of_the_loopback() -> None:
    assert said("0") == "127.0.0.1"


@pytest.mark.parametrize(("option", "host"), [("-4", "0.0.0.0"), ("-6", "[::]")])
def test_every_address_has_to_be_asked_for(option: str, host: str) -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 on this machine's loopback")
    assert said("*:0") == "[::]"
    assert said("*:0", option) == host


def test_a_family_has_its_own_loopback() -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 on this machine's loopback")
    assert (said("0", "-4"), said("0", "-6")) == ("127.0.0.1", "[::1]")
    assert said("localhost:0", "-4") == "127.0.0.1"


def test_it_takes_a_host_and_a_port_as_nc_does(large: bytes) -> None:
    with gnet_server("listen", "127.0.0.1", "0", "--echo") as (_, place):
        assert run_gnet("connect", *reversed(place), data=large) == (large, b"", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX' permissions")
@pytest.mark.parametrize("mode", ["600", "660", "777", "0"])
def test_the_file_of_a_unix_socket_has_the_mode_that_is_asked_for(mode: str, path: str) -> None:
    with running(
        *gnet_command("listen", f"unix:{path}", "--echo", "-v", "--mode", mode)
    ) as server:
        assert server.complaint().startswith(b"listening")
        assert stat.S_IMODE(os.stat(path).st_mode) == int(mode, 8)
        server.signal(signal.SIGTERM)
        assert server.wait().status == 0
    assert not os.path.exists(path)


# -- one client after another ---------------------------------------------------------------------


def test_keep_listening_serves_one_after_the_other() -> None:
    command = gnet_server("listen", "0", "-k")
    with command as (process, place), raw_client(place) as first, raw_client(place) as second:
        second.sendall(b"second\n")
        first.sendall(b"first\n")
        assert process.line() == b"first"
        process.send(b"to the first\n")
        assert receive(first, 13) == b"to the first\n"
        send_end(first)
        assert process.line() == b"second"
        process.send(b"to the second\n")
        assert receive(second, 14) == b"to the second\n"


def test_keep_listening_that_is_stopped_between_two_clients_is_no_failure() -> None:
    with gnet_server("listen", "0", "-k") as (process, _):
        process.signal(signal.SIGTERM)
        assert process.wait() == (b"", b"", 0)


def test_keep_listening_goes_on_behind_a_client_that_resets() -> None:
    with gnet_server("listen", "0", "-k") as (process, place):
        with raw_client(place) as client:
            client.sendall(b"half\n")
            assert process.line() == b"half"
            send_reset(client)
        assert process.complaint() == b"gnet: read ECONNRESET"
        with raw_client(place) as client:
            client.sendall(b"whole\n")
            assert process.line() == b"whole"


def test_keep_listening_serves_netcat_twice(large: bytes) -> None:
    with gnet_server("listen", "127.0.0.1:0", "-k") as (process, place):
        for _ in range(2):
            client = gevent.spawn(run, *netcat("-N", place[1], str(place[0])), data=large)
            assert process.read(len(large)) == large
            assert client.get() == (b"", b"", 0)


def test_an_idle_client_is_ended_and_the_next_one_served() -> None:
    with gnet_server("listen", "0", "-k", "-w", "0.3") as (process, place):
        with raw_client(place) as idle:
            assert receive_all(idle) == b""
        assert process.complaint() == b"gnet: nothing has come or gone for 0.3 seconds"
        with raw_client(place) as client:
            client.sendall(b"hello\n")
            assert process.line() == b"hello"


def test_it_gives_up_when_nobody_connects() -> None:
    with running(*gnet_command("listen", "0", "-w", "0.3")) as process:
        assert process.complaint().startswith(b"listening")
        assert process.wait() == (b"", b"gnet: nobody has connected for 0.3 seconds\n", 1)


@pytest.mark.parametrize("way", [("--echo",), ("--exec", "cat")])
def test_an_idle_connection_of_a_server_is_ended(way: tuple[str, ...]) -> None:
    with gnet_server("listen", "0", *way, "-w", "0.3") as (_, place), raw_client(place) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"
        assert receive_all(client) == b""


def test_it_ends_at_once_when_nobody_reads_its_output() -> None:
    command = gnet_command("listen", "127.0.0.1:0")
    # "head" has gone before anybody connects; or while somebody is connected who sends nothing.
    script = '{ "$@"; echo "status $?" >&2; } | head -n '
    with running("sh", "-c", script + "0", "sh", *command) as process:
        assert process.complaint().startswith(b"listening")
        assert process.complaint() == b"status 0"
    with (
        running("sh", "-c", script + "1", "sh", *command) as process,
        raw_client(place_said(process.complaint().decode())) as client,
    ):
        client.sendall(b"hello\n")
        assert process.line() == b"hello"
        assert process.complaint() == b"status 0"


@pytest.mark.parametrize("way", [("--echo",), ("--exec", "cat")])
def test_rate_holds_a_server_back(way: tuple[str, ...]) -> None:
    with gnet_server("listen", "0", *way, "--rate", "100k") as (_, place):
        begun = monotonic()
        outcome = run_gnet("connect", target_of(place), data=bytes(60_000))
        assert outcome == (bytes(60_000), b"", 0)
        assert monotonic() - begun > 0.5


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("0", "--mode", "660"), "--mode"),
        (("unix:@abstract", "--mode", "660"), "--mode"),
        (("unix:/run/x", "--mode", "rw"), "--mode"),
        (("unix:/run/x", "--mode", "888"), "--mode"),
        (("unix:/run/x", "--mode", "1777"), "--mode"),
        (("unix:/run/x", "-6"), "-6/--ipv6"),
        (("[::1]:0", "-4"), "-4/--ipv4"),
        (("0", "--echo", "--hex"), "--hex"),
        (("0", "--exec", "cat", "--crlf"), "-C/--crlf"),
        (("0", "--echo", "--raw"), "--raw"),
        (("0", "--max-connections", "3"), "--max-connections"),
        (("localhost", "1-3"), "TARGET"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str, ...], option: str) -> None:
    outcome = run_gnet("listen", *arguments)
    assert outcome.complaints.decode().startswith(f"gnet listen: argument {option}: ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)
