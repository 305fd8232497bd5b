"""``gnet scan``, and ``gnet connect -z``."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.helpers.blackhole import blackhole
from tests.helpers.commands import run_gnet
from tests.helpers.peers import netcat, run
from tests.helpers.proxies import socks_proxy
from tests.helpers.servers import place_of_raw, raw_bound, raw_listener


def port_of_raw(listener: object) -> int:
    return int(place_of_raw(listener)[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [("scan",), ("connect", "-z")])
def test_it_prints_the_ports_that_are_open(command: tuple[str, ...]) -> None:
    with raw_listener() as one, raw_listener() as other, raw_bound() as closed:
        ports = [port_of_raw(each) for each in (one, closed, other)]
        text = ",".join(map(str, ports))
        outcome = run_gnet(*command, "localhost", text)
    assert outcome.output.decode().splitlines() == [
        f"localhost:{ports[0]}",
        f"localhost:{ports[2]}",
    ]
    assert (outcome.complaints, outcome.status) == (b"", 0)


def test_it_takes_a_range_and_finds_what_netcat_finds() -> None:
    with raw_listener() as listener:
        port = port_of_raw(listener)
        low, high = max(1, port - 5), min(65535, port + 5)
        ours = run_gnet("scan", "127.0.0.1", f"{low}-{high}").output.decode().split()
        theirs = run(*netcat("-zv", "127.0.0.1", f"{low}-{high}")).complaints.decode()
    assert f"127.0.0.1:{port}" in ours
    assert all(f" {each.rpartition(':')[2]} port " in theirs for each in ours)


def test_many_ports_are_tried_side_by_side() -> None:
    with raw_listener() as listener:
        port = port_of_raw(listener)
        low, high = max(1, port - 1000), min(65535, port + 1000)
        # Options may stand anywhere.
        outcome = run_gnet("scan", "127.0.0.1", "-w", "5", f"{low}-{high}")
    assert f"127.0.0.1:{port}" in outcome.output.decode().split()


def test_the_name_is_looked_up_once() -> None:
    with raw_bound() as one, raw_bound() as other:
        ports = [port_of_raw(each) for each in (one, other)]
        outcome = run_gnet("scan", "localhost", *ports, "-v")
    assert outcome.complaints.count(b"connection failed: ") == 2
    assert outcome.complaints.endswith(
        b"gnet: each of the 2 ports of localhost refuses, or does not answer\n"
    )
    assert outcome.status == 1


def test_what_does_not_answer_is_closed() -> None:
    with blackhole() as hole:
        outcome = run_gnet("scan", f"127.0.0.1:{hole.port}", "-w", "0.3")
    complaint = b"gnet: the port of 127.0.0.1 refuses, or does not answer\n"
    assert outcome == (b"", complaint, 1)


def test_a_host_that_does_not_exist_is_an_error_of_one_line() -> None:
    outcome = run_gnet("scan", "nobody.invalid", "1-1000")
    assert outcome.complaints.startswith(b"gnet: getaddrinfo ")
    assert (outcome.output, outcome.complaints.count(b"\n"), outcome.status) == (b"", 1, 1)


def test_it_goes_through_a_proxy() -> None:
    with raw_listener() as listener, raw_bound() as closed, socks_proxy() as proxy:
        ports = [port_of_raw(each) for each in (listener, closed)]
        url = f"socks5://127.0.0.1:{proxy}"
        outcome = run_gnet("scan", "localhost", *ports, "--proxy", url)
    assert outcome == (f"localhost:{ports[0]}\n".encode(), b"", 0)


def test_a_lack_of_descriptors_is_no_closed_port() -> None:
    import tests.helpers.commands as commands

    with ExitStack() as opened:
        ports = [port_of_raw(opened.enter_context(raw_listener())) for _ in range(30)]
        command = commands.gnet_command("scan", "127.0.0.1", *ports)
        outcome = run("sh", "-c", 'ulimit -n 20; exec "$@"', "sh", *command)
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 1)
    assert b"refuses" not in outcome.complaints


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("localhost",), "PORT"),
        (("localhost", "0"), "PORT"),
        (("localhost", "80-70"), "PORT"),
        (("localhost", "80-"), "PORT"),
        (("localhost", "1-70000"), "PORT"),
        (("localhost", "http"), "PORT"),
        (("localhost", "80,,81"), "PORT"),
        (("unix:/run/x", "80"), "TARGET"),
        (("localhost", "80", "--proxy", "x"), "--proxy"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str, ...], option: str) -> None:
    outcome = run_gnet("scan", *arguments)
    assert outcome.complaints.decode().startswith(f"gnet scan: argument {option}: ")
    assert (outcome.complaints.count(b"\n"), outcome.status) == (1, 2)
