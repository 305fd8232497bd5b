"""The benchmarks measure what they say, and say what they measure."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gevent import socket, ssl, subprocess
from gevent.server import StreamServer

if sys.platform != "linux":
    pytest.skip("the load generator is built on epoll", allow_module_level=True)

from benchmarks import history, machine, native, node, report, targets
from benchmarks.peers import PROBES, SERVERS, Peer
from benchmarks.scenarios import SCENARIOS

ROOT = Path(__file__).parents[1]
LOAD = ROOT / "benchmarks" / "load.c"

needs_compiler = pytest.mark.skipif(
    native.compiler() is None, reason="the load generator is C, and there is no compiler"
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The one command, for a moment only."""
    short = ("--rounds", "2", "--seconds", "0.1", "--warmup", "0.05")
    return run(sys.executable, "-m", "benchmarks", *short, *arguments)


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """The port, as text, of a server in this process."""
    server = StreamServer(("127.0.0.1", 0), lambda sock, address: handle(sock))
    server.start()
    try:
        yield str(server.server_port)
    finally:
        server.stop()


def peer_results(*values: float, **more: Any) -> dict[str, Any]:
    return {"runs": [{"per_second": value, **more} for value in values]}


@needs_compiler
@pytest.mark.limit(120)
def test_one_command_compares_servers_and_writes_what_it_measured(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    chosen = ("--scenario", "echo-1k-10", "--servers", "gevent,c-epoll", "--base", "gevent")
    done = benchmarks(*chosen, "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert "echo-1k-10" in done.stdout
    document = json.loads(path.read_text())
    result = document["scenarios"]["echo-1k-10"]
    assert document["rounds"] == 2
    assert result["base"] == "gevent"
    assert set(result["peers"]) == {"gevent", "c-epoll"}
    for peer in result["peers"].values():
        assert len(peer["runs"]) == 2
        assert peer["ratio"]["min"] <= peer["ratio"]["median"] <= peer["ratio"]["max"]
        for each in peer["runs"]:
            latency = each["latency_us"]
            assert each["bytes"] >= 1000 * latency["count"] > 0
            assert latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"]
            assert each["server_cpu_seconds"] > 0


@needs_compiler
@pytest.mark.limit(120)
def test_every_style_of_gnet_takes_part() -> None:
    scenarios = "echo-1k-10,timeout-1000,churn,line,relay,sink-100k"
    chosen = ("--scenario", scenarios, "--servers", "gnet-*", "--rounds", "1", "--by", "cpu")
    done = benchmarks(*chosen)
    assert done.returncode == 0, done.stderr
    assert "per CPU second" in done.stdout
    assert "is skipped" not in done.stdout


@needs_compiler
@pytest.mark.limit(120)
def test_tls_and_clients_are_measured_by_the_time_of_the_processor(tmp_path: Path) -> None:
    try:
        native.build(LOAD, *native.TLS)
        native.certificate()
    except RuntimeError:
        pytest.skip("OpenSSL's headers or its command are not there")
    path, kept = tmp_path / "run.json", tmp_path / "history.jsonl"
    scenarios = "tls-echo-1k,tls-handshake,tls-resumed,client"
    chosen = ("--scenario", scenarios, "--servers", "gnet,gnet-event,gevent", "--base", "gevent")
    done = benchmarks(*chosen, "--rounds", "1", "--json", str(path), "--history", str(kept))
    assert done.returncode == 0, done.stderr
    assert "is skipped" not in done.stdout
    results = json.loads(path.read_text())["scenarios"]
    assert list(results) == scenarios.split(",")
    [line] = history.read(kept)
    assert line["machine"]["processors"]
    for name, result in results.items():
        for peer, measured in result["peers"].items():
            assert measured["cpu_us"]["median"] > 0
            assert line["scenarios"][name][peer]["cpu_us"] > 0
        assert result["peers"]["gevent"]["cpu_ratio"]["median"] == 1


@needs_compiler
def test_a_server_that_does_not_resume_a_session_is_no_peer_of_those_that_do() -> None:
    try:
        load = native.build(LOAD, *native.TLS)
        cert, key = native.certificate()
    except RuntimeError:
        pytest.skip("OpenSSL's headers or its command are not there")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.num_tickets = 0

    def echo(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            secure = context.wrap_socket(sock, server_side=True)
            secure.sendall(secure.recv(100))
            secure.recv(1)
            secure.close()

    with serving(echo) as port:
        done = run(str(load), "-m", "churn", "-p", port, "-s", "1", "-t", "2", "-r")
    assert done.returncode == 1
    assert "did not resume" in done.stderr


@needs_compiler
def test_the_load_generator_refuses_an_echo_that_is_wrong_in_one_byte() -> None:
    def garble(sock: socket.socket) -> None:
        sock.sendall(sock.recv(2000))
        data = bytearray(sock.recv(2000))
        data[500] ^= 1
        sock.sendall(data)
        sock.recv(1)

    with serving(garble) as port:
        done = run(str(native.build(LOAD)), "-m", "echo", "-p", port, "-t", "5")
    assert done.returncode == 1
    assert "not what was sent" in done.stderr


@needs_compiler
def test_the_load_generator_refuses_an_echo_that_stops() -> None:
    def leave(sock: socket.socket) -> None:
        sock.sendall(sock.recv(2000))
        sock.recv(2000)

    with serving(leave) as port:
        done = run(str(native.build(LOAD)), "-m", "echo", "-p", port, "-t", "5")
    assert done.returncode == 1
    assert "closed a connection after 0 bytes" in done.stderr


def test_a_peer_that_is_not_installed_is_skipped_with_a_line() -> None:
    absent = Peer("absent", "servers/absent.py", frozenset({"echo"}), modules=("no_such_module",))
    assert absent.missing() == "no_such_module is not installed"


def test_where_nothing_was_measured_the_command_fails() -> None:
    done = benchmarks("--scenario", "no-such-scenario")
    assert done.returncode == 1
    assert "nothing was measured" in done.stderr


@pytest.mark.parametrize("option", ["--rounds", "--seconds"])
def test_a_number_that_is_not_above_zero_is_refused(option: str) -> None:
    done = run(sys.executable, "-m", "benchmarks", option, "0")
    assert done.returncode == 2
    assert "0 is not above zero" in done.stderr


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_results_are_drawn_without_being_measured_again(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib", reason="charts need matplotlib")
    scenario = next(each for each in SCENARIOS if each.name == "echo-1k-10")
    runs = {"gnet-event": [{"per_second": 3.0}], "gevent": [{"per_second": 2.0}]}
    document = {"scenarios": {scenario.name: report.results(scenario, runs, "gevent")}}
    stored, chart = tmp_path / "run.json", tmp_path / f"run.{suffix}"
    stored.write_text(json.dumps(document))
    done = benchmarks("--replay", str(stored), "--chart", str(chart))
    assert done.returncode == 0, done.stderr
    assert "1.50 (1.50..1.50)" in done.stdout
    assert chart.stat().st_size > 0


def test_a_history_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="charts need matplotlib")
    scenario = next(each for each in SCENARIOS if each.name == "churn")
    runs = {
        "gnet-event": [{"per_second": 3.0, "cpu_us_per_message": 6.0}],
        "gevent": [{"per_second": 2.0, "cpu_us_per_message": 8.0}],
    }
    document = {
        "machine": {}, "commit": "abc", "rounds": 1, "seconds": 1,
        "scenarios": {scenario.name: report.results(scenario, runs, "gevent")},
    }  # fmt: skip
    kept, chart = tmp_path / "history.jsonl", tmp_path / "history.svg"
    history.append(document, kept)
    history.append(document, kept)
    first, second = history.read(kept)
    assert first["scenarios"] == second["scenarios"]
    assert first["scenarios"]["churn"]["gnet-event"]["cpu_ratio"] == 0.75
    stored = tmp_path / "run.json"
    stored.write_text(json.dumps(document))
    done = benchmarks(
        "--replay", str(stored), "--history", str(kept), "--history-chart", str(chart)
    )
    assert done.returncode == 0, done.stderr
    assert "gnet-event" in chart.read_text()


def test_the_processes_of_a_server_are_all_counted() -> None:
    script = "import os, time; os.fork(); print('there', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        found = machine.family(process.pid)
        for pid in found:
            os.kill(pid, signal.SIGKILL)
    assert found[0] == process.pid
    assert len(found) == 2


def test_another_node_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNET_NODE", "/opt/node")
    node.program.cache_clear()
    try:
        assert node.missing() is None
        assert node.program() == "/opt/node"
    finally:
        node.program.cache_clear()


def test_ratios_are_taken_within_each_round() -> None:
    assert report.ratios([10, 200, 30], [10, 100, 10]) == report.Spread(2, 1, 3)


def test_every_program_of_a_peer_exists() -> None:
    programs = {peer.program for peer in (*SERVERS, *PROBES)}
    assert [each for each in programs if not (ROOT / "benchmarks" / each).is_file()] == []


def test_every_scenario_compares_gnet_with_others() -> None:
    for scenario in SCENARIOS:
        ours = [peer.name.startswith("gnet") for peer in scenario.peers()]
        assert set(ours) == {True, False}, scenario.name


def test_every_target_names_what_is_measured() -> None:
    measured = {(each.name, peer.name) for each in SCENARIOS for peer in each.peers()}
    for target in targets.TARGETS:
        for reading in (target.ours, target.theirs):
            assert (reading.scenario, reading.peer) in measured


def test_a_target_is_met_by_the_median_of_its_ratios() -> None:
    target = targets.Target(targets.Reading("echo", "gnet"), targets.Reading("echo", "node"), 1.4)
    peers = {"gnet": peer_results(15, 14, 10), "node": peer_results(10, 10, 10)}
    spread = target.measured({"echo": {"value": "per_second", "peers": peers}})
    assert spread == report.Spread(1.4, 1.0, 1.5)
    assert target.met(spread)


def test_a_target_that_was_not_measured_has_no_verdict() -> None:
    target = targets.TARGETS[0]
    assert target.measured({}) is None


def test_the_compiler_may_have_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{sys.executable} -I")
    assert native.compiler() == [sys.executable, "-I"]
    monkeypatch.setenv("CC", "no-such-compiler -O3")
    assert native.compiler() is None
