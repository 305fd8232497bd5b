"""Run the peers of a scenario in turn, each in a new process on its own core."""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import native
from .machine import ROOT, Cores, busy_seconds, cpu_seconds, family, resident_bytes
from .peers import SERVERS, Peer
from .scenarios import CLIENTS, Scenario

LOAD = Path(__file__).with_name("load.c")
PATIENCE = 30.0  # seconds that a program has beyond its own time
ATTEMPTS = 3  # where a crowded machine leaves nothing to measure

Run = dict[str, Any]


class RunFailed(RuntimeError):
    """A program did not do what it should; the text says what it left behind."""


@dataclass(frozen=True)
class Settings:
    """How every scenario is run.

    :ivar rounds: how often each peer has its turn.
    :ivar seconds: what one turn measures.
    :ivar warmup: seconds before that, which do not count.
    :ivar cores: who runs where.
    """

    rounds: int
    seconds: float
    warmup: float
    cores: Cores


def _spawn(command: list[str], core: int | None, **options: Any) -> subprocess.Popen[str]:
    def pin() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})

    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    # Pinned before exec: what the program starts early (Node's helper threads) inherits it.
    return subprocess.Popen(command, text=True, env=environment, preexec_fn=pin, **options)


def _output(command: list[str], core: int | None, seconds: float, **options: Any) -> Run:
    """Run a program to its end, and read the JSON that it prints."""
    pipe = subprocess.PIPE
    with _spawn(command, core, stdout=pipe, stderr=pipe, **options) as process:
        try:
            out, err = process.communicate(timeout=seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RunFailed(f"{Path(command[0]).name} did not finish") from None
    if process.returncode:
        raise RunFailed(_last_line(err) or f"{Path(command[0]).name}: {process.returncode}")
    result: Run = json.loads(out)
    return result


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    port: int


@contextmanager
def serving(command: list[str], core: int | None) -> Iterator[Server]:
    """Start a server, and end it.

    :raises RunFailed: with the server's last words, where it does not begin to listen.
    """
    with (
        tempfile.TemporaryFile("w+") as words,
        _spawn(command, core, stdout=subprocess.PIPE, stderr=words) as process,
    ):
        try:
            yield Server(process.pid, _port_of(process))
        except RunFailed as failure:
            words.seek(0)
            last = _last_line(words.read())
            raise RunFailed(f"{failure}; {last}" if last else str(failure)) from None
        finally:
            process.kill()


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    words = process.stdout.readline().split() if ready else []
    if words[:1] != ["listening"]:
        raise RunFailed("the server did not begin to listen")
    return int(words[1])


def _load_command(scenario: Scenario, server: Server, settings: Settings) -> list[str]:
    arguments = {
        "-m": scenario.mode,
        "-p": server.port,
        "-P": ",".join(map(str, family(server.pid))),
        "-c": scenario.connections,
        "-s": scenario.size,
        "-d": scenario.depth,
        "-t": settings.seconds,
        "-w": settings.warmup,
    }
    program = native.build(LOAD, *native.TLS) if scenario.encrypted else native.build(LOAD)
    flags = ["-r"] if scenario.resumes else []
    return [str(program), *(str(part) for pair in arguments.items() for part in pair), *flags]


def _served(peer: Peer, scenario: Scenario) -> list[str]:
    """The command line of a server."""
    files = native.certificate() if scenario.encrypted else ()
    return peer.command(scenario.behaviour, *files)


def _under_load(peer: Peer, scenario: Scenario, settings: Settings) -> Run:
    """The load generator's own results, and what a message cost the server."""
    with serving(_served(peer, scenario), settings.cores.server) as server:
        return _measured(scenario, server, settings)


def _measured(scenario: Scenario, server: Server, settings: Settings, backend: int = -1) -> Run:
    command = _load_command(scenario, server, settings)
    inherited: tuple[int, ...] = ()
    if backend >= 0:
        command += ["-b", str(backend)]
        inherited = (backend,)
    whole = settings.seconds + settings.warmup
    for _ in range(ATTEMPTS):
        with _others(server) as others:
            run = _output(command, settings.cores.load, whole, pass_fds=inherited)
        if run["bytes"] and run["server_cpu_seconds"]:
            return {**run, **_derived(run), "others_cpu": others[0]}
    raise RunFailed("the server was not given a moment of its core")


def _derived(run: Run) -> Run:
    busy = run["server_cpu_seconds"] / run["seconds"]
    return {
        "server_cpu": busy,
        "cpu_us_per_message": 1e6 * busy / run["per_second"],
        "per_cpu_second": run["per_second"] / busy,
        "mb_per_cpu_second": run["mb_per_second"] / busy,
    }


@contextmanager
def _others(server: Server) -> Iterator[list[float]]:
    """The part of a core that went neither to the server nor to the load meanwhile."""

    def elsewhere() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        served = sum(map(cpu_seconds, family(server.pid)))
        ours = served + children.ru_utime + children.ru_stime
        return busy_seconds() - ours

    parts: list[float] = []
    before, began = elsewhere(), time.monotonic()
    yield parts
    parts.append(max(0.0, elsewhere() - before) / (time.monotonic() - began))


def _through_proxy(peer: Peer, scenario: Scenario, settings: Settings) -> Run:
    """As under load, with the load generator behind the proxy as well."""
    with socket.create_server(("127.0.0.1", 0), backlog=511) as backend:
        command = peer.command(scenario.behaviour, str(backend.getsockname()[1]))
        with serving(command, settings.cores.server) as server:
            return _measured(scenario, server, settings, backend.fileno())


def _at_rest(peer: Peer, scenario: Scenario, settings: Settings) -> Run:
    """What the server's memory has grown by for each of many idle connections."""
    few = Scenario("", "", scenario.behaviour, "echo", connections=10)
    with serving(_served(peer, scenario), settings.cores.server) as server:
        _measured(few, server, settings)
        before = sum(map(resident_bytes, family(server.pid)))
        with _holding(scenario, server, settings):
            after = sum(map(resident_bytes, family(server.pid)))
    each = (after - before) / scenario.connections
    return {"bytes_before": before, "bytes_after": after, "bytes_each": each}


@contextmanager
def _holding(scenario: Scenario, server: Server, settings: Settings) -> Iterator[None]:
    pipe = subprocess.PIPE
    command = _load_command(scenario, server, settings)
    with _spawn(command, settings.cores.load, stdin=pipe, stdout=pipe, stderr=pipe) as load:
        assert load.stdout is not None
        assert load.stderr is not None
        ready, _, _ = select.select([load.stdout], [], [], PATIENCE)
        try:
            if not ready or not load.stdout.readline():
                load.kill()
                raise RunFailed(_last_line(load.stderr.read()) or "the connections did not open")
            yield
        finally:
            load.kill()


def _by_itself(peer: Peer, scenario: Scenario, settings: Settings) -> Run:
    """What a probe says; one that connects finds a C server on the other core."""
    if scenario.behaviour not in CLIENTS:
        command = peer.command(scenario.behaviour, str(settings.seconds))
        return _output(command, settings.cores.server, settings.seconds)
    target = next(each for each in SERVERS if each.name == "c-epoll")
    with serving(target.command("echo"), settings.cores.load) as server:
        command = peer.command(scenario.behaviour, str(server.port), str(settings.seconds))
        return _output(command, settings.cores.server, settings.seconds)


def run_once(peer: Peer, scenario: Scenario, settings: Settings) -> Run:
    """One turn of one peer.

    :returns: what was measured; the key ``scenario.value`` is what is compared.
    :raises RunFailed: with the reason.
    """
    if not scenario.mode:
        return _by_itself(peer, scenario, settings)
    if scenario.behaviour == "proxy":
        return _through_proxy(peer, scenario, settings)
    if scenario.mode == "hold":
        return _at_rest(peer, scenario, settings)
    return _under_load(peer, scenario, settings)


def compare(
    scenario: Scenario,
    peers: list[Peer],
    settings: Settings,
    failed: Callable[[Peer, str], None],
) -> dict[str, list[Run]]:
    """Let all take their turns, round after round, so that a slow minute hits everyone.

    :param failed: is told of each peer that failed; it takes no further part.
    :returns: the runs of each peer that has run in every round.
    """
    runs: dict[str, list[Run]] = {peer.name: [] for peer in peers}
    for _ in range(settings.rounds):
        for peer in [each for each in peers if each.name in runs]:
            try:
                runs[peer.name].append(run_once(peer, scenario, settings))
            except RunFailed as failure:
                del runs[peer.name]
                failed(peer, str(failure))
    return runs
