"""What a request costs a WSGI server, in its processor time: ``python -m benchmarks.web``.

Each server has a process of its own, and one worker; those that are not installed are left out.
The load asks on ten kept connections at once, in turns, and measures no speed of its own: only the
server's processor time counts, of all its processes.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).parent
APPLICATION = "wsgi_application"
CONNECTIONS = 10
TICKS = os.sysconf("SC_CLK_TCK")
LIMIT = 30.0

PYWSGI = (
    "import sys; from gevent import pywsgi; from wsgi_application import application; "
    "pywsgi.WSGIServer(('127.0.0.1', int(sys.argv[1])), application, log=None).serve_forever()"
)


def commands(port: int) -> dict[str, list[str]]:
    """How the servers are started."""
    python, at = sys.executable, f"127.0.0.1:{port}"
    name = f"{APPLICATION}:application"
    known = {
        "gnet": [python, "-m", "gnet", "wsgi", name, at],
        "gevent pywsgi": [python, "-c", PYWSGI, str(port)],
        "gunicorn (gevent)": [python, "-m", "gunicorn", "-k", "gevent", "-b", at, name],
        "granian": [
            python, "-m", "granian", "--interface", "wsgi", "--port", str(port),
            "--no-access-log", "--log-level", "error", name,
        ],
    }  # fmt: skip
    packages = {"gunicorn (gevent)": "gunicorn", "granian": "granian"}
    return {each: known[each] for each in known if find_spec(packages.get(each, "gevent"))}


class Scenario(NamedTuple):
    """What is asked.

    :ivar request: one request.
    :ivar size: of the answer's body.
    :ivar connections: how many ask at once.
    :ivar warmup: how many requests on each of them come first.
    :ivar requests: how many are counted then.
    """

    request: bytes
    size: int
    connections: int
    warmup: int
    requests: int


def upload(body: bytes, field: str, path: str = "/upload") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: here\r\n{field}\r\n\r\n".encode() + body


MB50 = bytes(50_000_000)
CHUNKS = (b"10\r\n" + b"x" * 16 + b"\r\n") * 65536 + b"0\r\n\r\n"

SCENARIOS = {
    "a 10 kB answer": Scenario(
        b"GET / HTTP/1.1\r\nHost: here\r\nUser-Agent: a client\r\nAccept: */*\r\n\r\n",
        10_000, CONNECTIONS, 50, 500,
    ),
    "an upload of 50 MB": Scenario(
        upload(MB50, f"Content-Length: {len(MB50)}"), len(str(len(MB50))), 1, 1, 5
    ),
    "1 MiB in chunks of 16 bytes": Scenario(
        upload(CHUNKS, "Transfer-Encoding: chunked"), len(str(16 * 65536)), 1, 1, 10
    ),
}  # fmt: skip


def processor_seconds(root: int) -> float:
    """What a process and its children have used."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                fields = (directory / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            parents[int(directory.name)] = int(fields[1])
            used[int(directory.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(used.get(pid, 0.0) for pid in family)


@contextmanager
def serving(make: Callable[[int], list[str]]) -> Iterator[tuple[int, int]]:
    """A server; gives its process and port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": f"{HERE / 'servers'}:{HERE.parent}"}
    process = subprocess.Popen(
        make(port), cwd=HERE / "servers", env=environment, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise SystemExit(f"{process.args} does not serve") from None
                time.sleep(0.05)
        yield process.pid, port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def take_answer(sock: socket.socket, size: int) -> None:
    """Read one answer, whose body may have a length or come in chunks."""
    received = sock.recv(65536)
    while b"\r\n\r\n" not in received:
        received += sock.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    if b"chunked" in head.lower():
        while not body.endswith(b"0\r\n\r\n"):
            body += sock.recv(65536)
        return
    left = size - len(body)
    while left > 0:
        left -= len(sock.recv(65536))


def measure(scenario: Scenario, pid: int, port: int) -> float:
    """The server's processor time for a request, in microseconds."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(scenario.connections)]

    def turn() -> None:
        for client in clients:
            client.sendall(scenario.request)
        for client in clients:
            take_answer(client, scenario.size)

    try:
        for _ in range(scenario.warmup):
            turn()
        before = processor_seconds(pid)
        for _ in range(scenario.requests):
            turn()
        used = processor_seconds(pid) - before
    finally:
        for client in clients:
            client.close()
    return used * 1e6 / (scenario.requests * scenario.connections)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.web", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server (%(default)s)")
    parser.add_argument("--short", action="store_true", help="a hundredth of it, to try it")
    options = parser.parse_args()
    for title, scenario in SCENARIOS.items():
        if options.short:
            scenario = scenario._replace(warmup=1, requests=max(1, scenario.requests // 100))
        print(f"{title}: the server's processor time for a request")
        base = None
        for name in commands(0):
            times = []
            for _ in range(1 if options.short else options.rounds):
                with serving(lambda port, name=name: commands(port)[name]) as (pid, port):
                    times.append(measure(scenario, pid, port))
            cost = median(times)
            # One that was too quick for the clock has cost nothing.
            base = base or cost or 1.0
            print(f"  {name:20} {cost:12,.1f} us   {cost / base:6.2f} of gnet's")


if __name__ == "__main__":
    main()
