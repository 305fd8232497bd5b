"""What a list of very many connections costs: ``python -m tests.live_list``.

A program with the live view has many idle connections, and one on which an echo goes back and
forth without a pause. Meanwhile its list is asked for, again and again. What is printed: how long
a list takes until its last byte has come, and the 99.9th percentile of the echo's round trips,
with the lists and without. The program, who holds the connections, and who asks for the lists are
processes of their own.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """
import resource, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
import gnet, gnet.live
gnet.live.enable(sys.argv[1])
server = gnet.create_server(lambda sock: sock.pipe(sock)).listen(0, "127.0.0.1", 4096)
print(server.port, flush=True)
gnet.run()
"""

HOLDER = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    held[-1].sendall(b"?")
    held[-1].recv(1)
print("held", flush=True)
sys.stdin.read()
"""

# Prints how long each list has taken, and how many connections were in it.
ASKER = """
import json, socket, sys, time
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
lines = client.makefile("rb", buffering=1 << 20)
for _ in sys.stdin:
    began = time.perf_counter()
    client.sendall(b'{"version":1,"verb":"list"}\\n')
    answer = []
    while b'"end"' not in (line := lines.readline()):
        answer.append(line)
    took = time.perf_counter() - began
    rows = sum(len(json.loads(each).get("connections", ())) for each in answer)
    print(took, rows, flush=True)
"""


class Report(NamedTuple):
    """What was seen.

    :ivar rows: how many connections were in each list.
    :ivar lists: how long each list has taken, in seconds.
    :ivar quiet: the round trips of the echo without a list, in seconds, in order.
    :ivar beside: those while lists were made.
    """

    rows: set[int]
    lists: list[float]
    quiet: list[float]
    beside: list[float]

    def lines(self) -> Iterator[str]:
        """The report, for people."""
        yield f"{max(self.rows)} connections, {len(self.lists)} lists"
        yield f"a list: {milliseconds(min(self.lists))} to {milliseconds(max(self.lists))}"
        for name, trips in (("without lists", self.quiet), ("beside them", self.beside)):
            median, high = percentile(trips, 0.5), percentile(trips, 0.999)
            yield (
                f"an echo {name}: median {milliseconds(median)}, 99.9th percentile "
                f"{milliseconds(high)}, of {len(trips)}"
            )


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def percentile(values: list[float], part: float) -> float:
    """The value that this part of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


@contextmanager
def child(script: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program beside this one."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(asker: subprocess.Popen[bytes], lists: int) -> None:
    """Have so many lists made, one after the other."""
    assert asker.stdin is not None
    asker.stdin.write(b"\n" * lists)
    asker.stdin.flush()


def told(process: subprocess.Popen[bytes]) -> list[bytes]:
    """The words of its next line."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def trips(client: socket.socket, count: int) -> list[float]:
    """The times of so many round trips."""
    taken = []
    for _ in range(count):
        began = perf_counter()
        client.sendall(b"ping")
        client.recv(16)
        taken.append(perf_counter() - began)
    return taken


def run(connections: int, lists: int, echoes: int) -> Report:
    """Hold so many connections, and ask for so many lists beside an echo.

    :param echoes: how many round trips there are without a list; beside them there are as many as
        there is time for.
    """
    with tempfile.TemporaryDirectory(prefix="gnet-") as folder:
        path = f"{folder}/live"
        with child(PROGRAM, path) as program:
            port = int(told(program)[0])
            with child(HOLDER, port, connections) as holder, child(ASKER, path) as asker:
                assert told(holder) == [b"held"]
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    # What is made once is made by then.
                    ask(asker, 1)
                    told(asker)
                    quiet = trips(client, echoes)
                    beside, taken, rows = [], [], set()
                    for _ in range(lists):
                        ask(asker, 1)
                        beside += trips(client, max(1, echoes // lists))
                        seconds, count = told(asker)
                        taken.append(float(seconds))
                        rows.add(int(count))
    return Report(rows, taken, quiet, beside)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--lists", type=int, default=20)
    parser.add_argument("--echoes", type=int, default=20_000)
    options = parser.parse_args()
    print(*run(options.connections, options.lists, options.echoes).lines(), sep="\n")


if __name__ == "__main__":
    main()
