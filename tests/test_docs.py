"""The examples of the README and of the documentation run as they are printed.

A ``code-block`` of ``python`` is a whole program. One that listens and connects to nothing is a
server: it has to answer a client somehow, and is ended. Every other one has to end by itself,
without an error; it has an echo server to talk to. The port in them stands for one that is free.

A ``code-block`` of ``console`` has commands behind ``$``, each followed by what it prints. Those
that end in ``&`` are servers of ``gnet``, and run beside the rest.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket as std_socket
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import gnet
from tests.helpers.commands import gnet_command
from tests.helpers.peers import Peer, python, run, running
from tests.helpers.servers import echoing, raw_client, receive_all, send_end

ROOT = Path(__file__).parent.parent
PORT = re.compile(r"\b8124\b")
BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w+)\n"
    r"(?:(?P=indent) +:caption: (?P<caption>.+)\n)?"
    r"(?P<text>(?:\n|(?P=indent) +.*\n)+)",
    re.MULTILINE,
)

# Runs a file and says where it listens. It imports nothing of gnet's: an example may patch first.
RUNNER = """
import os, runpy, sys, zope.event

def tell(event):
    if type(event).__name__ == "ServerListening":
        place = getattr(event.address, "port", event.address)
        os.write(1, f"listening on {place}\\n".encode())  # the workers of a cluster share it

zope.event.subscribers.append(tell)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


class Block(NamedTuple):
    """A code block of a document."""

    language: str
    text: str
    line: int
    caption: str | None

    @property
    def question(self) -> bytes:
        """What a client of the server may say."""
        if "wsgi.serve(" in self.text:
            return b"GET / HTTP/1.0\r\n\r\n"
        header = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 8124\r\n"
        return (header if "proxy_protocol" in self.text else b"") + b"hello\n"

    @property
    def tls(self) -> bool:
        return "tls=" in self.text or "start_tls(" in self.text

    @property
    def serves(self) -> bool:
        return bool(re.search(r"\b(listen|serve)\(", self.text)) and "connect(" not in self.text


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        code = textwrap.dedent(match["text"]).strip("\n") + "\n"
        yield Block(match["language"], code, line, match["caption"])


# The docstrings are the reference of the documentation.
DOCUMENTS = (
    ROOT / "README.rst",
    *sorted(ROOT.glob("docs/**/*.rst")),
    *sorted(ROOT.glob("gnet/**/*.py")),
)


def examples(language: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{document.relative_to(ROOT)}:{block.line}")
        for document in DOCUMENTS
        for block in blocks(document)
        if block.language == language
    ]


EXAMPLES = examples("python")


def certified() -> Any:
    """The authority of the tests; a package makes its certificates that need not be there."""
    return pytest.importorskip("tests.helpers.authority")


def write_certificates(directory: Path) -> None:
    """The files that the examples of TLS name."""
    authority = certified()
    server, client = authority.certificate(), authority.issue("client.example")
    authority.write_pair(server, directory / "cert.pem", directory / "key.pem")
    authority.write_pair(client, directory / "client.pem", directory / "client-key.pem")
    folder = directory / "certificates" / "localhost"
    authority.write_pair(server, folder / "fullchain.pem", folder / "privkey.pem")
    authority.authority().cert_pem.write_to_path(directory / "ca.pem")


def answer_of(block: Block, place: Any) -> bytes:
    """What the server of an example says to its question."""
    if block.tls:
        with gnet.connect(*place, tls=certified().client_context()) as sock:
            sock.sendall(block.question)
            sock.shutdown(std_socket.SHUT_WR)
            return b"".join(sock)
    with raw_client(place) as client:
        client.sendall(block.question)
        send_end(client)
        return bytes(receive_all(client))


def place_of(process: Peer) -> str:
    """Where it says that it listens, perhaps behind what the example prints; or nothing."""
    for line in iter(process.line, b""):
        if line.startswith(b"listening on "):
            return line.decode().removeprefix("listening on ")
    return ""


@pytest.mark.limit(30)
@pytest.mark.parametrize("block", EXAMPLES)
def test_the_example_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    if block.tls:
        write_certificates(tmp_path)
    program = tmp_path / "example.py"
    command = python(RUNNER, str(program))
    if block.serves:
        program.write_text(PORT.sub("0", block.text), encoding="utf-8")
        with running(*command, limit=25) as process:
            place = place_of(process)
            assert place, process.wait().complaints.decode()
            assert answer_of(block, (int(place), "127.0.0.1") if place.isdigit() else (place,))
            process.signal(signal.SIGTERM)
            outcome = process.wait()
        assert outcome.status in (0, -signal.SIGTERM)
        assert outcome.complaints.decode() == ""
    else:
        tls = certified().server_context() if block.tls else None
        with echoing(at=(0,), tls=tls) as server:
            port = str(server.address().port)  # type: ignore[union-attr]
            program.write_text(PORT.sub(port, block.text), encoding="utf-8")
            outcome = run(*command)
        assert (outcome.status, outcome.complaints.decode()) == (0, "")


@pytest.mark.limit(30)
@pytest.mark.parametrize("block", examples("console"))
def test_the_commands_print_what_is_shown(block: Block, tmp_path: Path) -> None:
    shim = tmp_path / "gnet"
    shim.write_text(f'#!/bin/sh\nexec {shlex.join(gnet_command())} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    ports: dict[str, str] = {}
    start = f"cd {tmp_path}; PATH={tmp_path}:$PATH; "
    with ExitStack() as servers:
        for step in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, printed = step.partition("\n")
            for port, free in ports.items():
                command, printed = command.replace(port, free), printed.replace(port, free)
            if command.endswith(" &"):
                port = re.search(r"\b81\d\d\b", command)[0]  # type: ignore[index]
                command = start + "exec " + command.removesuffix(" &").replace(port, "0", 1)
                server = servers.enter_context(running("sh", "-c", command))
                ports[port] = server.complaint().decode().rpartition(":")[2]
            else:
                outcome = run("sh", "-c", f"{start}{command} 2>&1")
                assert outcome.output.decode() == printed


def test_the_readme_has_examples() -> None:
    assert sum("README" in str(example.id) for example in EXAMPLES) >= 5


def test_the_readme_begins_with_the_two_commands_of_the_set_up() -> None:
    first, second, *_ = [
        block.text for block in blocks(ROOT / "README.rst") if block.language == "sh"
    ]
    assert "examples/quickstart.py" in first
    assert "tox" in second
    for command in first, second:
        assert run("sh", "-nc", command).status == 0


def test_ci_runs_the_second_command_of_the_readme_and_the_tests_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``bash`` that prints what it should run stands in for the one that runs it."""
    second = [block.text for block in blocks(ROOT / "README.rst") if block.language == "sh"][1]
    for name, script in ("bash", 'printf "%s\\n" "$*"'), ("apt-get", ":"):
        stand_in = tmp_path / name
        stand_in.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    outcome = run(str(ROOT / ".ci" / "run"))
    assert outcome.output.decode().split() == ["-euc", *second.split(), ".ci/windows"]
    assert outcome.status == 0
